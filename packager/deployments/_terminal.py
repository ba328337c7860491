"""Progress for a person at a command line, and its end by a signal."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import NoReturn

import click

from packager.commands import console


@contextlib.contextmanager
def progress() -> Iterator[None]:
    """Under the `mlflow` command, show what the stages say; a program has logging for it."""
    if click.get_current_context(silent=True) is None:
        yield
        return
    with console.progress(verbose=False):
        yield


@contextlib.contextmanager
def end_by_signal() -> Iterator[None]:
    """Unwind the block where SIGTERM comes; in a thread that is the caller's to see to."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
