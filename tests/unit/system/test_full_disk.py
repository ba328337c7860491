"""A disk that is full, for real: a small file system in a namespace of its own."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from packager.errors import describe_full_disk, is_disk_full

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-euc")
MOUNT = 'mount -t tmpfs -o size=256k none "$0" && exec "$@"'
KEEP = """
import os, sys
from pathlib import Path
from packager.errors import StorageError
from packager.system import cache
small, source = map(Path, sys.argv[1:])
os.environ["PACKAGER_CACHE"] = str(small / "cache")
try:
    cache.keep_copy("artifacts", "ab" * 32, source)
except StorageError as error:
    print(str(error).partition(":")[0])
print([path.name for path in (small / "cache" / "artifacts").iterdir()])
"""
TEMPORARY = """
import sys, shutil
from pathlib import Path
from packager.errors import StorageError
from packager.system import atomic_output
small, source = map(Path, sys.argv[1:])
try:
    with atomic_output.replacing(small.parent / "out"):
        shutil.copytree(source, small / "temporary")
except StorageError as error:
    print(str(error).partition(":")[0])
"""
REPLACE = """
import sys, shutil
from pathlib import Path
from packager.errors import StorageError
from packager.system import atomic_output
small, source = map(Path, sys.argv[1:])
try:
    with atomic_output.replacing(small / "out") as place:
        shutil.copytree(source, place.out / "function")
except StorageError as error:
    print(str(error).partition(":")[0])
print([path.name for path in small.iterdir()])
"""


def _run_on_small_disk(code: str, tmp_path: Path) -> list[str]:
    small, source = tmp_path / "small", tmp_path / "source"
    small.mkdir()
    (source / "deep").mkdir(parents=True)
    for number in range(3):
        (source / "deep" / f"{number}").write_bytes(os.urandom(200_000))
    done = subprocess.run(
        [*UNSHARE, MOUNT, small, sys.executable, "-c", code, small, source],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "unshare failed" in done.stderr or "mount failed" in done.stderr:
        pytest.skip(f"no file system of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a program of Linux")
def test_a_copy_that_the_cache_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    why, left = _run_on_small_disk(KEEP, tmp_path)
    assert why == f"The disk is full under {tmp_path}/small/cache/artifacts"
    assert left == "[]"


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a program of Linux")
def test_an_output_that_there_is_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    why, left = _run_on_small_disk(REPLACE, tmp_path)
    assert why == f"The disk is full under {tmp_path}/small"
    assert left == "[]"


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a program of Linux")
def test_a_disk_that_lies_below_the_output_s_is_named_itself(tmp_path: Path) -> None:
    (why,) = _run_on_small_disk(TEMPORARY, tmp_path)
    assert why == f"The disk is full under {tmp_path}/small"


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), True),
        (shutil.Error([("a", "b", "[Errno 13] Permission denied: 'b'")]), False),
        (OSError(errno.EACCES, "Permission denied", "[Errno 28]"), False),
        (ValueError("[Errno 28] No space left on device"), False),
    ],
)
def test_what_a_full_disk_is_called(error: Exception, *, full: bool) -> None:
    assert is_disk_full(error) is full


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left", "/a/b"), "under /: no room for b"),
        (
            OSError(errno.ENOSPC, "No space left", "/a/b", None, "/c/d"),
            "under /: no room for d",
        ),
        (OSError(errno.ENOSPC, "No space left", b"/a/b"), "under /: no room for b"),
        (OSError(errno.ENOSPC, "No space left"), "under /out"),
        (OSError(errno.ENOSPC, "No space left", "/out/a/b"), "under /out: no room for b"),
        (
            shutil.Error(
                [
                    ("/s/x", "/t/x", "[Errno 13] Permission denied"),
                    ("/s/y", "/t/y", "[Errno 28] No space left on device"),
                    ("/s/z", "/t/z", "[Errno 28] No space left on device"),
                ]
            ),
            "under /: no room for y",
        ),
    ],
    ids=["file", "copy", "bytes", "no file", "below", "tree"],
)
def test_which_disk_is_full_is_said_in_few_words(error: OSError, words: str) -> None:
    assert describe_full_disk(error, "/out").startswith(f"The disk is full {words}")
