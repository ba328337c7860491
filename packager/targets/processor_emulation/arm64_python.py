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
from packager.system import cache, process
from packager.targets.processor_emulation import debian_archive
from packager.targets.processor_emulation.deb_file import unpack_package
from packager.types import EmulatedPython, Interpreter

VARIABLE: Final = "PACKAGER_ARM64_PYTHON"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Root:
    folder: Path
    python: Path
    source: str


def explain_lack(minor: str) -> str | None:
    """Explain why no Python `minor` can be had, before anything is fetched; None where it can."""
    if _find_named(minor) is not None or minor in facts.debian_suites():
        return None
    known = ", ".join(facts.debian_suites())
    named = os.environ.get(VARIABLE)
    lacks = f"{named} has none at {', '.join(_FOLDERS)}" if named else f"{VARIABLE} names none"
    return (
        f"No Python {minor} for arm64 can be had: Debian has {known}, and {lacks}. Name a folder "
        f"with the files of an arm64 image that has it in {VARIABLE}, as `docker export` gives "
        "them, or choose another with --python."
    )


@functools.cache
def provide_python(interpreter: Interpreter) -> EmulatedPython:
    """Return a Python like this one that starts under qemu; Debian's is fetched where none is here.

    Raises ToolError.
    """
    minor = interpreter.minor
    qemu = find_qemu()
    if qemu is None:
        raise ToolError("qemu-aarch64 is not on this machine: `apt-get install qemu-user`.")
    program, options, name = qemu
    found = _find_named(minor) or _unpack_debian(interpreter)
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
            f"Name another in {VARIABLE}, or install a later qemu."
        )
    return made


def _find_named(minor: str) -> _Root | None:
    """Find it in the folder that the user names; None where that has none of this version."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(named).absolute()
    for below in _FOLDERS:
        python = folder / below / f"python{minor}"
        if python.is_file() and python.resolve().is_relative_to(folder.resolve()):
            return _Root(folder=folder, python=python, source=f"Python {minor} of {VARIABLE}")
    return None


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
