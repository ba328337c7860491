"""`packager diff`: two artifacts, or two versions of a model, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli._common import check_request, registry, show
from packager.cli._panels import Panel
from packager.commands import console
from packager.errors import DifferenceError
from packager.types import BuildRequest, ModelOptions, TargetOptions

Before = Annotated[
    str, typer.Argument(metavar="A", help="Artifact's folder or model's address, before.")
]
After = Annotated[
    str, typer.Argument(metavar="B", help="Artifact's folder or model's address, after.")
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-on",
        metavar="NAME=LIMIT",
        rich_help_panel=Panel.PROOF,
        help="End with 13 if more differs: labels=0.5% of the rows, refused=0% of the requests, "
        "mean=0.01 or max=0.1 between numbers, size=5% or start=10% of growth. Repeatable.",
        show_default=False,
    ),
]
ComparedRows = Annotated[
    int,
    typer.Option(
        "--rows",
        min=0,
        max=100_000,
        metavar="<count>",
        rich_help_panel=Panel.PROOF,
        help="Rows generated from the signatures, beside each artifact's own requests.",
    ),
]
FilesOnly = Annotated[
    bool,
    typer.Option(
        "--files-only",
        rich_help_panel=Panel.PROOF,
        help="Compare what the artifacts hold. Start nothing, and compare no answers.",
    ),
]
Page = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="<file>",
        rich_help_panel=Panel.OUTPUT,
        help="Write the comparison as a page too: one file with charts, as report.html is.",
        show_default=False,
        dir_okay=False,
    ),
]
BuiltFor = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        metavar="<target>",
        rich_help_panel=Panel.TARGET,
        help="Target that a model is built for. Without it the other artifact's, or aws-lambda.",
        show_default=False,
    ),
]


def diff(
    before: Before,
    after: After,
    *,
    fail_on: FailOn = None,
    rows: ComparedRows = 200,
    seed: opt.Seed = 0,
    files_only: FilesOnly = False,
    target: BuiltFor = "",
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    trust_model_index: opt.TrustModelIndex = False,
    allow_network: opt.AllowNetwork = False,
    html: Page = None,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Compare two artifacts, or two versions of a model, and their answers to the same rows.

    Shows what differs in packages, sizes, starts, signature and code. Both are started in the
    sandbox and asked each other's recorded requests and examples, and rows generated from their
    signatures. The answers are compared row by row.

    A model that is not built is built first, or taken from the cache. Ends with 13 if a limit of
    --fail-on is exceeded, after the page of --html was written. With --fail-on an artifact that was
    changed since it was built is refused (12); without it you are warned.
    """
    from packager.commands.difference.artifacts import Asking, compare
    from packager.commands.difference.page import check_place, write_difference

    request = check_request(
        BuildRequest(
            model=ModelOptions(
                uri=after,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
                trust_model_index=trust_model_index,
                allow_network=allow_network,
            ),
            target=TargetOptions(name=target),
        )
    )
    asking = Asking(rows=rows, seed=seed, is_run=not files_only, limits=fail_on or ())
    with console.progress(verbose=verbose, quiet=quiet):
        if html is not None:
            check_place(html)
        found = compare(before, after, request, lambda: registry(request), asking)
        if html is not None:
            write_difference(html, found)
    show(found, as_json=as_json, human=console.show_difference)
    if not found["passed"]:
        if as_json:
            raise typer.Exit(DifferenceError.exit_code)
        broken = "; ".join(each["words"] for each in found["limits"] if not each["passed"])
        raise DifferenceError(
            f"B differs from A by more than --fail-on allows: {broken}. Look at what differs "
            "above, and keep A where it is, or allow more."
        )
