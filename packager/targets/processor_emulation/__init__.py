"""Boot a function for arm64 on x86_64: each program of it under QEMU's user emulation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager.environments.install import install_wheels
from packager.environments.machine.qemu import find_qemu
from packager.system import cache, process
from packager.targets.processor_emulation import arm64_python
from packager.types import EmulatedPython, HostKind, Interpreter

SLOWER: Final = 10
"""Times as long as a program may take as on its own processor; chosen with room, not measured."""
EMULATION_MB: Final = 512
"""What an emulated program may take beside what it takes on its own processor."""
_PLATFORM: Final = "aarch64-manylinux_2_34"
_OLD_PLATFORM: Final = "aarch64-manylinux_2_17"
_NEEDS_QEMU: Final = (
    "QEMU's user emulation runs it: `apt-get install qemu-user`, or what your system calls it."
)


def why_not_emulated(host: HostKind, minor: str, named: Path | None = None) -> str | None:
    """Explain why a function for arm64 cannot be booted under qemu; None where it can.

    `named` is the folder of an arm64 Python that an option names. Nothing is fetched for the
    answer.
    """
    if not sys.platform.startswith("linux") or host is not HostKind.LAMBDA:
        return "Only a Lambda function is booted for another processor, and on Linux alone."
    if find_qemu() is None:
        return _NEEDS_QEMU
    return arm64_python.explain_lack(minor, named)


def emulate(interpreter: Interpreter, named: Path | None = None) -> Interpreter:
    """The same one with an arm64 Python to boot in; one that is not here is fetched.

    Raises ToolError.
    """
    return replace(interpreter, emulated=arm64_python.provide_python(interpreter, named))


def ensure_environment(
    interpreter: Interpreter, emulated: EmulatedPython, wanted: Sequence[str], label: str
) -> Path:
    """An environment for the emulated Python with these wheels for arm64; returns its python.

    That path is what the Python takes itself to be called by: no program lies there.
    """
    platform = _PLATFORM if interpreter.is_from(3, 12) else _OLD_PLATFORM

    def make(folder: Path) -> None:
        packages = folder / "lib" / f"python{interpreter.minor}" / "site-packages"
        packages.mkdir(parents=True)
        (folder / "pyvenv.cfg").write_text(
            f"home = {emulated.python.parent}\ninclude-system-site-packages = false\n",
            encoding="utf-8",
        )
        if wanted:  # a function that brings its own runtime client needs nothing beside it
            install_wheels(
                [
                    *("--python-version", interpreter.minor, "--python-platform", platform),
                    *wanted,
                    *("--python", interpreter.path, "--target", packages),
                ],
                packages,
                timeout_seconds=600,
            )
        # this machine's Python of that minor version writes the same bytecode
        run = ("-I", "-S", "-m", "compileall", "-q")
        process.run([interpreter.path, *run, packages], check=False)

    key = cache.make_key([str(emulated.python), interpreter.minor, sorted(wanted), platform])
    return cache.ensure("environments", f"{label}-arm64-{key[:20]}", make) / "bin" / "python"


def list_command(interpreter: Interpreter, python: Path) -> tuple[str | Path, ...]:
    """List what starts `python`, an environment's: itself, or what emulates its processor."""
    found = interpreter.emulated
    if found is None:
        return (python,)
    return (found.program, *found.options, "-L", found.root, "-0", python, found.python)
