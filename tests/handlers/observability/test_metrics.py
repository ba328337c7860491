"""Metrics are right, and nothing of a request's data is ever in the log."""

from __future__ import annotations

import ast
import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import Ran, event, run
from tests.handlers.modelling import REPOSITORY, laid_out, with_handlers

MARK = "s3cr3t-marker"
NUMBER = 31337.5

_RAISES = """
import warnings
import pandas as pd

warnings.simplefilter("default")

class Raises:
    def predict(self, data):
        value = str(data.iloc[0].to_dict())
        warnings.warn(f"odd value {value}", UserWarning, stacklevel=1)
        if data.iloc[0, 0] > 1:
            raise ValueError(f"cannot score {value}")
        return data.iloc[:, 0].to_numpy()


def _load_pyfunc(path):
    return Raises()
"""


def _table(value: float) -> dict[str, Any]:
    names = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    return {"dataframe_split": {"columns": names, "data": [[value, 31337.5, 1.0, 1.0]]}}


def _http(body: str, **more: Any) -> Any:
    made = event("apigateway_http")
    made.update(body=body, **more)
    return made


def _marked() -> list[Any]:
    """Requests with the mark wherever a client can put one."""
    words = {"dataframe_split": {"columns": [MARK], "data": [[MARK]]}}
    marked = _http(json.dumps(words), rawQueryString=f"q={MARK}", cookies=[f"c={MARK}"])
    marked["headers"] |= {"authorization": MARK, "x-other": MARK}
    elsewhere = _http("{}")
    elsewhere["requestContext"]["http"]["path"] = f"/{MARK}"
    odd_type = _http("{}")
    odd_type["headers"]["content-type"] = f"text/{MARK}"
    identity = _http("{}")
    identity["requestContext"]["requestId"] = f"{MARK} {MARK}"
    return [
        words,
        {MARK: MARK},
        MARK,
        [MARK],
        {"inputs": MARK, "params": {MARK: MARK}},
        {"dataframe_records": [{"sepal length (cm)": MARK}]},
        {"messages": [{"role": MARK}]},
        marked,
        elsewhere,
        odd_type,
        identity,
        _http(MARK),
        _http(MARK + "\u2603", isBase64Encoded=True),
        _http(base64.b64encode(MARK.encode()).decode(), isBase64Encoded=True),
    ]


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that warns of its data, and raises with it where the first value is above 1."""
    base, into = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("function")
    shutil.copytree(models.folder("pyfunc_loader"), base / "model")
    (base / "model" / "code" / "table_loader.py").write_text(_RAISES, encoding="utf-8")
    laid_out(base / "model", into, Tier.NATIVE, Frame.PANDAS)
    return with_handlers(into)


@pytest.fixture(scope="module")
def ran(function: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two good ones, two that the model refuses, then all that are marked."""
    good, bad = _table(0.5), _table(NUMBER)
    events = [good, _http(json.dumps(good)), bad, _http(json.dumps(bad)), *_marked()]
    work = tmp_path_factory.mktemp("run")
    return run(
        function, events, work, POWERTOOLS_LOGGER_LOG_EVENT="true", POWERTOOLS_LOG_LEVEL="DEBUG"
    )


def test_nothing_of_a_request_is_in_the_log(ran: Ran) -> None:
    log = ran.stdout + ran.stderr
    assert MARK not in log
    assert str(NUMBER) not in log
    assert base64.b64encode(MARK.encode()).decode() not in log


def test_nothing_of_a_request_is_in_what_the_runtime_logs(ran: Ran) -> None:
    errors = [result["error"]["message"] for result in ran.results if "error" in result]
    assert len(errors) > 5
    assert not [message for message in errors if MARK in message or str(NUMBER) in message]


def test_a_model_that_raises_fails_a_direct_invoke_by_name(ran: Ran) -> None:
    assert ran.results[2]["error"] == {
        "type": "ModelFailedError",
        "message": "BAD_REQUEST: The model raised ValueError.",
    }


def test_a_model_that_raises_is_answered_over_http(ran: Ran) -> None:
    assert ran.results[3]["answer"]["statusCode"] == 400


def test_where_the_model_raised_is_logged(ran: Ran) -> None:
    raised = [record for record in ran.logs if "ValueError" in str(record["message"])]
    assert len(raised) == 2
    assert {record["level"] for record in raised} == {"ERROR"}
    assert all("table_loader.py" in record["message"] for record in raised)


def test_warnings_are_logged_by_their_place(ran: Ran) -> None:
    warned = [record["message"] for record in ran.logs if "UserWarning" in str(record["message"])]
    assert warned
    assert all("table_loader.py" in message for message in warned)


def test_metrics_of_good_refused_and_failed_requests(ran: Ran) -> None:
    rows = [
        {name: record[name][0] for name in ("Rows", "Errors", "BadRequests", "ColdStart")}
        for record in ran.metrics[:5]
    ]
    good = {"Rows": 1.0, "Errors": 0.0, "BadRequests": 0.0, "ColdStart": 0.0}
    assert rows == [
        {**good, "ColdStart": 1.0},
        good,
        {**good, "Rows": 0.0, "Errors": 1.0},
        {**good, "Rows": 0.0, "Errors": 1.0},
        {**good, "Rows": 0.0, "BadRequests": 1.0},
    ]


def test_metrics_are_in_the_embedded_format(ran: Ran) -> None:
    record = ran.metrics[0]
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Tests"
    assert [sorted(names) for names in directive["Dimensions"]] == [["model", "service", "version"]]
    assert (record["model"], record["version"]) == ("model", "7")
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {
        "Invocations": "Count",
        "ModelLatency": "Milliseconds",
        "RowErrors": "Count",
        "Latency": "Milliseconds",
        "Rows": "Count",
        "Errors": "Count",
        "BadRequests": "Count",
        "ColdStart": "Count",
        "ColdStoreMisses": "Count",
    }
    assert record["Latency"][0] > 0


def test_provisioned_containers_are_not_cold(function: Path, tmp_path: Path) -> None:
    started = {"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}
    done = run(function, [_table(0.5)], tmp_path, POWERTOOLS_METRICS_NAMESPACE="", **started)
    assert done.metrics[0]["ColdStart"] == [0.0]
    assert done.metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "ModelServing"


def test_nothing_that_ships_draws_random_numbers() -> None:
    """A snapshot of an initialised function is started many times over."""
    found = set()
    for path in (REPOSITORY / "handlers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                found |= {(path.name, alias.name.partition(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((path.name, str(node.module).partition(".")[0]))
    assert not [use for use in found if use[1] in {"random", "uuid", "secrets"}]
