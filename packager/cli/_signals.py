"""Ctrl-C and a termination are answered at once, and unwind what runs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Final, NoReturn

from packager.commands import console
from packager.system import process

_PATIENCE: Final = 3
"""Signals after which nothing is tidied any more."""
_ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stop:
    """Count of the times that it was asked to stop."""

    def __init__(self) -> None:
        self.count = 0
        self._unsaid = threading.Lock()

    def say(self) -> None:
        """Say it, once."""
        if self._unsaid.acquire(blocking=False):
            if console.show_stopping():
                return
            # whoever closed standard error hears of nothing
            with contextlib.suppress(OSError):
                os.write(2, f"\n{console.describe_stopping()}\n".encode())

    def watch(self, reading: int) -> None:
        """Say it for the first of our signals; a child's end wakes this too."""
        while number := os.read(reading, 1):
            if number[0] in _ENDS:
                self.say()
                return

    def handle(self, number: int, _frame: object) -> None:
        """Raises KeyboardInterrupt or SystemExit, the first time alone: what follows is tidied."""
        self.count += 1
        self.say()
        process.kill_running()
        if self.count >= _PATIENCE:
            os._exit(128 + number)
        if self.count == 1:
            _raise_end(number)


def _raise_end(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def answer_signals() -> None:
    """Unwind as for an interrupt, so that nothing half made stays behind, and say so at once.

    It is said by a thread too: Python runs a handler only after the call that the main thread is
    in, and one into a library may take seconds. What is ignored already stays ignored.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    stop = _Stop()
    threading.Thread(target=stop.watch, args=(reading,), name="signals", daemon=True).start()
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop.handle)
