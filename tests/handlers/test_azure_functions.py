"""The Azure Functions entry point: routes, refusals, faults of ours, and libraries it loads."""

from __future__ import annotations

import ctypes
import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import azure.functions as func
import numpy as np
import pytest

from handlers import azure_functions
from handlers.azure_functions import Function, load_libraries
from handlers.observability import drift
from handlers.observability.sketches import FILENAME, Baseline, sketch
from handlers.scoring import predictor
from tests.handlers.scorers import Recording, manifest

BODY = {"dataframe_split": {"columns": ["x", "kind"], "data": [[1.5, "secret"], [2.0, "b"]]}}


class Failing:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        raise self._error


def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any) -> Function:
    (tmp_path / "model-manifest.json").write_text(manifest().text(), encoding="utf-8")
    monkeypatch.setattr(predictor, "load", lambda *_: model)
    return Function(tmp_path)


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Function:
    return function(tmp_path, monkeypatch, Recording())


def request(
    path: str = "/invocations",
    body: bytes = json.dumps(BODY).encode(),
    method: str = "POST",
    **headers: str,
) -> func.HttpRequest:
    return func.HttpRequest(
        method=method,
        url=f"https://app.azurewebsites.net{path}",
        headers=headers or {"Content-Type": "application/json"},
        body=body,
    )


def test_a_request_is_answered(answering: Function) -> None:
    response = answering(request())

    assert response.status_code == 200
    assert json.loads(response.get_body()) == {"predictions": [1.5, 2.0]}
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/ping", "GET", 200),
        ("/health", "GET", 200),
        ("/version", "GET", 200),
        ("/ping?probe=1", "GET", 200),
        ("/ping", "POST", 405),
        ("/invocations", "GET", 405),
        ("/invocations/", "POST", 307),
        ("/", "GET", 404),
        ("/docs", "GET", 404),
    ],
)
def test_routes_are_the_protocol_s(
    answering: Function, path: str, method: str, status: int
) -> None:
    assert answering(request(path, method=method)).status_code == status


def test_a_refusal_says_why(answering: Function) -> None:
    response = answering(request(body=b"{"))

    assert response.status_code == 400
    assert json.loads(response.get_body())["error_code"] == "BAD_REQUEST"


def test_what_the_function_itself_fails_on_answers_as_json_without_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = function(tmp_path, monkeypatch, Recording())

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(failing._router, "answer", broken)
    with caplog.at_level(logging.INFO, logger="handlers"):
        response = failing(request())

    assert response.status_code == 500
    assert json.loads(response.get_body())["error_code"] == "INTERNAL_ERROR"
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text + response.get_body().decode()


def test_a_model_that_raises_answers_as_over_any_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = function(tmp_path, monkeypatch, Failing(ValueError("secret")))
    with caplog.at_level(logging.INFO, logger="handlers"):
        response = failing(request())

    assert response.status_code == 400
    assert "secret" not in caplog.text + response.get_body().decode()
    assert json.loads(caplog.records[-1].message)["model_raised"] is True


def test_one_record_a_request_tells_what_was_answered(
    answering: Function, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="handlers"):
        answering(request())

    (record,) = (json.loads(each.message) for each in caplog.records)
    assert 0 <= record.pop("model_latency_ms") <= record.pop("latency_ms")
    assert record == {
        "message": "answered",
        "function": "http",
        "cold_start": True,
        "status": 200,
        "rows": 2,
        "payload_bytes": len(json.dumps(BODY)),
        "model": manifest().model_name,
        "version": manifest().model_version,
    }


def test_libraries_are_loaded_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> None:
        if name == "a" and "b" not in loaded:
            raise OSError("b: cannot open shared object file")
        loaded.append(name)

    monkeypatch.setattr(ctypes, "CDLL", load)
    load_libraries([Path("a"), Path("b"), Path("c")])

    assert loaded == ["b", "c", "a"]


def test_a_library_that_needs_what_is_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(name: str) -> None:
        raise OSError(f"{name} cannot be loaded")

    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(OSError, match="a cannot be loaded"):
        load_libraries([Path("a"), Path("b")])


def test_without_a_model_beside_it_the_function_says_so() -> None:
    with pytest.raises(RuntimeError, match="is not beside handlers"):
        azure_functions.http.build().get_user_function()(request(), None)


def test_the_model_is_asked_by_one_thread_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shared:
        inside = most = 0

        def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
            self.inside += 1
            self.most = max(self.most, self.inside)
            threading.Event().wait(0.01)
            self.inside -= 1
            return data["x"]

    model = Shared()
    asked = function(tmp_path, monkeypatch, model)
    with ThreadPoolExecutor(8) as pool:
        statuses = [each.status_code for each in pool.map(lambda _: asked(request()), range(8))]

    assert (statuses, model.most) == ([200] * 8, 1)


@pytest.mark.parametrize("mark", [{}, {"X-Packager-Recorded": "1"}])
def test_drift_is_told_in_the_log_of_what_no_check_asks(
    mark: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rng = np.random.default_rng(0)
    usual = {"x": rng.normal(size=2000), "kind": np.array(["a", "b"] * 1000, dtype=object)}
    made = Baseline(
        source="test",
        rows=2000,
        inputs=tuple(sketch(name, values) for name, values in usual.items()),
        predictions=(sketch("0", usual["x"]),),
    )
    (tmp_path / FILENAME).write_text(json.dumps(asdict(made)), encoding="utf-8")
    written = manifest(baseline=FILENAME)
    (tmp_path / "model-manifest.json").write_text(written.text(), encoding="utf-8")
    monkeypatch.setattr(predictor, "load", lambda *_: Recording())
    monkeypatch.setenv("PACKAGER_DRIFT_ROWS", "200")
    monkeypatch.setattr(drift, "_SHARE", float("inf"))
    asked = Function(tmp_path)
    rows = [[float(value) + 9, "a"] for value in rng.normal(size=100)]
    body = json.dumps({"dataframe_split": {"columns": ["x", "kind"], "data": rows}}).encode()
    with caplog.at_level(logging.INFO, logger="handlers"):
        for _ in range(4):
            marked = request(body=body, **{"Content-Type": "application/json"}, **mark)
            assert asked(marked).status_code == 200

        lines = [each for each in caplog.records if '"drift"' in each.message]
        assert bool(lines) == (not mark)
        for _ in range(4 if mark else 0):  # the next request of the same thread counts
            asked(request(body=body))

    told = [json.loads(each.message) for each in caplog.records if '"drift"' in each.message]
    assert {each.get("column") for each in told} == {"x", "kind", "prediction 0", None}
    assert all("_aws" not in each and each["model"] == written.model_name for each in told)
    assert max(each.get("DriftMostPsi", 0) for each in told) > 1
