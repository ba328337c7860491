"""Drift on Azure: what drift.py measures, as lines of the log and, if asked, as metrics."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

from handlers.manifest import Manifest
from handlers.observability.drift import Drift, is_recorded
from handlers.observability.sketches import Baseline
from handlers.scoring.predictor import Predictor

if TYPE_CHECKING:
    from handlers.observability.azure_telemetry import Telemetry

_LOG = logging.getLogger(__name__)


class Observed:
    """A predictor whose calls are looked at; as any, for one thread at a time."""

    def __init__(
        self,
        inner: Predictor,
        manifest: Manifest,
        folder: Path,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`folder` holds the manifest's baseline."""
        text = (folder / str(manifest.baseline)).read_text(encoding="utf-8")
        named = {
            "model": manifest.model_name or "unnamed",
            "version": manifest.model_version or "unversioned",
        }
        self._inner, self._telemetry = inner, telemetry
        self._thread = local()
        # a log and OpenTelemetry take any name
        self._drift = Drift(Baseline.parse(text), self._log_line, named, column=str)

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        begun = time.perf_counter()
        answer = self._inner.predict(data, params)
        if not getattr(self._thread, "recorded", False):
            self._drift.observe(data, answer)
        self._drift.end_invocation(time.perf_counter() - begun)
        return answer

    @contextmanager
    def read_mark(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Leave out this thread's calls in the block where the headers mark a check's request."""
        self._thread.recorded = is_recorded(headers)
        try:
            yield
        finally:
            self._thread.recorded = False

    def _log_line(self, line: str) -> None:
        """A line of CloudWatch's format without what is meant for CloudWatch alone."""
        values = json.loads(line)
        (described,) = values.pop("_aws")["CloudWatchMetrics"]
        _LOG.info("%s", json.dumps({"message": "drift", **values}))
        if self._telemetry is not None:
            more = {key: values[key] for key in ("column",) if key in values}
            for metric in described["Metrics"]:
                self._telemetry.level(metric["Name"], values[metric["Name"]], more)
