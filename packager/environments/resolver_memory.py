"""Answers of the resolver in the last minutes: one question is asked once.

A plan puts the same question several times: for each Python the author's own environment, for each
attempt the lines that no wheel answers, and at its end the registered model's environment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Final

from packager.system import process

_SECONDS: Final = 300.0
"""An index may have more by then. Its own pages are cached for twice as long, as it asks for."""
_LOCK: Final = threading.Lock()
_ANSWERS: Final[dict[Hashable, tuple[float, Future[process.Done]]]] = {}


def ask_once(question: Hashable, ask: Callable[[], process.Done]) -> process.Done:
    """Return what `ask` answers, or has answered to the same question; wait where it is asked now.

    Raises what `ask` raises, which is not remembered: an index that failed may be there again.
    """
    now = time.monotonic()
    own: Future[process.Done] = Future()
    with _LOCK:
        for old in [key for key, (since, _) in _ANSWERS.items() if now - since > _SECONDS]:
            del _ANSWERS[old]
        _, answer = _ANSWERS.setdefault(question, (now, own))
    if answer is not own:
        return answer.result()
    try:
        own.set_result(ask())
    except BaseException as error:
        with _LOCK:
            _ANSWERS.pop(question, None)
        own.set_exception(error)
        raise
    return own.result()
