"""The server's spans: one a request, in its caller's trace; one a batch, linked to its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from handlers.container_server import otel_spans
from handlers.http.asgi import run_in_thread
from tests.handlers import serving
from tests.handlers.container_server.test_service import JSON, Held, body
from tests.handlers.scorers import Recording, manifest

CALLER = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {**JSON, "traceparent": f"00-{CALLER}-b7ad6b7169203331-01"}


def spans(tmp_path: Path, model: Any, ask: Any) -> Sequence[ReadableSpan]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    made = serving.service(model, tmp_path)
    made.traces = otel_spans.Traces(provider.get_tracer("test"))
    serving.run(made, tmp_path, ask)
    return exporter.get_finished_spans()


def named(found: Sequence[ReadableSpan], name: str) -> list[Any]:
    return [span for span in found if span.name == name]


def test_a_request_is_in_its_callers_trace(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        await client.post("/invocations", content=body(1, 2), headers=HEADERS)
        await client.post("/invocations", content=b"{", headers=HEADERS)

    good, bad = named(spans(tmp_path, Recording(), ask), "invocations")

    assert {f"{span.context.trace_id:032x}" for span in (good, bad)} == {CALLER}
    assert dict(good.attributes) == {"http.response.status_code": 200, "model.rows": 2}
    assert bad.attributes["http.response.status_code"] == 400


def test_a_batch_is_linked_to_the_requests_that_went_in_it(tmp_path: Path) -> None:
    model = Held()

    async def ask(client: httpx.AsyncClient) -> None:
        def post(*values: float) -> asyncio.Task[httpx.Response]:
            request = client.post("/invocations", content=body(*values), headers=HEADERS)
            return asyncio.create_task(request)

        model.let.clear()
        model.entered.clear()
        first = post(1)
        await run_in_thread(model.entered.wait, 30)
        rest = [post(1, 2), post(3)]
        for _ in range(50):
            await asyncio.sleep(0)
        model.let.set()
        await asyncio.gather(first, *rest)

    found = spans(tmp_path, model, ask)

    batches = named(found, "batch")
    requests = {span.context.span_id for span in named(found, "invocations")}
    assert [span.attributes["model.rows"] for span in batches] == [1, 3]
    assert [len(span.links) for span in batches] == [1, 2]
    assert {link.context.span_id for span in batches for link in span.links} == requests
    assert all(span.parent is None and span.end_time >= span.start_time for span in batches)


def test_without_an_exporter_there_is_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in otel_spans._ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    made = otel_spans.start(manifest())

    with made.request("invocations", {}) as span:
        span.done(200, 1)
    made.batch([], 1.0)
    assert made.here() is None


def test_an_exporter_is_what_turns_them_on() -> None:
    made = otel_spans.start(manifest(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})

    assert made._tracer is not None
    span = made._tracer.start_span("batch")
    assert isinstance(span, ReadableSpan)
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.name == "handlers.service"
