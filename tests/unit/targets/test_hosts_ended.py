"""A server whose process ends or hangs: seen at once, and named, by the host that boots it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packager.targets.hosts import PING, Boot, Call
from packager.targets.hosts.http_server import ServerHost
from packager.types import Interpreter

SERVER = """
import ctypes, os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

def die(way):
    if way == "segv": ctypes.string_at(0)
    if way == "exit": os._exit(3)
    if way == "sys.exit": sys.exit("bye")
    if way == "hang": time.sleep(600)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self):
        die(os.environ.get("ASKED"))
        self.do_GET()

die(os.environ.get("LOADED"))
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def _boot(folder: Path, env: dict[str, str]) -> Boot:
    (folder / "app.py").write_text(SERVER)
    version = ".".join(map(str, sys.version_info[:3]))
    return Boot(
        folder=folder,
        interpreter=Interpreter(path=Path(sys.executable), version=version, found_by="test"),
        entrypoint="app.serve",
        timeout_seconds=1,
        env=env,
    )


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packager.targets.hosts.http_server._SPARE_SECONDS", 0.5)
    monkeypatch.setattr("packager.targets.hosts.http_server._START_SECONDS", 3.0)


CAUSES = {
    "segv": "was ended by SIGSEGV (a fault in native code) at die (app.py, line 6)",
    "exit": "ended itself with exit code 3",
    "hang": "was still busy at die (app.py, line 9)",
}


@pytest.mark.few(1)
@pytest.mark.parametrize("way", CAUSES)
def test_a_server_that_ends_while_it_loads(way: str, tmp_path: Path) -> None:
    with ServerHost(_boot(tmp_path, {"LOADED": way})) as host:
        answer = host.ask(PING)
    assert answer.loading
    assert answer.failure == f"its process {CAUSES[way]}"
    assert answer.ending is not None


@pytest.mark.few(1)
@pytest.mark.parametrize("way", CAUSES)
def test_a_server_that_ends_over_a_request(way: str, tmp_path: Path) -> None:
    with ServerHost(_boot(tmp_path, {"ASKED": way})) as host:
        assert host.ask(PING).failure is None
        answer = host.ask(Call(body=b"{}"))
        assert host.ask(PING) == answer
    assert not answer.loading
    assert answer.failure == f"its process {CAUSES[way]}"
