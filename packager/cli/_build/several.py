"""Several builds of a file in one run: one that fails does not lose the others."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import typer

from packager.cli._common import explain_full_disk
from packager.cli._configuration import ConfiguredCommand, Job
from packager.commands import console
from packager.errors import PackagerError, is_disk_full
from packager.system.redaction import escape_json, redact_values
from packager.types import BuildOutcome, PlanSummary, ReportSummary


class BuildCommand(ConfiguredCommand):
    """`packager build`, of one build or of several."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # see ConfiguredCommand
        """Raises Exit with the code of the first that failed, after all were tried."""
        if isinstance(ctx.obj, tuple):
            _build_each(ctx.obj, super().invoke)
            return None
        return super().invoke(ctx)


def _build_each(
    contexts: Sequence[typer.Context], run: Callable[[typer.Context], object]
) -> None:
    options = contexts[0].params
    as_json, is_quiet = bool(options["as_json"]), bool(options["quiet"])
    outcomes: list[BuildOutcome] = []
    try:
        for number, ctx in enumerate(contexts, start=1):
            if not is_quiet:
                console.show_begun(_name(ctx), number, len(contexts))
            outcome = _build_one(ctx, run)
            outcomes.append(outcome)
            if not as_json and "plan" in outcome:
                console.show_plan_of(_name(ctx), redact_values(outcome["plan"]))
    finally:
        # whoever interrupts it sees what was done until then
        rows = [*outcomes, *_list_left(contexts[len(outcomes) :])]
        if as_json:
            typer.echo(escape_json(json.dumps(redact_values(rows), indent=2, ensure_ascii=False)))
        else:
            console.show_outcomes(redact_values(rows))
    failed = [each["exit_code"] for each in outcomes if each["exit_code"]]
    if failed:
        raise typer.Exit(failed[0])


def _name(ctx: typer.Context) -> str:
    job = cast("Job", ctx.obj)
    return f"{job.build or ctx.params['model_uri']} for {ctx.params['target']}"


def _describe(ctx: typer.Context) -> BuildOutcome:
    job = cast("Job", ctx.obj)
    return {
        "build": job.build or str(ctx.params["model_uri"]),
        "target": str(ctx.params["target"]),
        "folder": str(ctx.params["out_dir"]),
        "exit_code": 0,
    }


def _list_left(contexts: Sequence[typer.Context]) -> Iterator[BuildOutcome]:
    for ctx in contexts:
        yield {
            **_describe(ctx),
            "exit_code": 130,
            "error": "Interrupted",
            "message": "It was not built: the run ended before.",
        }


def _build_one(ctx: typer.Context, run: Callable[[typer.Context], object]) -> BuildOutcome:
    outcome = _describe(ctx)
    try:
        with ctx:
            found = run(ctx)
    except PackagerError as error:
        return _fail(outcome, error)
    except typer.BadParameter as error:
        kind, words = "Usage", error.format_message()
        console.show_failure(words)
        return {**outcome, "exit_code": error.exit_code, "error": kind, "message": words}
    except Exception as error:  # noqa: BLE001 - a fault of ours in one loses no other either
        if is_disk_full(error) and isinstance(error, OSError):
            return _fail(outcome, explain_full_disk(error))
        words = "".join(traceback.format_exception(error))
        console.show_failure(f"this is a fault of packager's own\n{words}")
        kind, last = type(error).__name__, "".join(traceback.format_exception_only(error)).strip()
        return {**outcome, "exit_code": 1, "error": kind, "message": last}
    if ctx.params["dry_run"]:
        return {**outcome, "plan": cast("PlanSummary", found)}
    return {**outcome, "report": cast("ReportSummary", found)}


def _fail(outcome: BuildOutcome, error: PackagerError) -> BuildOutcome:
    console.show_error(error)
    return {
        **outcome,
        "exit_code": error.exit_code,
        "error": type(error).__name__.removesuffix("Error"),
        "message": str(error).encode("utf-8", "backslashreplace").decode(),
    }
