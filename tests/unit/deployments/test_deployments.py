"""The plugin's settings, help, payloads, errors and local front."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import botocore.exceptions
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException

from packager import errors
from packager.deployments import _local, target_help
from packager.deployments._errors import DeploymentError, explain_errors
from packager.deployments._parameters import (
    Declared,
    instance_parameters,
    parameters_of,
    source_parameters,
    template_parameters,
)
from packager.deployments._payload import request_body, response
from packager.deployments._settings import (
    _BUILD,
    AWS_OPTIONS,
    BUILD_OPTIONS,
    LOCAL_OPTIONS,
    Settings,
    parse,
)
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.targets.lambda_emulator import Emulator, Invocation
from packager.types import (
    Check,
    Engine,
    Finding,
    Front,
    Tier,
    list_settings,
    make_request,
)
from tests import fake_plan
from tests.unit.deployments import deploying

NAN = float("nan")
VALUES = {
    "traffic": "7=10",
    "rollback": "true",
    "audit": "true",
    "audit_severity": "high",
    "refresh_audit": "true",
    "require_audit": "true",
    "allow_network": "true",
    "allow_unproven": "true",
    "arch": "arm64",
    "arm64_python": str(Path(__file__).parent),
    "atol": "0.1",
    "auth": "jwt",
    "baseline": __file__,
    "batch": "true",
    "compute": "managed-instances",
    "engine": "auto",
    "example": __file__,
    "facts_dir": str(Path(__file__).parent),
    "min_rows": "5",
    "trust_model_index": "true",
    "upgrade_pins": "true",
    "front": "none",
    "requirements": "declared",
    "memory": "512",
    "once": "true",
    "optimize": "1",
    "port": "0",
    "python": "3.13",
    "rollout": "canary",
    "rows": "10",
    "rtol": "0.1",
    "seed": "1",
    "tags": "a=b",
    "tier": "stub",
    "timeout": "5",
    "trace": "false",
}


def test_help_names_every_setting_and_parameter() -> None:
    text = target_help()

    settings = (*AWS_OPTIONS, *BUILD_OPTIONS, *LOCAL_OPTIONS)
    for name in (*settings, *template_parameters(), *source_parameters()):
        assert f"\n  {name} " in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_parameters_are_those_that_a_template_declares(tmp_path: Path) -> None:
    texts = [
        (deploying.artifact(tmp_path / front, front=front) / "template.yaml").read_text()
        for front in (Front.HTTP_API, Front.REST_API)
    ]

    known = template_parameters()

    assert {"MemorySizeMb", "SnapStart", "HttpAuth", "AlarmTopicArn"} <= set(known)
    # these are there where there is a baseline, a rollout, and weights outside of the function
    weights = {name for name in known if name.startswith(("Weights", "Former"))}
    assert len(weights) == 6
    rollout = {name for name in known if name.startswith("Rollout")}
    assert len(rollout) == 4
    for name in set(known) - {"DriftPsiAlarm", *rollout} - weights:
        assert any(f"\n  {name}:\n" in text for text in texts), name
    assert all(spec["Description"] for spec in known.values())


@pytest.mark.parametrize("declared", [template_parameters, source_parameters, instance_parameters])
def test_a_description_has_words_where_a_build_fills_some_in(
    declared: Callable[[], Declared],
) -> None:
    for name, each in declared().items():
        assert not re.search(r"null|[{}]", each["Description"]), name


def test_the_parameters_of_instances_are_those_that_a_template_declares(tmp_path: Path) -> None:
    plan = fake_plan.plan_on_instances()
    root = fake_plan.tree(tmp_path / "tree", plan)
    out = tmp_path / "out"
    out.mkdir()
    verified = fake_plan.verified(root)
    emit(package(verified, plan, out), verified, plan, out)
    declared = parameters_of((out / "template.yaml").read_text("utf-8"))

    known = instance_parameters()

    assert set(known) <= set(declared)
    assert set(declared) <= set(known) | set(template_parameters())
    for name, spec in known.items():
        bounds = {key: spec[key] for key in ("MinValue", "MaxValue") if key in spec}
        assert bounds == {k: declared[name][k] for k in ("MinValue", "MaxValue") if k in spec}, name


def test_values_are_those_that_instances_take() -> None:
    given = {"compute": "managed-instances", "memory": "16384", "MaxConcurrency": "8"}

    assert parse(given).parameters == {"MemorySizeMb": "16384", "MaxConcurrency": "8"}
    for name, value in (("memory", "1024"), ("MaxConcurrency", "1601"), ("MemoryGibPerVcpu", "3")):
        with pytest.raises(MlflowException, match=value):
            parse({**given, name: value})
    with pytest.raises(MlflowException, match="16384"):
        parse({"memory": "16384"})


def test_the_parameters_of_sources_are_those_that_a_template_declares(tmp_path: Path) -> None:
    every = ("files", "s3", "sqs", "sns", "kinesis", "dynamodb", "eventbridge", "kafka", "schedule")
    s3 = {"events": every, "output_to": "s3://bucket/folder"}
    bus = {"events": ("sqs",), "output_to": "eventbridge://bus"}
    emitted = [
        parameters_of((deploying.artifact(tmp_path / name, **asked) / "template.yaml").read_text())
        for name, asked in (("s3", s3), ("bus", bus))
    ]

    known = source_parameters()

    declared = {name: spec for one in emitted for name, spec in one.items()}
    assert set(known) == set(declared) - set(template_parameters())
    assert [n for n, spec in known.items() if "Default" not in spec] == [
        n for n, spec in declared.items() if "Default" not in spec
    ]
    assert all(spec["Description"] for spec in known.values())


def test_whatever_a_request_has_can_be_set_or_is_the_targets() -> None:
    # of Lambda's zip alone: there is no image, no GPU, none of Azure's telemetry, and the template
    # has memory and timeout
    other = {"base_image", "device", "driver", "opentelemetry", "target"}
    # and an artifact that is kept is always taken
    other |= {"memory_mb", "timeout_seconds", "reuse", "refresh"}
    # nor is it deployed by another tool
    other |= {"emit"}
    # and its weights are in it: nothing here would push them
    other |= {"weights"}

    settable = {field for field, _ in _BUILD.values()} | {"model_uri", "out_dir"}

    assert settable == {name for name, _, _ in list_settings()} - other


@pytest.mark.parametrize("name", [*AWS_OPTIONS, *BUILD_OPTIONS, *LOCAL_OPTIONS])
def test_every_setting_that_help_names_has_an_effect(name: str) -> None:
    assert parse({name: VALUES.get(name, "x")}) != parse({})


def test_values_reach_the_build_with_their_types() -> None:
    found = parse(
        {"front": "function-url", "rows": 5, "tier": "stub", "keep": "a/*,b/*", "memory": 512},
        "aws-lambda:/eu-west-1?profile=work",
    )

    request = found.request("models:/x/1", Path("out"))
    assert (request.http.front, request.proof.rows, request.engine.tier) == (
        Front.FUNCTION_URL,
        5,
        Tier.STUB,
    )
    assert request.slimming.keep == ("a/*", "b/*")
    assert found.parameters == {"MemorySizeMb": "512"}
    assert (found.account.region, found.account.profile) == ("eu-west-1", "work")


def test_events_a_batch_and_an_engine_reach_the_build() -> None:
    config = {"event": "sqs,files", "batch": True, "output_to": "s3://bucket/p", "rtol": 1e-3}

    request = parse({**config, "engine": "onnx"}).request("models:/x/1", Path("out"))

    assert request.events.sources == ("sqs", "files", "stepfunctions")
    assert (request.events.batch, request.events.output_to) == (True, "s3://bucket/p")
    assert (request.engine.kind, request.engine.rtol) == (Engine.ONNX, 1e-3)
    assert parse({"engine": "auto"}).request("m", Path("out")).engine.kind is None
    assert parse({}).request("m", Path("out")) == make_request(model_uri="m", out_dir=Path("out"))


def test_the_region_is_taken_from_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")

    assert parse({}).account.region == "eu-north-1"
    assert parse({}, "aws-lambda:/eu-west-1").account.region == "eu-west-1"
    assert parse({"region": "eu-west-2"}, "aws-lambda:/eu-west-1").account.region == "eu-west-2"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"buckte": "x"}, "Did you mean 'bucket'?"),
        ({"memorysizemb": "1"}, "Did you mean 'MemorySizeMb'?"),
        ({"qqq": "1"}, "mlflow deployments help"),
        ({"front": "door"}, "http-api, function-url, rest-api, none"),
        ({"python": "3"}, "3.13"),
        ({"rows": "-1"}, "whole number"),
        ({"port": "70000"}, "0 to 65535"),
        ({"allow_unproven": "perhaps"}, "true or false"),
        ({"example": "/no/such/file"}, "no such file"),
        ({"bucket": "s3://b/folder"}, "prefix="),
        ({"bucket": {"b": 1}}, "not a mapping"),
        ({"tags": "team"}, "NAME=VALUE"),
        ({"tags": {"aws:x": "y"}}, "AWS does not take the tag"),
        ({"tags": {"x": "{}"}}, "AWS does not take the tag"),
        ({"tags": "mlflow:deployment=other"}, "the plugin sets those"),
        ({"engine": "steam"}, "auto, native, onnx, machine-code"),
        ({"rtol": "-1"}, "0 or more"),
        ({"atol": "nan"}, "0 or more"),
        ({"rtol": "x"}, "rtol=x cannot be used"),
        ({"optimize": "3"}, "0 to 2"),
        ({"facts_dir": "/no/such/folder"}, "no such folder"),
        ({"facts_dir": "x" * 300}, "File name too long"),
        ({"memory": "much"}, "MemorySizeMb=much cannot be used: give a number"),
        ({"memory": "64"}, "at least 128"),
        ({"memory": "512.5"}, "give a whole number"),
        ({"DriftPsiAlarm": "0"}, "at least 0.01"),
        ({"memory": "20000"}, "at most 10240"),
        ({"timeout": "1801"}, "at most 1800"),
        ({"LogLevel": "LOUD"}, "one of DEBUG, INFO, WARNING, ERROR"),
        ({"LogRetentionDays": "2"}, "one of 1, 3, 5"),
        ({"SnapStart": "yes"}, "one of PublishedVersions, None"),
        ({"AlarmTopicArn": "topic"}, "does not match"),
        ({"QueueBatchSize": "0"}, "at least 1"),
        ({"timeout": "0", "Tracing": "on"}, "Tracing=on"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(config: Any, words: str) -> None:
    with pytest.raises(DeploymentError, match=re.escape(words)) as caught:
        parse(config)

    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_unknown_part_of_the_address_is_refused() -> None:
    with pytest.raises(DeploymentError, match="does not take bucket"):
        parse({}, "aws-lambda:/eu-west-1?bucket=b")


FRAME = pd.DataFrame(
    {
        "f": [1.5, NAN],
        "i": np.array([1, 2], dtype="int64"),
        "s": ["a", None],
        "t": [pd.Timestamp("2026-01-02 03:04:05"), pd.NaT],
        "n": pd.array([3, None], dtype="Int64"),
        "b": [True, False],
    }
)


@pytest.mark.parametrize(
    ("inputs", "sent"),
    [
        (
            FRAME,
            {
                "dataframe_split": {
                    "columns": ["f", "i", "s", "t", "n", "b"],
                    "data": [
                        [1.5, 1, "a", "2026-01-02T03:04:05", 3, True],
                        [None, 2, None, None, None, False],
                    ],
                }
            },
        ),
        (pd.Series([1, 2], name="x"), {"dataframe_split": {"columns": ["x"], "data": [[1], [2]]}}),
        (np.array([[1.5, 2.0]], dtype="float32"), {"inputs": [[1.5, 2.0]]}),
        ({"a": np.array([1, 2])}, {"inputs": {"a": [1, 2]}}),
        ({"inputs": np.array([1]), "params": {"k": 2}}, {"inputs": [1], "params": {"k": 2}}),
        ({"messages": [{"role": "user"}]}, {"messages": [{"role": "user"}]}),
        ([{"x": date(2026, 1, 2)}], {"inputs": [{"x": "2026-01-02"}]}),
        ([datetime(2026, 1, 2, tzinfo=UTC)], {"inputs": ["2026-01-02T00:00:00+00:00"]}),
        ([b"\xff", np.datetime64("2026-01-02"), pd.NaT], {"inputs": ["/w==", "2026-01-02", None]}),
        ('{"instances": [1]}', {"instances": [1]}),
        (b'{"instances": [1]}', {"instances": [1]}),
    ],
)
def test_inputs_become_mlflows_json(inputs: Any, sent: Any) -> None:
    assert json.loads(request_body(inputs)) == sent


@pytest.mark.parametrize(
    "request_",
    [
        {"dataframe_split": {"columns": ["x", "y"], "data": [[1.5, "a"], [2, "b"], [3, None]]}},
        {"dataframe_records": [{"x": 1.5, "y": "a"}, {"x": 2.5, "y": "b"}]},
        {"dataframe_split": {"columns": ["x"], "data": [[1.5]]}, "params": {"k": 2, "t": 0.5}},
        {"inputs": [[1.5, 2.5], [3.5, 4.5]]},
        {"inputs": {"a": [1, 2], "b": [[1], [2]]}},
        {"inputs": {"a": [1, 2]}, "params": {"k": 2}},
        {"instances": [{"a": 1}, {"a": 2}]},
    ],
)
def test_a_request_file_that_mlflow_reads_as_a_table_is_sent_as_it_was(
    tmp_path: Path, request_: Any
) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request_))

    # what `mlflow deployments predict` does with its --input-path
    assert json.loads(request_body(pd.read_json(path))) == request_


@pytest.mark.parametrize("name", ["inputs", "instances"])
def test_a_table_whose_column_is_called_as_a_key_is_a_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{name: "a", "params": "b"}, {name: "c", "params": "d"}]))

    sent = json.loads(request_body(pd.read_json(path)))

    table = {"columns": [name, "params"], "data": [["a", "b"], ["c", "d"]]}
    assert sent == {"dataframe_split": table}


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"params": [{"a": 1}]}),
        pd.DataFrame({"params": [1.5]}),
        pd.DataFrame({"inputs": [[1]], "params": [[2]]}),
        pd.DataFrame({"inputs": [[1]], "other": [[2]]}),
        pd.DataFrame({"inputs": ["a", "b"]}, index=["first", "second"]),
        pd.DataFrame(),
    ],
)
def test_a_table_of_other_columns_is_a_table(frame: pd.DataFrame) -> None:
    table = {"columns": list(frame.columns), "data": frame.to_numpy().tolist()}

    assert json.loads(request_body(frame)) == {"dataframe_split": table}


@given(
    st.lists(
        st.lists(st.one_of(st.floats(allow_infinity=False), st.integers(), st.text(), st.none())),
        min_size=1,
        max_size=4,
    ).map(lambda rows: [row[:3] + [None] * (3 - len(row)) for row in rows])
)
def test_any_table_survives_as_json_has_it(rows: list[list[Any]]) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=object)

    sent = json.loads(request_body(frame))["dataframe_split"]["data"]

    assert sent == [[None if value != value else value for value in row] for row in rows]  # noqa: PLR0124


@pytest.mark.parametrize(
    "inputs", [None, 3, "not json", {"inputs": object()}, [NAN], np.array([np.inf]), {1, 2}]
)
def test_what_json_cannot_hold_is_refused(inputs: Any) -> None:
    with pytest.raises(DeploymentError) as caught:
        request_body(inputs)

    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"errorMessage": "BAD_REQUEST: no", "errorType": "BadRequestError"}, "BAD_REQUEST"),
        ({"errorMessage": "INVALID_PARAMETER_VALUE: no"}, "INVALID_PARAMETER_VALUE"),
        ({"errorMessage": "INTERNAL_ERROR: KeyError in the function"}, "INTERNAL_ERROR"),
        ({"errorMessage": "2026-01-01 Task timed out after 3.00 seconds"}, "DEADLINE_EXCEEDED"),
        ({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1"}, "DEADLINE_EXCEEDED"),
        ({"errorType": "Runtime.ImportModuleError", "errorMessage": "x"}, "INTERNAL_ERROR"),
        ({"errorType": "E", "errorMessage": "NO_SUCH_CODE: x"}, "INTERNAL_ERROR"),
        ([], "INTERNAL_ERROR"),
    ],
)
def test_a_function_error_carries_the_functions_code(answer: Any, code: str) -> None:
    with pytest.raises(MlflowException) as caught:
        response(json.dumps(answer).encode(), failed=True, name="churn")

    assert caught.value.error_code == code


@pytest.mark.parametrize("payload", [b"", b"null", b"{}", b"not json"])
def test_an_answer_without_predictions_is_an_error(payload: bytes) -> None:
    with pytest.raises(MlflowException, match="without predictions"):
        response(payload, failed=False, name="churn")


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (errors.ConfigurationError("x --out y"), "INVALID_PARAMETER_VALUE", "-C some_name=VALUE"),
        (errors.ModelNotFoundError("x"), "RESOURCE_DOES_NOT_EXIST", "x"),
        (errors.RegistryUnavailableError("x"), "TEMPORARILY_UNAVAILABLE", "x"),
        (errors.PlanError("x"), "INVALID_PARAMETER_VALUE", "x"),
        (
            errors.VerificationError([Finding(check=Check.REPLAY, message="differs", hint="")]),
            "INVALID_STATE",
            "differs",
        ),
        (errors.SupplyChainError({"Do that.": ["x has X-1"]}), "INVALID_STATE", "x has X-1"),
        (errors.UnprovenError("x"), "INVALID_STATE", "-C some_name=VALUE"),
        (errors.ToolError("x"), "INTERNAL_ERROR", "x"),
        (deploying.refusal("AccessDenied"), "PERMISSION_DENIED", "the right to manage"),
        (deploying.refusal("AccessDeniedException"), "PERMISSION_DENIED", "AWS refused Ask"),
        (deploying.refusal("ExpiredToken"), "UNAUTHENTICATED", "AWS_PROFILE"),
        (deploying.refusal("InvalidClientTokenId"), "UNAUTHENTICATED", "AWS_PROFILE"),
        (deploying.refusal("Throttling"), "REQUEST_LIMIT_EXCEEDED", "Try again"),
        (deploying.refusal("TooManyRequestsException"), "REQUEST_LIMIT_EXCEEDED", "Try again"),
        (deploying.refusal("ResourceNotFoundException"), "RESOURCE_DOES_NOT_EXIST", "no"),
        (deploying.refusal("NoSuchBucket"), "RESOURCE_DOES_NOT_EXIST", "no"),
        (deploying.refusal("ValidationError"), "INVALID_PARAMETER_VALUE", "no"),
        (deploying.refusal("RequestEntityTooLargeException"), "INVALID_PARAMETER_VALUE", "fewer"),
        (deploying.refusal("ServiceException"), "INTERNAL_ERROR", "ServiceException"),
        (botocore.exceptions.NoCredentialsError(), "UNAUTHENTICATED", "AWS_ACCESS_KEY_ID"),
        (botocore.exceptions.ProfileNotFound(profile="p"), "UNAUTHENTICATED", "profile (p)"),
        (botocore.exceptions.NoRegionError(), "INVALID_PARAMETER_VALUE", "In which region?"),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="https://x"),
            "TEMPORARILY_UNAVAILABLE",
            "https://x",
        ),
        (
            botocore.exceptions.ReadTimeoutError(endpoint_url="https://x"),
            "TEMPORARILY_UNAVAILABLE",
            "did not answer",
        ),
        (botocore.exceptions.DataNotFoundError(data_path="p"), "INTERNAL_ERROR", "boto3 gave up"),
    ],
    ids=lambda value: str(value) if isinstance(value, Exception) else None,
)
def test_what_stops_a_deployment_has_mlflows_code(raised: Exception, code: str, words: str) -> None:
    with pytest.raises(DeploymentError) as caught, explain_errors():
        raise raised

    assert caught.value.error_code == code
    assert words in str(caught.value)
    assert caught.value.__cause__ is raised


class _Answers:
    """An emulator that answers with what it was told, and keeps what it was asked."""

    def __init__(self, *answers: Invocation) -> None:
        self._answers = list(answers)
        self.asked: list[Any] = []

    def invoke(self, payload: bytes) -> Invocation:
        self.asked.append(json.loads(payload))
        return self._answers.pop(0)


def _answer(value: Any, status: int = 200) -> Invocation:
    return Invocation(status=status, body=json.dumps(value).encode(), seconds=0.0)


@contextmanager
def _listening(emulator: _Answers) -> Iterator[int]:
    """The port at which the front answers for `emulator`."""
    settings = Settings(port=0)
    with _local._listening(settings, cast("Emulator", emulator)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _asked(emulator: _Answers, method: str, path: str, body: bytes | None = None) -> Any:
    """The status, headers and body that the front gives a client."""
    with _listening(emulator) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        client.request(method, path, body, {"content-type": "application/json", "X-A": "b"})
        found = client.getresponse()
        answer = found.status, dict(found.getheaders()), found.read()
        client.close()
    return answer


def test_the_front_turns_a_request_into_an_event_and_back() -> None:
    binary = base64.b64encode(b"\x00\xff").decode()
    headers = {"content-type": "x/y", "content-length": "9"}
    emulator = _Answers(
        _answer({"statusCode": 400, "headers": headers, "body": binary, "isBase64Encoded": True})
    )

    status, given_, body = _asked(emulator, "POST", "/invocations?a=1", b'{"inputs": [1]}')

    assert (status, given_["content-type"], body) == (400, "x/y", b"\x00\xff")
    (event,) = emulator.asked
    assert event["rawPath"] == "/invocations"
    assert event["rawQueryString"] == "a=1"
    assert event["body"] == '{"inputs": [1]}'
    assert event["headers"]["x-a"] == "b"


def test_a_path_that_is_no_address_is_a_bad_request() -> None:
    """A client library refuses to send such a line, so it is written to the socket."""
    with (
        _listening(_Answers()) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as client,
    ):
        client.sendall(b"GET http://[ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert (answer.status, json.load(answer)) == (400, {"message": "Bad Request"})


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_answer({"errorType": "InternalError", "errorMessage": "x"}), 500),
        (_answer("", 502), 500),
        (Invocation(status=200, body=b"no json", seconds=0.0), 500),
        (_answer({}, 413), 413),
    ],
)
def test_a_failed_function_is_answered_as_an_http_api_does(
    answer: Invocation, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found, headers, body = _asked(_Answers(answer), "GET", "/ping")

    assert (found, headers["content-type"]) == (status, "application/json")
    assert set(json.loads(body)) == {"message"}


@pytest.mark.parametrize(
    ("answer", "failed"),
    [({"predictions": [1]}, False), ({"errorType": "BadRequestError"}, True)],
)
def test_the_front_answers_lambdas_own_invoke(answer: Any, *, failed: bool) -> None:
    emulator = _Answers(_answer(answer))
    path = "/2015-03-31/functions/churn/invocations"

    status, headers, body = _asked(emulator, "POST", path, b'{"inputs": [1]}')

    assert (status, json.loads(body)) == (200, answer)
    assert ("x-amz-function-error" in headers) == failed
    assert emulator.asked == [{"inputs": [1]}]


def test_a_port_that_is_taken_says_so() -> None:
    emulator = cast("Emulator", _Answers())
    with (
        _local._listening(Settings(port=0), emulator) as first,
        pytest.raises(DeploymentError, match="-C port=NUMBER"),
        _local._listening(Settings(port=first.server_port), emulator),
    ):
        pytest.fail("the port was taken")


def test_run_local_refuses_what_this_machine_cannot_boot_before_it_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_local, "why_not_provable", lambda asked, *_: f"Not {asked} here.")

    with pytest.raises(DeploymentError, match=r"Not arm64 here\."):
        _local.run_local("churn", "models:/none/1", config={"arch": "arm64"})


def test_run_local_refuses_an_arm64_python_that_is_none_before_it_builds(tmp_path: Path) -> None:
    config = {"arch": "arm64", "python": "3.13", "arm64_python": str(tmp_path)}

    with pytest.raises(DeploymentError, match=r"has no Python at usr/bin|QEMU|cannot boot it"):
        _local.run_local("churn", "models:/none/1", config=config)


def test_run_local_refuses_an_artifact_of_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deploying.artifact(tmp_path, architecture="arm64")
    monkeypatch.setattr(_local, "why_not_provable", lambda asked, *_: f"Not {asked} here.")

    with pytest.raises(DeploymentError, match=r"Not arm64 here\."):
        _local.run_local("churn", str(folder))
