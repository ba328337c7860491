"""A folder booted under the real emulator and runtime client: how it answers, and how it ends."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packager.environments import interpreters
from packager.errors import EmulatorError, ToolError
from packager.system.sandbox import has_own_root
from packager.targets.lambda_emulator import Emulator, parts, why_not_bootable
from packager.types import Interpreter

CODE = """
import os, sys, time

def handler(event, context):
    if event == "write":
        open("written", "w")
    if event == "sleep":
        time.sleep(30)
    if event == "exit":
        os._exit(3)
    if event == "raise":
        raise KeyError("nothing")
    if event == "large":
        return "x" * 7_000_000
    return {
        "event": event,
        "environment": dict(os.environ),
        "path": sys.path,
        "cwd": os.getcwd(),
        "memory": context.memory_limit_in_mb,
        "pid": os.getpid(),
    }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("with a space") / "the function"
    made.mkdir()
    (made / "app.py").write_text(CODE)
    return made


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Emulator]:
    found = interpreters.available(("3.13", "3.12"))[0]
    with Emulator(
        folder, interpreter=found, handler="app.handler", memory_mb=640, timeout_seconds=2
    ) as function:
        yield function


def ask(running: Emulator, event: object) -> object:
    return json.loads(running.invoke(json.dumps(event).encode()).body)


@pytest.mark.slow
class TestRunning:
    def test_answers_with_what_lambda_sets_and_nothing_of_this_machine(
        self, running: Emulator, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = ask(running, {"a": 1})
        assert isinstance(found, dict)
        assert found["event"] == {"a": 1}
        assert found["cwd"] == found["path"][0] == str(folder)
        assert found["memory"] == "640"
        environment = found["environment"]
        assert environment["LAMBDA_TASK_ROOT"] == str(folder)
        assert environment["LD_LIBRARY_PATH"].split(":")[-1] == f"{folder}/lib"
        assert "VIRTUAL_ENV" not in environment
        assert "USER" not in environment

    def test_measures_its_process(self, running: Emulator) -> None:
        ask(running, 1)
        stats = running.stats()
        assert stats.init_wall_ms > 1
        assert stats.cpu_ms > 1
        assert stats.peak_rss_bytes > 5_000_000
        assert "INIT REPORT" in running.log()

    def test_the_folder_cannot_be_written(self, running: Emulator, folder: Path) -> None:
        if not has_own_root():
            pytest.skip("this machine allows no mount namespace")
        found = ask(running, "write")
        assert isinstance(found, dict)
        assert found["errorType"] == "OSError"
        assert not (folder / "written").exists()

    @pytest.mark.parametrize(
        ("event", "status", "words"),
        [
            ("raise", 200, b'"errorType": "KeyError"'),
            ("exit", 502, b"Runtime.ExitError"),
            ("sleep", 200, b"Task timed out after 2.00 seconds"),
            ("large", 502, b"Function.ResponseSizeTooLarge"),
        ],
    )
    def test_every_way_to_fail_and_up_again(
        self, running: Emulator, event: str, status: int, words: bytes
    ) -> None:
        answer = running.invoke(json.dumps(event).encode())
        assert answer.status == status
        assert words in answer.body
        assert running.invoke(b"1").status == 200

    def test_refuses_what_the_emulator_would_cut_short(self, running: Emulator) -> None:
        answer = running.invoke(b'"' + b"x" * 6_291_456 + b'"')
        assert answer.status == 413
        assert running.invoke(b"1").status == 200

    def test_two_at_once_wait_for_each_other(self, running: Emulator) -> None:
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(running.invoke(b"1").status))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [200] * 8


@pytest.mark.slow
def test_a_client_among_what_is_shipped_calls_no_function(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CODE)
    (shipped := tmp_path / "awslambdaric").mkdir()
    (shipped / "__init__.py").write_text("raise ImportError('shipped')")
    found = interpreters.available(("3.13", "3.12"))[0]

    with Emulator(tmp_path, interpreter=found, handler="app.handler") as function:
        answer = ask(function, {"a": 1})

    assert isinstance(answer, dict)
    assert answer["event"] == {"a": 1}
    assert answer["cwd"] == answer["path"][0] == str(tmp_path)


SNAPSHOT = """
import os
from snapshot_restore_py import register_after_restore, register_before_snapshot
said = ["init"]
register_before_snapshot(said.append, "before")
register_after_restore(said.append, "after")
if os.path.exists("fails"):
    register_after_restore(lambda: 1 / 0)
def handler(event, context):
    return {"said": said, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""


@pytest.mark.parametrize(("hooks", "said"), [("restore_next = None", "started"), ("", "no hooks")])
def test_a_client_without_hooks_does_not_start_from_a_snapshot(
    tmp_path: Path, hooks: str, said: str
) -> None:
    client = tmp_path / "awslambdaric"
    client.mkdir()
    (client / "__init__.py").touch()
    (client / "lambda_runtime_client.py").write_text(f"class Client:\n    next = None\n    {hooks}")
    (client / "__main__.py").write_text("def main(argv):\n    print('started')")
    argv = parts.list_client_arguments(tmp_path, "app.handler", brought=True, snapshot=True)

    done = subprocess.run(
        [sys.executable, *argv], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) is bool(hooks)
    assert ("started" in done.stdout) is bool(hooks)


@pytest.mark.slow
def test_a_start_from_a_snapshot_runs_the_hooks_around_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SNAPSHOT)
    found = interpreters.available(("3.13", "3.12"))[0]

    with Emulator(tmp_path, interpreter=found, handler="app.handler", snapshot=True) as function:
        answer = ask(function, {})
        log = function.log()

    assert answer == {"said": ["init", "before", "after"], "type": "snap-start"}
    assert parts.SNAPSHOT_TAKEN in log


@pytest.mark.slow
def test_a_hook_that_fails_after_a_restore_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SNAPSHOT)
    (tmp_path / "fails").touch()
    found = interpreters.available(("3.13", "3.12"))[0]

    with Emulator(tmp_path, interpreter=found, handler="app.handler", snapshot=True) as function:
        answer = function.invoke(b"{}")

    assert answer.status == 502 or b"errorType" in answer.body


@pytest.mark.slow
def test_nothing_is_left_running(folder: Path) -> None:
    found = interpreters.available(("3.13", "3.12"))[0]
    with Emulator(folder, interpreter=found, handler="app.handler") as function:
        assert function.invoke(b"1").status == 200
        inside = function._confined.members()
        assert len(inside) >= 2
    assert not any(alive(pid) for pid in inside)
    with pytest.raises(EmulatorError, match="did not answer"):
        function.invoke(b"1")
    assert "INIT REPORT" in function.log()


def alive(pid: int) -> bool:
    """Whether it still runs: one that nobody has waited for yet does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in {"Z", "X"}


@pytest.mark.parametrize(("error", "times"), [(KeyboardInterrupt(), 1), (None, 3)])
def test_one_that_does_not_come_up_is_ended(
    error: BaseException | None, times: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = []

    def listens(_self: Emulator) -> bool:
        if error is not None:
            raise error
        return False

    monkeypatch.setattr(Emulator, "_start_emulator", lambda *_: None)
    monkeypatch.setattr(Emulator, "_listens", listens)
    monkeypatch.setattr(Emulator, "_end", lambda _self: ended.append(1))
    found = interpreters.available(("3.13", "3.12"))[0]
    with (
        pytest.raises(EmulatorError if error is None else type(error)),
        Emulator(folder, interpreter=found, handler="app.handler"),
    ):
        pass
    assert len(ended) == times


@pytest.mark.slow
def test_an_import_that_fails_says_so(folder: Path) -> None:
    found = interpreters.available(("3.13", "3.12"))[0]
    with Emulator(folder, interpreter=found, handler="nowhere.handler") as function:
        answer = function.invoke(b"1")
    assert answer.status == 502
    assert b"No module named 'nowhere'" in answer.body


@pytest.mark.parametrize(
    ("system", "machine", "architecture", "why"),
    [
        ("linux", "x86_64", "x86_64", None),
        ("linux", "aarch64", "arm64", None),
        ("linux", "x86_64", "arm64", "The function is for arm64, and this machine (x86_64)"),
        ("linux", "riscv64", "arm64", "and this machine (riscv64) cannot boot it."),
        ("darwin", "arm64", "arm64", "The function is for Linux"),
    ],
)
def test_where_a_function_can_be_booted(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, architecture: str, why: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    found = why_not_bootable("arm64" if architecture == "arm64" else "x86_64")
    assert (found is None) == (why is None)
    assert why is None or why in str(found)


def test_a_machine_without_an_emulator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    interpreter = Interpreter(path=Path("python"), version="3.13.0", found_by="test")
    with pytest.raises(
        ToolError, match=r"no Lambda emulator for riscv64\. Build on a machine of x86_64, arm64"
    ):
        parts.emulator_binary(interpreter)
