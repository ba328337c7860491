"""`packager report`: the page of an artifact, or of a model that is built for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli._common import check_request, registry, show
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import IntegrityError
from packager.types import BuildRequest, ModelOptions, OutputOptions, ReportPage, TargetOptions

PageFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="<file>",
        rich_help_panel=Panel.OUTPUT,
        help="Make the page anew, of evidence.json and report.json, and write it to this file. "
        "Without it a model's page is NAME.report.html in the current folder.",
        show_default=False,
        dir_okay=False,
    ),
]
Open = Annotated[
    bool,
    typer.Option("--open", rich_help_panel=Panel.OUTPUT, help="Show the page in your browser."),
]


BuiltFor = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        metavar="<target>",
        rich_help_panel=Panel.TARGET,
        help="Target that a model is built for.",
    ),
]


def report(
    source: opt.ModelOrArtifact,
    *,
    out: PageFile = None,
    show_page: Open = False,
    target: BuiltFor = "aws-lambda",
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    trust_model_index: opt.TrustModelIndex = False,
    allow_network: opt.AllowNetwork = False,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Show an artifact's evidence as a page: sizes, passes, proof, start, limits, decisions, drift.

    A build writes report.html into its folder: one file, which asks nothing of any other place.
    This command prints where it lies, and makes it where an older build left none.

    A model is built first, or its artifact is taken from the cache. The page alone is kept.

    The artifact is verified first. Ends with 12 where the page or the evidence was changed since
    the build, or a file that it is made of is damaged. With --out the page of a changed artifact is
    written all the same, says at its top that it was changed, and the command ends with 12.
    """
    from packager.commands.artifact.report_file import open_page, provide_page

    home = Path(source)
    with console.progress(verbose=verbose, quiet=quiet):
        if home.is_dir() and not (home / "MLmodel").is_file():
            found = provide_page(home, out)
        else:
            model = ModelOptions(
                uri=source,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
                trust_model_index=trust_model_index,
                allow_network=allow_network,
            )
            request = BuildRequest(model=model, target=TargetOptions(name=target))
            with console.build_here():
                found = _build_page(check_request(request), out)
        if show_page:
            open_page(Path(found["page"]))
    show(found, as_json=as_json, human=console.show_page)
    if found["problems"]:
        if as_json:
            raise typer.Exit(IntegrityError.exit_code)
        raise IntegrityError.of_problems(found["folder"], found["problems"])


def _build_page(request: BuildRequest, out: Path | None) -> ReportPage:
    """Build the model, or take the artifact of an earlier build, into a folder that goes away."""
    from packager.commands.artifact.report_file import name_page, provide_page
    from packager.pipeline.build import build_or_reuse
    from packager.system.scratch import make_scratch

    with make_scratch("report") as folder:
        home = folder / "artifact"
        wanted = replace(request, output=OutputOptions(folder=home))
        build_or_reuse(wanted, registry(wanted))
        found = provide_page(home, name_page(home) if out is None else out)
    return {**found, "folder": ""}
