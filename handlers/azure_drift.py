"""Drift on Azure: what handlers.drift measures, as lines of the log, for Application Insights."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from handlers.drift import Drift
from handlers.manifest import Manifest
from handlers.predictor import Predictor
from handlers.sketches import Baseline

_LOG = logging.getLogger(__name__)


class Observed:
    """A predictor whose calls are looked at; as any, for one thread at a time."""

    def __init__(self, inner: Predictor, manifest: Manifest, folder: Path) -> None:
        """`folder` holds the manifest's baseline."""
        text = (folder / str(manifest.baseline)).read_text(encoding="utf-8")
        named = {
            "model": manifest.model_name or "unnamed",
            "version": manifest.model_version or "unversioned",
        }
        self._inner = inner
        self._drift = Drift(Baseline.parse(text), _told, named)

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        begun = time.perf_counter()
        answer = self._inner.predict(data, params)
        self._drift.observe(data, answer)
        self._drift.served(time.perf_counter() - begun)
        return answer


def _told(line: str) -> None:
    """A line of CloudWatch's format without what is meant for CloudWatch alone."""
    values = {key: value for key, value in json.loads(line).items() if key != "_aws"}
    _LOG.info("%s", json.dumps({"message": "drift", **values}))
