"""The size that the user bounds the cache to, once and for all builds."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from packager.errors import ConfigurationError, StorageError
from packager.system.cache import _upkeep

_LOG = logging.getLogger(__name__)
_VARIABLE: Final = "PACKAGER_CACHE_MAX_SIZE"
_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    | {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    | {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
)


def parse_size(text: str) -> int | None:
    """Return the bytes of a size as a person writes it, 10GB or 1.5 GiB; None for anything else."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)", text.strip())
    if found is None or found[2].upper() not in _BYTES:
        return None
    return int(float(found[1]) * _BYTES[found[2].upper()])


def read_limit() -> int | None:
    """Return the bytes of PACKAGER_CACHE_MAX_SIZE; None where it is not set.

    Raises ConfigurationError where it is no size.
    """
    text = os.environ.get(_VARIABLE, "")
    if not text.strip():
        return None
    size = parse_size(text)
    if size is None:
        raise ConfigurationError(
            f"{_VARIABLE} is {text!r}, which is not a size. Write 20GB or 500MB, for example, or "
            "unset it."
        )
    return size


def keep_within_limit() -> None:
    """Remove the least recently used entries beyond the limit, and what killed builds left.

    What a running build uses stays, this one's too. Sizes are those that each entry's manifest
    says, and no file of an entry is looked at. A cache that cannot be read stays as it is.
    """
    limit = read_limit()
    if limit is None:
        return
    try:
        freed = _upkeep.remove_leftovers()
        entries = _upkeep.list_entries(by_manifest=True)
        surplus = _upkeep.select_entries(entries, older_seconds=None, max_bytes=limit)
        done = _upkeep.remove_entries(surplus)
    except StorageError as error:
        _LOG.warning("The cache is not kept within %s: %s", _VARIABLE, error)
        return
    if done.removed or freed:
        _LOG.info(
            "Removed %d entries of the cache, %.1f GB with leftovers, to keep within %s",
            *(len(done.removed), (done.size_bytes + freed) / 1e9, _VARIABLE),
        )
