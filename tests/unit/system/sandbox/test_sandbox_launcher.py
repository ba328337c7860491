"""Each protection that another one hides, by itself: with no namespace and no filter beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="keyrings are Linux's")

LED = """
import ctypes, json, os, sys
sys.path.insert(0, sys.argv[1])
from confine import __main__ as launcher, kernel
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    # a change of user takes away what any other start has
    kernel.control(kernel.PR_SET_DUMPABLE, 1)
spec = {"cwd": "/", "argv": ["/bin/sh", "-c", sys.argv[2]], "env": {"PATH": "/usr/bin:/bin"},
        "open_files": 100, "network": True, "listens": False}
launcher._lead(spec, frozenset(), -1, -1)
"""
SEPARATED = """
import ctypes, json, sys
sys.path.insert(0, sys.argv[1])
from confine import __main__ as launcher, kernel
def find_session():
    call = ctypes.c_long(kernel._table()["keyctl"])
    return ctypes.CDLL(None).syscall(call, 0, -3, 0)
before = find_session()
launcher._separate({"features": [], "network": True})
print(json.dumps([before, find_session()]))
"""
HELD = """
import ctypes, encodings.ascii, json, os, sys, time
sys.path.insert(0, sys.argv[1])
from confine import kernel, watch
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    kernel.control(kernel.PR_SET_DUMPABLE, 1)
if len(sys.argv) > 3:
    watch._reads_others = lambda: False
leader = os.fork()
if leader == 0:
    child = os.fork()
    if child == 0:
        exec(sys.argv[2])
        time.sleep(1)
        os._exit(0)
    os.waitpid(child, 0)
    os._exit(7)
told = []
spec = {"memory_bytes": 1 << 40, "processes": 100, "features": []}
status = watch.wait(leader, None, spec, lambda **what: told.append(what["exceeded"]))
watch.end_all(os.getpid())
print(json.dumps([sorted(set(told)), os.WIFSIGNALED(status)]))
"""
"""A program of an ordinary user's that is watched without namespaces."""
HIDE = "kernel.control(kernel.PR_SET_DUMPABLE, 0)"


def run(code: str, *arguments: str) -> str:
    argv = [sys.executable, "-I", "-c", code, str(ROOT / "packager" / "workers"), *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert not done.stderr
    return done.stdout.strip()


def test_the_caller_s_keyring_is_left() -> None:
    before, after = json.loads(run(SEPARATED))
    if before < 0:
        pytest.skip("this kernel has no keyrings")
    assert after > 0
    assert after != before


def test_the_process_above_a_program_cannot_be_read() -> None:
    """The leader is of the same user, and not less privileged where there are no namespaces."""
    read = 'sleep 0.5; cat "/proc/$PPID/environ" >/dev/null 2>&1 && echo read || echo refused'
    assert run(LED, read) == "refused"


def test_a_program_gains_no_right_by_what_it_starts() -> None:
    assert run(LED, "grep NoNewPrivs /proc/self/status").split() == ["NoNewPrivs:", "1"]


def test_a_program_that_hides_its_memory_is_ended() -> None:
    assert json.loads(run(HELD, HIDE)) == [["hidden"], True]
    assert json.loads(run(HELD, "pass")) == [[], False]


def test_where_nobody_s_memory_can_be_read_nothing_counts_as_hidden() -> None:
    assert json.loads(run(HELD, HIDE, "unreadable")) == [[], False]


def test_processes_that_end_while_they_are_read_hide_nothing() -> None:
    ending = "[os.fork() or os._exit(0) for _ in range(50)]"
    assert json.loads(run(HELD, ending)) == [[], False]
