"""`packager inspect MODEL` measures what a build would make, without its longest step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packager.commands import inspect
from packager.errors import VerificationError
from packager.system import atomic_output
from packager.types import BuildPlan, Bundle, Check, Engine, Finding, Frame, PassName
from tests import fake_plan

NATIVE = replace(fake_plan.plan(), passes=tuple(map(str, PassName)))
COMPILED = replace(NATIVE, engine=Engine.MACHINE_CODE)


class Stages:
    """Engine and slimming, as they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *, refuses: bool) -> None:
        self.compiled: list[BuildPlan] = []
        self.slimmed: list[BuildPlan] = []
        self._folder, self._refuses = folder, refuses
        monkeypatch.setattr(inspect, "compile_model", self._compile)
        monkeypatch.setattr(inspect, "slim", self._slim)

    def _compile(self, plan: BuildPlan, _: Path) -> BuildPlan:
        self.compiled.append(plan)
        if self._refuses:
            finding = Finding(check=Check.ENGINE, message="An answer\ndiffers.", hint="")
            raise VerificationError([finding])
        return plan

    def _slim(self, plan: BuildPlan, _: Path) -> Bundle:
        self.slimmed.append(plan)
        return fake_plan.verified(fake_plan.tree(self._folder / "tree", plan)).bundle


def slim_first(attempts: Sequence[BuildPlan]) -> tuple[BuildPlan, Bundle, list[str]]:
    with atomic_output.scratch() as place:
        return inspect._slim_first(attempts, place)


def test_a_model_that_can_be_compiled_is_measured_as_it_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = Stages(monkeypatch, tmp_path, refuses=False)
    attempt, _, notes = slim_first([COMPILED, NATIVE])

    assert attempt.engine is Engine.MACHINE_CODE
    assert asked.slimmed == [COMPILED]
    assert notes == []


def test_a_model_that_cannot_is_measured_in_its_framework_without_deferral(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The engine is asked once, whatever frames there are; deferral takes minutes."""
    asked = Stages(monkeypatch, tmp_path, refuses=True)
    attempt, _, notes = slim_first([COMPILED, replace(COMPILED, frame=Frame.PANDAS), NATIVE])

    assert len(asked.compiled) == 1
    kept = tuple(name for name in NATIVE.passes if name != PassName.DEFER)
    assert asked.slimmed == [attempt] == [replace(NATIVE, passes=kept)]
    assert notes[0] == "Not measured as machine-code: An answer differs."
    assert notes[1].startswith("Imports were not deferred")


def test_a_model_that_nothing_can_make_is_refused_with_the_engine_s_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Stages(monkeypatch, tmp_path, refuses=True)
    with pytest.raises(VerificationError, match="An answer"):
        slim_first([COMPILED])
