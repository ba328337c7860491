"""Commands that deploy run without a shell, in the artifact's folder, and see few variables."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from packager.commands.cloud.follow.deploy_command import (
    _Output,
    build_environment,
    parse_commands,
    run_commands,
)
from packager.commands.cloud.follow.deploy_failure import (
    DeploymentFailedError,
    DeploymentNotBegunError,
)
from packager.errors import ConfigurationError, StorageError
from packager.system import process
from packager.targets import TARGETS, load
from packager.types import Following


def make(*commands: str, passed: tuple[str, ...] = ()) -> Following:
    return Following(commands=commands, passed=passed)


def run(folder: Path, *commands: str, env: Mapping[str, str] | None = None) -> None:
    deploy = parse_commands(make(*commands), load("aws-lambda"))
    environment = build_environment(deploy, "churn", "7") if env is None else env
    run_commands(deploy, folder, environment, folder / "deploy.log")


def write_script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return shlex.quote(str(path))


def test_it_runs_in_the_artifact_s_folder_and_no_shell_reads_it(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), sys.argv[1:])"
    run(tmp_path, f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} '$HOME' '*' ';' '&& x'")

    said = (tmp_path / "deploy.log").read_text()
    assert said == f"{tmp_path} ['$HOME', '*', ';', '&& x']\n"


def test_commands_run_one_after_the_other_until_one_fails(tmp_path: Path) -> None:
    script = write_script(tmp_path / "d", 'echo "$1"; exit "$2"')
    with pytest.raises(
        DeploymentFailedError, match=r"`d \(with 2 arguments\)` ended with exit code 3"
    ) as failed:
        run(tmp_path, f"{script} first 0", f"{script} second 3", f"{script} third 0")

    assert (tmp_path / "deploy.log").read_text() == "first\nsecond\n"
    # its own last lines, and not those of a command before it
    assert str(failed.value).endswith("deploy.log:\n  second")


_ROLLED_BACK = "Version 6, which was deployed before, still serves, unless"
_REPLACED = "azd replaces the app before it is checked"
_UNKNOWN = "What serves is not known here"


@pytest.mark.parametrize(
    ("target", "command", "serving", "said"),
    [
        ("aws-lambda", "own", "6", _ROLLED_BACK),
        ("aws-lambda-image", "own", "6", _ROLLED_BACK),
        ("azure-functions", "own", "6", _REPLACED),
        ("aws-lambda", "mine", "6", _UNKNOWN),
        ("azure-functions", "mine", "6", _UNKNOWN),
        ("gpu-container", "mine", "6", _UNKNOWN),
        ("aws-lambda", "own", None, "`aws cloudformation delete-stack"),
        ("aws-lambda-image", "own", None, "`aws cloudformation delete-stack"),
        ("azure-functions", "own", None, "`azd down`"),
        ("gpu-container", "mine", None, "What your command made stays"),
        ("aws-lambda", "mine", None, "What your command made stays"),
    ],
)
def test_a_failure_says_what_serves_by_its_target_and_the_way_back(
    target: str,
    command: str,
    serving: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for tool in ("sam", "azd", "mine"):
        write_script(tmp_path / tool, "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    own = command == "own"
    following = Following(own_command=True) if own else make("mine")
    deploy = parse_commands(following, load(target))
    env = {"PATH": os.environ["PATH"]}
    with pytest.raises(DeploymentFailedError) as failed:
        run_commands(deploy, tmp_path, env, tmp_path / "deploy.log", serving=serving)

    text = str(failed.value)
    assert said in text
    assert ("still serves" in text) is (said == _ROLLED_BACK)
    assert ("aws cloudformation" in text) is (own and "aws" in target and serving is None)
    assert "--retry" in text or said == _ROLLED_BACK


def test_what_it_prints_is_said_line_by_line_without_orders_to_the_terminal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "packager")
    script = write_script(
        tmp_path / "d", r"printf 'to https://me:pw@host/\n\033[31mred\r\n\377'; printf half >&2"
    )
    run(tmp_path, script)

    lines = [each.getMessage() for each in caplog.records][1:]
    assert lines == ["  to https://host/", "  \\x1b[31mred", "  \ufffdhalf"]


def test_arguments_are_in_no_log_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "packager")
    script = write_script(tmp_path / "d", "exit 1")
    with pytest.raises(DeploymentFailedError) as failed:
        run(tmp_path, f"{script} --password hunter2 --set db.password=hunter2")
    with pytest.raises(ConfigurationError) as refused:
        parse_commands(make("sam --password 'hunter2"), load("aws-lambda"))
    shown = parse_commands(make(f"{script} hunter2", script), load("aws-lambda")).describe()

    assert shown == "d (with 1 argument) && d"
    for each in (caplog.text, str(failed.value), str(refused.value)):
        assert "hunter2" not in each


def test_a_line_that_never_ends_takes_no_more_memory_than_one_that_does(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    output = _Output(log)
    for _ in range(50):
        with log.open("ab") as out:
            out.write(b"." * 100_000)
        output.tell_new()
        assert len(output._rest) <= 2000
    with log.open("ab") as out:
        out.write(b"\r10%\r20%\r\ndone\r")
    output.tell_new()
    with log.open("ab") as out:
        out.write(b"\nlast")
    output.tell_new(ended=True)

    assert [line[:4] for line in output.tail] == ["....", "10%", "20%", "done", "last"]


def test_its_log_is_its_owner_s_alone(tmp_path: Path) -> None:
    (tmp_path / "deploy.log").write_text("of an earlier one")
    run(tmp_path, write_script(tmp_path / "d", "echo done"))

    mode = (tmp_path / "deploy.log").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert (tmp_path / "deploy.log").read_text() == "done\n"


def test_a_program_by_its_path_is_found_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_script(tmp_path / "deploy.sh", "pwd")
    (artifact := tmp_path / "artifact").mkdir()
    monkeypatch.chdir(tmp_path)
    run(artifact, "./deploy.sh")

    assert (artifact / "deploy.log").read_text() == f"{artifact}\n"


def test_it_sees_the_variables_that_the_guide_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AZURE_CLIENT_ID", "https_proxy", "MY_ACCOUNT"):
        monkeypatch.setenv(name, "seen")
    for name in ("MLFLOW_TRACKING_TOKEN", "PACKAGER_WEBHOOK_SECRET", "GITHUB_TOKEN", "PGPASSWORD"):
        monkeypatch.setenv(name, "hidden")
    deploy = parse_commands(make("true", passed=("MY_ACCOUNT", "ABSENT")), load("aws-lambda"))
    found = build_environment(deploy, "churn", "7")

    assert "hidden" not in found.values()
    assert [key for key in found if found[key] == "seen"] == [
        each for each in os.environ if os.environ[each] == "seen"
    ]
    assert (found["PACKAGER_MODEL_NAME"], found["PACKAGER_MODEL_VERSION"]) == ("churn", "7")


@pytest.mark.parametrize(
    ("following", "said"),
    [
        (Following(), "Give one of the two"),
        (Following(own_command=True, commands=("true",)), "Give one of the two"),
        (make(""), "--deploy-command is empty"),
        (make("  "), "--deploy-command is empty"),
        (make("sam 'deploy"), "No closing quotation"),
        (make("no-such-program-at-all x"), "not on PATH"),
        (make("./no-such-file"), "there is no such file, or it may not be run"),
        (make("true", passed=("PACKAGER_WEBHOOK_SECRET",)), "it signs deliveries"),
    ],
)
def test_what_cannot_deploy_is_refused_before_anything_is_built(
    following: Following, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_commands(following, load("aws-lambda"))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_has_its_own_command_or_asks_for_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tool in ("sam", "azd"):
        write_script(tmp_path / tool, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    target = load(name)
    if not target.deployment.unattended:
        with pytest.raises(ConfigurationError, match=f"no command that deploys {name} everywhere"):
            parse_commands(Following(own_command=True), target)
        return
    found = parse_commands(Following(own_command=True), target)

    # the tool of the command that the artifact's README shows, without its questions
    assert {words[0] for words in found.commands} == {target.deployment.deploy.split()[0]}
    assert "--guided" not in str(found.commands)


def test_an_interrupt_ends_the_command_and_what_it_started(tmp_path: Path) -> None:
    script = write_script(
        tmp_path / "d", "trap 'echo asked to end; exit 1' TERM\nsleep 60 &\necho $!\nwait"
    )
    (folder := tmp_path / "artifact").mkdir()
    log = folder / "deploy.log"
    deploy = parse_commands(make(script), load("aws-lambda"))
    running = process.start(deploy.commands[0], cwd=folder, env=os.environ, log=log)
    until(lambda: log.read_text().strip().isdigit())
    child = int(log.read_text())
    process.end_group(running, 5)

    assert running.returncode == 1
    assert "asked to end" in log.read_text()
    until(lambda: not Path(f"/proc/{child}").exists() or is_dead(child))


def test_one_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    script = write_script(tmp_path / "d", "trap '' TERM\necho on\nsleep 60")
    log = tmp_path / "log"
    running = process.start([shlex.split(script)[0]], cwd=tmp_path, env=os.environ, log=log)
    until(lambda: log.read_text() == "on\n")
    process.end_group(running, 0.05)

    assert running.returncode == -9


def test_a_program_that_stays_behind_does_not_hold_the_follower(tmp_path: Path) -> None:
    """It has the log open, as it would have a pipe."""
    script = write_script(tmp_path / "d", "sleep 5 &\necho $! done")
    started = time.monotonic()
    run(tmp_path, script)

    assert time.monotonic() - started < 4
    os.kill(int((tmp_path / "deploy.log").read_text().split()[0]), 9)


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "deploy.log").mkdir()
    with pytest.raises(StorageError, match=r"deploy\.log cannot be written"):
        run(tmp_path, "true")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF of nowhere", "made for another kind of machine"),
        (b"#!/no/such/shell\n", "names a program that is not there"),
        (b"", "Write #!/bin/sh there"),
        (b"echo deploy\n", "Write #!/bin/sh there"),
        (None, "it is not there any more"),
    ],
)
@pytest.mark.parametrize("serving", ["6", None])
def test_a_program_that_cannot_be_started_has_deployed_nothing(
    serving: str | None, content: bytes | None, said: str, tmp_path: Path
) -> None:
    """It was changed after the follower began."""
    path = tmp_path / "d"
    deploy = parse_commands(make(write_script(path, "exit 0")), load("aws-lambda"))
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DeploymentNotBegunError) as failed:
        run_commands(deploy, tmp_path, {}, tmp_path / "deploy.log", serving=serving)

    text = str(failed.value)
    assert said in text
    assert text.startswith("Nothing was deployed, and it is tried again. `d` cannot be started")
    assert "delete-stack" not in text


def test_a_second_program_that_cannot_be_started_comes_after_one_that_ran(tmp_path: Path) -> None:
    path = tmp_path / "d"
    deploy = parse_commands(make("true", write_script(path, "exit 0")), load("aws-lambda"))
    path.write_bytes(b"\x7fELF of nowhere")
    with pytest.raises(DeploymentFailedError, match=_UNKNOWN) as failed:
        run_commands(deploy, tmp_path, dict(os.environ), tmp_path / "deploy.log", serving="6")

    assert not isinstance(failed.value, DeploymentNotBegunError)


@pytest.mark.parametrize("content", ["", "sam deploy\n"])
def test_a_script_without_its_first_line_is_refused_before_anything_is_built(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "d"
    path.write_text(content)
    path.chmod(0o755)
    with pytest.raises(ConfigurationError, match="Write #!/bin/sh there"):
        parse_commands(make(str(path)), load("aws-lambda"))


def until(holds: object) -> None:
    assert callable(holds)
    waited = threading.Event()
    for _ in range(500):
        if holds():
            return
        waited.wait(0.01)
    raise AssertionError("it did not happen within 5 seconds")


def is_dead(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
