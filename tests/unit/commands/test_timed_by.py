"""`packager inspect --timed-by`: costs of what was not timed, by another artifact of the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.commands.inspect import inspect_artifact
from packager.commands.targets.workload import Workload
from packager.errors import ConfigurationError
from packager.types import Inspection
from tests import fake_plan
from tests.unit.pipeline.emit import test_emit

_QEMU = "qemu-aarch64 9.2.1"


def write(base: Path, *, emulated: bool) -> Path:
    """An artifact for x86_64 that was timed, or one for arm64 that was not."""
    plan = fake_plan.plan(request=fake_plan.request(architecture="arm64" if emulated else "x86_64"))
    evidence = fake_plan.EVIDENCE
    if emulated:
        replay = replace(evidence.replay, cold_start=None, emulated=_QEMU, host="a client")
        evidence = replace(evidence, replay=replay)
    base.mkdir()
    test_emit._build(base, plan, evidence)
    return base / "out"


@pytest.fixture
def x86(tmp_path: Path) -> Path:
    return write(tmp_path / "x86", emulated=False)


@pytest.fixture
def arm(tmp_path: Path) -> Path:
    return write(tmp_path / "arm", emulated=True)


def inspect(folder: Path, timed_by: Path | None = None) -> Inspection:
    return inspect_artifact(folder, Workload(), timed_by=timed_by)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    report = json.loads((folder / "report.json").read_text())
    change(report)
    (folder / "report.json").write_text(json.dumps(report))


def test_an_emulated_artifact_says_how_its_cost_is_seen(arm: Path) -> None:
    rows = inspect(arm)["targets"]

    assert all(row["ways"] == [] for row in rows)
    assert all("packager inspect THIS_DIR --timed-by X86_64_DIR" in row["reckoned"] for row in rows)
    assert "--timed-by OTHER_FOLDER" in (arm / "README.md").read_text()
    assert "--timed-by X86_64_DIR" in (arm / "report.html").read_text()


def test_it_has_costs_by_the_times_of_the_other(arm: Path, x86: Path) -> None:
    found, own = inspect(arm, x86), inspect(x86)

    ways = [
        {
            each["architecture"]: each
            for each in of["targets"][0]["ways"]
            if each["name"] == "on demand"
        }
        for of in (found, own)
    ]
    # arm64's prices for the times of x86_64
    assert ways[0]["arm64"]["dollars_a_month"] == ways[1]["arm64"]["dollars_a_month"]
    assert (
        ways[0]["arm64"]["dollars_a_month"]["compute"]
        < ways[0]["x86_64"]["dollars_a_month"]["compute"]
    )
    assert f"on x86_64, by {x86}" in found["targets"][0]["reckoned"]
    (note,) = found["notes"]
    assert "measured on x86_64. This artifact is for arm64" in note
    assert own["notes"] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda report: report.update(model_digest="f" * 64), "its model is fffff"),
        (lambda report: report["plan"].update(engine="onnx"), "its engine is onnx"),
        (lambda report: report.update(frame="plain"), "its frame is plain"),
    ],
)
def test_times_of_another_program_are_refused(
    arm: Path, x86: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    edit(x86, change)

    with pytest.raises(ConfigurationError, match=said):
        inspect(arm, x86)


def test_times_of_what_was_not_timed_are_refused(arm: Path, x86: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing of that artifact was timed"):
        inspect(x86, arm)
