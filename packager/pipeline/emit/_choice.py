"""Reasons for a target, written into an artifact once all that was weighed is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from packager.commands.artifact import read_example
from packager.commands.artifact.report_page import PAGE, render_page
from packager.commands.targets.weighing import write_choice
from packager.pipeline.emit._report import to_json
from packager.system.file_tree import sha256
from packager.types import BuildReport, Choice

_EVIDENCE: Final = "evidence.json"
_README: Final = "README.md"
_REPORT: Final = "report.json"


def record_choice(built: BuildReport, choice: Choice) -> None:
    """Add a comparison to an artifact's evidence, report, page and README, and their digests."""
    out, plan = built.artifact.folder.parent, built.plan
    evidence, report = (
        {**json.loads((out / name).read_text(encoding="utf-8")), "choice": choice}
        for name in (_EVIDENCE, _REPORT)
    )
    emitted = report.pop("emitted")
    page = render_page(
        evidence,
        report,
        None if plan.drift is None else json.loads(plan.drift),
        example=read_example(built.artifact.folder / plan.target.tree.home),
        facts_dir=plan.request.target.facts_dir,
    )
    readme = (out / _README).read_text(encoding="utf-8") + write_choice(choice)
    for name, text in ((_EVIDENCE, to_json(evidence)), (_README, readme), (PAGE, page)):
        emitted[name] = _write(out / name, text)
    _write(out / _REPORT, to_json({**report, "emitted": emitted}))


def _write(path: Path, text: str) -> str:
    """Write a file, and return its sha256."""
    path.write_bytes(text.encode())
    return sha256(path)
