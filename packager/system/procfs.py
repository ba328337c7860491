"""Facts of the kernel about running processes: /proc, as proc(5) describes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def session(leader: int) -> Iterator[int]:
    """Each living process of the session that `leader` leads."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and stat(int(entry.name)).get("session") == leader:
            yield int(entry.name)


def children(pid: int) -> tuple[int, ...]:
    """Processes that `pid` started and that still run."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return tuple(sorted(found))


def descendants(pid: int) -> Iterator[int]:
    """Those, and all that these started in turn: parents before their children."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def stat(pid: int) -> dict[str, Any]:
    """Fields of /proc/PID/stat; empty where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, ProcessLookupError):
        return {}
    fields = text.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return {}
    return {
        "parent": int(fields[1]),
        "session": int(fields[3]),
        "ticks": int(fields[11]) + int(fields[12]),
    }


def cpu_ms(pid: int) -> float:
    """User plus system time; 0 where the process is gone.

    The scheduler's nanoseconds of each thread, or the kernel's ticks where these are well above: a
    thread that has ended is in the ticks alone.
    """
    tick_ms = 1000.0 / os.sysconf("SC_CLK_TCK")
    ticks_ms = tick_ms * float(stat(pid).get("ticks", 0))
    precise_ms = 0.0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            precise_ms += int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e6
    return ticks_ms if ticks_ms - precise_ms > 2 * tick_ms else precise_ms


def peak_rss_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
