"""A function's log and metrics on AWS, both by aws-lambda-powertools on standard output.

The event is never logged, whatever POWERTOOLS_LOGGER_LOG_EVENT says. A request is one record of
metrics in CloudWatch's embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
Dimensions: service, model and version, so that an alias that moves can be watched, in the form that
handlers.observability.dimension_value gives them; the namespace is POWERTOOLS_METRICS_NAMESPACE or
`ModelServing`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics.functions import is_metrics_disabled

from handlers import STORE
from handlers.manifest import Manifest
from handlers.observability import log_redaction, of_model

if TYPE_CHECKING:
    from handlers.events.event_processor import Counts

NAMESPACE = "ModelServing"


def start_logger(service: str) -> Logger:
    """The function's logger; records of our own modules go the same way.

    The level is POWERTOOLS_LOG_LEVEL's or Lambda's own setting, INFO unless set.
    """
    logger = Logger(service=service, serialize_stacktrace=False)
    ours = logging.getLogger("handlers")
    ours.handlers = [logger.registered_handler]
    ours.setLevel(logger.log_level)
    ours.propagate = False
    log_redaction.silence()
    return logger


class Recorder:
    """Emits one record of metrics a request.

    `Invocations`, `Latency` and `ModelLatency` (ms), `Rows`, `RowErrors`, `Errors`, `BadRequests`
    and `ColdStart`; `PayloadBytes` where the event tells it; `ModelAgeDays` since it was logged.
    `ColdStoreMisses` counts what came out of the compressed store since the last record: what
    serving needs and the build did not see it need.
    """

    def __init__(self, manifest: Manifest, service: str) -> None:
        namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE
        named = of_model(manifest.model_name, manifest.model_version, service)
        self._metrics = Metrics(namespace=namespace, service=named.pop("service"))
        self._metrics.set_default_dimensions(**named)
        # a container that was started ahead of its first request is not a cold start
        kind = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        self._cold = kind != "provisioned-concurrency"
        self._manifest = manifest
        self._row_errors = 0
        self._pending: dict[str, dict[str, object]] = {}

    @property
    def cold(self) -> bool:
        """True where the next record is of a cold start."""
        return self._cold

    def count(self, counts: Counts) -> None:
        """Count one event's records, to be emitted by the `record` that follows."""
        self._add("Records", "Count", counts.records)
        self._add("RecordsRefused", "Count", counts.refused)
        self._add("RecordsAgain", "Count", counts.again)
        self._add("RecordsKnown", "Count", counts.known)
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
        self._add("Invocations", "Count", 1)
        self._add("ModelLatency", "Milliseconds", model_ms)
        self._add("RowErrors", "Count", self._row_errors)
        if payload_bytes is not None:
            self._add("PayloadBytes", "Bytes", payload_bytes)
        age = self._manifest.age_days(time.time())
        if age is not None:
            self._add("ModelAgeDays", "None", round(age, 3))
        self._add("Latency", "Milliseconds", latency_ms)
        self._add("Rows", "Count", rows)
        self._add("Errors", "Count", int(failed))
        self._add("BadRequests", "Count", int(refused and not failed))
        self._add("ColdStart", "Count", int(self._cold))
        misses = 0 if STORE is None else STORE.take_misses()
        self._add("ColdStoreMisses", "Count", misses)
        self._cold, self._row_errors = False, 0
        self._emit()

    def _add(self, name: str, unit: str, value: float) -> None:
        self._pending[name] = {"Unit": unit, "Value": [float(value)]}

    def _emit(self) -> None:
        """As Metrics.flush_metrics, for which each would have been checked as user's input is."""
        pending, self._pending = self._pending, {}
        if not is_metrics_disabled():
            record = self._metrics.serialize_metric_set(metrics=pending)
            print(json.dumps(record, separators=(",", ":")))  # noqa: T201 - where the agent reads
