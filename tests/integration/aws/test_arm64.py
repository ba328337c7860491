"""A function for arm64 that is slimmed, booted and asked on x86_64, under QEMU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from packager.environments.machine.qemu import find_qemu
from packager.errors import ToolError
from packager.pipeline.slim import slim
from packager.pipeline.verify import ask, replay
from packager.pipeline.verify.oracle import Recorded
from packager.probes import Probe
from packager.system import file_tree
from packager.targets.lambda_emulator import choose_interpreter
from packager.targets.lambda_emulator.parts import host_architecture
from packager.types import BuildPlan, Bundle, Check
from tests import hand_plan

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    plan: BuildPlan
    bundle: Bundle
    requests: Sequence[Probe]
    answers: Sequence[Recorded]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A graph for arm64, and what the registered model answers on this machine's processor."""
    if host_architecture() != "x86_64" or find_qemu() is None:
        pytest.skip("this machine is not x86_64, or has no qemu-aarch64")
    plan = hand_plan.plan(
        "onnx_tensor", flavor="onnx", architecture="arm64", passes=("bytecode", "trace")
    )
    try:
        choose_interpreter(plan.interpreter, "arm64")
    except ToolError as error:
        pytest.skip(f"no Python for arm64 can be had: {error}")
    bundle = slim(plan, tmp_path_factory.mktemp("arm64"))
    requests = ask.requests_of(plan)
    return Case(plan, bundle, requests, ask.record_answers(plan, requests).answers)


def test_it_is_watched_as_it_serves(case: Case) -> None:
    assert case.bundle.trace is not None
    assert "onnxruntime" in case.bundle.trace.init


def test_it_answers_as_the_registered_model(case: Case, tmp_path: Path) -> None:
    done = replay.check(case.bundle, case.plan, case.requests, case.answers, tmp_path)

    assert done.findings == ()
    assert done.replay.rows_compared >= 1000
    assert done.replay.emulated.startswith("qemu-aarch64 ")
    assert "Debian trixie's Python 3.13" in done.replay.host
    assert done.replay.cold_start is None


def test_a_changed_byte_of_the_model_is_found(case: Case, tmp_path: Path) -> None:
    model = case.bundle.root / "model" / "model.onnx"
    whole = model.read_bytes()
    sign = whole.index(b"coefficients=") + len(b"coefficients=") + 3
    try:
        model.write_bytes(whole[:sign] + bytes([whole[sign] ^ 0x80]) + whole[sign + 1 :])
        changed = replace(case.bundle, files=tuple(file_tree.records(case.bundle.root)))
        done = replay.check(changed, case.plan, case.requests[:4], case.answers[:4], tmp_path)
    finally:
        model.write_bytes(whole)

    assert done.replay.mismatches > 0
    assert any(each.check is Check.REPLAY and "apart" in each.message for each in done.findings)
