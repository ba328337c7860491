"""model-manifest.json: the whole contract between what builds an artifact and what runs in it."""

from __future__ import annotations

import json
from functools import lru_cache

from handlers.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any, TypeAlias

    Folder: TypeAlias = str | PathLike[str]

FILENAME = "model-manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Read at start from the function's folder; every path is relative to that folder."""

    model_name: str
    model_version: str | None = None
    aliases: list[str] = field(default_factory=list)
    run_id: str | None = None
    model_id: str | None = None
    mlflow_version: str | None = None
    """Of the MLflow that logged the model: what /version answers."""
    digest: str
    """sha256 of the registered model's files."""
    flavor: str
    engine: str = "native"
    tier: str = "native"
    frame: str = "pandas"
    """What the predictor gets for columns: `pandas` (DataFrame), or `numpy` or `plain` (a dict of
    arrays, numpy's or our own)."""
    loader: str
    """A module under handlers.loaders."""
    model_path: str = "model"
    options: dict[str, Any] = field(default_factory=dict)
    """The loader's own."""
    weights: list[dict[str, str | int]] = field(default_factory=list)
    """Files of the model that lie outside of the function: `path` in the model's folder, `sha256`,
    by which each is called there, and `size_bytes`."""
    weights_from: str | None = None
    """How they are had: `fetch` or `mount`."""
    signature: dict[str, Any] | None = None
    """`inputs`, `outputs`, `params`, each a list of specs as MLmodel has them, or None."""
    signature_from_type_hints: bool = False
    example: str | None = None
    """A request body to show in the OpenAPI document."""
    threads: int | None = None
    """1 where the model is served on one thread, as it was proven; None leaves it its own."""
    draws: bool = False
    """Whether the registered model answered otherwise when asked again: it draws at random."""
    path_files: bool = False
    """Whether packages left .pth files, which Python itself reads in site-packages alone."""
    events: list[str] = field(default_factory=list)
    """Built for beside HTTP: modules of handlers.events.aws_sources or .azure_triggers."""
    output: str | None = None
    """The kind of destination that answers go to which no caller waits for."""
    baseline: str | None = None
    """A sketch of what the model is usually asked, from which drift is measured."""
    opentelemetry: bool = False
    """Whether the distribution that sends OpenTelemetry to the host's own cloud ships."""
    created: str | None = None
    """When the model was logged, as MLmodel has it: UTC, ISO 8601."""
    python: str
    request_bytes: int
    response_bytes: int
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def read(cls, folder: Folder) -> Manifest:
        with open(f"{folder}/{FILENAME}", encoding="utf-8") as file:  # noqa: PTH123 - read at start
            values = json.load(file)
        if values.get("schema_version") != SCHEMA_VERSION:
            msg = (
                f"{FILENAME} has schema {values.get('schema_version')}, and this code reads "
                f"{SCHEMA_VERSION}. Use the handlers/ that the artifact was built with."
            )
            raise ValueError(msg)
        return cls(**values)

    def age_days(self, now: float) -> float | None:
        """Since the model was logged, with `now` in seconds since the epoch; None if unknown."""
        created = _read_moment(self.created or "")
        return None if created is None else max(0.0, now - created) / 86_400

    def text(self) -> str:
        from dataclasses import asdict

        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@lru_cache(maxsize=1)
def _read_moment(text: str) -> float | None:
    """Seconds since the epoch of a time of UTC; None for what is none."""
    from datetime import datetime, timezone

    try:
        return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None
