"""What a person sees while a command works: on a terminal, in a pipe, and with nothing wanted."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from fcntl import ioctl
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from packager.cli._build import name_build
from packager.commands.console import durations, live_progress
from packager.pipeline import build
from packager.system import cache
from packager.types import BESIDE, Stage, make_request

WIDTH = 80
LAST = {Stage.RESOLVE: 1.0, Stage.PLAN: 2.0, Stage.ASK: 10.0, Stage.SLIM: 40.0, Stage.EMIT: 7.0}
# what a build says, from the pipeline's own words
BUILD = """
import logging, sys, time
from packager.commands import console
from packager.pipeline import build
from packager.types import Stage, make_request
log = logging.getLogger("packager.pipeline")
with console.progress(verbose=False, quiet="quiet" in sys.argv, about="build one"):
    for stage in Stage:
        if stage is Stage.ASK:
            log.info("Attempt 1 of 2: native/numpy", extra=build._ATTEMPT)
        build.begin_stage(stage)
        if stage is Stage.SLIM:
            log.info("Deferring imports: " + "x" * 200)
            log.warning("Attempt 1 of 2 is given up: replay: row 3")
            time.sleep(0.5 if sys.__stderr__.isatty() and "quiet" not in sys.argv else 0)
"""
STOPPED = """
import sys, time
from packager.cli._signals import answer_signals
from packager.commands import console
answer_signals()
with console.progress(verbose=False), console.build_here():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        sys.stdin.readline()  # what is half made is removed
"""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    given = {"TERM": "xterm-256color", "PACKAGER_CACHE": str(tmp_path / "cache"), **more}
    return {**plain, "LC_ALL": "C.UTF-8", "PYTHONPATH": str(Path.cwd()), **given}


def _start(program: str, env: dict[str, str], *words: str) -> tuple[subprocess.Popen[bytes], int]:
    own, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    argv = [sys.executable, "-c", program, *words]
    started = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    return started, own


def _read(own: int, until: bytes = b"\0never", seconds: float = 60) -> bytes:
    said, end = b"", time.monotonic() + seconds
    while until not in said and (left := end - time.monotonic()) > 0:
        if not select.select([own], [], [], left)[0]:
            break
        with contextlib.suppress(OSError):
            if read := os.read(own, 65536):
                said += read
                continue
        break
    return said


def _list_lines(said: bytes) -> list[str]:
    """Everything that stood in a line of the terminal, once it is read without its codes."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\r", text)
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_terminal_of_80_columns_shows_the_stages_their_times_and_how_long_it_will_take(
    kept: Path,
) -> None:
    durations.keep("build one", LAST)
    started, own = _start(BUILD, _environment(kept))
    said = _read(own)
    assert started.wait(30) == 0

    lines = _list_lines(said)
    assert max(map(cell_len, lines)) <= WIDTH
    assert any(re.search(r". slim +0:0\d  Deferring imports: x+…$", line) for line in lines)
    assert any(re.match(r"✓ resolve +0:0\d$", line) for line in lines)
    times = [re.match(r"0:0\d of about (\d):(\d\d)  Attempt 1 of 2", line) for line in lines]
    (about, *_) = [60 * int(each[1]) + int(each[2]) for each in times if each]
    # what came before went faster than the last time, which leaves what was 47 seconds
    assert 47 <= about <= 48
    # a warning stays
    assert any(line.endswith("s  Attempt 1 of 2 is given up: replay: row 3") for line in lines)
    # the next one is expected to take as long as this one
    found = durations.recall("build one")
    assert [*found] == sorted(Stage)
    assert 0.4 <= found[Stage.SLIM] < LAST[Stage.SLIM]
    assert durations.recall("build another") == {}


def test_a_damaged_note_of_durations_expects_nothing(kept: Path) -> None:
    durations.keep("build one", LAST)
    (content,) = (kept / "cache").rglob("content")
    content.chmod(0o644)
    content.write_text('{"slim": 1e9}')
    assert durations.recall("build one") == {}
    key = cache.make_key("build one")
    cache.forget("durations", key)
    cache.remember("durations", key, lambda: json.dumps(["no", "seconds"]).encode())
    assert durations.recall("build one") == {}
    cache.forget("durations", key)
    cache.remember("durations", key, lambda: json.dumps({"plan": None}).encode())
    assert durations.recall("build one") == {}


def test_without_colour_nothing_is_coloured(kept: Path) -> None:
    started, own = _start(BUILD, _environment(kept, NO_COLOR="1"))
    said = _read(own)
    assert started.wait(30) == 0
    assert b"slim" in said
    assert not re.search(rb"\x1b\[[0-9;]*(3|4|9)[0-7]m", said)


def test_quiet_says_what_is_wrong_and_nothing_else(kept: Path) -> None:
    started, own = _start(BUILD, _environment(kept), "quiet")
    lines = _list_lines(_read(own))
    assert started.wait(30) == 0
    (line,) = lines
    assert line.endswith("Attempt 1 of 2 is given up: replay: row 3")


def test_colours_that_are_asked_for_make_no_terminal_of_a_pipe(kept: Path) -> None:
    """A log of CI would be full of frames."""
    environment = _environment(kept, FORCE_COLOR="1", CI="1")
    done = subprocess.run(
        [sys.executable, "-c", BUILD], env=environment, capture_output=True, check=True
    )
    assert not re.search(rb"\x1b\[[^m]*[A-Za-ln-z]|\r", done.stderr)
    assert b"1 of 7: \x1b" in done.stderr or b"1 of 7: Reading the model" in done.stderr


@pytest.mark.usefixtures("kept")
def test_a_pipe_gets_a_line_with_its_time_for_each_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(BUILD, {})  # noqa: S102 - what the other tests start
    said = capsys.readouterr().err
    lines = said.splitlines()
    assert "\x1b" not in said
    assert re.fullmatch(r" +\d+\.\d s  1 of 7: Reading the model", lines[0])
    assert [line.split("s  ", 1)[1][:2] for line in lines if " of 7: " in line] == [
        f"{number} " for number in range(1, 8)
    ]
    assert sum("Attempt 1 of 2" in line for line in lines) == 2


def _log_beside() -> None:
    def work() -> None:
        logging.getLogger("packager.pipeline").info("prune: 300 -> 200 MB")
        logging.getLogger("packager.pipeline").warning("It is odd.")

    thread = threading.Thread(target=work, name=f"{BESIDE}-slimming_0")
    thread.start()
    thread.join()


def test_work_of_another_stage_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with live_progress.progress(verbose=False):
        build.begin_stage(Stage.ASK)
        _log_beside()
    _, line, warning = capsys.readouterr().err.splitlines()
    assert line.endswith("s  Meanwhile: prune: 300 -> 200 MB")
    assert warning.endswith("s  It is odd.")


def test_the_view_says_what_the_present_stage_does(monkeypatch: pytest.MonkeyPatch) -> None:
    out = _Terminal()
    monkeypatch.setattr(
        live_progress, "_ERR", Console(file=out, force_terminal=True, _environ={"TERM": "xterm"})
    )
    with live_progress.progress(verbose=False):
        build.begin_stage(Stage.ASK)
        _log_beside()
        assert [view.text for view in live_progress._shown] == ["Asking the registered model"]
    assert "It is odd." in out.getvalue()


def test_what_is_planned_alone_has_two_stages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("check", "resolve", "plan"):
        monkeypatch.setattr(build, name, lambda *_: ())
    with (
        live_progress.progress(verbose=False),
        build.plan_build(make_request(model_uri="models:/one/1"), None),  # type: ignore[arg-type]
    ):
        pass
    assert [line[10:16] for line in capsys.readouterr().err.splitlines()] == ["1 of 2", "2 of 2"]


def test_a_stop_is_answered_in_the_view_before_what_is_half_made_is_removed(
    tmp_path: Path,
) -> None:
    started, own = _start(STOPPED, _environment(tmp_path))
    _read(own, b"ready")
    started.send_signal(signal.SIGINT)
    said = _read(own, b"Stopping", seconds=20)
    assert started.poll() is None
    os.write(own, b"\n")
    assert b"Stopping: what is half made is being removed." in said + _read(own)
    assert started.wait(20) == 0


def test_a_stop_is_seen_within_300_ms() -> None:
    """The view is drawn again of itself: how long that takes here is the machine's affair."""
    assert 1 / live_progress._REFRESHES < 0.3


def test_what_is_left_of_a_build_is_what_the_last_one_took_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    timeline = live_progress.Timeline(LAST)
    assert timeline.expect() is None
    timeline.begin(Stage.ASK)
    now[0] = 4.0
    assert timeline.expect() == 4 + (10 - 4) + 40 + 7
    now[0] = 30.0  # three times as long as the last time: nothing of it is left
    assert timeline.expect() == 30 + 40 + 7
    timeline.begin(Stage.SLIM)
    now[0] = 50.0
    timeline.begin(Stage.ASK)  # another attempt
    now[0] = 51.0
    assert timeline.expect() == 51 + 40 + 7
    assert timeline.measure(Stage.ASK) == 31
    assert live_progress.Timeline({}).expect() is None


def test_a_terminal_without_unicode_gets_plain_marks() -> None:
    timeline = live_progress.Timeline(LAST)
    timeline.begin(Stage.RESOLVE)
    timeline.begin(Stage.PLAN)
    view = live_progress.View(timeline)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    Console(file=out, width=WIDTH, force_terminal=True, legacy_windows=False).print(view)
    out.seek(0)
    assert out.read().splitlines()[0].startswith("+ resolve")


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("models:/wine/3", "models:/wine"),
        ("models:/wine@champion", "models:/wine"),
        ("models:/wine/latest", "models:/wine"),
        ("models:/m-0123", "models:/m-0123"),
        ("runs:/0123/model", "runs:/0123/model"),
        ("/srv/models/wine", "/srv/models/wine"),
        ("s3://bucket/wine", "s3://bucket/wine"),
    ],
)
def test_versions_of_a_model_are_expected_to_take_as_long(uri: str, name: str) -> None:
    assert name_build(make_request(model_uri=uri)) == f"auto {name}"
