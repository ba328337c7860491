"""Stage 6: what goes beside the artifact, so that it can be deployed, checked and explained."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from handlers.manifest import FILENAME
from packager.commands.artifact import read_example
from packager.commands.artifact.report_page import PAGE, render_page
from packager.pipeline import sizes
from packager.pipeline.emit import _text
from packager.pipeline.emit._choice import record_choice
from packager.pipeline.emit._context import context
from packager.pipeline.emit._report import evidence_json, report_json, to_json
from packager.pipeline.emit._requests import list_requests
from packager.pipeline.emit._rollout import (
    has_replay,
    list_replay_files,
    list_rollout_files,
)
from packager.pipeline.emit._sizing import size
from packager.pipeline.emit._text import stack_name, tag_value
from packager.pipeline.emit.infrastructure import write_infrastructure
from packager.system import resources, templates
from packager.system.file_tree import sha256
from packager.types import Artifact, BuildPlan, BuildReport, VerifiedBundle

__all__ = ["emit", "record_choice", "stack_name", "tag_value"]

_LOG = logging.getLogger(__name__)
_REPLAY_SCRIPT: Final = "replay.sh"
"""Runs the check over HTTP after a deployment, in each folder of infra/ that is emitted."""


def emit(artifact: Artifact, verified: VerifiedBundle, plan: BuildPlan, out: Path) -> BuildReport:
    """Write the templates, events, manifest, lock, bill of materials, evidence and report.

    No file states a time, a path of this machine or a credential. Raises ConfigurationError for a
    memory or timeout that the target does not give, VerificationError for a need beyond it.
    """
    from packager.pipeline.emit.bill_of_materials import sbom  # noqa: PLC0415 - half a second

    _LOG.info("Writing the template, the evidence and the bill of materials")
    sizing = size(plan, verified.evidence, sizes.estimate_fetch_seconds(verified.bundle, plan))
    scrub = _make_scrubber(verified, plan, out)
    exact = _keep_exact_samples(verified, scrub)
    evidence = scrub.json(evidence_json(artifact, verified, plan))
    report = scrub.json(report_json(artifact, verified, plan, sizing))
    files = {
        **_render_templates(plan, context(artifact, exact, plan, sizing)),
        **{name: to_json(value) for name, value in list_requests(plan).items()},
        **_read_infrastructure(plan, replays=has_replay(exact, plan)),
        **_read_engine_scripts(plan),
        **list_rollout_files(exact, plan),
        **list_replay_files(exact, plan),
        "evidence.json": to_json(evidence),
        "pylock.toml": plan.lock.text,
        "sbom.cdx.json": sbom(artifact, verified, plan),
    }
    emitted = [
        _write(out, name, scrub.lines(text) if name.endswith(".jsonl") else scrub.text(text))
        for name, text in sorted(files.items())
    ]
    emitted += write_infrastructure(artifact, plan, out)
    emitted.append(_copy_file(artifact.folder / plan.target.tree.home / FILENAME, out))
    emitted.append(_write(out, PAGE, _render_page(artifact, evidence, report, plan)))
    digests = {path.relative_to(out).as_posix(): sha256(path) for path in emitted}
    emitted.append(_write(out, "report.json", to_json({**report, "emitted": digests})))
    return BuildReport(
        plan=plan,
        bundle=verified.bundle,
        evidence=verified.evidence,
        artifact=artifact,
        emitted=tuple(sorted(emitted)),
        supply_chain=verified.supply_chain,
    )


def _render_templates(plan: BuildPlan, values: Mapping[str, object]) -> dict[str, str]:
    filters = {
        "code": _text.code_span,
        "line": _text.one_line,
        "quoted": _text.quote_scalar,
        "segment": _text.url_segment,
        "words": _text.tag_value,
    }
    deployment = plan.target.deployment
    names = [deployment.templates, *filter(None, [deployment.shares])]
    return templates.render([resources.TEMPLATES / name for name in names], values, filters)


def _read_infrastructure(plan: BuildPlan, *, replays: bool) -> dict[str, str]:
    """Read what makes the resources that the artifact runs on; its values are parameters."""
    if plan.target.deployment.infra is None:
        return {}
    folder = resources.INFRA / plan.target.deployment.infra
    scripts = [
        folder / name for name in plan.target.deployment.list_scripts(plan.request.events.sources)
    ]
    if replays:
        scripts.append(folder / _REPLAY_SCRIPT)
    return {
        f"infra/{path.name}": path.read_text(encoding="utf-8")
        for path in (*sorted(folder.glob("*.bicep")), *scripts)
    }


def _read_engine_scripts(plan: BuildPlan) -> dict[str, str]:
    """Scripts that run the function's predictor over Ray or Spark, where a batch was asked for."""
    if not plan.request.events.batch:
        return {}
    deployment = plan.target.deployment
    folder = resources.TEMPLATES / (deployment.shares or deployment.templates) / "_batch"
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py"))}


def _keep_exact_samples(verified: VerifiedBundle, scrub: _text.Scrubber) -> VerifiedBundle:
    """Leave out what would be written otherwise: a version is asked what the model was asked."""
    samples = [
        each
        for each in verified.samples
        if (each.request, each.answer) == (scrub.text(each.request), scrub.text(each.answer))
    ]
    return replace(verified, samples=tuple(samples))


def _render_page(artifact: Artifact, evidence: object, report: object, plan: BuildPlan) -> str:
    """Render the page of what the files hold: no figure in it is another than theirs."""
    drift = None if plan.drift is None else json.loads(plan.drift)
    return render_page(
        json.loads(to_json(evidence)),
        json.loads(to_json(report)),
        drift,
        example=read_example(artifact.folder / plan.target.tree.home),
        facts_dir=plan.request.target.facts_dir,
    )


def _copy_file(source: Path, out: Path) -> Path:
    return Path(shutil.copyfile(source, out / source.name))


def _write(out: Path, name: str, text: str) -> Path:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "replace"))
    return path


def _make_scrubber(verified: VerifiedBundle, plan: BuildPlan, out: Path) -> _text.Scrubber:
    return _text.Scrubber.over(
        {
            "model": plan.model.root,
            "function": verified.bundle.root,
            "build": out.parent,
            "out": plan.request.output.folder.absolute(),
            "python": plan.interpreter.path,
        }
    )
