"""`packager inspect` and `packager build`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from packager.cli._build import groups as group
from packager.cli import _options as opt
from packager.cli import _target_options as to
from packager.cli._common import check_request, registry, show
from packager.cli._configuration import Job, list_given
from packager.cli._groups import expand_groups
from packager.commands import console
from packager.types import (
    BuildRequest,
    Compute,
    Engine,
    EngineOptions,
    Inspection,
    ModelOptions,
    PlanSummary,
    ProofOptions,
    Provided,
    ReportSummary,
    TargetOptions,
    Weights,
)

if TYPE_CHECKING:
    from packager.commands.targets.workload import Workload

_NO_ARTIFACT = "it is for an artifact. Build the model, and inspect the folder that it is built into."
_Result = TypeVar("_Result", PlanSummary, ReportSummary)


def inspect(
    model_uri: opt.ModelOrArtifact,
    *,
    tracking_uri: opt.TrackingUri = None,
    registry_uri: opt.RegistryUri = None,
    trust_model_index: opt.TrustModelIndex = False,
    upgrade_pins: opt.UpgradePins = False,
    allow_network: opt.AllowNetwork = False,
    python_minor: to.Python = None,
    architecture: to.Arch = "x86_64",
    rate: to.Rate = 1.0,
    request_rows: to.RequestRows = 1,
    front: to.CostFront = None,
    timed_by: to.TimedBy = None,
    facts_dir: to.FactsDir = None,
    tier: to.Tier = None,
    engines: to.Engines = False,
    example: opt.Example = None,
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> None:
    """Say what a model is, how big it gets, and which targets it fits by how much.

    For an artifact's folder: what was removed, what was proven, and what is largest in it.
    """
    from packager.commands.artifact import is_artifact
    from packager.commands.inspect import inspect_artifact, inspect_model
    from packager.commands.targets.workload import Workload

    workload = Workload(requests_per_second=rate, rows=request_rows, front=front)
    with console.progress(verbose=verbose, quiet=quiet):
        if is_artifact(Path(model_uri)):
            folder = Path(model_uri)
            found: Inspection = inspect_artifact(folder, workload, facts_dir, timed_by)
        elif timed_by is not None:
            raise typer.BadParameter(_NO_ARTIFACT, param_hint="--timed-by")
        else:
            model = ModelOptions(
                uri=model_uri,
                tracking_uri=tracking_uri,
                registry_uri=registry_uri,
                trust_model_index=trust_model_index,
                upgrade_pins=upgrade_pins,
                allow_network=allow_network,
            )
            target = TargetOptions(
                architecture=architecture, python_minor=python_minor, facts_dir=facts_dir
            )
            request = check_request(
                BuildRequest(
                    model=model,
                    target=target,
                    engine=EngineOptions(tier=tier),
                    proof=ProofOptions(example=example),
                )
            )
            with console.build_here():
                found = inspect_model(request, registry(request), workload, engines=engines)
    show(found, as_json=as_json, human=console.show_inspection)


@expand_groups
def build(
    ctx: typer.Context,
    *,
    model: group.Model,
    target: group.Target,
    rate: to.Rate = 1.0,
    request_rows: to.RequestRows = 1,
    engine: group.Compiler,
    http: group.Http,
    events: group.Events,
    proof: group.Proof,
    slimming: group.Slimming,
    supply_chain: group.SupplyChain,
    output: group.Output,
    every: opt.Every = False,  # noqa: ARG001 - the command reads it before its options
    dry_run: opt.DryRun = False,
    config: opt.Config = None,  # noqa: ARG001
    no_config: opt.NoConfig = False,  # noqa: ARG001
    as_json: opt.AsJson = False,
    verbose: opt.Verbose = False,
    quiet: opt.Quiet = False,
) -> ReportSummary | PlanSummary | None:
    """Build, prove and emit a deployable artifact.

    The artifact appears in --out whole or not at all; a build that fails leaves an earlier artifact
    as it is. Environments and recorded answers are cached, so a second run is faster. MODEL may be
    the name of a build in packager.toml, and its options are read from there. A build with several
    targets has an artifact for each; --all builds all that the file has. The exit code is then that
    of the first that failed, after all were tried.
    """
    from packager.commands.targets.workload import Workload

    automatic = _is_automatic(target.name, dry_run=dry_run)
    request = check_request(
        BuildRequest(
            model=model,
            target=_leave_open(ctx, target, engine) if automatic else target,
            engine=engine,
            http=http,
            events=events,
            proof=proof,
            slimming=slimming,
            supply_chain=supply_chain,
            output=output,
        )
    )
    if dry_run:
        with console.progress(verbose=verbose, quiet=quiet), console.build_here():
            summary = _summarise_plan(request) | {"options": list_given(ctx)}
        return _show(ctx, summary, as_json=as_json, human=console.show_plan)
    about = f"build {'auto' if automatic else target.name} {name_build(request)}"
    with console.progress(verbose=verbose, quiet=quiet, about=about), console.build_here():
        if automatic:
            workload = Workload(
                requests_per_second=rate, rows=request_rows, front=request.http.front
            )
            report = _build_for_any(request, workload)
        else:
            report = _build_artifact(request)
    return _show(ctx, report, as_json=as_json, human=console.show_report)


def _show(
    ctx: typer.Context, found: _Result, *, as_json: bool, human: Callable[[_Result], None]
) -> _Result | None:
    """Show a result; one of several is handed back, for whoever shows all of them."""
    if isinstance(ctx.obj, Job) and ctx.obj.is_listed:
        return found
    show(found, as_json=as_json, human=human)
    return None


def name_build(request: BuildRequest) -> str:
    """Name what takes as long the next time: any version of the same model, by the same engine."""
    name = re.sub(r"^(models:/[^/@]+)[/@].*", r"\1", request.model.uri)
    return f"{request.engine.kind or 'auto'} {name}"


def _is_automatic(target: str, *, dry_run: bool) -> bool:
    """Raises UnknownTargetError, and BadParameter where nothing would be measured."""
    from packager.targets import AUTO, TARGETS, check_target

    check_target(target, (*TARGETS, AUTO))
    if target == AUTO and dry_run:
        raise typer.BadParameter(
            "--target auto is decided by what is built. Name a target, or run `packager inspect` "
            "to see which targets the model fits.",
            param_hint="--dry-run",
        )
    return target == AUTO


def _leave_open(
    ctx: typer.Context, target: TargetOptions, engine: EngineOptions
) -> TargetOptions:
    """Return the options with which the first target is tried.

    The weights' place is left open too, unless --weights names one, or nothing can lie outside.
    """
    first = replace(target, name="aws-lambda")
    from packager.engines import WITHOUT_WEIGHTS

    is_named = any(each["option"] == "weights" for each in list_given(ctx))
    if is_named or engine.kind is WITHOUT_WEIGHTS or target.compute is not Compute.ON_DEMAND:
        return first
    return replace(first, weights=Weights.AUTO)


def _summarise_plan(request: BuildRequest) -> PlanSummary:
    from packager.commands.inspect import plan_summary
    from packager.pipeline.build import plan_build

    with plan_build(request, registry(request), as_built=True) as (resolved, attempts, _):
        return plan_summary(resolved, attempts)


def _build_artifact(request: BuildRequest) -> ReportSummary:
    from packager.commands.inspect import summarize_artifact
    from packager.pipeline.build import build_or_reuse

    provided = build_or_reuse(request, registry(request))
    return summarize_artifact(provided, request.target.facts_dir)


def _build_for_any(request: BuildRequest, workload: Workload) -> ReportSummary:
    from packager.commands.inspect import summarize_artifact
    from packager.commands.targets.selection import build_auto, list_verdicts
    from packager.pipeline.plan import check

    check(request)  # before the model is fetched, which tells what to build for
    decided = build_auto(request, registry(request), workload)
    provided = Provided(folder=request.output.folder)
    found: ReportSummary = summarize_artifact(provided, request.target.facts_dir) | {
        "targets": list_verdicts(decided.verdicts),
        "reasons": [f"Not taken: {why}" for why in decided.passed_over],
    }
    return found if decided.choice is None else found | {"choice": decided.choice}
