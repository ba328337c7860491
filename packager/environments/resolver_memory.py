"""Answers of the resolver: one question is asked once, and not again for a day.

A plan puts the same question several times: for each Python the author's own environment, for each
attempt the lines that no wheel answers, and at its end the registered model's environment. The
next plan of the same requirements puts them all again. So an answer is kept in the cache, with the
time at which the index gave it.

Nobody is refused by an answer that was kept: who fails with one drops it and asks the index
(`drop_taken`). An index on this machine is asked by each process, as its pages cost nothing.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any, Final

from packager.errors import StorageError
from packager.system import cache, process
from packager.system.redaction import drop_users, redact

_SECONDS: Final = 300.0
"""In one process: an index may have more by then. Its own pages are cached for twice as long, as it
asks for."""
KEPT_HOURS: Final = 24
_KIND: Final = "resolved"
_LOCAL: Final = re.compile(
    r"file:|://(?:[^/\s@]*@)?(?:localhost|127\.[0-9.]+|\[::1\])(?![\w.-])"
    r'|"UV_(?:DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL)", "(?![^"]*://)[^"]'
)
"""An index on this machine: by its address, or a folder in a variable of uv's."""
_PROXY: Final = re.compile(r'\["\w+_proxy", "[^"]*"\]', re.IGNORECASE)
"""A variable of the environment, in a question as JSON."""
_LOCK: Final = threading.Lock()
_ANSWERS: Final[dict[Hashable, tuple[float, Future[process.Done]]]] = {}
_TAKEN: Final[dict[str, float]] = {}
"""Keys of what this process took out of the cache, with the times of these answers."""
_DROPPED: Final[set[str]] = set()
"""Keys of what it did not get on with: a cache that is only read has them still."""
_ANEW: Final = threading.Event()
"""Set while nothing is taken out of the cache."""


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
        own.set_result(_ask_or_recall(question, ask))
    except BaseException as error:
        with _LOCK:
            _ANSWERS.pop(question, None)
        own.set_exception(error)
        raise
    return own.result()


@contextmanager
def asking_index(*, anew: bool) -> Iterator[None]:
    """Take nothing out of the cache while the block runs, where `anew`; answers are kept."""
    with _LOCK:
        if anew or _TAKEN:
            _ANSWERS.clear()  # an earlier build's kept answers are no answers of this one's
        _TAKEN.clear()
    if not anew:
        yield
        return
    _ANEW.set()
    try:
        yield
    finally:
        _ANEW.clear()


def drop_taken() -> bool:
    """Drop what this process took out of the cache; tell whether that was anything."""
    with _LOCK:
        taken = [*_TAKEN]
        _DROPPED.update(taken)
        if taken:
            _ANSWERS.clear()
            _TAKEN.clear()
    for key in taken:
        with suppress(StorageError):
            cache.forget(_KIND, key)
    return bool(taken)


def explain_age() -> str:
    """Say when the index gave the oldest answer that this process took; "" where it took none."""
    with _LOCK:
        oldest = min(_TAKEN.values(), default=None)
    if oldest is None:
        return ""
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(oldest))
    return f"Wheels as the package index had them at {at}; --refresh asks it again."


def _ask_or_recall(question: Hashable, ask: Callable[[], process.Done]) -> process.Done:
    described = json.dumps(question)
    if not _is_kept(described):
        return ask()
    key = cache.make_key([described, version("uv")])
    if not _ANEW.is_set() and key not in _DROPPED and (kept := _recall(key)) is not None:
        return kept
    answer = ask()
    _keep(key, answer)
    return answer


def _is_kept(question: str) -> bool:
    return _LOCAL.search(_PROXY.sub("", question)) is None


def _keep(key: str, answer: process.Done) -> None:
    """Keep an answer as of now; not one whose addresses have a secret beside the user."""
    public = replace(answer, stdout=drop_users(answer.stdout), stderr=redact(answer.stderr))
    if redact(public.stdout) != public.stdout:
        return
    text = json.dumps({"at": time.time(), **asdict(public)}).encode()
    with suppress(StorageError):  # a cache that is full or only read keeps nothing
        cache.forget(_KIND, key)
        cache.remember(_KIND, key, lambda: text)


def _recall(key: str) -> process.Done | None:
    """Return a kept answer; None where there is none of the last day."""
    with suppress(StorageError, ValueError, KeyError, TypeError):
        kept = cache.recall(_KIND, key)
        if kept is None:
            return None
        found: dict[str, Any] = json.loads(kept)
        at = float(found.pop("at"))
        if not 0 <= time.time() - at < KEPT_HOURS * 3600:
            return None
        with _LOCK:
            _TAKEN[key] = at
        return process.Done(**found)
    return None
