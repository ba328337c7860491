"""OpenTelemetry spans, where an exporter is configured; nothing at all elsewhere.

One a request, and one a batch, which is linked to those of the requests that went in it.

OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT turns them on; the caller's W3C
traceparent is taken over. https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from handlers.container_server.batcher import Job
from handlers.manifest import Manifest

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanContext, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SCOPE = "handlers.service"
"""Name of the tracer, which whoever filters spans may know: no module's."""


class Span(Protocol):
    def done(self, status: int, rows: int) -> None: ...


class _Silent:
    def done(self, status: int, rows: int) -> None:
        pass


class Traces:
    """Traces of requests; with no tracer it does nothing."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, route: str, headers: Mapping[str, str]) -> Iterator[Span]:
        if self._tracer is None:
            yield _Silent()
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            route, context=extract(dict(headers)), kind=SpanKind.SERVER
        ) as span:
            yield _Recorded(span)

    def here(self) -> SpanContext | None:
        """The span that this is called in, for `batch`; None without a tracer."""
        if self._tracer is None:
            return None
        from opentelemetry.trace import get_current_span

        return get_current_span().get_span_context()

    def batch(self, jobs: Sequence[Job], compute_seconds: float) -> None:
        """Trace a batch that ended just now."""
        if self._tracer is None:
            return
        from opentelemetry.context import Context
        from opentelemetry.trace import Link

        end = time.time_ns()
        span = self._tracer.start_span(
            "batch",
            context=Context(),
            links=[Link(job.trace) for job in jobs if job.trace is not None],
            start_time=end - int(compute_seconds * 1e9),
        )
        span.set_attribute("model.rows", sum(job.rows for job in jobs))
        span.end(end)


class _Recorded:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def done(self, status: int, rows: int) -> None:
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attribute("model.rows", rows)


def start(manifest: Manifest, environ: Mapping[str, str] = os.environ) -> Traces:
    """Raises ModuleNotFoundError where an exporter is configured and not installed."""
    if not any(environ.get(name) for name in _ENDPOINTS):
        return Traces()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {"service.name": manifest.model_name, "service.version": manifest.model_version or ""}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider.get_tracer(_SCOPE))
