"""A registry of images that answers real HTTP: manifests and blobs by their digests, and tokens."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import socket
import struct
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packager.system.file_tree import walk

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REPOSITORY = "team/churn"


class Server:
    """What it holds is in `blobs`; `scheme` is how it asks for a login: "", basic or bearer."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.scheme = ""
        self.asked: list[str] = []
        self.moved_to = ""
        """Another server, to which layers are redirected."""
        self.authorized: list[str] = []
        self.fault, self.fault_at = "", ""
        """How an answer breaks off (short, reset, chunk), and a part of its path."""
        self.host = ""

    def add(self, body: bytes, kind: str = "application/octet-stream") -> str:
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self.blobs[digest], self.kinds[digest] = body, kind
        return digest

    def add_json(self, value: object, kind: str) -> str:
        return self.add(json.dumps(value).encode(), kind)

    def push(self, layers: list[bytes], config: Mapping[str, Any], *, index: bool = False) -> str:
        """An image's reference, by its digest."""
        digest = self.add_json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"digest": self.add_json(config, "application/json")},
                "layers": [{"mediaType": LAYER, "digest": self.add(each)} for each in layers],
            },
            MANIFEST,
        )
        if index:
            arm = {"digest": "sha256:" + "0" * 64, "platform": {"architecture": "arm64"}}
            own = {"digest": digest, "platform": {"architecture": "amd64"}}
            digest = self.add_json({"schemaVersion": 2, "manifests": [arm, own]}, INDEX)
        return f"{self.host}/{REPOSITORY}@{digest}"

    def find_refusal(self, header: str) -> str | None:
        """The challenge; None for who may read."""
        if self.scheme == "basic":
            wanted = "Basic " + base64.b64encode(b"me:secret").decode()
            return None if header == wanted else 'Basic realm="it"'
        if self.scheme == "bearer":
            realm = f'Bearer realm="http://{self.host}/token",service="it",scope="pull"'
            return None if header == "Bearer t0k3n" else realm
        return None


def _break_off(handler: BaseHTTPRequestHandler, body: bytes, fault: str) -> None:
    handler.send_response(200)
    if fault == "chunk":
        handler.protocol_version = "HTTP/1.1"
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"zz\r\n" + body[:7])
        return
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    if fault == "reset":
        linger = struct.pack("ii", 1, 0)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        handler.connection.close()


@contextmanager
def serve() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            header = self.headers.get("Authorization", "")
            made.asked.append(self.path)
            made.authorized.append(header)
            if self.path.startswith("/token?"):
                wanted = "Basic " + base64.b64encode(b"me:secret").decode()
                self._answer(200 if header == wanted else 401, b'{"token": "t0k3n"}')
                return
            if challenge := made.find_refusal(header):
                self.send_response(401)
                self.send_header("WWW-Authenticate", challenge)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            digest = self.path.rpartition("/")[2]
            if made.moved_to and "/blobs/" in self.path:
                self.send_response(307)
                self.send_header("Location", f"http://{made.moved_to}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = made.blobs.get(digest)
            if made.fault and made.fault_at in self.path:
                _break_off(self, body or b"", made.fault)
                return
            self._answer(404 if body is None else 200, body or b"", made.kinds.get(digest, ""))

        def _answer(self, code: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def pack_tree(folder: Path, root: str, skip: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Files of a layer, by their paths in the image."""
    return {
        f"{root.lstrip('/')}/{name.as_posix()}": (folder / name).read_bytes()
        for name in walk(folder)
        if name.as_posix() not in skip
    }


def make_layer(files: Mapping[str, bytes | None]) -> bytes:
    """A layer; None is a link, and a name that ends in a slash a folder."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            elif name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return gzip.compress(body.getvalue(), mtime=0)
