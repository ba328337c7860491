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
_MOST_MAPPINGS = 500_000
"""Of all processes together: reading as many takes a quarter of a second, in which nobody looks."""
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
        self.reads_others: bool | None = None
        """Known from the first process on whose mappings were refused."""


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
    looked = held.looks % _SHARED_EVERY == 0
    held.looks += 1
    if looked and not _look_at_shared(leader, members, tell, held):
        return
    sizes, used = _measure(members, spec, held)
    if used > spec["memory_bytes"] and not looked:
        # what was shared at an earlier look may have been given back
        if not _look_at_shared(leader, members, tell, held):
            return
        sizes, used = _measure(members, spec, held)
    if used > spec["memory_bytes"]:
        largest = max(sizes, key=lambda pid: sizes[pid], default=leader)
        tell(exceeded="memory", allowed=spec["memory_bytes"], used=used)
        is_last = largest == leader or largest in held.warned
        _send(largest, signal.SIGKILL if is_last else signal.SIGABRT)
        held.warned.add(largest)


def _measure(members: list[int], spec: Spec, held: _Held) -> tuple[dict[int, int], int]:
    """Each member's own bytes, and those of all together with what is no member's own."""
    sizes = {pid: _private_bytes(pid) for pid in members}
    return sizes, sum(sizes.values()) + sum(held.shared.values()) + _segment_bytes(spec)


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
    _, resident, shared = _count_pages(pid)
    return (resident - shared) * _PAGE


def _count_pages(pid: int) -> tuple[int, int, int]:
    """Mapped, resident, and resident of files and what is shared; zeros of one that ended."""
    with contextlib.suppress(OSError, ValueError):
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            mapped, resident, shared, *_ = map(int, statm.read().split())
        return mapped, resident, shared
    return 0, 0, 0


def _look_at_shared(
    leader: int, members: list[int], tell: Callable[..., None], held: _Held
) -> bool:
    """Memory that is no process's own stays as long as anybody maps a page of it, in use or not.

    False where it cannot be counted, for which all are killed: a process refuses to be read, or
    there are so many mappings that nobody would look at anything else.
    """
    found: dict[bytes, int] = {}
    seen = 0
    for pid in members:
        try:
            with open(f"/proc/{pid}/maps", "rb") as maps:
                for line in maps:
                    seen += 1
                    if line.endswith(_SHARED_MAPPING):
                        span, _, offset, _, inode = line.split()[:5]
                        start, end = (int(each, 16) for each in span.split(b"-"))
                        size = int(offset, 16) + end - start
                        found[inode] = max(found.get(inode, 0), size)
                    if seen > _MOST_MAPPINGS:
                        tell(exceeded="mappings", allowed=_MOST_MAPPINGS, used=seen)
                        _send(leader, signal.SIGKILL)
                        return False
        except PermissionError:
            if held.reads_others is None:
                held.reads_others = _reads_others()
            if held.reads_others and _count_pages(pid)[0]:
                tell(exceeded="hidden", allowed=0, used=1)
                _send(leader, signal.SIGKILL)
                return False
        except (OSError, ValueError):
            pass
    held.shared = {inode: max(size, held.shared.get(inode, 0)) for inode, size in found.items()}
    return True


def _reads_others() -> bool:
    """Tell whether this machine shows us the mappings of a process that does not hide them."""
    try:
        child = os.fork()
    except OSError:
        return False
    if child == 0:
        time.sleep(5)
        os._exit(0)
    try:
        with open(f"/proc/{child}/maps", "rb") as maps:
            maps.readline()
    except PermissionError:
        return False
    except OSError:
        pass
    finally:
        _send(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return True


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
