"""The C compiler: ziglang's clang, in an environment of its own, for any of the targets."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packager.errors import StorageError, ToolError
from packager.system import cache, elf, process
from packager.system.scratch import make_scratch

_LOG = logging.getLogger(__name__)

GLIBC: Final = "2.17"
"""The oldest that both architectures have: the library is loaded by any later one."""
TRIPLES: Final[Mapping[str, str]] = {"x86_64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_FLAGS: Final = (
    "-mcpu=baseline", "-shared", "-fPIC", "-O2", "-std=c11", "-g0", "-s", "-fvisibility=hidden",
    # the arithmetic as it is written: no fused multiply and add, no other order
    "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fno-sanitize=all",
    "-Wl,--build-id=none",
)  # fmt: skip
_SECONDS: Final = 300
_KIND: Final = "compilers"
_EMPTY: Final = "typedef int empty;\n"
_NOT_KEPT: Final = ("tmp", "z")
"""Of the compiler's own files: what it read of its library, which no later run needs."""


def fill_cache(python: Path, arch: str, folder: Path) -> None:
    """Fill the empty `folder` with what the compiler makes of itself before it compiles anything.

    These are C's start files and the stubs of its library for `arch`: seconds of CPU, the same for
    every model, and kept. Raises what `compile_library` raises.
    """
    key = cache.make_key([str(python), TRIPLES[arch], GLIBC, _FLAGS])
    folder.mkdir(parents=True)
    if cache.copy_entry(_KIND, key, folder):
        return
    with make_scratch("zig") as work:
        compile_library(python, _EMPTY, b"", work / "empty", arch, folder)
    for name in _NOT_KEPT:
        shutil.rmtree(folder / name, ignore_errors=True)
    try:
        cache.keep_copy(_KIND, key, folder)
    except StorageError as error:
        _LOG.debug("The compiler's own files are not kept: %s", error)


def compile_library(
    python: Path, source: str, constants: bytes, folder: Path, arch: str, own: Path
) -> Path:
    """Compile C with `python -m ziglang`; the same text and constants are the same bytes.

    `own` is where the compiler keeps its own files.

    Raises ToolError with the compiler's own words, or where it leaves no library of `arch`;
    StorageError where it says that the disk is full.
    """
    folder.mkdir(parents=True)
    (folder / "model.c").write_text(source, encoding="ascii")
    (folder / "constants.bin").write_bytes(constants)
    target = f"{TRIPLES[arch]}.{GLIBC}"
    command: list[str | Path] = [python, "-m", "ziglang", "cc", "-target", target, *_FLAGS]
    process.run(
        [*command, "-o", "model.so", "model.c", "-lm"],
        cwd=folder,
        env={
            **process.inherit(),
            # its environment is compared with what was installed, whenever it is used
            "PYTHONDONTWRITEBYTECODE": "1",
            "ZIG_GLOBAL_CACHE_DIR": str(own),
            "ZIG_LOCAL_CACHE_DIR": str(own),
        },
        timeout_seconds=_SECONDS,
    )
    for name in ("model.c", "constants.bin"):
        (folder / name).unlink()
    check_library(folder / "model.so", arch)
    return folder / "model.so"


def check_library(path: Path, arch: str) -> None:
    """Raises ToolError for what is no library of this architecture, whatever the exit code was."""
    try:
        made = elf.read(path).architecture
    except FileNotFoundError as error:
        raise ToolError(f"it ended well and left no {path.name}.") from error
    except ValueError as error:
        raise ToolError(f"it ended well and left a {path.name} that is none: {error}") from error
    if made != arch:
        raise ToolError(f"it was asked for a library for {arch} and left one for {made}.")
