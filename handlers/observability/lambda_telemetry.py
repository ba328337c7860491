"""A function's log and metrics on AWS, on standard output.

The event is never logged, whatever POWERTOOLS_LOGGER_LOG_EVENT says. A request is one record of
metrics in CloudWatch's embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Dimensions: service, model and version, so that an alias that moves can be watched, in the form that
handlers.observability.dimension_value gives them; the namespace is POWERTOOLS_METRICS_NAMESPACE or
`ModelServing`.

Both are in aws-lambda-powertools' form, byte for byte. Powertools takes a fifth of an empty
function's start: it writes the lines, and says whether metrics are written, where the environment
asks for what only it does (POWERTOOLS_DEV, sampling, deduplication, ...) and where the model's own
code has imported it (docs/adr/0017).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from handlers import STORE
from handlers.manifest import Manifest
from handlers.observability import log_redaction, of_model
from handlers.observability.log_lines import LineLogger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_lambda_powertools import Logger

    from handlers.events.event_processor import Counts

NAMESPACE = "ModelServing"
_WRITER = json.JSONEncoder(separators=(",", ":"))
_UNITS = {
    "ModelLatency": "Milliseconds",
    "Latency": "Milliseconds",
    "PayloadBytes": "Bytes",
    "ModelAgeDays": "None",
}
"""Of what is no count."""
_OURS = frozenset(
    f"POWERTOOLS_{name}"
    for name in ("SERVICE_NAME", "METRICS_NAMESPACE", "LOG_LEVEL", "LOGGER_LOG_EVENT")
)
"""Variables of Powertools that are followed without it; the last by never logging an event."""
_STARTED_AHEAD = frozenset({"provisioned-concurrency", "lambda-managed-instances"})
_LAMBDA_LEVELS = {
    "TRACE": "NOTSET",
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARN": "WARNING",
    "ERROR": "ERROR",
    "FATAL": "CRITICAL",
}
"""https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html"""


def start_logger(service: str) -> LineLogger | Logger:
    """The function's logger; records of our own modules go the same way.

    The level is Lambda's own setting, else POWERTOOLS_LOG_LEVEL's or LOG_LEVEL's, INFO unless set.
    Raises ValueError for a level that logging does not know.
    """
    level = _read_level(os.environ)
    logger: LineLogger | Logger
    if level is None or needs_powertools(os.environ):
        from aws_lambda_powertools import Logger

        logger = Logger(service=service, serialize_stacktrace=False)
        logger.setLevel(None)  # the environment's: a Logger of the model's may have come first
    else:
        logger = LineLogger(service, level)
    ours = logging.getLogger("handlers")
    ours.handlers = [logger.registered_handler]
    ours.setLevel(logger.log_level)
    ours.propagate = False
    log_redaction.silence()
    return logger


def needs_powertools(environ: Mapping[str, str]) -> bool:
    """Tell whether lines and metrics are Powertools' own to write."""
    asked = any(name.startswith("POWERTOOLS_") and name not in _OURS for name in environ)
    return asked or "aws_lambda_powertools" in sys.modules


def _read_level(environ: Mapping[str, str]) -> str | None:
    """None where two levels are set that do not agree, of which Powertools warns."""
    own = environ.get("POWERTOOLS_LOG_LEVEL") or environ.get("LOG_LEVEL")
    platform = _LAMBDA_LEVELS.get(environ.get("AWS_LAMBDA_LOG_LEVEL", ""))
    if platform and own and platform != own.upper():
        return None
    return platform or (own or "INFO").upper()


class Recorder:
    """Emits one record of metrics a request.

    `Invocations`, `Latency` and `ModelLatency` (ms), `Rows`, `RowErrors`, `Errors`, `BadRequests`
    and `ColdStart`; `PayloadBytes` where the event tells it; `ModelAgeDays` since it was logged.
    `ColdStoreMisses` counts what came out of the compressed store since the last record: what
    serving needs and the build did not see it need.
    """

    def __init__(self, manifest: Manifest, service: str) -> None:
        self._namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE
        named = of_model(manifest.model_name, manifest.model_version, service)
        # in Powertools' order
        self._dimensions = {name: named[name] for name in ("model", "version", "service")}
        # a container that was started ahead of its first request is not a cold start
        kind = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        self._cold = kind not in _STARTED_AHEAD
        self._manifest = manifest
        self._row_errors = 0
        self._is_disabled = _is_disabled()
        self._values: dict[str, float] = {}
        self._described: tuple[tuple[str, ...], str] = ((), "")

    @property
    def cold(self) -> bool:
        """True where the next record is of a cold start."""
        return self._cold

    def count(self, counts: Counts) -> None:
        """Count one event's records, to be emitted by the `record` that follows."""
        self._values = {
            "Records": counts.records,
            "RecordsRefused": counts.refused,
            "RecordsAgain": counts.again,
            "RecordsKnown": counts.known,
        }
        self._row_errors = counts.refused + counts.bad_rows

    def record(
        self,
        *,
        latency_ms: float,
        model_ms: float,
        rows: int,
        failed: bool,
        refused: bool,
        payload_bytes: int | None = None,
    ) -> None:
        """`failed`: the model or the function; `refused`: the request was not fit to be scored."""
        now = time.time()
        values, self._values = self._values, {}
        values["Invocations"] = 1
        values["ModelLatency"] = model_ms
        values["RowErrors"] = self._row_errors
        if payload_bytes is not None:
            values["PayloadBytes"] = payload_bytes
        age = self._manifest.age_days(now)
        if age is not None:
            values["ModelAgeDays"] = round(age, 3)
        values["Latency"] = latency_ms
        values["Rows"] = rows
        values["Errors"] = failed
        values["BadRequests"] = refused and not failed
        values["ColdStart"] = self._cold
        values["ColdStoreMisses"] = 0 if STORE is None else STORE.take_misses()
        self._cold, self._row_errors = False, 0
        if not self._is_disabled:
            self._write_metrics(values, now)

    def _write_metrics(self, values: Mapping[str, float], now: float) -> None:
        names = tuple(values)
        if names != self._described[0]:
            self._described = names, self._describe_metrics(names)
        # a request's metrics are those of the request before, nearly always
        told = ",".join([f'"{name}":[{float(values[name])!r}]' for name in names])
        write_line(f'{{"_aws":{{"Timestamp":{int(now * 1000)},{self._described[1]},{told}}}')

    def _describe_metrics(self, names: Sequence[str]) -> str:
        """The line from after its time up to its first value."""
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [list(self._dimensions)],
            "Metrics": [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in names],
        }
        named = _WRITER.encode(self._dimensions)[1:-1]
        return f'"CloudWatchMetrics":{_WRITER.encode([directive])}}},{named}'


def write_line(line: str) -> None:
    """Write a line where the agent reads, in one piece.

    Processes of one environment may share standard output, and `print` writes a line's end apart.
    """
    sys.stdout.write(f"{line}\n")


def _is_disabled() -> bool:
    if not needs_powertools(os.environ):
        return False
    from aws_lambda_powertools.metrics.functions import is_metrics_disabled

    return is_metrics_disabled()
