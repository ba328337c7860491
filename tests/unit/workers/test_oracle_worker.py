"""What the worker beside the registered model asks again, and what it calls a refusal."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

import flask
import pandas as pd
import pytest
from mlflow.types import ColSpec, Schema

from packager.workers import oracle


class MlflowError(Exception):
    """As MLflow's: it has a code, and wraps what the model raised."""

    error_code = "BAD_REQUEST"


class Model:
    """Answers by the request's number; those in `moving` another way each time."""

    def __init__(self, *sizes: int, moving: tuple[int, ...] = ()) -> None:
        self.probes: list[dict[str, Any]] = [{"number": number} for number in range(len(sizes))]
        self._sizes, self._moving, self._calls = sizes, moving, count()
        self.asked: list[int] = []

    def answer(self, probe: dict[str, Any], *_: Any) -> dict[str, Any]:
        number = probe["number"]
        self.asked.append(number)
        if not self._sizes[number]:
            return {"status": 400, "body": "{}"}
        drawn = next(self._calls) if number in self._moving else 0
        return {"status": 200, "body": f"{drawn:0{self._sizes[number]}d}"}


def ask(
    model: Model, monkeypatch: pytest.MonkeyPatch, *, threaded: bool = False
) -> list[dict[str, Any]]:
    monkeypatch.setattr(oracle, "answer", model.answer)
    answers = [model.answer(probe) for probe in model.probes]
    model.asked.clear()
    oracle.ask_again(model.probes, answers, None, None, lambda _: None, threaded=threaded)
    return answers


def test_a_few_are_asked_again_the_largest_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model(1, 0, 1, 1, 9, 5, 1)
    answers = ask(model, monkeypatch)
    assert sorted(set(model.asked)) == [0, 2, 4, 5]
    assert not any("again" in each for each in answers)


@pytest.mark.parametrize("moving", [(0,), (2,), (4,)])
def test_one_that_moves_has_all_asked_again(
    moving: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(1, 0, 1, 1, 9, 5, 1, moving=moving)
    answers = ask(model, monkeypatch)
    assert [len(each.get("again", ())) for each in answers] == [2, 0, 2, 2, 2, 2, 2]
    (at,) = moving
    assert len({answers[at]["body"], *answers[at]["again"]}) == 3


def test_of_a_model_with_threads_all_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ask(Model(1, 1, 1, 1, 1, 1), monkeypatch, threaded=True)
    assert all(len(each["again"]) == 2 for each in answers)


class MineError(ValueError):
    """A model's own."""


def raised(*chain: BaseException) -> BaseException:
    """Each raised while the one before it was handled."""
    first, *others = chain
    for each in others:
        each.__context__ = first
        first = each
    return first


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (raised(ValueError("secret"), MlflowError()), "ValueError"),
        (raised(MineError("secret"), MlflowError(), MlflowError()), f"{__name__}.MineError"),
        (raised(KeyError("low"), MineError("secret"), MlflowError()), f"{__name__}.MineError"),
        (MlflowError("secret"), "MlflowException BAD_REQUEST"),
        (ZeroDivisionError("secret"), "ZeroDivisionError"),
    ],
    ids=["wrapped", "wrapped twice", "the outermost", "MLflow itself", "escaped"],
)
def test_a_refusal_has_the_class_of_what_the_model_raised(error: BaseException, name: str) -> None:
    assert oracle.name_cause(error, MlflowError) == name


def test_the_limits_of_threads_are_those_that_ship() -> None:
    limits = oracle.thread_limits()
    assert limits.__file__.endswith("handlers/loaders/_threads.py")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (PermissionError(13, "Permission denied", "/tmp/x"), "denied: '/tmp/x'"),  # noqa: S108 - the function's
        (MemoryError(), "MemoryError"),
        (KeyError("secret"), ""),
    ],
)
def test_a_traceback_is_kept_where_the_system_refused_something(
    error: Exception, kept: str
) -> None:
    for wraps in (False, True):
        raised: BaseException = error
        if wraps:
            raised = MlflowError("wrapped")
            raised.__cause__ = error
        assert kept in oracle.trace_refusal(raised).get("trace", "")
        assert ("trace" in oracle.trace_refusal(raised)) is bool(kept)


class OldServer:
    """As Flask's client over the server of an MLflow before 2.4."""

    def __init__(self, status: int, body: str) -> None:
        self.status_code, self._body = status, body
        self.sent: list[tuple[str, bytes, str]] = []

    def post(self, path: str, *, data: bytes, content_type: str) -> OldServer:
        self.sent.append((path, data, content_type))
        return self

    def get_data(self, *, as_text: bool) -> str:
        assert as_text
        return self._body


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reads_parquet", [True, False])
def test_a_server_that_reads_no_parquet_is_handed_text(
    monkeypatch: pytest.MonkeyPatch, *, reads_parquet: bool
) -> None:
    from mlflow.pyfunc import scoring_server

    def invocations(data: object, *_: object) -> object:
        assert isinstance(data, bytes if reads_parquet else str)
        assert reads_parquet or flask.request.content_type == "text/csv"
        return scoring_server.InvocationsResponse(response="[]", status=200, mimetype="")

    monkeypatch.setattr(scoring_server, "invocations", invocations)
    if not reads_parquet:
        monkeypatch.delattr(scoring_server, "parse_parquet_input")
    probe = {"body": base64.b64encode(b"a\n1\n").decode(), "content_type": "text/csv"}

    assert oracle.answer(probe, None, None)["status"] == 200


@pytest.mark.filterwarnings("ignore")
def test_a_body_that_such_a_server_cannot_decode_is_answered_with_500(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mlflow.pyfunc import scoring_server

    monkeypatch.delattr(scoring_server, "parse_parquet_input")
    probe = {"body": base64.b64encode(b"\xff").decode(), "content_type": "text/csv"}

    assert oracle.answer(probe, None, None)["status"] == 500


@pytest.mark.filterwarnings("ignore")
def test_a_server_of_fastapi_needs_no_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.pyfunc import scoring_server

    def invocations(*_: object) -> object:
        return scoring_server.InvocationsResponse(response="[]", status=200, mimetype="")

    monkeypatch.setattr(scoring_server, "invocations", invocations)
    monkeypatch.delattr(scoring_server, "parse_parquet_input")
    # as where it is not installed
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "flask", None)
    probe = {"body": base64.b64encode(b"a\n1\n").decode(), "content_type": "text/csv"}

    assert oracle.answer(probe, None, None) == {"status": 200, "body": "[]"}


def refuse_by_signature() -> None:
    from mlflow.models.utils import _enforce_schema

    schema = Schema([ColSpec("double", "age")])
    _enforce_schema(pd.DataFrame({"age?": [1.0]}), schema)


def refuse_by_parsing() -> None:
    """As MLflow 2.9 does; a later one names the error."""
    from mlflow.exceptions import MlflowException
    from mlflow.utils import proto_json_utils

    code = 'raise MlflowException("Failed to parse data as TF serving input.")'
    exec(code, {"__name__": proto_json_utils.__name__, "MlflowException": MlflowException})  # noqa: S102


def refuse_in_the_model() -> None:
    from mlflow.exceptions import MlflowException

    raise MlflowException("mine")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("refuse", "is_named", "status"),
    [
        (refuse_by_signature, False, 400),
        (refuse_by_parsing, False, 400),
        (refuse_in_the_model, False, 500),
        (refuse_by_signature, True, 500),
    ],
)
def test_data_that_a_signature_refuses_is_the_senders_fault_before_mlflow_2_10(
    refuse: Callable[[], None], status: int, monkeypatch: pytest.MonkeyPatch, *, is_named: bool
) -> None:
    from mlflow.pyfunc import scoring_server
    from mlflow.utils import proto_json_utils

    monkeypatch.setattr(scoring_server, "invocations", lambda *_: refuse())
    if not is_named:
        monkeypatch.delattr(proto_json_utils, "MlflowInvalidInputException")
    probe = {"body": "", "content_type": "application/json"}

    found = oracle.answer(probe, None, None)

    assert (found["status"], found["raised"]) == (status, "MlflowException INTERNAL_ERROR")


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (200, '{"predictions": [0]}', None),
        (500, '{"error_code": "INTERNAL_ERROR"}', "MlflowException INTERNAL_ERROR"),
        (400, '{"error_code": "BAD_REQUEST", "message": "m"}', "MlflowException BAD_REQUEST"),
        (415, "This predictor only supports", "MlflowException"),
        (500, "[]", "MlflowException"),
    ],
)
def test_the_server_of_an_old_mlflow_is_asked_as_over_http(
    status: int, body: str, raised: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = OldServer(status, body)
    monkeypatch.setattr(oracle, "open_client", lambda _: server)
    monkeypatch.setattr("mlflow.__version__", "2.3.2")
    found = oracle.answer_by_http(b"x", "text/csv", object())
    assert (found["body"], found.get("raised")) == (body, raised)
    # later servers call data that a signature refuses the sender's fault
    assert found["status"] == (400 if "INTERNAL_ERROR" in body else status)
    assert server.sent == [("/invocations", b"x", "text/csv")]


_JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            '{"dataframe_split": {"data": [[1]]}}',
            ('{"data": [[1]]}', f"{_JSON}; format=pandas-split"),
        ),
        (
            '{"dataframe_records": [{"a": NaN}]}',
            ('[{"a": NaN}]', f"{_JSON}; format=pandas-records"),
        ),
        ('{"inputs": [1]}', ('{"inputs": [1]}', _JSON)),
        (
            '{"inputs": [1], "dataframe_split": {}}',
            ('{"inputs": [1], "dataframe_split": {}}', _JSON),
        ),
        ("{}", ("{}", _JSON)),
        ("[1, 2]", ("[1, 2]", _JSON)),
        ('{"inputs": [1,', ('{"inputs": [1,', _JSON)),
    ],
)
def test_mlflow_1_is_asked_and_read_in_its_own_words(
    body: str, sent: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = OldServer(200, '["no", NaN]')
    monkeypatch.setattr(oracle, "open_client", lambda _: server)
    monkeypatch.setattr("mlflow.__version__", "1.30.0")

    found = oracle.answer_by_http(body.encode(), _JSON, object())

    assert found == {"status": 200, "body": '{"predictions": ["no", NaN]}'}
    assert server.sent == [("/invocations", sent[0].encode(), sent[1])]


def test_csv_is_the_same_to_mlflow_1(monkeypatch: pytest.MonkeyPatch) -> None:
    server = OldServer(400, '{"error_code": "BAD_REQUEST"}')
    monkeypatch.setattr(oracle, "open_client", lambda _: server)
    monkeypatch.setattr("mlflow.__version__", "1.30.0")

    found = oracle.answer_by_http(b"a,b\n1,2\n", "text/csv", object())

    assert (found["status"], found["raised"]) == (400, "MlflowException BAD_REQUEST")
    assert server.sent == [("/invocations", b"a,b\n1,2\n", "text/csv")]
