"""Tiny wheels, made here and now: the same files give the same bytes."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path


def make(folder: Path, name: str, files: Mapping[str, str | bytes], *, metadata: str = "") -> Path:
    """Write `folder`/NAME-1.0-py3-none-any.whl with these files and a dist-info; returns its path.

    `metadata` is appended to METADATA: lines as `Requires-Dist: numpy`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{inside},,\n" for inside in (*whole, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        # a ZipInfo is dated 1980
        for inside, content in {**whole, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(inside), content)
    return path
