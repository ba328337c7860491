"""What is told of an invocation on Azure as OpenTelemetry: AWS's metrics, a span, no request."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handlers import azure_functions
from handlers.observability import azure_telemetry
from handlers.observability.azure_telemetry import Telemetry, count_invocation, start
from handlers.scoring import predictor
from tests.handlers.scorers import Recording, manifest

NAMED = {"model": "m", "version": "3"}
OK = {"function": "http", "status": 200, "rows": 2, "latency_ms": 12.5, "model_latency_ms": 5.0}


class Sent:
    """What a backend would get."""

    def __init__(self) -> None:
        self._reader, self._spans = InMemoryMetricReader(), InMemorySpanExporter()
        self.meters = MeterProvider(metric_readers=[self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(
            self.meters.get_meter("handlers"), self.tracers.get_tracer("handlers"), NAMED
        )

    def record(self, told: dict[str, Any], invocation: Any = None) -> None:
        with self.telemetry.record_invocation(told, invocation):
            pass

    def metrics(self) -> dict[str, tuple[float, dict[str, Any]]]:
        found = {}
        data = self._reader.get_metrics_data()
        assert data is not None
        for metric in data.resource_metrics[0].scope_metrics[0].metrics:
            (point,) = metric.data.data_points
            value = point.sum if hasattr(point, "sum") else point.value
            found[metric.name] = (value, dict(point.attributes or {}))
        return found

    def spans(self) -> Any:
        return self._spans.get_finished_spans()


def test_an_invocation_is_counted_and_timed() -> None:
    sent = Sent()
    sent.record({**OK, "payload_bytes": 70, "cold_start": True, "model_age_days": 1.5})
    about = {**NAMED, "function": "http"}
    assert sent.metrics() == {
        "invocations": (1, about),
        "rows": (2, about),
        "cold_start": (1, about),
        "latency": (12.5, about),
        "model_latency": (5.0, about),
        "payload_bytes": (70, about),
        "model_age_days": (1.5, NAMED),
    }


@pytest.mark.parametrize(
    ("told", "more"),
    [
        ({"status": 400}, {"bad_requests": 1}),
        ({"status": 400, "model_raised": True}, {"errors": 1}),
        ({"status": 500}, {"errors": 1}),
        ({"status": 200, "row_errors": 2, "refused": 2}, {"row_errors": 2, "records_refused": 2}),
        ({"status": 200, "records": 4, "cold_store_misses": 1},
         {"records": 4, "cold_store_misses": 1}),
    ],
)  # fmt: skip
def test_what_went_wrong_has_the_metric_that_it_has_on_aws(
    told: dict[str, Any], more: dict[str, int]
) -> None:
    assert count_invocation(told) == {"invocations": 1, **more}


def test_a_span_is_as_long_as_the_invocation_and_fails_with_it() -> None:
    sent = Sent()
    sent.record(OK)
    sent.record({**OK, "status": 500})
    good, bad = sent.spans()
    assert good.end_time - good.start_time == 12_500_000
    assert dict(good.attributes) == {
        **NAMED,
        "function": "http",
        "model.status": 200,
        "model.rows": 2,
    }
    assert (good.status.is_ok, bad.status.is_ok) == (True, False)


def test_a_span_lies_in_the_host_s_and_the_log_s_line_in_it() -> None:
    sent = Sent()
    host = SimpleNamespace(trace_parent=f"00-{'a' * 32}-{'b' * 16}-01", trace_state="")
    with sent.telemetry.record_invocation(OK, SimpleNamespace(trace_context=host)):
        inside = trace.get_current_span().get_span_context()
    (span,) = sent.spans()
    assert span.context.span_id == inside.span_id
    assert (f"{span.context.trace_id:x}", f"{span.parent.span_id:x}") == ("a" * 32, "b" * 16)


def test_drift_is_a_level_by_column() -> None:
    sent = Sent()
    sent.telemetry.level("DriftPsi", 0.25, {"column": "x"})
    assert sent.metrics() == {"drift_psi": (0.25, {**NAMED, "column": "x"})}


def test_without_an_address_nothing_is_configured_or_imported() -> None:
    assert start(NAMED, {}) is None
    assert "azure.monitor.opentelemetry" not in sys.modules


def test_the_distribution_is_told_of_our_own_logger_and_of_no_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}
    module = ModuleType("azure.monitor.opentelemetry")
    module.configure_azure_monitor = given.update  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure.monitor", ModuleType("azure.monitor"))
    monkeypatch.setitem(sys.modules, "azure.monitor.opentelemetry", module)

    assert start(NAMED, {"APPLICATIONINSIGHTS_CONNECTION_STRING": "x"}) is not None

    assert given["logger_name"] == "handlers"
    assert not any(each["enabled"] for each in given["instrumentation_options"].values())
    assert (given["enable_live_metrics"], given["enable_performance_counters"]) == (False, False)


def test_a_function_tells_what_it_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent()
    written = manifest(opentelemetry=True, created="2026-01-01 00:00:00.000000")
    (tmp_path / "model-manifest.json").write_text(written.text(), encoding="utf-8")
    monkeypatch.setattr(predictor, "load", lambda *_: Recording())
    monkeypatch.setattr(azure_telemetry, "start", lambda _: sent.telemetry)
    function = azure_functions.Function(tmp_path)
    body = {"dataframe_split": {"columns": ["x", "kind"], "data": [[1.0, "secret"]]}}

    function(
        func.HttpRequest(
            method="POST",
            url="https://app.azurewebsites.net/invocations",
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
    )

    found = sent.metrics()
    names = {"invocations", "rows", "latency", "model_latency", "payload_bytes", "model_age_days"}
    assert set(found) == {*names, "cold_start"}
    assert found["model_latency"][0] <= found["latency"][0]
    assert "secret" not in str(found) + str([dict(each.attributes) for each in sent.spans()])
