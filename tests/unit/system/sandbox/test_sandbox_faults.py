"""What a traceback says was refused: the call, the path and what to do."""

from __future__ import annotations

import pytest

from packager.system.sandbox import SHARED_MEMORY
from packager.system.sandbox.faults import AUTHOR, FUNCTION, explain

FRAMES = """Traceback (most recent call last):
  File "/var/task/handlers/loaders/pyfunc.py", line 9, in load
  File "/home/ann/train.py", line 8, in load_context
"""
LOCK = FRAMES + (
    '  File "/usr/lib/python3.12/multiprocessing/synchronize.py", line 57, in __init__\n'
    "FileNotFoundError: [Errno 2] No such file or directory\n"
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            FRAMES + "OSError: [Errno 30] Read-only file system: '/var/cache/x'",
            ("load_context (train.py, line 8) writes /var/cache/x", "only /tmp can be written"),
        ),
        (
            FRAMES.replace('"', '\\"') + "[Errno 13] Permission denied: \\'/home/x\\'",
            ("load_context (train.py, line 8) writes /home/x",),
        ),
        (LOCK, ("load_context (train.py, line 8) makes a lock", SHARED_MEMORY, "Use threads")),
        (
            FRAMES + "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            ("needs the network (gaierror)", "--allow-network", "artifacts="),
        ),
        (
            FRAMES + "sqlite3.OperationalError: attempt to write a readonly database",
            ("writes an SQLite database", "mode=ro"),
        ),
        (FRAMES + "OSError: [Errno 28] No space left on device", ("writes more to /tmp",)),
        (
            FRAMES + '  File "/usr/lib/python3.12/ctypes/__init__.py", line 379, in __init__\n'
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory",
            ("load_context (train.py, line 8) loads libgomp.so.1", "does not have", "wheel"),
        ),
        (
            FRAMES + "ImportError: libGL.so.1: cannot open shared object file: No such file",
            ("load_context (train.py, line 8) loads libGL.so.1",),
        ),
        (
            FRAMES + '  File "/usr/lib/python3.12/subprocess.py", line 1950, in _execute_child\n'
            "    raise child_exception_type(errno_num, err_msg, err_filename)\n"
            "FileNotFoundError: [Errno 2] No such file or directory: 'git'",
            ("load_context (train.py, line 8) starts 'git'", "no such program"),
        ),
        (FRAMES + "RuntimeError: can't start new thread", ("more processes and threads",)),
        (FRAMES + "ConnectionRefusedError: [Errno 111] Connection refused", ("the network",)),
        (
            (
                '  File "/usr/lib/python3.12/socket.py", line 9, in getaddrinfo\ngaierror: -3\n'
                "During handling of the above exception, another exception occurred:\n"
                f"{FRAMES}urllib.error.URLError: <urlopen error>"
            ),
            ("load_context (train.py, line 8) needs the network",),
        ),
        (
            (
                f'{FRAMES}  File "/usr/lib/python3.12/socket.py", line 837, in create_connection\n'
                "    sock = socket(af, socktype, proto)\n"
                "PermissionError: [Errno 1] Operation not permitted"
            ),
            ("load_context (train.py, line 8) needs the network", "[Errno 1]"),
        ),
        (
            FRAMES + "PermissionError: [Errno 1] Operation not permitted: '/var/x'",
            ("writes /var/x: operation not permitted",),
        ),
        *(
            (
                f"{FRAMES}FileNotFoundError: [Errno 2] No such file or directory: {path!r}",
                (
                    f"load_context (train.py, line 8) opens {shown}, which is not there",
                    "below /tmp",
                ),
            )
            for path, shown in (
                ("/home/ann/x", "/home/ann/x"),
                ("/var/log/app.log", "/var/log/app.log"),
                ("/mnt/cache/tmpa1", "/mnt/cache/tmpa1"),
                (b"/opt/cache.dat", "/opt/cache.dat"),
                ("/etc/machine-id", "/etc/machine-id"),
                ("/dbfs/tables/x.csv", "/dbfs/tables/x.csv"),
            )
        ),
        (FRAMES + "OSError: [Errno 24] Too many open files: '/x'", ("more files open than",)),
        (FRAMES + "OSError: [Errno 12] Cannot allocate memory", ("more memory", "--memory")),
        (FRAMES + "MemoryError", ("asks for more memory", "--memory")),
        (
            FRAMES + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 20.0 GiB",
            ("load_context (train.py, line 8) asks for more memory", "--memory"),
        ),
        (
            FRAMES + "FileNotFoundError: [Errno 2] No usable temporary directory found in ['.']",
            ("only /tmp can be written", "gettempdir"),
        ),
    ],
)
def test_names_the_call_the_path_and_the_fix(text: str, words: tuple[str, ...]) -> None:
    (said,) = explain(text, FUNCTION)
    for each in words:
        assert each in said


def test_an_author_s_machine_has_shared_memory() -> None:
    assert explain(LOCK, AUTHOR) == ()


def test_says_nothing_of_other_errors() -> None:
    assert explain(FRAMES + "KeyError: 'x'", FUNCTION) == ()
    assert explain(FRAMES + "PermissionError: [Errno 1] Operation not permitted", FUNCTION) == ()


@pytest.mark.parametrize(
    "path", ["/var/task/model/x.csv", "/home/site/wwwroot/x", "/opt/model/x", "x.csv"]
)
def test_a_file_of_the_function_s_own_is_not_the_author_s(path: str) -> None:
    text = f"{FRAMES}FileNotFoundError: [Errno 2] No such file or directory: {path!r}"
    assert explain(text, FUNCTION) == ()


def test_a_file_that_is_not_there_is_no_program() -> None:
    missing = "FileNotFoundError: [Errno 2] No such file or directory: 'vocabulary'"
    assert explain(FRAMES + missing, FUNCTION) == ()
