"""What stands for Application Insights: keeps what Azure Monitor's exporters send.

https://learn.microsoft.com/en-us/azure/azure-monitor/app/data-model-complete
"""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_KEY: Final = "00000000-0000-4000-8000-000000000000"
_SECONDS: Final = 60


class Ingestion(ThreadingHTTPServer):
    """Its items are as they came, the newest last."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tracks)
        self.items: list[dict[str, Any]] = []

    @property
    def variables(self) -> dict[str, str]:
        """The settings of an app that sends here, at once."""
        address = f"http://127.0.0.1:{self.server_address[1]}/"
        return {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={_KEY};"
            f"IngestionEndpoint={address};LiveEndpoint={address}",
            "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
            "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
            "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
            "PYTHON_ENABLE_OPENTELEMETRY": "true",
            # else five spans a second, and none of a burst
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
        }

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of items of that kind: `MetricData`, `MessageData`, `RemoteDependencyData`."""
        every = [each["data"] for each in self.items]
        return [each["baseData"] for each in every if each["baseType"] == kind]

    def wait(self, done: Callable[[], bool]) -> None:
        """Raises TimeoutError."""
        deadline = time.monotonic() + _SECONDS
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(json.dumps(self.items)[:3000])
            time.sleep(0.1)


class _Tracks(BaseHTTPRequestHandler):
    server: Ingestion  # type: ignore[mutable-override]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        found = json.loads(body)
        self.server.items += found
        told = json.dumps({"itemsReceived": len(found), "itemsAccepted": len(found), "errors": []})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def listening() -> Iterator[Ingestion]:
    with Ingestion() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
