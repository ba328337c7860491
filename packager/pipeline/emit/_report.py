"""The build in numbers and reasons: evidence.json and report.json."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from datetime import date
from enum import StrEnum
from importlib.metadata import version
from pathlib import PurePath

from packager.commands.artifact.supply_chain.records import describe_chain
from packager.commands.artifact.supply_chain.requirers import explain_shipped
from packager.pipeline import sizes
from packager.pipeline.emit._sizing import Sizing
from packager.pipeline.emit._text import public_uri
from packager.pipeline.output.record import record_options
from packager.system import cache
from packager.types import (
    INTERFACE,
    Artifact,
    BuildPlan,
    Bundle,
    Json,
    LedgerEntry,
    VerifiedBundle,
)

SCHEMA_VERSION = 1


def to_json(value: object) -> str:
    return json.dumps(_make_plain(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _make_plain(value: object) -> Json:
    """Dates, paths, enumerations, sets and tuples as JSON has them."""
    if isinstance(value, dict):
        return {str(key): _make_plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(_make_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [_make_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PurePath | StrEnum):
        return str(value)
    return value


def evidence_json(artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan) -> Json:
    """Report what was proven about these very bytes, and what each slimming pass did."""
    return {
        "schema_version": SCHEMA_VERSION,
        "artifact": {"path": artifact.path.name, "sha256": artifact.sha256},
        "model": {"uri": public_uri(plan.model.uri), "digest": plan.model.digest},
        "attempt": {"engine": plan.engine, "tier": plan.tier, "frame": plan.frame},
        "distributions": {
            "requirements": plan.shipped,
            "declared": plan.model.requirements.declared,
            "shipped": len(plan.lock.packages),
            "reasons": explain_shipped(artifact.folder / plan.target.tree.home, plan),
            "left_out": list(plan.unshipped),
            "cut": list(verified.bundle.left_out),
            "upgraded": [asdict(pin) for pin in plan.upgraded],
            "rewritten": [_make_plain(asdict(file)) for file in plan.rewritten],
            "lines": [asdict(change) for change in plan.model.requirements.changes],
        },
        "evidence": _make_plain(verified.evidence.describe()),
        "supply_chain": describe_chain(verified.supply_chain),
        "ledger": [_describe_entry(entry) for entry in verified.bundle.ledger],
        "sizes": {
            "before": sizes.by_part((f.path, f.size_bytes) for f in verified.bundle.staged),
            "after": sizes.by_part((f.path, f.size_bytes) for f in verified.bundle.files),
        },
    }


def _describe_entry(entry: LedgerEntry) -> object:
    return {**asdict(entry), "bytes_saved": entry.bytes_before - entry.bytes_after}


def report_json(
    artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan, sizing: Sizing
) -> object:
    """Report everything but the files that are written beside the artifact."""
    packages = sizes.by_package((f.path, f.size_bytes) for f in verified.bundle.files)
    return {
        **evidence_json(artifact, verified, plan),
        **_summarize(artifact, verified, plan, sizing),
        "packager": version("serverless-model-packager"),
        "program": cache.digest_code(),
        "interface": INTERFACE,
        "artifact": {
            "path": artifact.path.name,
            "folder": artifact.folder.name,
            "sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
            "unzipped_bytes": artifact.unzipped_bytes,
            "files": len(verified.bundle.files),
        },
        "model": _model(plan),
        "target": _target(plan),
        "options": record_options(plan.request),
        "plan": {
            "flavor": plan.flavor,
            "engine": plan.engine,
            "tier": plan.tier,
            "frame": plan.frame,
            "loader": plan.loader.loader,
            "unpickled": plan.loader.unpickled,
            "passes": plan.passes,
            "keep": plan.keep,
            "optimize": plan.request.slimming.optimize,
            "reasons": plan.reasons,
            "notes": (*plan.model.notes, *plan.loader.notes),
            "rows": plan.request.proof.rows,
            "seed": plan.request.proof.seed,
        },
        "packages": [asdict(package) for package in plan.lock.packages],
        "removed": _count_removals(verified.bundle),
        "largest": packages[: sizes.SHOWN],
        "weights": [asdict(file) for file in verified.bundle.weights],
        "room": sizes.unlocking(
            packages,
            plan.target,
            plan.runtime,
            snapshot=sizes.leaves_snapshot(verified.bundle, plan),
        ),
        "defaults": {k: value for k, value in asdict(sizing).items() if value is not None},
    }


def _summarize(
    artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan, sizing: Sizing
) -> dict[str, str | int | bool]:
    """The plain values at the top: what a caller asks for most."""
    return {
        "name": plan.model.name,
        "version": plan.model.version or "",
        "model_digest": plan.model.digest,
        "sha256": artifact.sha256,
        "zipped_bytes": artifact.size_bytes,
        "unzipped_bytes": artifact.unzipped_bytes,
        "runtime": plan.runtime.name,
        "architecture": plan.request.target.architecture,
        "front": plan.request.http.front.value,
        "tier": plan.tier.value,
        "frame": plan.frame.value,
        "proven": verified.evidence.proven,
        "rows_compared": verified.evidence.replay.rows_compared,
        "memory_mb": sizing.memory_mb,
        "timeout_seconds": sizing.timeout_seconds,
    }


def _model(plan: BuildPlan) -> object:
    model = plan.model
    return {
        "uri": public_uri(model.uri),
        "name": model.name,
        "version": model.version,
        "aliases": model.aliases,
        "run_id": model.run_id,
        "model_id": model.model_id,
        "mlflow_version": model.mlflow_version,
        "python_version": model.python_version,
        "flavors": sorted(model.flavors),
        "digest": model.digest,
        "size_bytes": sum(file.size_bytes for file in model.files),
        "has_signature": model.signature is not None,
        "example": None if model.example is None else model.example.content_type,
    }


def _target(plan: BuildPlan) -> object:
    runtime, limits = plan.runtime, plan.target.limits
    return {
        "name": plan.target.name,
        "front": plan.request.http.front,
        "auth": plan.request.http.auth,
        "architecture": plan.request.target.architecture,
        "compute": plan.request.target.compute,
        "runtime": runtime.name,
        "python": plan.interpreter.version,
        "os": runtime.os,
        "glibc": ".".join(map(str, runtime.glibc)),
        "end_of_life": runtime.end_of_life,
        "snapstart": runtime.snapstart,
        "limits": asdict(limits),
    }


def _count_removals(bundle: Bundle) -> object:
    """Per rule, how many files and bytes it left out."""
    files: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = defaultdict(int)
    for removal in bundle.removed:
        files[removal.rule] += 1
        sizes[removal.rule] += removal.size_bytes
    return {rule: {"files": files[rule], "bytes": sizes[rule]} for rule in files}
