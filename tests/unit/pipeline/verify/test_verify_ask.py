"""What is settled by asking the registered model before anything is slimmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.errors import UnprovenError
from packager.pipeline.verify import ask, ask_model, oracle
from packager.pipeline.verify.oracle import Answers, Recorded
from packager.probes import Probe
from packager.types import BuildPlan, Compiled, Engine, Json, Machine, change_request
from tests import fake_plan

ULP = 2.0**-52
FOREST = ("sklearn.ensemble._forest.RandomForestRegressor",)

Settle = Callable[..., BuildPlan]


def recorded(*values: Json, status: int = 200, raised: str = "") -> Recorded:
    first, *again = (json.dumps({"predictions": [value]}) for value in values)
    return Recorded(status=status, body=first, again=tuple(again), raised=raised)


class Oracle:
    """Answers every request alike: `several` as its author left the model, `one` on one thread."""

    def __init__(self, several: Recorded, one: Recorded | None, threaded: Sequence[str]) -> None:
        self._several, self._one, self._threaded = several, one, tuple(threaded)
        self.held: list[bool] = []

    def record(
        self, _model: Any, probes: Sequence[Probe], *_: Any, one_thread: bool, **__: Any
    ) -> Answers:
        self.held.append(one_thread)
        answer = self._one if one_thread and self._one else self._several
        return Answers(
            answers=(answer,) * len(probes),
            oracle="",
            declared_bytes=0,
            start_cpu_ms=0.0,
            threaded=self._threaded,
        )


@pytest.fixture
def settle(monkeypatch: pytest.MonkeyPatch) -> Settle:
    monkeypatch.setattr(ask, "why_not_provable", lambda *_: None)

    def run(
        several: Recorded,
        one: Recorded | None = None,
        threaded: Sequence[str] = (),
        plan: BuildPlan | None = None,
    ) -> BuildPlan:
        monkeypatch.setattr(oracle, "record", Oracle(several, one, threaded).record)
        return ask_model(plan or fake_plan.plan())

    return run


@pytest.mark.parametrize(
    ("several", "one", "threaded", "threads"),
    [
        # sums of threads: on one they are the same each time
        (recorded(1.5, 1.5 + ULP), recorded(1.5, 1.5), FOREST, 1),
        (recorded(1.5, 1.5 + ULP), recorded(1.5, 1.5), (), 1),
        # the order of threads did not show this time; it will
        (recorded(1.5, 1.5), recorded(1.5 + ULP, 1.5 + ULP), FOREST, 1),
        # chance beside the sums stays what it is
        (recorded({"m": 1.5, "d": 0.1}, {"m": 1.5 + ULP, "d": 0.7}),
         recorded({"m": 1.5, "d": 0.3}, {"m": 1.5, "d": 0.4}), FOREST, 1),
        # nothing adds up in threads
        (recorded(1.5, 1.5), None, (), None),
        (recorded(1.5, 2.5), None, (), None),
        # on one thread it would say something else: a number of jobs that is no number of threads
        (recorded(5.0, 5.0), recorded(1.0, 1.0), ("mine.Scheduler",), None),
        (recorded("a", "a"), recorded("b", "b"), FOREST, None),
        (recorded(5.0, 5.0), recorded(5.0, status=400), FOREST, None),
    ],
)  # fmt: skip
def test_a_model_that_adds_up_in_threads_is_held_to_one(
    settle: Settle,
    several: Recorded,
    one: Recorded | None,
    threaded: Sequence[str],
    threads: int | None,
) -> None:
    assert settle(several, one, threaded).threads == threads


@pytest.mark.parametrize(("threaded", "threads"), [(FOREST, 1), ((), None)])
def test_rounding_that_one_thread_does_not_still_is_carried_on(
    settle: Settle, threaded: Sequence[str], threads: int | None
) -> None:
    plan = settle(recorded(1.5, 1.5 + ULP), recorded(1.5, 1.5 + ULP), threaded)
    assert plan.threads == threads
    assert plan.spread.rounding == {"predictions, any row": ULP}
    assert plan.spread.chance == {}


def test_a_server_with_many_cores_keeps_the_authors_threads(settle: Settle) -> None:
    target = replace(fake_plan.TARGET, machine=Machine(many_cores=True))
    plan = settle(recorded(1.5, 1.5 + ULP), None, FOREST, fake_plan.plan(target=target))
    assert plan.threads is None
    assert plan.spread.rounding == {"predictions, any row": ULP}


@pytest.mark.parametrize(("engine", "threads"), [(Engine.MACHINE_CODE, 1), (Engine.ONNX, None)])
def test_a_library_adds_up_as_the_model_does_on_one_thread(
    settle: Settle, engine: Engine, threads: int | None
) -> None:
    compiled = Compiled(folder=Path("library"), evidence={}, adversarial=())
    plan = replace(fake_plan.plan(compiled=compiled), engine=engine)
    settled = settle(recorded(1.5, 1.5 + ULP), recorded(1.5, 1.5), FOREST, plan)
    assert settled.threads == threads


def test_a_model_that_refuses_everything_is_told_with_the_class_of_its_exception(
    settle: Settle,
) -> None:
    refused = Recorded(
        status=400, body='{"message": "secret 42"}', raised="lightgbm.basic.LightGBMError"
    )
    plan = fake_plan.plan(flavor="lightgbm")
    with pytest.raises(UnprovenError) as caught:
        settle(refused, plan=plan)
    said = str(caught.value)
    assert "refused every one of" in said
    assert "It raised lightgbm.basic.LightGBMError (" in said
    assert "`category` columns" in said
    assert "--example FILE" in said
    assert "secret" not in said
    with pytest.raises(UnprovenError) as caught:
        settle(refused, plan=fake_plan.plan(flavor="python_function"))
    assert "accepts with --example FILE.\n" in str(caught.value)
    allowed = replace(plan, request=change_request(plan.request, allow_unproven=True))
    assert settle(refused, plan=allowed) == allowed


def test_a_model_that_its_sandbox_refuses_something_is_told_what_to_do(settle: Settle) -> None:
    refused = Recorded(
        status=500, body="", raised="socket.gaierror", refused=("It needs it. --allow-network",)
    )
    with pytest.raises(UnprovenError) as caught:
        settle(refused)
    said = str(caught.value)
    assert said.count("It needs it. --allow-network") == 1
    assert "It raised socket.gaierror (" in said
    assert "MLflow server would refuse them too" not in said


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (
            "Traceback ...\\nModuleNotFoundError: No module named 'churn.util'\\n",
            "have the module churn. Log the model again: with code_paths=['path/to/churn']",
        ),
        ("", "Give a request that it accepts with --example FILE."),
    ],
)
def test_a_model_that_imports_what_was_not_logged_is_told_how_to_log_it(
    settle: Settle, trace: str, said: str
) -> None:
    body = f'{{"stack_trace": "{trace}"}}'
    refused = Recorded(status=400, body=body, raised="ModuleNotFoundError")
    with pytest.raises(UnprovenError) as caught:
        settle(refused)
    assert said in str(caught.value)
    assert ("--example FILE" in str(caught.value)) == (not trace)


def test_each_class_is_counted_and_edge_cases_are_not() -> None:
    probes = [
        Probe(name=str(rows), body=b"", content_type="", rows=rows, door="http")
        for rows in (1, 1, 2, 0)
    ]
    answers = [
        Recorded(status=400, body="", raised="KeyError"),
        Recorded(status=400, body="", raised="ValueError"),
        Recorded(status=500, body="", raised="ValueError"),
        Recorded(status=400, body="", raised="json.decoder.JSONDecodeError"),
    ]
    said = ask.list_causes(probes, answers)
    assert said == "It raised ValueError (2 requests), KeyError (1 request). "
    assert ask.list_causes(probes, [Recorded(status=200, body="{}")] * 4) == ""


def test_a_model_that_cannot_be_asked_keeps_its_plan(
    settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = fake_plan.plan(model=fake_plan.model(signature=None, example=None))
    assert settle(recorded(1.5, 2.5), plan=bare) is bare
    monkeypatch.setattr(ask, "why_not_provable", lambda *_: "Not on this machine.")
    plan = fake_plan.plan()
    assert settle(recorded(1.5, 2.5), plan=plan) is plan


def test_an_oracle_that_does_not_load_stops_the_build_unless_that_is_allowed(
    settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Answers:
        raise UnprovenError("It does not load.")

    monkeypatch.setattr(oracle, "record", refuse)
    with pytest.raises(UnprovenError, match="does not load"):
        ask_model(fake_plan.plan())
    allowed = fake_plan.plan(request=fake_plan.request(allow_unproven=True))
    assert ask_model(allowed) is allowed


def test_an_example_that_is_refused_alone_is_said_and_goes_on(
    settle: Settle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refuses(Oracle):
        def record(self, *args: Any, **more: Any) -> Answers:
            found = super().record(*args, **more)
            first = Recorded(status=400, body="{}", raised="KeyError")
            return replace(found, answers=(first, *found.answers[1:]))

    settle(recorded(1.5))
    assert caplog.text == ""
    monkeypatch.setattr(oracle, "record", Refuses(recorded(1.5), None, ()).record)
    assert ask_model(fake_plan.plan()).threads is None
    assert "refuses its own example with KeyError" in caplog.text


@pytest.mark.parametrize(("given", "allowed"), [(None, None), (59, 120), (60, 120), (100, 200)])
def test_the_model_may_take_twice_the_functions_time(
    monkeypatch: pytest.MonkeyPatch, given: int | None, allowed: int | None
) -> None:
    seen: list[int | None] = []

    def record(*_: Any, request_seconds: int | None, **__: Any) -> Answers:
        seen.append(request_seconds)
        return Answers(answers=(), oracle="", declared_bytes=0, start_cpu_ms=0.0)

    monkeypatch.setattr(oracle, "record", record)
    request = fake_plan.request(timeout_seconds=given)
    ask.record_answers(fake_plan.plan(request=request), ())
    assert seen == [allowed]


def test_a_compiled_model_is_asked_the_rows_that_its_graph_was_made_to_part_on() -> None:
    adversarial = ({"x": [0.1, 0.2], "y": [1.0, 2.0]},)
    compiled = Compiled(folder=Path("graph"), evidence={}, adversarial=adversarial)
    plain = {request.body for request in ask.requests_of(fake_plan.plan())}
    asked = ask.requests_of(fake_plan.plan(compiled=compiled))
    (more,) = (request for request in asked if request.body not in plain)
    assert json.loads(more.body) == {
        "dataframe_split": {"columns": ["x", "y"], "data": [[0.1, 1.0], [0.2, 2.0]]}
    }
