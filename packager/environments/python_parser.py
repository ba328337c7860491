"""Python's own parser, which before 3.11.8 keeps the depth of a tree for all threads at once.

There `ast.parse` and `ast.literal_eval` raise SystemError, "AST constructor recursion depth
mismatch", where the garbage collector lets another thread parse in the middle of a tree. In 3.12
it collects nothing there. Source: https://github.com/python/cpython/pull/113035, in 3.11.8.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
import threading
from typing import Final

_LOCK: Final = threading.RLock()
_MENDED: Final = 3, 11, 8


def is_shared_by_threads(version: tuple[int, int, int]) -> bool:
    """Say if that release's parser keeps one depth for every thread."""
    return version < _MENDED


def lock_parser() -> None:
    """Have one thread at a time in `ast.parse`, for the rest of the process, where Python needs it.

    `packaging` parses each text of a marker by `ast.literal_eval`, which calls it. So every thread
    that reads requirements is held by one lock. Call it before you start threads that parse.
    """
    if is_shared_by_threads(sys.version_info[:3]):
        _hold_apart()


@functools.cache
def _hold_apart() -> None:
    parse = ast.parse

    @functools.wraps(parse)
    def parse_alone(*args: object, **named: object) -> object:
        with _LOCK:
            return parse(*args, **named)  # type: ignore[call-overload]

    ast.parse = parse_alone  # type: ignore[assignment]
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )
