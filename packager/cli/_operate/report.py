"""`packager report`: the page of an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli._common import show
from packager.cli._panels import Panel
from packager.commands import console

PageFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="<file>",
        rich_help_panel=Panel.OUTPUT,
        help="Make the page anew, of evidence.json and report.json, and write it to this file.",
        show_default=False,
        dir_okay=False,
    ),
]
Open = Annotated[
    bool,
    typer.Option("--open", rich_help_panel=Panel.OUTPUT, help="Show the page in your browser."),
]


def report(
    artifact: opt.Artifact,
    *,
    out: PageFile = None,
    show_page: Open = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Show an artifact's evidence as a page: sizes, passes, proof, start, limits, decisions, drift.

    A build writes report.html into its folder: one file, which asks nothing of any other place.
    This command prints where it lies, and makes it where an older build left none.

    Ends with 12 where the page was changed since the build, or a file that it is made of is
    damaged.
    """
    from packager.commands.artifact.report_file import open_page, provide_page

    with console.progress(verbose=verbose, quiet=quiet):
        found = provide_page(artifact, out)
        if show_page:
            open_page(Path(found["page"]))
    show(found, as_json=as_json, human=console.show_page)
