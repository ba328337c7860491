"""Words for whoever stops a command: by what it was doing, something may go on or not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Words:
    """Words for a stop: at once, and at the end."""

    stopping: str
    left: str
    outside: bool = False
    """True where something outside of this machine is being changed."""


_USUAL: Final = _Words("Stopping.", "Interrupted.")
_BUILDING: Final = _Words(
    "Stopping: what is half made is being removed.",
    "Interrupted; nothing half-made was left behind. Run it again to go on from caches.",
)
_SERVING: Final = _Words("Stopping the server.", "The server has stopped.")
_words: Final[list[_Words]] = []


def change_outside(about: str, left: str) -> contextlib.AbstractContextManager[None]:
    """Have an interrupt of the block say that `about` may go on, and `left` at the end."""
    stopping = f"Stopping: {about} is interrupted and may go on."
    return _say_of(_Words(stopping, left, outside=True))


def send_parts(left: str) -> contextlib.AbstractContextManager[None]:
    """Have an interrupt of the block say that an upload stops, and `left` at the end."""
    return _say_of(_Words("Stopping the upload.", left, outside=True))


def build_here() -> contextlib.AbstractContextManager[None]:
    """Have an interrupt of the block say that what is half made goes away."""
    return _say_of(_BUILDING)


def serve_here() -> contextlib.AbstractContextManager[None]:
    """Have an interrupt of the block say that a server ends."""
    return _say_of(_SERVING)


@contextlib.contextmanager
def _say_of(words: _Words) -> Iterator[None]:
    _words.append(words)
    try:
        yield
    except Exception:
        _words.remove(words)
        raise
    # an interrupt leaves it there: that is what is said of it at the end
    _words.remove(words)


def describe_stopping() -> str:
    return (_words or [_USUAL])[-1].stopping


def describe_left() -> str:
    return (_words or [_USUAL])[-1].left


def is_changing() -> bool:
    """Tell whether a change outside was interrupted, or is under way."""
    return any(each.outside for each in _words)
