"""Lines and metrics are Powertools' own, byte for byte, without it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from handlers.manifest import Manifest
from handlers.observability import lambda_telemetry
from handlers.observability.log_lines import LineFormatter
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import Ran, event, run
from tests.handlers.modelling import laid_out, with_handlers

_ASKS_POWERTOOLS = {"POWERTOOLS_TRACE_DISABLED": "true"}
"""A variable of Powertools that changes nothing of a line."""
_MOMENTS = re.compile(
    r'"(timestamp|latency_ms|Timestamp|Latency|ModelLatency)":("[^"]*"|\[?[-+.e\d]+\]?)'
)
KEYS = {
    "cold_start": True,
    "function_name": "f",
    "function_memory_size": "1024",
    "correlation_id": None,
    "traceparent": "00-1",
}


def _raised() -> Any:
    error = ValueError("of \u00e9")
    error.add_note("a note")
    try:
        raise error
    except ValueError:
        return sys.exc_info()


# name, message, arguments, what is raised, what is added
RECORDS: dict[str, tuple[object, tuple[object, ...], Any, dict[str, object]]] = {
    "text": ("answered", (), None, {"status": 200, "rows": 1, "latency_ms": 1.25}),
    "arguments": ("%s at %s", ("ValueError", "\u2603"), None, {}),
    "JSON": ('{"a": [1, null]}', (), None, {}),
    "a number": ("12", (), None, {}),
    "less than zero": ("-1.5", (), None, {}),
    "an array": ("\r\n [1]", (), None, {}),
    "JSON's text": ('\t"a"', (), None, {}),
    "truths": ("true", (), None, {}),
    "an untruth": ("false", (), None, {}),
    "nothing": ("null", (), None, {}),
    "no number": ("NaN", (), None, {}),
    "beyond numbers": ("Infinity", (), None, {}),
    "like JSON": ("never", (), None, {}),
    "an empty text": ("", (), None, {}),
    "a dict": ({"a": 1}, (), None, {}),
    "other": ([1], (), None, {}),
    "none": (None, (), None, {}),
    "an exception": ("failed", (), _raised(), {}),
    "no exception": ("failed", (), (None, None, None), {}),
    "odd values": ("odd", (), None, {"path": Path("/x"), "none": None, "nan": float("nan")}),
    "a name again": ("again", (), None, {"service": "other", "correlation_id": "c"}),
    "an own exception": ("own", (), _raised(), {"exception": "told"}),
}


@pytest.mark.parametrize("trace", ["", "Root=1-67891233-abcdef;Parent=5;Sampled=1"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_written_as_powertools_writes_it(
    name: str, trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    message, arguments, raised, added = RECORDS[name]
    record = logging.makeLogRecord(
        {
            "name": "m",
            "levelname": "ERROR",
            "lineno": 7,
            "funcName": "f",
            "msg": message,
            "args": arguments,
            "exc_info": raised,
            "created": 1.9e9,
            "msecs": 41.6,
            **added,
        }
    )
    theirs = LambdaPowertoolsFormatter(
        serialize_stacktrace=False, service="\u00e9 churn", sampling_rate=None
    )
    theirs.append_keys(**KEYS)
    ours = LineFormatter("\u00e9 churn")
    ours.keys = dict(KEYS)

    assert ours.format(record) == theirs.format(record)


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("function")
    laid_out(models.folder("onnx_columns"), into, Tier.NATIVE, Frame.NUMPY)
    return with_handlers(into)


def test_a_function_writes_the_same_log_with_powertools_and_without(
    function: Path, tmp_path: Path
) -> None:
    bad = event("apigateway_http") | {"body": "{"}
    traced = event("alb")
    traced["headers"]["traceparent"] = f"00-{'1' * 32}-{'2' * 16}-01"
    sent = [event("direct"), event("apigateway_rest"), bad, traced, {"inputs": "x"}, 5]
    done: list[Ran] = []
    for number, more in enumerate(({}, _ASKS_POWERTOOLS)):
        (work := tmp_path / str(number)).mkdir()
        done.append(run(function, sent, work, AWS_REGION="us-east-1", **more))

    ours, theirs = (_MOMENTS.sub(r'"\1":0', each.stdout) for each in done)
    assert ours == theirs
    assert len(ours.splitlines()) == 2 * len(sent)


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"POWERTOOLS_SERVICE_NAME": "s", "POWERTOOLS_METRICS_NAMESPACE": "n"}, False),
        ({"POWERTOOLS_LOG_LEVEL": "DEBUG", "POWERTOOLS_LOGGER_LOG_EVENT": "true"}, False),
        ({"POWERTOOLS_DEV": "1"}, True),
        ({"POWERTOOLS_LOGGER_SAMPLE_RATE": "0.1"}, True),
        ({"POWERTOOLS_METRICS_DISABLED": "true"}, True),
    ],
)
def test_powertools_is_taken_where_the_environment_asks_for_it(
    environ: dict[str, str], *, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "aws_lambda_powertools")
    assert lambda_telemetry.needs_powertools(environ) is wanted


_LEVEL = """
import logging, os, sys
os.environ.update(dict(each.split("=") for each in sys.argv[1:]))
from handlers.observability.lambda_telemetry import start_logger
logger = start_logger("churn")
print(logging.getLevelName(logger.log_level), type(logger).__name__)
"""


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ((), "INFO LineLogger"),
        (("LOG_LEVEL=debug",), "DEBUG LineLogger"),
        (("POWERTOOLS_LOG_LEVEL=ERROR", "LOG_LEVEL=DEBUG"), "ERROR LineLogger"),
        (("AWS_LAMBDA_LOG_LEVEL=WARN",), "WARNING LineLogger"),
        (("AWS_LAMBDA_LOG_LEVEL=INFO", "LOG_LEVEL=INFO"), "INFO LineLogger"),
        (("AWS_LAMBDA_LOG_LEVEL=FATAL", "LOG_LEVEL=INFO"), "CRITICAL Logger"),
        (("POWERTOOLS_DEV=false",), "INFO Logger"),
    ],
)
def test_the_level_is_powertools_own_choice(variables: tuple[str, ...], level: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LEVEL, *variables], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == level


_BOTH = """
import logging
from handlers.observability.lambda_telemetry import start_logger
start_logger("churn").info("before")
from aws_lambda_powertools import Logger
Logger(service="churn").info("the model's own")
start_logger("churn").info("after")
logging.getLogger("handlers").warning("ours")
"""


def test_a_model_that_has_powertools_gets_each_line_once() -> None:
    done = subprocess.run([sys.executable, "-c", _BOTH], capture_output=True, text=True, check=True)
    messages = [json.loads(line)["message"] for line in done.stdout.splitlines()]
    assert [each for each in messages if each != "the model's own"] == ["before", "after", "ours"]


_TWO_LOGGERS = """
import logging, os
os.environ["POWERTOOLS_SERVICE_NAME"] = "churn"
from handlers.observability.lambda_telemetry import start_logger
ours = start_logger("churn")
from aws_lambda_powertools import Logger
first, second = Logger(), Logger(level="ERROR", log_record_order=["message"])
second.append_keys(x=1)
ours.info("once")
second.error("the model's own")
start_logger("churn").info("after")
"""


def test_loggers_of_a_model_keep_their_own_ways_and_leave_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TWO_LOGGERS], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["message"] for line in lines] == ["once", "the model's own", "after"]
    assert "x" not in lines[0]


def test_metrics_are_written_as_powertools_writes_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1.9e9)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Tests")
    manifest = Manifest(
        model_name="\u00e9 churn", model_version="7", digest="0", flavor="f", loader="l",
        python="3.13", request_bytes=1, response_bytes=1, created="2026-11-20 10:11:12.5",
    )  # fmt: skip
    recorder = lambda_telemetry.Recorder(replace(manifest), "service")
    recorder.record(latency_ms=1.5, model_ms=0.1, rows=2, failed=False, refused=True)
    line = capsys.readouterr().out.rstrip("\n")
    written = json.loads(line)

    theirs = Metrics(namespace="Tests", service=written["service"])
    theirs.set_default_dimensions(model=written["model"], version=written["version"])
    units = written["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    theirs.provider.timestamp = written["_aws"]["Timestamp"]
    made = {each["Name"]: {"Unit": each["Unit"], "Value": written[each["Name"]]} for each in units}

    assert line == json.dumps(theirs.serialize_metric_set(metrics=made), separators=(",", ":"))
    assert len(made) == 10


_UNWRITTEN = """
import logging, sys
from handlers.observability.lambda_telemetry import start_logger
logger = start_logger("churn")
logger.append_keys(name="\\ud800")
logger.info("lost")
logger.append_keys(name=None)
logging.getLogger("handlers").addFilter(lambda record: record.getMessage() != "filtered")
logger.info("filtered")
logger.info("kept", rows=1)
print(sys._getframe().f_lineno, file=sys.stderr)
"""


def test_a_line_that_cannot_be_written_stops_no_request() -> None:
    """And a filter that somebody adds has its say, as it has over every record."""
    done = subprocess.run(
        [sys.executable, "-c", _UNWRITTEN], capture_output=True, text=True, check=True
    )
    (line,) = map(json.loads, done.stdout.splitlines())
    ran_to = int(done.stderr.splitlines()[-1])
    assert (line["message"], line["rows"]) == ("kept", 1)
    assert line["location"] == f"<module>:{ran_to - 1}"
    assert "UnicodeEncodeError" in done.stderr
