"""A Python for arm64: one that the user names, else Debian's packages, unpacked into the cache."""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager import facts
from packager.environments.machine.qemu import find_qemu
from packager.errors import ToolError
from packager.system import cache, elf, process
from packager.system.file_tree import sha256
from packager.targets.processor_emulation import debian_archive
from packager.targets.processor_emulation.deb_file import unpack_package
from packager.types import EmulatedPython, Interpreter

VARIABLE: Final = "PACKAGER_ARM64_PYTHON"
OPTION: Final = "--arm64-python"
_FOLDERS: Final = ("usr/bin", "usr/local/bin", "var/lang/bin")
"""Where Debian, python's images and Lambda's images have it."""
_KIND: Final = "tools"
_ROOT: Final = "root"
_ABOUT: Final = "about.json"
_LIBRARIES: Final = ("libstdc++6", "libgcc-s1")
"""What Lambda's runtime has beside Python's own: no libgomp."""
_ASK: Final = "import platform; print(platform.python_version(), platform.machine())"
_ANSWER: Final = re.compile(r"(\d+\.\d+\.\d+)\S* aarch64")
_SECONDS: Final = 120.0
_MINOR: Final = re.compile(r"python3\.\d+")
_NAME: Final = "Name the folder with the files of an arm64 image, as `docker export` gives them."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    folder: Path
    python: Path
    source: str


@dataclass(frozen=True, slots=True)
class _Named:
    """A folder that the user names, and how."""

    folder: Path
    how: str
    """The option's name, or the variable's."""

    def find_python(self, minor: str) -> Path | None:
        """None where it has none of this version, or it lies outside of the folder."""
        for below in _FOLDERS:
            python = self.folder / below / f"python{minor}"
            if python.is_file() and python.resolve().is_relative_to(self.folder.resolve()):
                return python
        return None

    def find_fault(self, minor: str) -> str:
        """Say what keeps its Python from being started; empty where nothing can be seen to."""
        if not self.folder.is_dir():
            return f"{self.how} names {self.folder}, which is no folder that can be read. {_NAME}"
        if (python := self.find_python(minor)) is None:
            return "" if self.how == VARIABLE else self._describe_others(minor)
        try:
            architecture = elf.read(python).architecture
        except OSError as error:
            return f"{python} of {self.how} cannot be read: {error.strerror}. {_NAME}"
        except ValueError:
            return f"{python} of {self.how} is no program for Linux. {_NAME}"
        if architecture != "arm64":
            return f"{python} of {self.how} is for {architecture}, not for arm64. {_NAME}"
        if not python.stat().st_mode & 0o111:
            return f"{python} of {self.how} may not be executed: `chmod +x` it."
        return ""

    def _describe_others(self, minor: str) -> str:
        there = sorted(
            {
                each.name.removeprefix("python")
                for below in _FOLDERS
                for each in (self.folder / below).glob("python3.*")
                if _MINOR.fullmatch(each.name)
            }
        )
        has = f"has Python {', '.join(there)}, and none of {minor}" if there else "has no Python"
        return f"{self.folder} of {self.how} {has} at {', '.join(_FOLDERS)}. {_NAME}"


def explain_lack(minor: str, named: Path | None = None) -> str | None:
    """Explain why no Python `minor` can be had, before anything is fetched; None where it can.

    `named` is the folder that an option names; without it the variable may name one.
    """
    given = _read_named(named)
    if given is not None and (fault := given.find_fault(minor)):
        return fault
    if (given and given.find_python(minor)) or minor in facts.debian_suites():
        return None
    known = ", ".join(facts.debian_suites())
    lacks = (
        f"{given.folder} has none at {', '.join(_FOLDERS)}" if given else f"{VARIABLE} names none"
    )
    return (
        f"No Python {minor} for arm64 can be had: Debian has {known}, and {lacks}. Name a folder "
        f"with the files of an arm64 image that has it with {OPTION} or in {VARIABLE}, as `docker "
        "export` gives them, or choose another with --python."
    )


@functools.cache
def provide_python(interpreter: Interpreter, named: Path | None = None) -> EmulatedPython:
    """Return a Python like this one that starts under qemu; Debian's is fetched where none is here.

    `named` is the folder that an option names. Raises ToolError.
    """
    if fault := explain_lack(interpreter.minor, named):
        raise ToolError(fault)
    minor = interpreter.minor
    qemu = find_qemu()
    if qemu is None:
        raise ToolError("qemu-aarch64 is not on this machine: `apt-get install qemu-user`.")
    program, options, name = qemu
    found = _find_named(minor, named) or _unpack_debian(interpreter)
    made = EmulatedPython(
        program=program,
        options=options,
        version=name,
        root=found.folder,
        python=found.python,
        source=found.source,
    )
    argv: list[str | Path] = [program, *options, "-L", found.folder, found.python]
    argv += ["-I", "-S", "-B", "-c", _ASK]
    done = process.run(argv, check=False, timeout_seconds=_SECONDS)
    answer = _ANSWER.fullmatch(done.stdout.strip())
    if answer is None or not answer.group(1).startswith(f"{minor}."):
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise ToolError(
            f"{found.python} is no Python {minor} for arm64 that starts under {name}: {said[-1]}. "
            f"Name another with {OPTION} or in {VARIABLE}, or install a later qemu."
        )
    return made


def digest_named(named: Path | None) -> str:
    """The sha256 of each Python of the folder that the user names; empty where none is named."""
    given = _read_named(named)
    if given is None:
        return ""
    pythons = [each for below in _FOLDERS for each in (given.folder / below).glob("python3.*")]
    return " ".join(sha256(each) for each in sorted(pythons) if each.is_file())


def _read_named(named: Path | None) -> _Named | None:
    """The option comes before the variable."""
    if named is not None:
        return _Named(named.absolute(), OPTION)
    told = os.environ.get(VARIABLE)
    return _Named(Path(told).absolute(), VARIABLE) if told else None


def _find_named(minor: str, named: Path | None) -> _Root | None:
    """Find it in the folder that the user names; None where that has none of this version."""
    given = _read_named(named)
    python = None if given is None else given.find_python(minor)
    if given is None or python is None:
        return None
    return _Root(folder=given.folder, python=python, source=f"Python {minor} of a named folder")


def _unpack_debian(interpreter: Interpreter) -> _Root:
    minor = interpreter.minor
    suite = facts.debian_suites().get(minor)
    if suite is None:
        raise ToolError(explain_lack(minor) or f"No Python {minor} for arm64 can be had.")
    mirror = debian_archive.read_mirror()

    def make(folder: Path) -> None:
        root = folder / _ROOT
        root.mkdir()
        about = _fetch_root(suite, minor, mirror, root)
        # this machine's Python of that minor version writes the same bytecode, and faster
        run = ("-I", "-S", "-m", "compileall", "-q")
        process.run([interpreter.path, *run, root / "usr/lib"], check=False)
        (folder / _ABOUT).write_text(json.dumps(about, indent=2), encoding="utf-8")

    folder = cache.ensure(_KIND, f"arm64-python-{minor}-{suite}", make)
    about = json.loads((folder / _ABOUT).read_bytes())
    version = about["packages"][f"python{minor}-minimal"]
    unsigned = about["unsigned"]
    signed = f"its signature was not checked, as {unsigned}" if unsigned else "signed"
    return _Root(
        folder=folder / _ROOT,
        python=folder / _ROOT / "usr/bin" / f"python{minor}",
        source=f"Debian {suite}'s Python {version} ({signed})",
    )


def _fetch_root(suite: str, minor: str, mirror: str, root: Path) -> dict[str, object]:
    """Fill `root`; returns what it is made of."""
    opened = debian_archive.open_suite(suite, mirror)
    wanted = (f"python{minor}-minimal", f"libpython{minor}-stdlib", *_LIBRARIES)
    packages = debian_archive.choose_packages(opened, wanted)
    for each, content in zip(
        packages, debian_archive.fetch_packages(opened, packages), strict=True
    ):
        unpack_package(content, root, f"{each.name} {each.version}", left_out="usr/lib/binfmt.d")
    for name in ("bin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    return {
        "suite": suite,
        "mirror": mirror,
        "unsigned": opened.unsigned,
        "packages": {each.name: each.version for each in packages},
        "sha256": {each.name: each.sha256 for each in packages},
    }
