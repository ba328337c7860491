"""Programs and libraries of this machine that a function sees: those of its platform's image.

The Python that runs it is this machine's, so what that one is linked to is seen too.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packager.errors import ToolError
from packager.system import elf, process

_COMMAND_FOLDERS: Final = "/usr/bin:/bin:/usr/sbin:/sbin"
_CONFIGURED: Final = Path("/etc/ld.so.conf.d")
_LIBRARY_FOLDERS: Final = (
    *("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"),
    *("/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"),
)
_OF_THE_C_LIBRARY: Final = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")
"""Opened by its name service, which is one library in later versions."""
_OF_COMMANDS: Final = (
    *("libacl.so.1", "libattr.so.1", "libcap.so.2", "libgmp.so.10", "libmpfr.so.6"),
    *("libpcre.so.1", "libpcre.so.3", "libpcre2-8.so.0", "libreadline.so.8", "libselinux.so.1"),
    *("libsigsegv.so.2", "libtinfo.so.6"),
)
"""What a shell, coreutils, awk, grep and sed are linked to in Debian's family and Fedora's."""
_DATA: Final = ("/usr/share/zoneinfo", "/usr/lib/ssl", "/usr/lib/locale/C.utf8")
"""Time zones, where OpenSSL looks for certificates, and the one locale that every image has."""
_DRIVERS: Final = ("libcuda.so*", "libcudadebugger.so*", "libnvidia-*.so*", "libnvcuvid.so*")
"""What NVIDIA's container toolkit brings into a container.

https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
"""
_LINKS: Final = 16
_PYTHON_FOLDERS: Final = ("lib", "lib64")
_OF_PYTHON: Final = re.compile(r"python3(\.\d+t?)?$|libpython3.*\.so")
_MODULES: Final = """
import importlib.machinery, json, os, sys
sys.stdout = sys.stderr
folders = [path for path in sys.path if os.path.isdir(path)]
suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
for folder in folders:
    for name in sorted(os.listdir(folder)):
        module = name.partition(".")[0]
        if name.endswith(suffixes) and not module.startswith(("_test", "_tkinter", "xx", "_xx")):
            try:
                __import__(module)
            except ImportError:
                pass
with open("/proc/self/maps") as maps:
    paths = {line.split(None, 5)[5].strip() for line in maps if line.count("/")}
sys.__stdout__.write(json.dumps(sorted(paths)))
"""
"""Imports the standard library's extension modules, and says what that loaded. tkinter is on no
platform."""


@functools.cache
def list_system_files(
    python: Path,
    libraries: frozenset[str],
    commands: tuple[str, ...],
    *,
    drivers: bool = False,
) -> tuple[Path, ...]:
    """List what is here of `libraries` (names), `commands` and what `python` is linked to.

    With `drivers` those of NVIDIA too. Every path is given after the links that lead to it, none
    of which is in a folder that is a link itself. Raises ToolError where `python` does not start.
    """
    wanted: list[Path] = [Path(path) for path in _DATA]
    wanted += _named_libraries((*libraries, *_OF_THE_C_LIBRARY, *_OF_COMMANDS))
    wanted += _list_linked_libraries(python)
    programs = (shutil.which(command, path=_COMMAND_FOLDERS) for command in commands)
    wanted += [Path(path) for path in programs if path is not None]
    if drivers:
        wanted += [path for folder in _folders() for glob in _DRIVERS for path in folder.glob(glob)]
    steps = (step for path in dict.fromkeys(wanted) for step in _steps(path))
    return tuple(sorted(set(steps)))


@functools.cache
def list_program_files(program: Path) -> tuple[Path, ...]:
    """List a program and the libraries of the system's that it is linked to, links included."""
    wanted, names, left = [program], set[str](), [program]
    while left:
        needed = [each for each in elf.read(left.pop()).needed if each not in names]
        found = [path for name in needed for path in _named_libraries([name])[:1]]
        names.update(needed)
        wanted += found
        left += found
    return tuple(sorted({step for path in wanted for step in _steps(path)}))


def interpreter_paths(program: Path) -> tuple[Path, ...]:
    """A Python and its standard library; of a virtual environment, all of it.

    Other libraries that lie beside it, as in conda's environments, are not among them.
    """
    found: list[Path] = []
    path = program.absolute()
    for _ in range(_LINKS):
        found += [path, *_beside(path)]
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / path.readlink()))  # noqa: TID251 - links stay
    real = program.resolve()
    if real not in found:
        found += [real, *_beside(real)]
    return tuple(dict.fromkeys(found))


def _beside(program: Path) -> Iterator[Path]:
    prefix = program.parent.parent
    if program.parent.name != "bin" or prefix == Path("/"):
        return
    if (prefix / "pyvenv.cfg").is_file():
        yield from (each for each in (program.parent, prefix / "pyvenv.cfg") if each.exists())
        yield from (prefix / name for name in _PYTHON_FOLDERS if (prefix / name).is_dir())
        return
    for name in _PYTHON_FOLDERS:
        if (prefix / name).is_dir():
            yield from (each for each in (prefix / name).iterdir() if _OF_PYTHON.match(each.name))
    if (prefix / "ssl").is_dir():
        yield prefix / "ssl"


def _steps(path: Path) -> Iterator[Path]:
    """Each link on the way to a file, and the file; none where it leads nowhere."""
    if not path.exists():
        return
    for _ in range(_LINKS):
        path = path.parent.resolve() / path.name
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


@functools.cache
def _folders() -> tuple[Path, ...]:
    """List where the loader looks for libraries."""
    configured = []
    if _CONFIGURED.is_dir():
        for file in sorted(_CONFIGURED.glob("*.conf")):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            configured += [line.strip() for line in lines if line.startswith("/")]
    folders = (Path(each) for each in (*_LIBRARY_FOLDERS, *configured))
    return tuple(dict.fromkeys(each.resolve() for each in folders if each.is_dir()))


def _named_libraries(names: Iterable[str]) -> list[Path]:
    paths = (folder / name for name in sorted(set(names)) for folder in _folders())
    return [path for path in paths if path.exists()]


@functools.cache
def _list_linked_libraries(python: Path) -> tuple[Path, ...]:
    """The libraries that `python` and its standard library load, by the names they are asked by."""
    done = process.run(
        [python, "-I", "-S", "-B", "-c", _MODULES], check=False, timeout_seconds=60, env={}
    )
    try:
        mapped = [Path(each) for each in json.loads(done.stdout) if each.startswith("/")]
    except ValueError as error:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise ToolError(f"{python} does not say what it is linked to: {said[-1]}.") from error
    return tuple(
        each
        for path in mapped
        if path.is_file() and ".so" in path.name
        for each in (path, *_versioned_links(path.parent).get(path, ()))
    )


@functools.cache
def _versioned_links(folder: Path) -> dict[Path, tuple[Path, ...]]:
    """List by library the names that programs ask for: not `libz.so`, a compiler's."""
    found: dict[Path, tuple[Path, ...]] = {}
    for path in folder.glob("*.so.*"):
        if path.is_symlink():
            real = path.resolve()
            found[real] = (*found.get(real, ()), path)
    return found
