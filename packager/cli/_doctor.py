"""`packager doctor` and `packager facts`: the machine and the platforms that builds count on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli import _target_options as to
from packager.cli._common import show
from packager.cli._panels import Panel
from packager.commands import console

Check = Annotated[
    bool,
    typer.Option(
        "--check",
        rich_help_panel=Panel.PROOF,
        help="Compare facts with the models of the vendors' APIs, and say which nothing here "
        "states, and which are old.",
    ),
]
FailOnOld = Annotated[
    bool,
    typer.Option(
        "--fail-on-old",
        rich_help_panel=Panel.PROOF,
        help="Check, and end with 1 if a fact was last read more than 90 days ago.",
    ),
]


def doctor(
    *, as_json: opt.AsJson = False, verbose: opt.Verbose = False, quiet: opt.Quiet = False
) -> None:
    """Check what this machine has for building, and say how to get what it lacks.

    Looks at the system, Pythons, the sandbox, the package index, the disk, and the programs that
    deploy. Changes nothing. Ends with 1 if something is missing that every build needs.
    """
    from packager.environments.machine.check import check_machine
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


def facts(
    *,
    check: Check = False,
    fail_on_old: FailOnOld = False,
    facts_dir: to.FactsDir = None,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Print what is known of the platforms: limits, runtimes, prices, each with source and day.

    With --check, facts are compared with what is installed here: the models of Lambda and EC2 in
    botocore, that of Azure in azure-mgmt-web, and the files of distributions. What nothing here
    states is listed as not comparable, with its source, day and age. Ends with 1 if a fact differs,
    and with 2 if a file of facts cannot be read or a fact has no source or day. Facts that were
    last read more than 90 days ago are a warning; with --fail-on-old they end it with 1 too.
    """
    from packager.commands.facts_check import report_facts

    with console.progress(verbose=verbose, quiet=quiet):
        found = report_facts(facts_dir, today=datetime.now(UTC).date(), check=check or fail_on_old)
    show(found, as_json=as_json, human=console.show_facts)
    if not found["holds"] or (fail_on_old and found["old"]):
        raise typer.Exit(1)
