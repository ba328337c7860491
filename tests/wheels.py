"""Tiny wheels, made here and now: the same files give the same bytes."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path


def make(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    metadata: str = "",
    hashed: bool = False,
    unlisted: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> Path:
    """Write `folder`/NAME-VERSION-py3-none-any.whl of these files with a dist-info.

    `metadata` is appended to METADATA: lines as `Requires-Dist: numpy`. RECORD lists all files but
    the `unlisted`, with their digests where `hashed`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{inside},{_digest(whole[inside]) if hashed else ''},\n" for inside in whole]
    record = "".join((*rows, f"{info}/RECORD,,\n"))
    with zipfile.ZipFile(path, "w") as archive:
        # a ZipInfo is dated 1980
        for inside, content in {**whole, **(unlisted or {}), f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(inside), content)
    return path


def _digest(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    encoded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={encoded}"


def replace_member(path: Path, member: str, old: bytes, new: bytes) -> None:
    """Write the wheel again, with `old` replaced by `new` in one of its files."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[member] = contents[member].replace(old, new)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
