"""What only this machine's weaker sandbox refuses is no fault of the model's."""

# ruff: noqa: S108 - the function's own places

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from packager.system import sandbox
from packager.system.sandbox import Confinement, launch
from packager.system.sandbox.faults import AUTHOR, FUNCTION, SHARING_FUNCTION, Place
from packager.system.sandbox.level_faults import explain_level
from packager.system.sandbox.protections import LEVELS, name_weak_level

FRAMES = """Traceback (most recent call last):
  File "/var/task/handlers/loaders/pyfunc.py", line 9, in load
  File "/home/ann/train.py", line 8, in load_context
"""
LOCK = FRAMES + (
    '  File "/usr/lib/python3.12/multiprocessing/synchronize.py", line 57, in __init__\n'
    "PermissionError: [Errno 13] Permission denied"
)
DENIED = FRAMES + "PermissionError: [Errno 13] Permission denied: '%s'\n"
GIVEN = (Path("/tmp/build/function"),)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (DENIED % "/tmp/x", FUNCTION, "load_context (train.py, line 8) uses /tmp/x"),
        (DENIED % "/tmp", FUNCTION, "uses /tmp,"),
        ((DENIED % "/tmp/a/b c").replace("'", "\\'"), FUNCTION, "uses /tmp/a/b"),
        (FRAMES + "RuntimeError: Cannot open /tmp/m.bin for writing", FUNCTION, "uses /tmp/m.bin"),
        (FRAMES + "OSError: failed to create /tmp/cache: denied", AUTHOR, "uses /tmp/cache"),
        (FRAMES + "sqlite3.OperationalError: unable to open database file", FUNCTION, "a database"),
        (LOCK, SHARING_FUNCTION, "uses shared memory"),
        (LOCK, AUTHOR, "uses shared memory"),
        (DENIED % "/dev/shm/sem.x", SHARING_FUNCTION, "uses /dev/shm/sem.x"),
    ],
)
def test_names_what_the_place_allows_and_the_level_does_not(
    text: str, place: Place, said: str
) -> None:
    (words,) = explain_level(text, place, "landlock", GIVEN)
    assert said in words
    assert f"is allowed in {place.name}" in words
    assert "'landlock'" in words
    assert "tempfile.gettempdir()" in words
    assert explain_level(text, place, "", GIVEN) == ()


@pytest.mark.parametrize(
    "text",
    [
        DENIED % "/var/cache/x",
        DENIED % "/tmpfiles/x",
        # its own folder lies there on this machine alone
        DENIED % "/tmp/build/function/cache",
        FRAMES + "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/x'",
        LOCK,
        DENIED % "/dev/shm/x",
        FRAMES + "KeyError: '/tmp/x'",
    ],
)
def test_what_the_function_may_not_do_either_is_not_the_level_s(text: str) -> None:
    assert explain_level(text, FUNCTION, "landlock", GIVEN) == ()


def test_a_log_of_many_refusals_is_read_in_no_time() -> None:
    begun = time.process_time()
    explain_level((DENIED % "/tmp/x") * 20_000, FUNCTION, "landlock", GIVEN)
    assert time.process_time() - begun < 5


def test_levels_without_a_root_of_their_own_are_weak() -> None:
    weak = [name for name, has in LEVELS if name_weak_level(has)]
    assert weak == ["landlock", "seccomp", "process"]


def test_a_refusal_of_this_machine_s_is_told_from_the_platform_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has = dict(LEVELS)["landlock"]
    if not launch._holds(has):
        pytest.skip("this machine has no Landlock")
    monkeypatch.setattr(launch, "features", lambda: has)

    def fail(statement: str) -> tuple[str, ...]:
        done = sandbox.run(
            [sys.executable, "-I", "-c", statement], inside=Confinement(), cwd=Path("/tmp"),
            env={}, timeout_seconds=60, check=False,
        )  # fmt: skip
        return explain_level(done.stderr, FUNCTION, sandbox.weak_level(), ())

    assert "uses /tmp/packager-test-x" in fail("open('/tmp/packager-test-x', 'w')")[0]
    assert fail("open('/var/packager-test-x', 'w')") == ()
    assert fail("import tempfile; tempfile.TemporaryFile()") == ()
    # a library that counts CPUs reads what it sees is there
    assert fail("import os, glob; [open(each) for each in glob.glob('/sys/fs/cgroup/cpu*')]") == ()
    assert not Path("/tmp/packager-test-x").exists()
