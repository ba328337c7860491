"""Seconds that each stage took in the last build of the same kind, kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from packager.errors import StorageError
from packager.types import Stage

_KIND: Final = "durations"


def recall(about: str) -> dict[Stage, float]:
    """Return the seconds by stage; {} where none were kept, or none can be read."""
    from packager.system import cache  # noqa: PLC0415 - not every command has a cache

    with suppress(StorageError, OSError, ValueError, AttributeError, TypeError):
        kept = json.loads(cache.recall(_KIND, cache.make_key(about)) or b"{}")
        return {Stage(name): float(each) for name, each in kept.items()}
    return {}


def keep(about: str, seconds: Mapping[Stage, float]) -> None:
    """Keep them in place of those of an earlier build; without a cache none are kept."""
    from packager.system import cache  # noqa: PLC0415 - not every command has a cache

    text = json.dumps({name: round(each, 1) for name, each in seconds.items()}, sort_keys=True)
    with suppress(StorageError, OSError):
        key = cache.make_key(about)
        cache.forget(_KIND, key)
        cache.remember(_KIND, key, text.encode)
