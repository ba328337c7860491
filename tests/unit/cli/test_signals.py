"""Whoever stops a command is answered at once, and nothing that it started goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.commands import console
from packager.commands.console import interruption
from packager.errors import ToolError

_AT_ONCE_SECONDS, _NO_WAIT_SECONDS = 10, 25
"""Well below what is waited for otherwise, and well above what a busy machine takes."""
_BEFORE = "from packager.cli._signals import answer_signals\nanswer_signals()\n"
# a call into a library that lets no handler run, though other threads go on
_IN_C = (
    "import hashlib\nprint('ready', flush=True)\n"
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 60_000_000)\n"
)
_IN_A_CHILD = (
    "import sys\nfrom packager.system import process as _process\nprint('ready', flush=True)\n"
    "_process.run([sys.executable, '-c', 'import signal, time; "
    "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)'])\n"
)
_IN_THREADS = (
    "import sys\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "from packager.system import process as _process\n"
    "wait = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
    "print('ready', flush=True)\n"
    "with ThreadPoolExecutor(2) as pool:\n"
    "    list(pool.map(lambda _: _process.run(wait), range(6)))\n"
)
_TIDYING = (
    "import time\nprint('ready', flush=True)\n"
    "try:\n    time.sleep(60)\nfinally:\n    time.sleep(1)\n    print('tidied', flush=True)\n"
)


def _start(code: str) -> subprocess.Popen[bytes]:
    started = subprocess.Popen(
        [sys.executable, "-c", _BEFORE + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    return started


def _read_error(started: subprocess.Popen[bytes]) -> bytes:
    assert started.stderr is not None
    return os.read(started.stderr.fileno(), 200)


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_is_said_at_once_even_amid_a_long_call(number: signal.Signals) -> None:
    with _start(_IN_C) as started:
        sent = time.monotonic()
        started.send_signal(number)
        assert b"Stopping" in _read_error(started)
        assert time.monotonic() - sent < _AT_ONCE_SECONDS
        started.kill()


@pytest.mark.few(1)
@pytest.mark.parametrize("code", [_IN_A_CHILD, _IN_THREADS])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nobody_waits_for_a_program_of_ours(code: str, number: signal.Signals) -> None:
    with _start(code) as started:
        sent = time.monotonic()
        started.send_signal(number)
        started.communicate(timeout=40)
        assert time.monotonic() - sent < _NO_WAIT_SECONDS
        assert started.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_stop_the_tidying(number: signal.Signals) -> None:
    with _start(_TIDYING) as started:
        started.send_signal(number)
        time.sleep(0.3)
        started.send_signal(number)
        out, said = started.communicate(timeout=20)
        assert out == b"tidied\n"
        assert said.count(b"Stopping") == 1


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_said_where_the_end_comes_at_once(number: signal.Signals) -> None:
    with _start("print('ready', flush=True)\nwhile True:\n    pass\n") as started:
        started.send_signal(number)
        assert b"Stopping" in started.communicate(timeout=20)[1]


def test_a_third_one_ends_it(tmp_path: Path) -> None:
    with _start(_TIDYING.replace("time.sleep(1)", "time.sleep(30)")) as started:
        # two that come before the first is seen count as one, as on a busy machine
        until = time.monotonic() + 20
        while started.poll() is None and time.monotonic() < until:
            started.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        assert started.returncode == 143


def test_what_is_ignored_stays_ignored() -> None:
    code = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + _BEFORE
    code += "import time\nprint('ready', flush=True)\ntime.sleep(1)\n"
    with _start(code) as started:
        started.send_signal(signal.SIGHUP)
        assert started.wait(timeout=20) == 0


def test_an_interrupt_while_the_commands_are_imported_leaves_no_traceback() -> None:
    slow = (
        "import runpy, sys, time\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'packager.cli':\n"
        "            print('ready', flush=True)\n"
        "            time.sleep(60)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "runpy.run_module('packager', run_name='__main__')\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=_NO_WAIT_SECONDS)
    assert said == b""
    assert started.returncode == -signal.SIGINT


_ENDING = """
import atexit, sys, threading, time
from packager import __main__, cli
def run():
    atexit.register(print, "tidied")
    threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
    print("said", end=" ")
    {end}
cli.main = run
__main__.main()
"""


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("end", "code"), [("pass", 0), ("sys.exit()", 0), ("sys.exit(8)", 8), ("sys.exit('x')", 1)]
)
def test_a_command_ends_at_once_and_loses_nothing(end: str, code: int) -> None:
    """Its threads end, what is to be done at the end is done, and all that it printed is there."""
    done = subprocess.run(
        [sys.executable, "-c", _ENDING.format(end=end)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, "said thread\ntidied\n")


_DEPLOYING = """
import sys, typer
from pathlib import Path
from packager import cli
from packager.cli import console
from packager.commands.cloud.follow.deploy_command import DeployCommand, run_commands
folder = Path(sys.argv[1])
def wait():
    with console.change_outside("the deployment of version 7", "It may go on at the cloud."):
        command = DeployCommand(texts=("sleep",), commands=(("sleep", "60"),))
        print("ready", flush=True)
        run_commands(command, folder, {"PATH": "/usr/bin:/bin"}, folder / "deploy.log")
cli.app.command(name="wait")(wait)
sys.argv = ["packager", "wait"]
cli.main()
"""


@pytest.mark.few(1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_a_deployment_hears_that_it_may_go_on(
    number: signal.Signals, tmp_path: Path
) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", _DEPLOYING, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    started.send_signal(number)
    said = started.communicate(timeout=60)[1].decode()

    assert started.returncode == 128 + number
    assert "Stopping: the deployment of version 7 is interrupted and may go on." in said
    assert "It may go on at the cloud." in said
    assert "half" not in said


@pytest.fixture
def _nothing_interrupted() -> Iterator[None]:
    """Tests that interrupt a command in this process leave what is said of it at its end."""
    interruption._words.clear()
    yield
    interruption._words.clear()


@pytest.mark.usefixtures("_nothing_interrupted")
def test_what_ended_is_no_longer_said_to_go_on() -> None:
    with console.change_outside("the batch", "it goes on"):
        assert console.is_changing()
    with pytest.raises(ValueError, match="refused"), console.change_outside("the batch", "it"):
        raise ValueError("refused")
    assert not console.is_changing()
    assert console.describe_stopping() == "Stopping."


_HALF_MADE = "Stopping: what is half made is being removed."


@pytest.mark.usefixtures("_nothing_interrupted")
@pytest.mark.parametrize(
    ("arguments", "place", "said"),
    [
        (["build", "models:/one/1"], "packager.cli._build._build_artifact", _HALF_MADE),
        (
            ["build", "models:/one/1", "--dry-run"],
            "packager.cli._build._summarise_plan",
            _HALF_MADE,
        ),
        (["inspect", "models:/one/1"], "packager.commands.inspect.inspect_model", _HALF_MADE),
        (["report", "models:/one/1"], "packager.pipeline.build.build_or_reuse", _HALF_MADE),
        (["demo"], "packager.commands.demo.run_demo", _HALF_MADE),
        (["serve", "models:/one/1"], "packager.commands.serve.prepare", _HALF_MADE),
        (["serve", "dist/one"], "packager.commands.serve.run", "Stopping the server."),
        (["invoke", "dist/one"], "packager.commands.invoke.invoke_artifact", "Stopping."),
        (["doctor"], "packager.environments.machine.check.check_machine", "Stopping."),
        (
            ["verify", "dist/one"],
            "packager.commands.artifact.integrity.verify_artifact",
            "Stopping.",
        ),
    ],
)
def test_an_interrupt_says_what_becomes_of_what_was_done(
    arguments: list[str], place: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def stop(*_: object, **__: object) -> None:
        heard.append(console.describe_stopping())
        raise ToolError("enough")

    monkeypatch.setattr("packager.commands.serve.prepare", lambda *_, **__: None)
    monkeypatch.setattr(place, stop)
    CliRunner().invoke(cli.app, arguments)
    assert heard == [said]


@pytest.mark.usefixtures("_nothing_interrupted")
def test_an_interrupted_server_is_said_to_have_stopped() -> None:
    with contextlib.suppress(KeyboardInterrupt), console.serve_here():
        raise KeyboardInterrupt
    # what an interrupt leaves is what is said at the end
    assert interruption.describe_left() == "The server has stopped."
