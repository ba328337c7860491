"""A stand-in for OSV's service over real HTTP, and for a registry of images.

It answers what a test gives it: https://google.github.io/osv.dev/post-v1-query/.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Service:
    """What was asked of a stand-in, and where it listens."""

    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


Answer = tuple[int, Mapping[str, str], bytes]


@contextmanager
def serving(answer: Callable[[str, str, Mapping[str, str], bytes], Answer]) -> Iterator[Service]:
    """Serve on a free port: `answer` gets method, path, headers and body."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            service.headers.append(dict(self.headers))
            status, headers, content = answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_HEAD = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving_osv(
    known: Mapping[str, list[dict[str, Any]]], *, status: int = 200, body: bytes | None = None
) -> Iterator[Service]:
    """Serve advisories by package name, or one `body` for all."""

    def answer(_method: str, _path: str, _headers: Mapping[str, str], asked: bytes) -> Answer:
        query = json.loads(asked)
        service.asked.append((query["package"]["name"], query["version"]))
        listed = known.get(query["package"]["name"], [])
        found = json.dumps({"vulns": listed} if listed else {}).encode()
        return status, {"Content-Type": "application/json"}, found if body is None else body

    with serving(answer) as service:
        service.url += "/v1/query"
        yield service


def advisory(name: str = "numpy", **changes: Any) -> dict[str, Any]:
    """An advisory as OSV has them of GitHub's database."""
    return {
        "schema_version": "1.6.0",
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2026-1234"],
        "summary": "Reading a crafted file runs code",
        "published": "2026-03-01T10:00:00Z",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
        "affected": [
            {
                "package": {"name": name, "ecosystem": "PyPI"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}
                ],
            }
        ],
        "database_specific": {"severity": "CRITICAL"},
        **changes,
    }
