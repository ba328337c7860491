"""The C compiler: ziglang's clang, in an environment of its own, for any of the targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.system import elf, process

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


def compile_library(
    python: Path, source: str, constants: bytes, folder: Path, arch: str, cache: Path
) -> Path:
    """Compile C with `python -m ziglang`; the same text and constants are the same bytes.

    `cache` is where the compiler keeps its own files.

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
            "ZIG_GLOBAL_CACHE_DIR": str(cache),
            "ZIG_LOCAL_CACHE_DIR": str(cache),
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
