"""Summaries of a plan, a model or an artifact, as plain values that print and serialise."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from packager import targets
from packager.commands import engine_comparison
from packager.commands.artifact import read_example, report_values
from packager.commands.artifact.description import EVIDENCE, read_json
from packager.commands.artifact.integrity import warn_of_changes
from packager.commands.next_steps import deploy_command, run_command
from packager.commands.targets.fit import needs_gpu
from packager.commands.targets.measurements import measured_before, take_times
from packager.commands.targets.selection import list_verdicts, verdicts_of
from packager.commands.targets.workload import Measured, Workload
from packager.engines import compile_model
from packager.environments import resolver_memory
from packager.errors import (
    ConfigurationError,
    IntegrityError,
    ModelFormatError,
    VerificationError,
)
from packager.models.registry import ModelRegistry
from packager.pipeline import sizes
from packager.pipeline.build import begin_stage, plan_build
from packager.pipeline.slim import slim
from packager.system import atomic_output
from packager.system.file_tree import sha256
from packager.types import (
    BuildPlan,
    BuildRequest,
    Bundle,
    Engine,
    Inspection,
    LedgerEntry,
    LedgerRow,
    PassName,
    PlanSummary,
    Provided,
    ReportSummary,
    ResolvedModel,
    Stage,
)

_Document: TypeAlias = dict[str, Any]
_STAGES: Final = (Stage.RESOLVE, Stage.PLAN, Stage.ASK, Stage.SLIM)
_NOT_STARTED: Final = (
    "nothing was started or timed. Build the model, then `packager inspect DIR --rate` of that "
    "folder shows what running it costs"
)
_UNDEFERRED: Final = (
    "Sizes are upper bounds: imports were not deferred, which takes minutes. What is built is "
    "usually smaller, and starts faster."
)


def inspect_model(
    request: BuildRequest, registry: ModelRegistry, workload: Workload, *, engines: bool = False
) -> Inspection:
    """Plan, and slim the first attempt, so that sizes are measured rather than guessed.

    A model that can be compiled is measured as a library. Imports of a framework are not deferred
    where it fits without that, as it takes most of the time. With `engines` an artifact is built
    and measured with each.
    """
    figures = engine_comparison.compare_engines(request, registry) if engines else None
    with plan_build(request, registry, stages=_STAGES) as (model, attempts, place):
        attempt, bundle, notes = _slim_first(attempts, place)
        packages = sizes.by_package((file.path, file.size_bytes) for file in bundle.files)
        snapshot = sizes.leaves_snapshot(bundle, attempt)
        summary = plan_summary(model, attempts)
        return {
            "model": summary["model"],
            "attempts": summary["attempts"],
            "ledger": list_ledger(bundle.ledger),
            "largest": packages[: sizes.SHOWN],
            "room": sizes.unlocking(packages, attempt.target, attempt.runtime, snapshot=snapshot),
            "targets": list_verdicts(
                verdicts_of(
                    Measured(
                        unzipped_bytes=bundle.size_bytes,
                        needs_gpu=needs_gpu(model, request.target.facts_dir),
                        why_untimed=_NOT_STARTED,
                    ),
                    workload,
                    request.target.facts_dir,
                )
            ),
            "engines": engine_comparison.applying(model) if figures is None else figures,
            "notes": [*model.notes, *notes],
        }


def _slim_first(
    attempts: Sequence[BuildPlan], place: atomic_output.Place
) -> tuple[BuildPlan, Bundle, list[str]]:
    """Slim the first attempt that an engine can make, with what is to say of it.

    Raises VerificationError where none can.
    """
    notes: list[str] = []
    unable: dict[Engine, VerificationError] = {}
    for number, attempt in enumerate(each for each in attempts if each.engine not in unable):
        folder = place.stage(f"attempt-{number}")
        if attempt.engine is not Engine.NATIVE:
            begin_stage(Stage.ASK, _STAGES)
            try:
                attempt = compile_model(attempt, folder)  # noqa: PLW2901 - of the same model
            except VerificationError as error:
                unable[attempt.engine] = error
                words = " ".join(error.findings[0].message.split())
                notes.append(f"Not measured as {attempt.engine}: {words}")
                continue
        begin_stage(Stage.SLIM, _STAGES)
        if attempt.engine is Engine.NATIVE and (bundle := _slim_quickly(attempt, folder)):
            return attempt, bundle, [*notes, _UNDEFERRED]
        return attempt, slim(attempt, folder), notes
    raise next(iter(unable.values()))


def _slim_quickly(attempt: BuildPlan, folder: Path) -> Bundle | None:
    """Slim without the longest step; None for what is too large so, which may yet fit with it."""
    passes = tuple(name for name in attempt.passes if name != PassName.DEFER)
    bundle = slim(replace(attempt, passes=passes), folder / "quick")
    if bundle.size_bytes <= attempt.target.limits.unzipped_bytes:
        return bundle
    shutil.rmtree(folder / "quick")
    return None


def inspect_artifact(
    folder: Path,
    workload: Workload,
    facts_dir: Path | None = None,
    timed_by: Path | None = None,
) -> Inspection:
    """Read the report in an artifact's folder, and tell which targets its figures fit.

    Times and memory are those of `timed_by`, if it is given: another artifact of the same model.
    Raises IntegrityError where one cannot be read, ConfigurationError where
    the other is of another model or program, or was not timed.
    """
    report, evidence = _read_documents(folder)
    warn_of_changes(folder)
    with _explain_missing(folder):
        measured = measured_before(report, evidence, _example(folder, report))
    if timed_by is not None:
        measured = take_times(measured, _read_times_of(timed_by, report), str(timed_by))
    with _explain_missing(folder):
        return {
            "summary": {
                key: value for key, value in report.items() if isinstance(value, str | int | bool)
            },
            "ledger": report_values.read_ledger(evidence.get("ledger", [])),
            "largest": report_values.read_sizes(report.get("largest", [])),
            "room": report_values.read_text(report.get("room", "")),
            "targets": list_verdicts(verdicts_of(measured, workload, facts_dir)),
            "notes": _note_times(measured, str(report["architecture"])),
            "report": report,
            "evidence": evidence,
        }


def _note_times(measured: Measured, built_for: str) -> list[str]:
    if not measured.timed_by:
        return []
    return [
        (
            f"Times and memory are those of {measured.timed_by}, measured on "
            f"{measured.architecture}. This artifact is for {built_for}: measure it there before "
            "you decide."
        )
    ]


def _read_times_of(folder: Path, report: _Document) -> Measured:
    """Return the measurements of an artifact that has the same program of the same model."""
    other, evidence = _read_documents(folder)
    warn_of_changes(folder)
    with _explain_missing(folder):
        for what, name in (("model_digest", "model"), ("engine", "engine"), ("frame", "frame")):
            mine, theirs = (
                each[what] if what in each else each["plan"][what] for each in (report, other)
            )
            if mine != theirs:
                raise ConfigurationError(
                    f"--timed-by {folder}: its {name} is {str(theirs)[:40]}, and this one's is "
                    f"{str(mine)[:40]}. Name an artifact of the same model and engine."
                )
        return measured_before(other, evidence, _example(folder, other))


@contextmanager
def _explain_missing(folder: Path) -> Iterator[None]:
    """IntegrityError for what a report or an evidence lacks that every build writes."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise IntegrityError(
            f"{folder} is not an artifact that can be read: its documents do not have what a build "
            f"writes ({error!r}). Build it again."
        ) from error


def _example(folder: Path, report: dict[str, Any]) -> bytes | None:
    """The request that was saved with the model; None where there is none."""
    return read_example(folder / "function" / targets.load(report["target"]["name"]).tree.home)


def list_ledger(ledger: Sequence[LedgerEntry]) -> list[LedgerRow]:
    return [
        LedgerRow(
            name=entry.name,
            bytes_before=entry.bytes_before,
            bytes_after=entry.bytes_after,
            files_before=entry.files_before,
            files_after=entry.files_after,
            reason=entry.reason,
            proof=entry.proof,
            reverted=entry.reverted,
            cpu_ms_saved=entry.cpu_ms_saved,
        )
        for entry in ledger
    ]


def plan_summary(model: ResolvedModel, attempts: Sequence[BuildPlan]) -> PlanSummary:
    locks = "\0".join(dict.fromkeys(attempt.lock.text for attempt in attempts))
    return {
        "locks_sha256": hashlib.sha256(locks.encode()).hexdigest(),
        "model": {
            "name": model.name,
            "version": model.version,
            "aliases": list(model.aliases),
            "run": model.run_id,
            "id": model.model_id,
            "flavors": sorted(model.flavors),
            "logged with": f"mlflow {model.mlflow_version}, Python {model.python_version}",
            "files": f"{len(model.files)} ({sum(f.size_bytes for f in model.files):,} bytes)",
            "digest": model.digest,
            "signature": "yes" if model.signature else "no",
            "example": model.example.source if model.example else "no",
            "resolved": resolver_memory.explain_age(),
            "notes": list(model.notes),
        },
        "attempts": [
            {
                "engine": str(attempt.engine),
                "tier": str(attempt.tier),
                "frame": str(attempt.frame),
                "requirements": str(attempt.shipped),
                "target": attempt.target.name,
                "runtime": f"{attempt.runtime.name} ({attempt.runtime.os}, "
                f"glibc {'.'.join(map(str, attempt.runtime.glibc))}, "
                f"supported until {attempt.runtime.end_of_life})",
                "platform": attempt.platform,
                "interpreter": f"{attempt.interpreter.version} ({attempt.interpreter.found_by})",
                "packages": ", ".join(f"{p.name} {p.version}" for p in attempt.lock.packages),
                "passes": list(attempt.passes),
                "reasons": list(attempt.reasons),
            }
            for attempt in attempts
        ],
    }


def summarize_artifact(provided: Provided, facts_dir: Path | None = None) -> ReportSummary:
    """Summarize an artifact from its own report, whether it was built just now or kept.

    Raises IntegrityError where the report cannot be read.
    """
    folder = provided.folder
    report, evidence = _read_documents(folder)
    with _explain_missing(folder):
        return _summarize(provided, report, evidence, facts_dir)


def _summarize(
    provided: Provided, report: _Document, evidence: _Document, facts_dir: Path | None
) -> ReportSummary:
    """Raises LookupError, TypeError or ValueError where a document lacks what a build writes."""
    folder = provided.folder
    done, plan, artifact = evidence["evidence"], report["plan"], report["artifact"]
    target = targets.load(report["target"]["name"], facts_dir)
    report_sha256 = sha256(folder / atomic_output.MARKER)
    return {
        "artifact": {
            "folder": str(folder),
            "zip": str(folder / artifact["path"]),
            "sha256": artifact["sha256"],
            "report_sha256": report_sha256,
            "zipped_bytes": artifact["size_bytes"],
            "unzipped_bytes": artifact["unzipped_bytes"],
            "emitted": [
                Path(name).name for name in sorted((*report["emitted"], atomic_output.MARKER))
            ],
            "reused": provided.reused,
            "resolved": provided.resolved,
        },
        "evidence": {**done, "tried": report_values.read_texts(done["tried"])},
        "ledger": report_values.read_ledger(evidence["ledger"]),
        "reasons": report_values.read_texts(plan["reasons"]),
        "notes": report_values.read_texts(plan["notes"]) + report_values.read_texts(done["notes"]),
        "largest": report_values.read_sizes(report["largest"]),
        "room": report_values.read_text(report["room"]),
        "summary": _list_figures(report, done, report_sha256),
        "next": [
            run_command("invoke", folder),
            run_command("verify", folder),
            deploy_command(folder, target.deployment.deploy),
        ],
    }


def _list_figures(
    report: Mapping[str, Any], done: Mapping[str, Any], report_sha256: str
) -> dict[str, object]:
    """List the figures of a build, each as a line."""
    plan, artifact, cold = report["plan"], report["artifact"], done["cold_start"]
    misses, unseen = done["cold_store_misses"], done["unseen_cold_store_misses"]
    return {
        "model": f"{report['name']} {report['version']}".strip(),
        "target": f"{report['target']['name']}, {report['runtime']}, {report['architecture']}",
        "tier": f"{plan['tier']}, {plan['frame']}, engine {plan['engine']}",
        "zipped": f"{artifact['size_bytes']:,} bytes, sha256 {artifact['sha256']}",
        "unzipped": f"{artifact['unzipped_bytes']:,} bytes",
        "report.json": f"sha256 {report_sha256}",
        "compared": f"{done['rows_compared']:,} rows in {done['requests_compared']:,} "
        f"requests, largest difference {done['max_abs_error']:g}",
        "and unseen": f"{done['unseen_rows']:,} rows that slimming never saw; files that came from "
        f"the compressed store: {len(misses)}, {unseen} of them for these rows only"
        if done["unseen_rows"]
        else None,
        "emulated by": done.get("sandbox", {}).get("emulated"),
        "unproven because": done["why_unproven"],
        "init": f"{cold['init_cpu_ms']:.0f} ms of CPU, {cold['init_wall_ms']:.0f} ms of wall "
        f"(this machine), peak memory {cold['peak_rss_bytes'] / 1e6:.0f} MB"
        if cold
        else None,
    }


def _read_documents(folder: Path) -> tuple[_Document, _Document]:
    """Read an artifact's report and its evidence. Raises IntegrityError for a damaged one."""
    try:
        report = read_json(folder / atomic_output.MARKER)
        return dict(report), dict(read_json(folder / EVIDENCE))
    except ModelFormatError as error:
        is_built = (folder / atomic_output.MARKER).exists()
        kind = IntegrityError if is_built else ModelFormatError
        raise kind(f"{folder} is not an artifact that can be read: {error}") from error
