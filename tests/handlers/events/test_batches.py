"""Durable Functions: a batch is cut, scored in parts and put together, by the library's own kit."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.durable_functions.testing import orchestrator_generator_wrapper

from handlers.events.azure_triggers import batches
from tests.handlers.scorers import scorer

SPLIT = {"columns": ["x", "kind"], "data": [[float(i), "a"] for i in range(25)]}
ANSWER = {"predictions": [float(i) for i in range(25)]}
BODIES: dict[str, dict[str, Any]] = {
    "split": {"dataframe_split": SPLIT},
    "indexed": {"dataframe_split": {**SPLIT, "index": list(range(25))}},
    "records": {"dataframe_records": [{"x": float(i), "kind": "a"} for i in range(25)]},
    "instances": {"instances": [{"x": float(i), "kind": "a"} for i in range(25)]},
    "inputs": {"inputs": {"x": [float(i) for i in range(25)], "kind": ["a"] * 25}},
}


class Context:
    """What the orchestrator asks of its context; a task has what its activity came to."""

    def __init__(self, parts: list[Any], model: Any = None) -> None:
        self._parts = parts
        self._scorer = scorer(model)
        self.tried: list[tuple[str, int]] = []

    def get_input(self, expected_type: type) -> list[Any]:
        return self._parts

    def call_activity_with_retry(self, name: str, retry: df.RetryOptions, part: Any) -> Any:
        self.tried.append((name, retry.max_number_of_attempts))
        return batches.score_part(self._scorer, json.loads(json.dumps(part)))

    def task_all(self, tasks: list[Any]) -> Any:
        return SimpleNamespace(result=tasks)


class Client:
    """As the client of Durable Functions: keeps what was started."""

    def __init__(self) -> None:
        self.started: list[tuple[str, Any]] = []

    async def start_new(self, name: str, client_input: Any) -> str:
        self.started.append((name, client_input))
        return "1"

    def create_check_status_response(self, request: Any, instance: str) -> func.HttpResponse:
        return func.HttpResponse(instance, status_code=202)


def functions(told: list[Any] | None = None) -> dict[str, Any]:
    app = df.DFApp()
    batches.add(app, scorer(), lambda *each: (told if told is not None else []).append(each))
    return {each.get_function_name(): each for each in app.get_functions()}


def run(context: Any) -> Any:
    *_, last = orchestrator_generator_wrapper(batches.fan_out(context))
    return last


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("rows", [1, 7, 25, 1000])
def test_parts_answer_as_the_whole(name: str, rows: int) -> None:
    context = Context(batches.cut(BODIES[name], rows))
    assert run(context) == ANSWER
    assert context.tried == [(batches.SCORE, 5)] * max(1, -(-25 // rows))


def test_parameters_go_with_every_part() -> None:
    parts = batches.cut({**BODIES["split"], "params": {"scale": 2.0}}, 10)
    assert run(Context(parts)) == {"predictions": [2.0 * i for i in range(25)]}


@pytest.mark.parametrize(
    "body",
    [{"inputs": [1.0]}, {"inputs": {"a": 1}}, {"nothing": 1}, {"inputs": {"a": [1], "b": []}}],
)
def test_what_is_no_table_of_rows_is_not_cut(body: dict[str, Any]) -> None:
    assert batches.cut(body, 1) == [body]


def test_a_part_that_cannot_be_answered_is_the_answer() -> None:
    body = {"dataframe_split": {**SPLIT, "data": [[1.0, "a"], ["secret", "a"], [2.0, "a"]]}}
    answer = run(Context(batches.cut(body, 1)))
    assert (answer["error_code"], answer["part"]) == ("BAD_REQUEST", 1)
    assert "secret" not in json.dumps(answer)


@pytest.mark.parametrize(("data", "status"), [([[1.0, "a"]] * 3, 200), ([["x", "a"]], 400)])
def test_a_part_is_told_in_the_log_as_any_invocation(data: list[Any], status: int) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    score = functions(told)[batches.SCORE].get_user_function()
    score(part={"dataframe_split": {**SPLIT, "data": data}})
    ((function, values),) = told
    assert values.pop("latency_ms") >= 0
    rows = len(data) if status == 200 else 0
    assert (function, values) == (batches.SCORE, {"status": status, "rows": rows})


def test_what_may_go_well_at_another_time_is_raised_for_the_retry() -> None:
    class Full:
        def predict(self, data: Any, params: Any) -> Any:
            raise MemoryError

    with pytest.raises(batches.NotThisTimeError):
        batches.score_part(scorer(Full()), BODIES["split"])


@pytest.mark.parametrize(
    ("answers", "whole"),
    [
        ([{"a": [1], "b": [2]}, {"a": [3], "b": [4]}], {"a": [1, 3], "b": [2, 4]}),
        ([{"a": 1}, {"a": 2}], None),
        ([1, 2], None),
        ([[1], {"a": [1]}], None),
        ([7], 7),
    ],
)
def test_answers_are_put_together_or_it_is_said(answers: list[Any], whole: Any) -> None:
    joined = batches.join_answers([{"predictions": each} for each in answers])
    if whole is None:
        assert joined["error_code"] == "INTERNAL_ERROR"
    else:
        assert joined == {"predictions": whole}


def start(body: bytes, **params: str) -> tuple[func.HttpResponse, Client]:
    request = func.HttpRequest(method="POST", url="/batches", body=body, params=params)
    client = Client()
    function = functions()[batches.START].get_user_function()
    # what the decorator makes of the client's binding is the platform's
    answer = asyncio.run(function.client_function(req=request, client=client))
    return answer, client


def test_a_batch_is_started_with_its_parts() -> None:
    answer, client = start(json.dumps(BODIES["split"]).encode(), rows="10")
    assert answer.status_code == 202
    ((name, parts),) = client.started
    assert name == batches.FAN_OUT
    assert [len(part["dataframe_split"]["data"]) for part in parts] == [10, 10, 5]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"{", "1"),
        (b"[]", "1"),
        (b"{}", "0"),
        (b"{}", "x"),
        (b"{}", "9" * 5000),
        (b"{}", "1000000000"),
    ],
)
def test_what_cannot_be_started_is_refused(body: bytes, rows: str) -> None:
    answer, client = start(body, rows=rows)
    assert (answer.status_code, client.started) == (400, [])
    assert json.loads(answer.get_body())["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("rows", ["1", "999999999"])
def test_a_number_of_rows_has_up_to_nine_digits(rows: str) -> None:
    answer, client = start(json.dumps(BODIES["split"]).encode(), rows=rows)
    assert answer.status_code == 202
    ((_, parts),) = client.started
    assert len(parts) == (25 if rows == "1" else 1)


def test_the_orchestrator_gives_back_the_actions_that_the_platform_runs() -> None:
    parts = batches.cut(BODIES["split"], 10)
    begun = {"Timestamp": datetime.now(timezone.utc).isoformat(), "IsPlayed": False, "EventId": -1}
    started = {"EventType": 0, "Name": batches.FAN_OUT, "Input": json.dumps(parts), "Version": ""}
    context = {
        "history": [{**begun, "EventType": 12}, {**begun, **started}],
        "instanceId": "1",
        "isReplaying": False,
        "parentInstanceId": None,
        "input": json.dumps(parts),
        "upperSchemaVersion": 2,
    }
    handle = functions()[batches.FAN_OUT].get_user_function()
    state = json.loads(handle(SimpleNamespace(body=json.dumps(context))))
    assert state["isDone"] is False
    assert json.dumps(state["actions"]).count(batches.SCORE) == 3
