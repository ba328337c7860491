"""A stand-in for a mirror of Debian's: packages that are made here, in a suite of their own."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

LIST = "main/binary-arm64/Packages.xz"


def make_deb(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A package with these files and symbolic links, packed as Debian packs them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            out.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            out.addfile(member)
    return wrap_data(packed.getvalue())


def wrap_data(data: bytes) -> bytes:
    """The outer archive round a data.tar.xz."""
    made = b"!<arch>\n"
    for name, content in {"debian-binary": b"2.0\n", "data.tar.xz": data}.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return made


@dataclass
class Mirror:
    """Files below a folder, served; each can be changed after the release was written."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def publish(self, suite: str, packages: Mapping[str, tuple[bytes, str]]) -> None:
        """Write the suite: by name a package's content and what it depends on."""
        stanzas = []
        for name, (content, depends) in packages.items():
            path = self.folder / "pool" / f"{name}.deb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            stanzas.append(
                f"Package: {name}\nVersion: 1.0-{len(name)}\nDepends: {depends}\n"
                f"Filename: pool/{name}.deb\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
            )
        self.write_list(suite, "\n".join(stanzas))

    def write_list(self, suite: str, text: str) -> None:
        listed = lzma.compress(text.encode())
        folder = self.folder / "dists" / suite
        (folder / LIST).parent.mkdir(parents=True, exist_ok=True)
        (folder / LIST).write_bytes(listed)
        self.write_release(
            suite, f"SHA256:\n {hashlib.sha256(listed).hexdigest()} {len(listed)} {LIST}\n"
        )

    def write_release(self, suite: str, digests: str, *, called: str = "") -> None:
        (self.folder / "dists" / suite / "InRelease").write_text(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\n"
            f"Suite: {called or suite}\n{digests}"
            "-----BEGIN PGP SIGNATURE-----\n\nnone\n-----END PGP SIGNATURE-----\n",
            encoding="utf-8",
        )


@contextmanager
def serve_mirror(folder: Path) -> Iterator[Mirror]:
    mirror = Mirror(folder)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            mirror.asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        mirror.address = f"http://127.0.0.1:{server.server_port}"
        yield mirror
        server.shutdown()
