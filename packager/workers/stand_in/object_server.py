"""Serve the files of a folder in ranges, as S3 does, and become the program that asks for them.

`object_server.py PORT FOLDER PROGRAM...`: the server is a process of its own on 127.0.0.1, inside
the sandbox. A request must be signed as S3 wants it; nobody checks the signature itself.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_SIGNED = ("authorization", "x-amz-date", "x-amz-content-sha256")
_PR_SET_PDEATHSIG = 1


class _Objects(BaseHTTPRequestHandler):
    """Answers `GET /BUCKET/PREFIX/NAME` with a range of the file NAME."""

    protocol_version = "HTTP/1.1"
    folder = ""

    def do_GET(self) -> None:
        """Answer with 206, or as S3 refuses."""
        signed = all(self.headers.get(each) for each in _SIGNED)
        if not signed or not self.headers["authorization"].startswith("AWS4-HMAC-SHA256 "):
            return self._refuse(403, "AccessDenied")
        path = Path(self.folder, self.path.rpartition("/")[2])
        wanted = _RANGE.fullmatch(self.headers.get("range", ""))
        if not path.is_file():
            return self._refuse(404, "NoSuchKey")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            first, last = (int(wanted[1]), min(int(wanted[2]), size - 1)) if wanted else (0, -1)
            if not wanted or first >= size:
                return self._refuse(416, "InvalidRange")
            self.send_response(206)
            self.send_header("content-length", str(last - first + 1))
            self.send_header("content-range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            connection = self.connection.fileno()
            while first <= last:
                first += os.sendfile(connection, file.fileno(), first, last - first + 1)
        return None

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is the function's."""


def main(port: str, folder: str, *program: str) -> None:
    """Listen, leave the answering to a child, and become `program`."""
    _Objects.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), _Objects)
    server.daemon_threads = True
    parent = os.getpid()
    if os.fork() == 0:
        _end_with(parent)
        server.serve_forever()
    server.socket.close()
    os.execv(program[0], program)  # noqa: S606 - the emulator, as whoever starts this names it


def _end_with(parent: int) -> None:
    """Have the system end this process when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
