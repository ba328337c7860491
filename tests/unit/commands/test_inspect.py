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
QUICK = replace(NATIVE, passes=tuple(name for name in NATIVE.passes if name != PassName.DEFER))
COMPILED = replace(NATIVE, engine=Engine.MACHINE_CODE)


class Stages:
    """Engine and slimming, as they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, refuses: bool) -> None:
        self.compiled: list[BuildPlan] = []
        self.slimmed: list[BuildPlan] = []
        self._refuses = refuses
        monkeypatch.setattr(inspect, "compile_model", self._compile)
        monkeypatch.setattr(inspect, "slim", self._slim)

    def _compile(self, plan: BuildPlan, _: Path) -> BuildPlan:
        self.compiled.append(plan)
        if self._refuses:
            finding = Finding(check=Check.ENGINE, message="An answer\ndiffers.", hint="")
            raise VerificationError([finding])
        return plan

    def _slim(self, plan: BuildPlan, work: Path) -> Bundle:
        self.slimmed.append(plan)
        return fake_plan.verified(fake_plan.tree(work / "tree", plan)).bundle


def slim_first(attempts: Sequence[BuildPlan]) -> tuple[BuildPlan, Bundle, list[str]]:
    with atomic_output.scratch() as place:
        return inspect._slim_first(attempts, place)


def test_a_model_that_can_be_compiled_is_measured_as_it_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Stages(monkeypatch, refuses=False)
    attempt, _, notes = slim_first([COMPILED, NATIVE])

    assert attempt.engine is Engine.MACHINE_CODE
    assert asked.slimmed == [COMPILED]
    assert notes == []


def test_a_model_that_cannot_is_measured_in_its_framework_without_deferral(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine is asked once, whatever frames there are; deferral takes minutes."""
    asked = Stages(monkeypatch, refuses=True)
    attempt, _, notes = slim_first([COMPILED, replace(COMPILED, frame=Frame.PANDAS), NATIVE])

    assert len(asked.compiled) == 1
    assert attempt == NATIVE
    assert asked.slimmed == [QUICK]
    assert notes[0] == "Not measured as machine-code: An answer differs."
    assert notes[1].startswith("Sizes are upper bounds: imports were not deferred")


def test_a_model_that_is_too_large_without_deferral_is_measured_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may fit then, and no target is to be ruled out for a step that was left out."""
    asked = Stages(monkeypatch, refuses=False)
    small = replace(NATIVE.target, limits=replace(NATIVE.target.limits, unzipped_bytes=1))
    large, quick = (replace(each, target=small) for each in (NATIVE, QUICK))
    attempt, _, notes = slim_first([large])

    assert attempt == large
    assert asked.slimmed == [quick, large]
    assert notes == []


def test_a_model_that_nothing_can_make_is_refused_with_the_engine_s_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Stages(monkeypatch, refuses=True)
    with pytest.raises(VerificationError, match="An answer"):
        slim_first([COMPILED])
