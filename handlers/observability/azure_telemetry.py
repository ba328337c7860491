"""Metrics, traces and logs by Azure Monitor's OpenTelemetry distribution, where a build asked.

Metrics are those on AWS (handlers.observability.lambda_telemetry, handlers.observability.drift), in
OpenTelemetry's way of writing: ModelLatency is model_latency. The span of an invocation lies in the
host's own, whose context comes with it: the worker does not carry it into the thread that a
function runs in. Of logs this package's are sent, which hold nothing of a request. No library is
instrumented: none is used.

https://learn.microsoft.com/en-us/azure/azure-functions/opentelemetry-howto
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_INSTRUMENTED = (
    *("azure_sdk", "django", "fastapi", "flask", "httpx", "psycopg2", "requests", "urllib"),
    "urllib3",
)
_COUNTS = ("invocations", "rows", "row_errors", "errors", "bad_requests", "cold_start",
           "cold_store_misses", "records", "records_refused")  # fmt: skip
_SPREADS = {
    "latency": ("latency_ms", "ms"),
    "model_latency": ("model_latency_ms", "ms"),
    "payload_bytes": ("payload_bytes", "By"),
}
"""By metric: the key of the log's record, and the unit."""
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


class Telemetry:
    """Telemetry of one app; every metric has the model's name and version."""

    def __init__(self, meter: Any, tracer: Any, named: Mapping[str, str]) -> None:
        self._meter, self._tracer, self._named = meter, tracer, dict(named)
        self._counts = {name: meter.create_counter(name) for name in _COUNTS}
        self._spreads = {
            name: meter.create_histogram(name, unit=unit) for name, (_, unit) in _SPREADS.items()
        }
        self._levels: dict[str, Any] = {}

    @contextmanager
    def record_invocation(self, told: Mapping[str, Any], invocation: Any) -> Iterator[None]:
        """Inside, the span of an invocation that has just ended is the current one.

        `told` is the log's record of it, `invocation` the worker's context or None.
        """
        from opentelemetry.trace import Status, StatusCode, use_span

        about = {**self._named, "function": str(told["function"])}
        self._count(told, about)
        keys = ("status", "rows", "records", "cold_start")
        more = {f"model.{key}": told[key] for key in keys if key in told}
        ended = time.time_ns()
        span = self._tracer.start_span(
            "score",
            context=_read_parent(invocation),
            start_time=ended - int(told["latency_ms"] * 1e6),
            attributes={**about, **more},
        )
        if told["status"] >= 500:
            span.set_status(Status(StatusCode.ERROR))
        with use_span(span):
            yield
        span.end(ended)

    def _count(self, told: Mapping[str, Any], about: Mapping[str, str]) -> None:
        for name, value in count_invocation(told).items():
            self._counts[name].add(value, about)
        for name, (key, _) in _SPREADS.items():
            if key in told:
                self._spreads[name].record(told[key], about)
        if "model_age_days" in told:
            self.level("model_age_days", told["model_age_days"], {})

    def level(self, name: str, value: float, more: Mapping[str, str]) -> None:
        """Record what is so much now: a rate, an age, a distance; `name` as on AWS or here."""
        name = _CAPITAL.sub("_", name).lower()
        if name not in self._levels:
            self._levels[name] = self._meter.create_gauge(name)
        self._levels[name].set(value, {**self._named, **more})


def _read_parent(invocation: object) -> object:
    """The host's span; None where it told of none."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = getattr(invocation, "trace_context", None)
    if given is None:
        return None
    carrier = {"traceparent": given.trace_parent or "", "tracestate": given.trace_state or ""}
    return TraceContextTextMapPropagator().extract(carrier)


def count_invocation(told: Mapping[str, Any]) -> dict[str, int]:
    """Count what one invocation adds to each counter, as on AWS; zeros are left out."""
    failed = told["status"] >= 500 or bool(told.get("model_raised"))
    found = {
        "invocations": 1,
        "rows": told.get("rows", 0),
        "row_errors": told.get("row_errors", 0),
        "errors": int(failed),
        "bad_requests": int(400 <= told["status"] < 500 and not failed),
        "cold_start": int(told.get("cold_start", False)),
        "cold_store_misses": told.get("cold_store_misses", 0),
        "records": told.get("records", 0),
        "records_refused": told.get("refused", 0),
    }
    return {name: value for name, value in found.items() if value}


def start(named: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """None where no connection string says where to send."""
    if not environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
        return None
    from azure.monitor.opentelemetry import configure_azure_monitor
    from opentelemetry import metrics, trace

    configure_azure_monitor(
        logger_name="handlers",
        enable_live_metrics=False,
        enable_performance_counters=False,
        instrumentation_options={name: {"enabled": False} for name in _INSTRUMENTED},
    )
    logging.getLogger("handlers").setLevel(logging.INFO)
    return Telemetry(metrics.get_meter("handlers"), trace.get_tracer("handlers"), named)
