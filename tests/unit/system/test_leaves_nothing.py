"""Whatever a model's code does and however a build ends, nothing of it stays on the machine."""

# ruff: noqa: S108 - the machine's own places are looked at, and never written

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from packager.system.sandbox import Confinement, launch, run
from packager.system.sandbox.protections import LEVELS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
ROOT = Path(__file__).parents[3]
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", "/home")
"""Places of the machine that others write to, too."""

WRITES = """
import contextlib, ctypes, os, pathlib, subprocess, sys, tempfile, time
token, key, *places = sys.argv[1:]
home = os.path.expanduser("~")
for place in (*places, home, home + "/.cache", os.getcwd(), sys.prefix, tempfile.gettempdir()):
    with contextlib.suppress(OSError):
        os.makedirs(place, exist_ok=True)
    with contextlib.suppress(OSError):
        pathlib.Path(place, token).write_text("here")
    with contextlib.suppress(OSError):
        tempfile.mkdtemp(prefix=token, dir=place)
libc = ctypes.CDLL(None)
create, mode = 0o1000, 0o600
libc.shmget(int(key), 4096, create | mode)
libc.semget(int(key), 1, create | mode)
libc.msgget(int(key), create | mode)
for name in ("shm_open", "sem_open", "mq_open"):
    with contextlib.suppress(AttributeError):
        getattr(libc, name)(f"/{token}-{name}".encode(), os.O_CREAT | os.O_RDWR, mode, 1)
wait = [sys.executable, "-c", "import time; time.sleep(100)", token]
for detached in (False, True):
    with contextlib.suppress(OSError):
        subprocess.Popen(wait, start_new_session=detached)
"""
BUILD = """
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from packager.cli._signals import answer_signals
from packager.errors import PlanError
from packager.pipeline import build
from packager.system import sandbox
from packager.system.scratch import make_scratch
from packager.types import make_request
answer_signals()
how, code, *words = sys.argv[1:]
def resolve(request, registry, folder):
    (folder / "MLmodel").touch()
    return "model"
def plan(request, model, target):
    with make_scratch("lock") as folder:
        (folder / "listed").touch()
        if how == "plan fails":
            raise PlanError("No.")
    return ("attempt",)
def slim_and_verify(attempts, place, beside, early):
    work = place.stage("attempt-0")
    (work / "function").mkdir()
    with make_scratch("trace") as folder:
        inside = sandbox.Confinement(
            readable=(work,), writable=(folder,), variables={"HOME": "/tmp"}
        )
        sandbox.run(
            [sys.executable, "-c", code, *words, str(work), str(folder)],
            inside=inside, cwd=Path("/tmp"), env={}, timeout_seconds=90,
        )
        raise PlanError("The model does not load.")
build.resolve, build.plan, build._first_proven = resolve, plan, slim_and_verify
build.check_provable = build.work_ahead = build.fetch_tools = lambda *_: None
build._pin_bases = lambda attempts, _: attempts
build._asking_early = lambda _: contextlib.nullcontext()
request = make_request(model_uri="models:/churn@champion", out_dir=Path("dist"))
if how == "dry run":
    with build.plan_build(request, None):
        pass
else:
    build.build(request, None)
"""


@dataclass(frozen=True)
class Machine:
    """A home, a folder for temporary files and one to work in; a name that all else is known by."""

    folder: Path
    token: str
    key: int

    def list_left(self) -> dict[str, list[str]]:
        """By place, what is there under our name; and all there is in folders of our own."""
        found = {
            place: [each.name for each in Path(place).iterdir() if self.token in each.name]
            for place in SHARED
        }
        own = [*self.folder.rglob("*"), *Path(sys.prefix).glob(f"*{self.token}*")]
        found["own"] = sorted(str(path.relative_to(self.folder.parent)) for path in own)
        for kind in ("shm", "sem", "msg"):
            lines = Path("/proc/sysvipc", kind).read_text().splitlines()[1:]
            found[kind] = [line for line in lines if line.split()[0] == str(self.key)]
        found["processes"] = [each.name for each in Path("/proc").iterdir() if self._is_ours(each)]
        return found

    def _is_ours(self, process: Path) -> bool:
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            return False
        try:
            return self.token.encode() in (process / "cmdline").read_bytes()
        except OSError:
            return False

    def wait_until(self, expected: dict[str, list[str]]) -> dict[str, list[str]]:
        until = time.monotonic() + 20
        while (left := self.list_left()) != expected and time.monotonic() < until:
            time.sleep(0.05)
        return left

    def start_build(self, how: str, code: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, "HOME": str(self.folder / "home"), "PYTHONPATH": str(ROOT)}
        env |= {"TMPDIR": str(self.folder / "tmp")}
        return subprocess.Popen(
            [sys.executable, "-B", "-c", BUILD, how, code, self.token, str(self.key), *SHARED],
            cwd=self.folder / "cwd", env=env, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("home", "tmp", "cwd"):
        (tmp_path / "own" / name).mkdir(parents=True)
    return Machine(tmp_path / "own", f"left-{secrets.token_hex(6)}", secrets.randbelow(1 << 30) + 1)


@pytest.mark.few(1)
@pytest.mark.parametrize("level", ["namespaces", "privileged", "shared-proc", "landlock"])
def test_nothing_that_a_model_writes_anywhere_stays(
    level: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    has = dict(LEVELS)[level]
    if not launch._holds(has):
        pytest.skip(f"this machine has no {level}")
    monkeypatch.setattr(launch, "features", lambda: has)
    before = machine.list_left()
    readable = machine.folder / "home"
    done = run(
        [sys.executable, "-c", WRITES, machine.token, str(machine.key), *SHARED, str(readable)],
        inside=Confinement(readable=(readable,), variables={"HOME": "/tmp"}),
        cwd=Path("/tmp"), env={}, timeout_seconds=60,
    )  # fmt: skip
    assert done.stderr == ""
    assert machine.wait_until(before) == before


@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["dry run", "plan fails", "the model fails"])
def test_a_build_that_fails_or_only_plans_leaves_nothing(how: str, machine: Machine) -> None:
    before = machine.list_left()
    with machine.start_build(how, WRITES) as build:
        said = (build.communicate(timeout=90)[1] or b"").decode()
    assert (build.returncode == 0) is (how == "dry run"), said
    assert ("PlanError" in said) is (how != "dry run")
    assert machine.wait_until(before) == before


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_stopped_leaves_nothing(number: signal.Signals, machine: Machine) -> None:
    before = machine.list_left()
    with _start_and_wait(machine) as build:
        build.send_signal(number)
        build.communicate(timeout=30)
    assert machine.wait_until(before) == before


@pytest.mark.few(0)
def test_what_a_killed_build_leaves_is_swept_by_the_next(machine: Machine) -> None:
    before = machine.list_left()
    with _start_and_wait(machine) as build:
        build.kill()
        build.communicate(timeout=30)
    left = machine.list_left()["own"]
    assert any("packager-trace-" in each for each in left)
    assert any(".dist.partial-" in each for each in left)
    with machine.start_build("plan fails", "") as build:
        build.communicate(timeout=90)
    assert machine.wait_until(before) == before


def _start_and_wait(machine: Machine) -> subprocess.Popen[bytes]:
    """A build whose model has written everywhere, and is still running."""
    code = WRITES + (
        "pathlib.Path(places[-1], 'ready').touch()\nprint(token, flush=True)\ntime.sleep(80)\n"
    )
    build = machine.start_build("hang", code)
    ready: Callable[[], list[Path]] = lambda: list(machine.folder.rglob("ready"))  # noqa: E731
    until = time.monotonic() + 60
    while not ready() and build.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert ready(), json.dumps(machine.list_left())
    return build
