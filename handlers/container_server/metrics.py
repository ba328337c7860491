"""Metrics of the server, in Prometheus's text format, of a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily

from handlers.container_server import accelerator
from handlers.container_server.batcher import Job
from handlers.manifest import Manifest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class _Gpus:
    """Asked when they are read, so that nothing is polled."""

    def __init__(self, devices: Sequence[str]) -> None:
        self._indexes = [int(name.partition(":")[2]) for name in devices if name != "cpu"]

    def collect(self) -> Iterable[Any]:
        used = GaugeMetricFamily("gpu_memory_used_bytes", "GPU memory in use", labels=["gpu"])
        total = GaugeMetricFamily("gpu_memory_total_bytes", "GPU memory in all", labels=["gpu"])
        busy = GaugeMetricFamily(
            "gpu_utilisation_ratio", "Share of time that the GPU was busy", labels=["gpu"]
        )
        for index in self._indexes:
            held = accelerator.memory(index)
            if held is not None:
                used.add_metric([str(index)], held.used)
                total.add_metric([str(index)], held.total)
                busy.add_metric([str(index)], held.utilisation)
        return (used, total, busy) if self._indexes else ()


class Metrics:
    """A batcher's observer, and the requests' counter."""

    def __init__(self, manifest: Manifest, devices: Sequence[str]) -> None:
        self._registry = registry = CollectorRegistry()
        Info("model", "Name, version and digest of the served model", registry=registry).info(
            {
                "name": manifest.model_name,
                "version": manifest.model_version or "",
                "digest": manifest.digest,
            }
        )
        self._requests = Counter(
            "requests",
            "Requests answered; those refused for their token have the route token",
            ["route", "status"],
            registry=registry,
        )
        seconds = partial(Histogram, registry=registry, buckets=_SECONDS)
        self._latency = seconds(
            "request_seconds", "Time from a request's body to its answer", ["route"]
        )
        self._wait = seconds("wait_seconds", "Time that a request waited in the queue")
        self._compute = seconds("compute_seconds", "Time that a batch took on the device")
        text = "Rows that went to the device in one batch"
        self._rows = Histogram("batch_rows", text, registry=registry, buckets=_ROWS)
        self._shed = Counter(
            "shed", "Requests refused without being scored", ["reason"], registry=registry
        )
        level = partial(Gauge, registry=registry)
        self._age = level("queue_age_seconds", "Age of the oldest waiting request")
        self._queued = level("queue_rows", "Rows that wait in the queue")
        self._ready = level("ready", "1 while the server takes requests")
        self._load = level("load_seconds", "Time that the model took to load")
        self._warm = level("warm_up_seconds", "Time that the warm-up of all batch sizes took")
        self._most = level("batch_rows_limit", "Most rows in one batch, as measured at start")
        self._merges = level("batching", "1 if waiting requests are merged into one batch")
        self._quick = level(
            "quickened", "1 if the precision and tier that were asked for are in use"
        )
        self._recovered = level(
            "out_of_memory_recovered", "Batches that ran out of memory and were scored in halves"
        )
        registry.register(_Gpus(devices))

    def batch(
        self, jobs: Sequence[Job], waits_seconds: Sequence[float], compute_seconds: float
    ) -> None:
        self._rows.observe(sum(job.rows for job in jobs))
        self._compute.observe(compute_seconds)
        for seconds in waits_seconds:
            self._wait.observe(seconds)

    def count_shed(self, reason: str) -> None:
        self._shed.labels(reason).inc()

    def count_answer(self, route: str, status: int) -> None:
        """Count one that took no time of this server: it is none of the latencies."""
        self._requests.labels(route, str(status)).inc()

    def record_answer(self, route: str, status: int, seconds: float) -> None:
        self.count_answer(route, status)
        self._latency.labels(route).observe(seconds)

    def record_start(
        self, load_seconds: float, warm_seconds: float, rows: int, *, merges: bool
    ) -> None:
        self._load.set(load_seconds)
        self._warm.set(warm_seconds)
        self._most.set(rows)
        self._merges.set(int(merges))

    def record_acceleration(self, used: bool) -> None:  # noqa: FBT001 - what it is about is in its name
        self._quick.set(int(used))

    def live(
        self,
        *,
        queue_age: Callable[[], float],
        queue_rows: Callable[[], float],
        ready: Callable[[], float],
        recovered: Callable[[], float],
    ) -> None:
        """Set what is read when it is asked for."""
        self._age.set_function(queue_age)
        self._queued.set_function(queue_rows)
        self._ready.set_function(ready)
        self._recovered.set_function(recovered)

    def text(self) -> bytes:
        return generate_latest(self._registry)
