"""The one place that starts other programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.errors import StorageError, ToolError
from packager.system.redaction import take_end

_FULL: Final = (
    "No space left on device",
    "os error 28",
    "Disk quota exceeded",
    # as Zig names the same two
    ": NoSpaceLeft",
    ": DiskQuota",
)
_BASIC: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
_NUMERIC: Final = ("OPENBLAS_", "OMP_", "MKL_", "BLIS_", "NPY_")


_RUNNING: Final[set[subprocess.Popen[bytes]]] = set()  # noqa: TID251
"""What `run` waits for now, in whatever thread."""
_STOPPED: Final = threading.Event()
"""Set once nothing is waited for any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    stdin: bytes | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
) -> Done:
    """Run to the end; output is decoded leniently.

    Without `env` the program gets `basic_environment()`: what this process was given, its secrets
    among it, is never handed on as a whole.

    Raises StorageError where the program says that the disk is full, ToolError where it cannot be
    started, runs past `timeout_seconds`, or (with `check`) exits other than 0.
    """
    name = Path(argv[0]).name
    try:
        with subprocess.Popen(  # noqa: TID251
            [str(arg) for arg in argv],
            cwd=cwd,
            env=basic_environment() if env is None else dict(env),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(pass_fds),
        ) as process:
            _RUNNING.add(process)
            if _STOPPED.is_set():  # a thread was just starting it
                process.kill()
            try:
                stdout, stderr = process.communicate(stdin, timeout_seconds)
            finally:
                _RUNNING.discard(process)
                # after an interrupt, or too long a time
                if process.returncode is None:
                    process.kill()
    except OSError as error:
        raise ToolError(f"{name} cannot be started: {error}.") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{name} was stopped: it ran past {timeout_seconds:g} seconds.") from error
    result = Done(
        returncode=process.returncode,
        stdout=stdout.decode(errors="replace"),
        stderr=stderr.decode(errors="replace"),
    )
    if check and result.returncode != 0:
        raise explain_failure(name, result)
    return result


def explain_failure(name: str, result: Done) -> StorageError | ToolError:
    """Return what `run` raises with `check` where a program ended with another code than 0."""
    tail = take_end((result.stderr or result.stdout).strip(), 4000)
    if any(mark in tail for mark in _FULL):
        return StorageError(f"{name}: the disk is full.\n{tail}")
    return ToolError(f"{name} {name_ending(result.returncode)}.\n{tail}".rstrip())


def pause(seconds: float) -> None:
    """Wait before a program is run again; no longer once nothing is waited for any more."""
    _STOPPED.wait(seconds)


def name_ending(code: int) -> str:
    if code >= 0:
        return f"failed with exit code {code}"
    names = {each.value: each.name for each in signal.Signals}
    killed = "; the system may be out of memory" if -code == signal.SIGKILL else ""
    return f"was ended by {names.get(-code, f'signal {-code}')}{killed}"


def kill_running() -> None:
    """End what `run` waits for in any thread, now and from now on."""
    _STOPPED.set()
    kill_current()


def kill_current() -> None:
    """End what `run` waits for in any thread now."""
    for process in tuple(_RUNNING):
        process.kill()


def start(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:  # noqa: TID251
    """Start in a process group of its own, output to `log`; the caller ends it."""
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: TID251
            [str(arg) for arg in argv],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )


def end_group(running: subprocess.Popen[bytes], patience_seconds: float) -> None:  # noqa: TID251
    """End what `start` started, with all that it started: asked first, then killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(patience_seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def inherit(names: Iterable[str] = (), prefixes: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the variables of this process with one of these names or prefixes."""
    wanted = frozenset(names)
    return {
        key: value
        for key, value in os.environ.items()
        if key in wanted or (prefixes and key.startswith(prefixes))
    }


def basic_environment() -> dict[str, str]:
    """Return what any program may see of this process's: where things are, and the locale."""
    return inherit(_BASIC)


def numeric_environment() -> dict[str, str]:
    """The settings that choose a numeric kernel: both sides of a comparison must have the same."""
    return inherit(prefixes=_NUMERIC)


def foreground(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Run with this terminal's output to the end; an interrupt is passed on, once."""
    with subprocess.Popen(  # noqa: TID251
        [str(arg) for arg in argv],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    ) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
            except SystemExit:
                process.terminate()
                raise
