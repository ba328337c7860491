"""What the watcher counts as a confined program's memory, and whom it ends for it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from packager.errors import SandboxError
from packager.system.sandbox import Confinement, run
from packager.workers.confine import watch

if TYPE_CHECKING:
    from packager.workers.confine.spec import Spec

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")

LEADER: Final = 1 << 30
"""The number of no process."""
SPEC = cast("Spec", {"memory_bytes": 1 << 40, "processes": 1 << 20, "features": ["ipc"]})
TAKES_TURNS: Final = """
import mmap, time
for _ in range(4):
    shared = mmap.mmap(-1, 60 << 20)
    time.sleep(0.7)
    shared.close()
    own = bytearray(60 << 20)
    time.sleep(0.15)
    del own
print("there")
"""
LOSES_A_CHILD: Final = """
import mmap, os, time
child = os.fork()
if child == 0:
    own = bytearray(30 << 20)
    shared = mmap.mmap(-1, 120 << 20)
    time.sleep(20)
os.waitpid(child, 0)
time.sleep(1)
open({kept!r}, "w").write("there")
"""
MAPS_MUCH: Final = """
import ctypes, mmap, os, time
libc, page, count = ctypes.CDLL(None), mmap.PAGESIZE, 60_000
libc.mmap.restype = ctypes.c_void_p
start = libc.mmap(None, ctypes.c_size_t(count * page), 0, 0x22, -1, ctypes.c_long(0))
for at in range(0, count, 2):
    libc.mprotect(ctypes.c_void_p(start + at * page), ctypes.c_size_t(page), 1)
for _ in range(9):
    if os.fork() == 0: time.sleep(20)
time.sleep(20)
"""


def start(code: str, inside: Confinement) -> str:
    argv = [sys.executable, "-I", "-S", "-c", code]
    done = run(argv, inside=inside, cwd=Path("/"), env={}, timeout_seconds=30, check=False)
    return (done.stdout + done.stderr).strip()


class Seen:
    """What the watcher said and sent at one look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, members: list[int]) -> None:
        self.told: list[dict[str, Any]] = []
        self.sent: list[tuple[int, int]] = []
        monkeypatch.setattr(watch, "descendants", lambda _: iter(members))
        monkeypatch.setattr(watch, "_send", lambda pid, number: self.sent.append((pid, number)))

    def look(self) -> None:
        watch._hold(LEADER, SPEC, lambda **what: self.told.append(what), watch._Held())


def test_memory_of_no_process_ends_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of System V are there without anybody."""
    monkeypatch.setattr(watch, "_segment_bytes", lambda _: 2 << 40)
    seen = Seen(monkeypatch, [])
    seen.look()
    assert [each["exceeded"] for each in seen.told] == ["memory"]
    assert seen.sent == [(LEADER, signal.SIGKILL)]


def test_too_many_mappings_end_the_leader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_MOST_MAPPINGS", 5, raising=False)
    seen = Seen(monkeypatch, [os.getpid()])
    seen.look()
    assert seen.told == [{"exceeded": "mappings", "allowed": 5, "used": 6}]
    assert seen.sent == [(LEADER, signal.SIGKILL)]


def test_mappings_beyond_what_can_be_read_are_refused() -> None:
    with pytest.raises(SandboxError, match=r"ranges of memory, and 500,000 are allowed"):
        start(MAPS_MUCH, Confinement(memory_bytes=4 << 30))


def test_shared_memory_that_was_given_back_does_not_count() -> None:
    assert start(TAKES_TURNS, Confinement(memory_bytes=100 << 20)) == "there"


def test_memory_of_a_child_that_was_killed_does_not_count(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o777)
    kept.chmod(0o777)
    code = LOSES_A_CHILD.format(kept=str(kept / "said"))
    with pytest.raises(SandboxError, match="MB of memory"):
        start(code, Confinement(writable=(kept,), memory_bytes=100 << 20))
    assert (kept / "said").read_text(encoding="utf-8") == "there"
