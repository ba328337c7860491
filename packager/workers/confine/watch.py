"""Wait for a confined program: pass signals on, hold it to its memory, end what it leaves."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import Spec

_EVERY_SECONDS = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


def wait(leader: int, lifeline: int | None, spec: Spec, tell: Callable[..., None]) -> int:
    """The leader's wait status; it dies with whoever holds the other end of `lifeline`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda got, _: _send(leader, got))
    poll = select.poll()
    if lifeline is not None:
        poll.register(lifeline, select.POLLIN | select.POLLHUP)
    with contextlib.suppress(AttributeError, OSError):
        poll.register(os.pidfd_open(leader), select.POLLIN)
    warned: set[int] = set()
    while True:
        ready = poll.poll(_EVERY_SECONDS * 1000)
        done, status = os.waitpid(leader, os.WNOHANG)
        if done == leader:
            return status
        if lifeline is not None and any(fd == lifeline for fd, _ in ready):
            _send(leader, signal.SIGKILL)
            poll.unregister(lifeline)
        _hold(leader, spec, tell, warned)


def _hold(leader: int, spec: Spec, tell: Callable[..., None], warned: set[int]) -> None:
    """As the kernel does where memory runs out: the largest process is killed.

    First by a signal at which Python's fault handler says where it was; `warned` has those.
    """
    members = list(descendants(leader))
    tasks = sum(_task_count(pid) for pid in members)
    if tasks > spec["processes"]:
        tell(exceeded="processes", allowed=spec["processes"], used=tasks)
        _send(leader, signal.SIGKILL)
        return
    if spec["memory_bytes"] is None:
        return
    sizes = {pid: _private_bytes(pid) for pid in members}
    used = sum(sizes.values())
    if used > spec["memory_bytes"]:
        largest = max(sizes, key=lambda pid: sizes[pid])
        tell(exceeded="memory", allowed=spec["memory_bytes"], used=used)
        _send(largest, signal.SIGKILL if largest in warned else signal.SIGABRT)
        warned.add(largest)


def descendants(leader: int) -> Iterator[int]:
    todo = [leader]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as listed:
                    found = [int(each) for each in listed.read().split()]
                yield from found
                todo.extend(found)


def end_all(reaper: int) -> None:
    """Kill what is left below `reaper`, which whatever loses its parent comes to."""
    until = time.monotonic() + 5
    while (left := list(descendants(reaper))) and time.monotonic() < until:
        for pid in left:
            _send(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _private_bytes(pid: int) -> int:
    """Memory that is no file's, which cannot be given back when it is short."""
    with contextlib.suppress(OSError, ValueError):
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            _, resident, shared, *_ = map(int, statm.read().split())
        return (resident - shared) * _PAGE
    return 0


def _task_count(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))
    return 0


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
