"""What was weighed between builds, written into the artifact that was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.targets.weighing import describe_choice, list_options, weigh
from packager.commands.targets.workload import Measured, Workload
from packager.pipeline.emit import record_choice
from packager.types import Choice
from tests.evidence_schema import list_wrong
from tests.unit.pipeline.emit import test_emit


def make_choice() -> Choice:
    measured = Measured(
        unzipped_bytes=100_000_000,
        weights_bytes=300_000_000,
        memory_bytes=1 << 29,
        init_seconds=1.0,
        answer_seconds=0.01,
    )
    options = [*list_options(["aws-lambda", "aws-lambda-image", "azure-functions"], None)]
    weighed = weigh(options[0], measured, options, Workload(), lambda _: "it is too odd | for it")
    return describe_choice(weighed, Workload(), "It has 400 MB.")


def test_a_choice_is_in_the_evidence_the_report_the_page_and_the_readme(tmp_path: Path) -> None:
    built = test_emit._build(tmp_path)
    before = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    choice = make_choice()
    record_choice(built, choice)

    out = tmp_path / "out"
    evidence: Any = json.loads((out / "evidence.json").read_text(encoding="utf-8"))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert evidence["choice"] == report["choice"] == choice
    assert list_wrong(evidence) == []
    assert readme.startswith(before)
    assert "| aws-lambda, weights mounted | " in readme
    # a reason of another build's is no cell of its own
    assert "too odd \\| for it" in readme
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Ways to have the weights" in page
    assert "aws-lambda, weights mounted" in page
    # it is as a build left it: every digest is that of the file
    assert list_problems(verify_artifact(out)) == []
    assert read_artifact(out).sha256 == report["sha256"]
