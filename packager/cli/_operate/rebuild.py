"""`packager verify --rebuild`: its options, and what they come to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from packager.cli import _options as opt
from packager.cli import _target_options as to
from packager.cli._panels import Panel
from packager.types import ArtifactCheck, ModelOptions, RebuildInputs

Rebuild = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        rich_help_panel=Panel.PROOF,
        help="Build again elsewhere from the artifact's own record, and compare every byte. Ends "
        "with 15 where it cannot be built again.",
    ),
]
NamedModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="<model>",
        rich_help_panel=Panel.MODEL,
        help="Model to build again, if the report names a folder or a store.",
        show_default=False,
    ),
]


def read_given(
    *,
    rebuild: Rebuild = False,
    model: NamedModel = None,
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    trust_model_index: opt.TrustModelIndex = False,
    allow_network: opt.AllowNetwork = False,
    allow_unproven: opt.AllowUnproven = False,
    example: opt.Example = None,
    baseline: to.Baseline = None,
    facts_dir: to.FactsDir = None,
) -> RebuildInputs | None:
    """None where nothing is built again. Raises BadParameter for an option that has no effect."""
    files = {"example": example, "baseline": baseline, "facts_dir": facts_dir}
    others = {
        "--model": model,
        "--tracking-uri": tracking_uri,
        "--registry-uri": registry_uri,
        "--trust-model-index": trust_model_index,
        "--allow-network": allow_network,
        "--allow-unproven": allow_unproven,
        **{f"--{name.replace('_', '-')}": path for name, path in files.items()},
    }
    if not rebuild:
        if idle := [name for name, value in others.items() if value]:
            raise typer.BadParameter(
                "it has no effect without --rebuild: add --rebuild, or leave it out",
                param_hint=idle[0],
            )
        return None
    return RebuildInputs(
        options=ModelOptions(
            uri=model or "",
            tracking_uri=tracking_uri,
            registry_uri=registry_uri,
            trust_model_index=trust_model_index,
            allow_network=allow_network,
        ),
        files={name: path for name, path in files.items() if path is not None},
        allow_unproven=allow_unproven,
    )


def check_rebuilt(artifact: Path, given: RebuildInputs) -> ArtifactCheck:
    """Build it again and compare. Raises RebuildError where it cannot be built again."""
    from packager.commands.difference.rebuild import compare_rebuilt
    from packager.models.registry import MlflowRegistry

    registry = MlflowRegistry(given.options.tracking_uri, given.options.registry_uri)
    return compare_rebuilt(artifact, registry, given)
