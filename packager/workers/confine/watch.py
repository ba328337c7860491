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
_SHARED_EVERY = 10
"""Of so many looks, one is at what processes share: it takes the list of all that they map."""
_SHARED_MAPPING = b" /dev/zero (deleted)\n"
"""https://docs.kernel.org/filesystems/proc.html: a mapping that is shared, and of no file."""
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
    held = _Held()
    while True:
        ready = poll.poll(_EVERY_SECONDS * 1000)
        done, status = os.waitpid(leader, os.WNOHANG)
        if done == leader:
            return status
        if lifeline is not None and any(fd == lifeline for fd, _ in ready):
            _send(leader, signal.SIGKILL)
            poll.unregister(lifeline)
        _hold(leader, spec, tell, held)


class _Held:
    """Notes of one look at a program for the next."""

    def __init__(self) -> None:
        self.warned: set[int] = set()
        """Processes that were told to say where they are."""
        self.shared: dict[bytes, int] = {}
        """Shared memory by its inode: the most bytes of it that were mapped at once."""
        self.looks = 0


def _hold(leader: int, spec: Spec, tell: Callable[..., None], held: _Held) -> None:
    """As the kernel does where memory runs out: the largest process is killed.

    First by a signal at which Python's fault handler says where it was.
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
    if held.looks % _SHARED_EVERY == 0:
        _look_at_shared(members, held)
    held.looks += 1
    used = sum(sizes.values()) + sum(held.shared.values()) + _segment_bytes(spec)
    if used > spec["memory_bytes"]:
        largest = max(sizes, key=lambda pid: sizes[pid])
        tell(exceeded="memory", allowed=spec["memory_bytes"], used=used)
        _send(largest, signal.SIGKILL if largest in held.warned else signal.SIGABRT)
        held.warned.add(largest)


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


def _look_at_shared(members: list[int], held: _Held) -> None:
    """Memory that is no process's own stays as long as anybody maps a page of it, in use or not."""
    found: dict[bytes, int] = {}
    for pid in members:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/maps", "rb") as maps:
            for line in maps:
                if line.endswith(_SHARED_MAPPING):
                    span, _, offset, _, inode = line.split()[:5]
                    start, end = (int(each, 16) for each in span.split(b"-"))
                    size = int(offset, 16) + end - start
                    found[inode] = max(found.get(inode, 0), size)
    held.shared = {inode: max(size, held.shared.get(inode, 0)) for inode, size in found.items()}


def _segment_bytes(spec: Spec) -> int:
    """Segments of System V, which are there without a process that maps them."""
    if "ipc" not in spec["features"]:
        return 0
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/sysvipc/shm", encoding="ascii") as listed:
            rows = [line.split() for line in listed][1:]
        return sum(int(row[14]) for row in rows)
    return 0


def _task_count(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/task"))
    return 0


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
