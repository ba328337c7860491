"""Words for whoever stops a command: by what it was doing, something may go on or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Changing:
    """Something outside of this machine that is being changed."""

    stopping: str
    left: str


_STOPPING: Final = "Stopping: what is half made is being removed."
_LEFT: Final = "Interrupted; nothing half-made was left behind. Run it again to go on from caches."
_changing: Final[list[_Changing]] = []


@contextlib.contextmanager
def change_outside(about: str, left: str) -> Iterator[None]:
    """Have an interrupt of the block say that `about` may go on, and `left` at the end."""
    each = _Changing(f"Stopping: {about} is interrupted and may go on.", left)
    _changing.append(each)
    try:
        yield
    except Exception:
        _changing.remove(each)
        raise
    # an interrupt leaves it there: that is what is said of it at the end
    _changing.remove(each)


def describe_stopping() -> str:
    return _changing[-1].stopping if _changing else _STOPPING


def describe_left() -> str:
    return _changing[-1].left if _changing else _LEFT


def is_changing() -> bool:
    """Tell whether a change outside was interrupted, or is under way."""
    return bool(_changing)
