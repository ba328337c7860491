"""Every setting that the environment gives, read once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping

from handlers.manifest import Manifest
from handlers.scoring.errors import suggest_name
from handlers.values import dataclass

_TRUE = frozenset({"1", "true"})
STRICT, FIXED = "strict", "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    request_bytes: int
    """A body beyond this is refused with 413."""
    response_bytes: int
    """An answer beyond this is replaced by a 413."""
    request_timeout_seconds: float = 60.0
    """Of the long-lived server; a function's own timeout is its platform's."""
    error_details: bool = False
    """Error bodies carry stack traces and the offending values, as MLflow's do."""
    schema_details: bool = True
    """Error messages name the signature's columns."""
    protocol: str = STRICT
    """STRICT answers as MLflow, mistakes included; FIXED mends those in schema/quirks.py."""

    @classmethod
    def read(cls, manifest: Manifest, environ: Mapping[str, str] = os.environ) -> Settings:
        """Raises ValueError, naming the variable, where a value is not one of its kind."""
        return cls(
            request_bytes=int(
                _read_number(environ, "PACKAGER_REQUEST_BYTES", manifest.request_bytes),
            ),
            response_bytes=int(
                _read_number(environ, "PACKAGER_RESPONSE_BYTES", manifest.response_bytes),
            ),
            request_timeout_seconds=_read_number(
                environ, "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", 60
            ),
            error_details=_read_flag(environ, "PACKAGER_ERROR_DETAILS"),
            schema_details=not _read_flag(environ, "MLFLOW_DISABLE_SCHEMA_DETAILS"),
            protocol=_read_choice(environ, "PACKAGER_PROTOCOL", (STRICT, FIXED)),
        )


def _read_flag(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in _TRUE


def _read_choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, the first where the variable is not set."""
    text = environ.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        meant = suggest_name(text, choices)
        raise ValueError(f"{name} must be one of {', '.join(choices)}, and it is {text!r}.{meant}")
    return text


def _read_number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a number above 0, and it is {text!r}")
    return value
