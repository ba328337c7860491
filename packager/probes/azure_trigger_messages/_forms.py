"""Types and values that the messages of several triggers share."""

from __future__ import annotations

import base64
from typing import Final, TypeAlias

from packager.types import Json

Message: TypeAlias = tuple[dict[str, Json], dict[str, Json]]
"""Inputs by binding, and the trigger's metadata."""
TIME: Final = "2026-01-01T00:00:00Z"


def encode_bytes(body: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(body).decode("ascii")}
