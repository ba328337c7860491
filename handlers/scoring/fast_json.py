"""Large bodies: a compiled parser, and no search for cycles meanwhile.

msgspec is imported for the first body that is large enough to repay it, or once many small ones
have come, and done without where it is not installed. It never reads a number otherwise than `json`
does; what it refuses (NaN, 1e400, lone surrogates, UTF-16) is read again by `json`.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from handlers.scoring.schema import PLAIN, np
from handlers.scoring.schema.signature import Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias

LARGE_BYTES = 64 * 1024
"""From here on the parser's import is repaid within a few requests (docs/adr/0003)."""
MANY_BYTES = 8 * 1024
"""From here on a body makes so many objects that a search for cycles begins meanwhile."""
REPAID_BYTES = 4 * 1024 * 1024
"""Of small bodies so far: as many more repay the import, at 4 to 5 microseconds saved a KB."""

FLOATS: Final[Any] = list[float] if sys.version_info >= (3, 9) else __import__("typing").List[float]
"""As msgspec is told it."""
Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_SHORTEST, _LONGEST = 1e-4, 1e16
"""Between these `repr` writes a float without an exponent, and so does msgspec."""

_lock = threading.Lock()
_parsers = threading.local()
_pauses = 0
_decoded_bytes = 0
_was_enabled = False


@contextmanager
def collector_paused(*, when: bool) -> Iterator[None]:
    """No search for cycles while JSON, which has none, is made into objects.

    The search is half of the time of parsing a large body. Several threads may be inside.
    """
    global _pauses, _was_enabled  # noqa: PLW0603  the collector is the process's too
    if not when:
        yield
        return
    with _lock:
        if _pauses == 0:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _lock:
            _pauses -= 1
            if _pauses == 0 and _was_enabled:
                gc.enable()


def decode(body: bytes | str) -> Json:
    """As `json.loads`, errors included."""
    global _decoded_bytes  # noqa: PLW0603  a count that is lost to another thread does no harm
    _decoded_bytes += len(body)
    if len(body) >= LARGE_BYTES or _decoded_bytes >= REPAID_BYTES:
        parser = msgspec()
        if parser is not None:
            try:
                return parser.json.decode(body)
            except list_refusals():
                pass  # for json to read, or to say what is wrong with it
    return json.loads(body)


@lru_cache(maxsize=None)
def msgspec() -> Any:
    """The module, or None where it is not installed: looked for once."""
    try:
        import msgspec as found
    except ImportError:
        return None
    return found


def list_refusals(more: tuple[type[Exception], ...] = ()) -> tuple[type[Exception], ...]:
    """Errors of a decoder of msgspec, and `more`: its own are no ValueError before 0.21.

    Python 3.9 has no later one than 0.20.
    """
    parser = msgspec()
    own = () if parser is None else (parser.MsgspecError,)
    return (ValueError, RecursionError, *own, *more)


def number_parser() -> object:
    """simdjson's, one a thread, which keeps its memory; None where it is not installed."""
    if not hasattr(_parsers, "one"):
        try:
            import simdjson
        except ImportError:
            _parsers.one = None  # looked for once
        else:
            _parsers.one = simdjson.Parser()
    return _parsers.one


def encode_numbers(values: Array) -> str | None:
    """Return `json.dumps(values.tolist())`, or None where only that can tell.

    msgspec writes a float as `repr` does, except for exponents, and leaves no space after a comma.
    """
    if values.dtype.kind not in "fiu" or values.nbytes < LARGE_BYTES or values.dtype.itemsize > 8:
        return None
    writer = None if PLAIN else msgspec()
    if writer is None:
        return None
    if values.dtype.kind == "f":
        sizes = np.abs(values[values != 0].astype(np.float64))
        if sizes.size and not (sizes.min() >= _SHORTEST and sizes.max() < _LONGEST):
            return None
    encoded: bytes = writer.json.encode(values.tolist())
    return encoded.replace(b",", b", ").decode("ascii")
