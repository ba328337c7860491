"""`packager doctor`: a look at the machine before a build."""

from __future__ import annotations

from pathlib import Path

import typer

from packager.cli import _options as opt
from packager.cli._common import show
from packager.commands import console


def doctor(
    *, as_json: opt.AsJson = False, verbose: opt.Verbose = False, quiet: opt.Quiet = False
) -> None:
    """Check what this machine has for building, and say how to get what it lacks.

    Looks at the system, Pythons, the sandbox, the package index, the disk, and the programs that
    deploy. Changes nothing. Ends with 1 if something is missing that every build needs.
    """
    from packager.environments.machine_check import check_machine
    from packager.targets import TARGETS, load

    runtimes = [runtime for name in TARGETS for runtime in load(name).runtimes]
    minors = sorted({each.python_minor for each in runtimes}, key=_order_minor)
    with console.progress(verbose=verbose, quiet=quiet):
        found = check_machine(minors, Path.cwd())
    show(found, as_json=as_json, human=console.show_machine)
    if not found["ready"]:
        raise typer.Exit(1)


def _order_minor(minor: str) -> tuple[int, ...]:
    return tuple(map(int, minor.split(".")))
