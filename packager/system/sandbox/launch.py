"""Start programs inside a Confinement: packager/workers/confine does the work."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from packager.errors import SandboxError, ToolError
from packager.system import process, procfs
from packager.system.redaction import take_end
from packager.system.resources import WORKERS
from packager.system.sandbox import endings, protections
from packager.system.sandbox.confinement import Confinement
from packager.system.sandbox.launch_spec import find_below, make_spec
from packager.system.sandbox.protections import Features
from packager.system.scratch import make_scratch

_CONFINE: Final = WORKERS / "confine"
_FAILED: Final = 125
_NOTHING: Final = -1
_SIGNALLED: Final = 128
_END_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A limit that the program ran into, for which it was ended."""

    what: str
    """`memory` (bytes), `processes`, `mappings`, or `hidden` (processes)."""
    allowed: int
    used: int

    def __str__(self) -> str:
        if self.what == "memory":
            return (
                f"it used {self.used >> 20} MB of memory, and {self.allowed >> 20} MB are allowed"
            )
        if self.what == "mappings":
            return f"it mapped {self.used:,} ranges of memory, and {self.allowed:,} are allowed"
        if self.what == "hidden":
            return "it hid which memory a process of its own maps, as by PR_SET_DUMPABLE"
        return f"it ran {self.used} {self.what} and threads, and {self.allowed} are allowed"


@functools.cache
def features() -> Features:
    """Return what this machine lets us hold a program to."""
    return protections.strongest(_holds)


def describe(inside: Confinement) -> tuple[str, ...]:
    """The protections that hold here, a sentence each."""
    return protections.describe(features(), inside)


def how_read_only() -> str:
    """Describe how writes to what is given to be read are prevented, in a sentence's words."""
    has = features()
    if "mount" in has:
        return "mounted read-only in a mount namespace of its own"
    if "landlock" in has:
        return "not mounted read-only, as this machine allows no namespaces; Landlock keeps it"
    return "not mounted read-only: this machine allows no mount namespace"


def has_own_root() -> bool:
    """Tell whether what is not writable cannot be written, by whatever path."""
    return "mount" in features()


def weak_level() -> str:
    """The level's name where a program has no root of its own here, else ""."""
    return protections.name_weak_level(features())


def name_level() -> str:
    """Name the level that this machine allows; an empty text where it is not Linux."""
    return protections.name_level(features())


def _holds(wanted: Features) -> bool:
    try:
        done = _run_with(wanted, ["/bin/true"], Confinement(), Path("/"), {}, 30.0)
    except ToolError:
        return False
    return done.returncode == 0


def run(
    argv: Sequence[str | Path],
    *,
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    timeout_seconds: float,
    check: bool = True,
) -> process.Done:
    """Run to the end; nothing that it started outlives it.

    Raises SandboxError where a limit of `inside` ended it or it could not be confined, ToolError
    where it runs past `timeout_seconds` or (with `check`) exits other than 0.
    """
    done = _run_with(features(), argv, inside, cwd, env, timeout_seconds)
    if check and done.returncode != 0:
        tail = take_end((done.stderr or done.stdout).strip(), 4000)
        name = Path(argv[0]).name
        if done.returncode < 0:
            ending = endings.explain_code(done.returncode, done.stderr)
            raise ToolError(f"{name} {ending.cause}. {ending.hint}\n{tail}")
        raise ToolError(f"{name} failed with exit code {done.returncode}.\n{tail}")
    return done


def _run_with(
    has: Features,
    argv: Sequence[str | Path],
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    timeout_seconds: float,
) -> process.Done:
    if not sys.platform.startswith("linux"):
        return _run_beside(argv, inside, cwd, env, timeout_seconds)
    with _prepare_launch(has, argv, inside, cwd, env, listens=False) as launch:
        done = process.run(
            launch.argv,
            cwd=Path("/"),
            env=_LAUNCHER_ENVIRONMENT,
            timeout_seconds=timeout_seconds,
            check=False,
            pass_fds=launch.passed,
        )
        launch.raise_reported(done.stderr)
    return replace(done, returncode=_read_code(done.returncode))


def _read_code(code: int) -> int:
    """Return the launcher's exit code as subprocess has one: a signal is below zero."""
    return _SIGNALLED - code if code > _SIGNALLED else code


def foreground(
    argv: Sequence[str | Path],
    *,
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    pass_fds: Sequence[int] = (),
) -> int:
    """Run a server to its end, with this terminal's output; returns its exit code.

    It listens on sockets of `pass_fds`, which keep their numbers and stay in this machine's
    network. A signal that ended it is a negative number. Raises SandboxError where a limit of
    `inside` ended it or it could not be confined, ToolError where it cannot be started.
    """
    if not sys.platform.startswith("linux"):
        return process.foreground(argv, env=env, pass_fds=pass_fds)
    with _prepare_launch(features(), argv, inside, cwd, env, listens=True) as launch:
        code = process.foreground(
            launch.argv,
            cwd=Path("/"),
            env=_LAUNCHER_ENVIRONMENT,
            pass_fds=(*launch.passed, *pass_fds),
        )
        launch.raise_reported(log="")  # which the terminal has
    return _read_code(code)


def _run_beside(
    argv: Sequence[str | Path],
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    timeout_seconds: float,
) -> process.Done:
    """Run where the system has no such walls: in an environment and folders of its own alone."""
    with make_scratch("beside") as scratch:
        variables = {each: find_below(scratch, value) for each, value in inside.variables.items()}
        return process.run(
            argv,
            cwd=Path(find_below(scratch, str(cwd))) if str(cwd) in inside.scratch else cwd,
            env={**endings.FAULT_HANDLER, **env, "TMPDIR": str(scratch), **variables},
            timeout_seconds=timeout_seconds,
            check=False,
        )


_LAUNCHER_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class _Launch:
    argv: tuple[str, ...]
    passed: tuple[int, ...]
    report: int
    scratch: Path | None
    """What stands for the program's scratch where it has no root of its own."""

    def read_reports(self) -> list[dict[str, Any]]:
        text = os.pread(self.report, 1 << 16, 0).decode(errors="replace")
        return [json.loads(line) for line in text.splitlines()]

    def read_exceeded(self) -> Exceeded | None:
        for each in self.read_reports():
            if "exceeded" in each:
                return Exceeded(each["exceeded"], each["allowed"], each["used"])
        return None

    def raise_reported(self, log: str) -> None:
        """Raises SandboxError where something went wrong; `log` says at which call."""
        for each in self.read_reports():
            if "failed" in each:
                raise SandboxError(
                    f"The sandbox cannot be set up: {each['failed']}. docs/sandbox.md says what it "
                    "needs of this machine."
                )
        if (limit := self.read_exceeded()) is not None:
            place = endings.name_place(log)
            raise SandboxError(f"The model's process was ended{place}: {limit}.")


@contextlib.contextmanager
def _prepare_launch(
    has: Features,
    argv: Sequence[str | Path],
    inside: Confinement,
    cwd: Path,
    env: Mapping[str, str],
    *,
    listens: bool,
    door: int = _NOTHING,
) -> Iterator[_Launch]:
    with contextlib.ExitStack() as stack:
        scratch: Path | None = None
        if "mount" not in has:
            scratch = stack.enter_context(make_scratch("weak"))
        spec = make_spec(has, argv, inside, cwd, env, scratch, listens=listens)
        told, report = (os.memfd_create(name) for name in ("spec", "report"))
        lifeline, held = os.pipe()
        for fd in (told, report, lifeline, held):
            stack.callback(os.close, fd)
        os.write(told, json.dumps(spec).encode())
        os.lseek(told, 0, os.SEEK_SET)
        fds = (told, report, lifeline, door)
        yield _Launch(
            argv=(sys.executable, "-I", "-S", str(_CONFINE), *map(str, fds)),
            passed=tuple(fd for fd in fds if fd >= 0),
            report=report,
            scratch=scratch,
        )


class Confined:
    """A program that runs inside, until `end`. A context manager."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        inside: Confinement,
        cwd: Path,
        env: Mapping[str, str],
        log: Path,
    ) -> None:
        self._has = features()
        self._private_network = "net" in self._has and not inside.network
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._door, theirs = (stack.enter_context(each) for each in socket.socketpair())
            self._door.settimeout(_END_SECONDS)
            self._launch = stack.enter_context(
                _prepare_launch(
                    self._has, argv, inside, cwd, env, listens=True, door=theirs.fileno()
                )
            )
            self._process = process.start(
                self._launch.argv,
                cwd=Path("/"),
                env=_LAUNCHER_ENVIRONMENT,
                log=log,
                pass_fds=self._launch.passed,
            )
            stack.callback(self.end)
            theirs.close()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and give back what it was given."""
        self._stack.close()

    def connect(self, port: int, timeout_seconds: float) -> socket.socket:
        """A connection to a port of 127.0.0.1 as the program sees it. Raises OSError."""
        if not self._private_network:
            return socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds)
        try:
            self._door.sendall(b"s")
            _, fds, _, _ = socket.recv_fds(self._door, 1, 1)
        except OSError as error:
            raise ConnectionError(f"the sandbox does not answer: {error}") from error
        if not fds:
            raise ConnectionError("the sandbox is gone")
        made = socket.socket(fileno=fds[0])
        try:
            made.settimeout(timeout_seconds)
            made.connect(("127.0.0.1", port))
        except OSError:
            made.close()
            raise
        return made

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int | None:
        """The exit code as subprocess has it, below zero for a signal; None where it runs on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return _read_code(self._process.wait(seconds))
        return None

    def abort(self) -> None:
        """End the program by a signal at which Python's fault handler says where it was."""
        for pid in self.members()[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)

    def members(self) -> tuple[int, ...]:
        """Every process that runs inside, the program first; as this machine numbers them."""
        first = procfs.children(self._process.pid)
        return tuple(pid for leader in first for pid in procfs.descendants(leader))

    def read_exceeded(self) -> Exceeded | None:
        """The limit for which a process inside was killed; None where there was none."""
        return self._launch.read_exceeded()

    def failure(self) -> str | None:
        """Explain why the program could not be confined; None where it was."""
        return next(
            (each["failed"] for each in self._launch.read_reports() if "failed" in each), None
        )

    def interrupt(self, seconds: float) -> None:
        """Ask the program to end, and wait for it; what has not ended by then is killed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.end()

    def end(self) -> None:
        """Kill it and all that it started. Nothing happens where it has ended."""
        inside = self.members()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        until = time.monotonic() + _END_SECONDS
        while (left := [pid for pid in inside if procfs.stat(pid)]) and time.monotonic() < until:
            if "pid" not in self._has:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
