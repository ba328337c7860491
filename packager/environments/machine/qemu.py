"""QEMU's user emulation: it runs one program for another processor, and no machine round it.

https://www.qemu.org/docs/master/user/main.html
"""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.system import process

_PROGRAMS: Final = ("qemu-aarch64", "qemu-aarch64-static")
_VERSION: Final = re.compile(r"version (\d+(?:\.\d+)+)")
_PROCESSORS: Final = ("neoverse-n1", "cortex-a72")
"""Graviton2's first, which Lambda runs arm64 functions on; the other has its instructions but for
some that libraries ask for before they use them. https://aws.amazon.com/ec2/graviton/"""
_SECONDS: Final = 20.0


@functools.cache
def find_qemu() -> tuple[Path, tuple[str, ...], str] | None:
    """(the program, its options, its name and version); None where none is here that starts."""
    for name in _PROGRAMS:
        path = shutil.which(name)
        if path is None:
            continue
        try:
            told = process.run([path, "--version"], check=False, timeout_seconds=_SECONDS).stdout
            known = process.run([path, "-cpu", "help"], check=False, timeout_seconds=_SECONDS)
        except ToolError:
            continue
        version = _VERSION.search(told)
        processor = next((each for each in _PROCESSORS if each in known.stdout.split()), None)
        if version is not None and processor is not None:
            found = Path(path).resolve()
            return found, ("-cpu", processor), f"{_PROGRAMS[0]} {version.group(1)}"
    return None
