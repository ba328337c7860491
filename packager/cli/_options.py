"""Options for the model, the proof, slimming and the output, each once, with its words.

A parameter is called as the request's field that it sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from packager.cli._choices import define_enum_choice
from packager.cli._choices.models import complete_model
from packager.cli._panels import Panel
from packager.types import BOUNDS, Shipped

Model: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest, models:/m-ID, "
        "runs:/RUN/PATH, a model folder, or any address that MLflow reads.",
    ),
]
ModelOrArtifact: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="A model's address, or an artifact's folder.",
    ),
]
Artifact: TypeAlias = Annotated[Path, typer.Argument(help="An artifact's folder.", file_okay=False)]
AsJson: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json", rich_help_panel=Panel.OUTPUT, help="Print machine-readable output on stdout."
    ),
]
Verbose: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", rich_help_panel=Panel.OUTPUT, help="Show the details of each step."
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        rich_help_panel=Panel.OUTPUT,
        help="Show warnings and errors alone, and no progress.",
    ),
]
OutDir: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        file_okay=False,
        metavar="<folder>",
        rich_help_panel=Panel.OUTPUT,
        help="Folder that the artifact is written to.",
    ),
]
Reuse: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        rich_help_panel=Panel.OUTPUT,
        help="Take the artifact of an earlier build if nothing has changed since.",
    ),
]
Refresh: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--refresh",
        rich_help_panel=Panel.OUTPUT,
        help="Ask the package index again instead of taking its answers of the last 24 hours.",
    ),
]
Every: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--all",
        rich_help_panel=Panel.OUTPUT,
        help="Build every build of the file, each for all its targets.",
    ),
]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        rich_help_panel=Panel.OUTPUT,
        help="Print the plan with its reasons and build nothing.",
    ),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        dir_okay=False,
        metavar="<file>",
        rich_help_panel=Panel.OUTPUT,
        help="File with builds and their options. Without it: packager.toml, or [tool.packager] in "
        "pyproject.toml, here or above in the same repository.",
        show_default=False,
    ),
]
NoConfig: TypeAlias = Annotated[
    bool,
    typer.Option("--no-config", rich_help_panel=Panel.OUTPUT, help="Read no options from a file."),
]
TrackingUri: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<uri>",
        rich_help_panel=Panel.MODEL,
        help="MLflow tracking server. Without it: MLFLOW_TRACKING_URI, then ./mlflow.db.",
        show_default=False,
    ),
]
RegistryUri: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<uri>",
        rich_help_panel=Panel.MODEL,
        help="Model registry, if it is another server than the tracking server.",
        show_default=False,
    ),
]
TrustModelIndex: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-model-index",
        rich_help_panel=Panel.MODEL,
        help="Also install packages from indexes and addresses that only the model names.",
    ),
]
UpgradePins: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--upgrade-pins",
        rich_help_panel=Panel.MODEL,
        help="Take newer patch releases of pinned versions that have no wheel, where the answers "
        "stay the same to the last bit.",
    ),
]
AllowNetwork: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-network",
        rich_help_panel=Panel.MODEL,
        help="Let the model's code reach the network while it is loaded and asked.",
    ),
]
Example: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="<file>",
        rich_help_panel=Panel.PROOF,
        help="Request to replay, in MLflow's JSON or CSV, for a model logged without an example.",
    ),
]
Rows: TypeAlias = Annotated[
    int,
    typer.Option(
        min=BOUNDS["rows"].low,
        metavar="<rows>",
        rich_help_panel=Panel.PROOF,
        help="Number of rows generated for replay.",
    ),
]
Seed: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="<number>", rich_help_panel=Panel.PROOF, help="Seed of the generated rows."
    ),
]
AllowUnproven: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-unproven",
        rich_help_panel=Panel.PROOF,
        help="Build even if nothing can be replayed. The artifact is marked unproven.",
    ),
]
Passes: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="<pass,...>",
        rich_help_panel=Panel.SLIMMING,
        help="Comma-separated slimming passes to run. Without it, all run.",
        show_default=False,
    ),
]
Keep: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<glob>",
        rich_help_panel=Panel.SLIMMING,
        help="Files that no pass may remove. Repeatable.",
    ),
]
Requirements: TypeAlias = Annotated[
    Shipped,
    typer.Option(
        **define_enum_choice(Shipped),
        rich_help_panel=Panel.SLIMMING,
        help="Requirements to try first: those that serving can need, or all that are declared.",
    ),
]
KeepPackage: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-package",
        metavar="<name>",
        rich_help_panel=Panel.SLIMMING,
        help="Distribution to ship even if serving is not known to need it. Repeatable.",
    ),
]
Trace: TypeAlias = Annotated[
    bool,
    typer.Option(
        rich_help_panel=Panel.SLIMMING,
        help="Slim by what the function is seen to use when it runs.",
    ),
]
Optimize: TypeAlias = Annotated[
    int,
    typer.Option(
        min=BOUNDS["optimize"].low,
        max=BOUNDS["optimize"].high,
        metavar="<0|1|2>",
        rich_help_panel=Panel.SLIMMING,
        help="Python's -O for bytecode: 1 drops asserts, 2 also drops docstrings. Code that relies "
        "on either behaves differently, and replay shows it only where a request reaches it.",
    ),
]
