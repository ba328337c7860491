from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.errors import PackagerError, UnprovenError, VerificationError
from packager.types import Finding

RUN = CliRunner()


def test_every_command_has_help() -> None:
    for command in ("inspect", "build", "invoke", "serve", "demo"):
        result = RUN.invoke(cli.app, [command, "--help"])
        assert result.exit_code == 0
        assert result.output.strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "models:/x/1", "--arch", "ppc"],
        ["build", "models:/x/1", "--python", "three"],
        ["build", "models:/x/1", "--python", "3"],
        ["build", "models:/x/1", "--rows", "-1"],
        ["build", "models:/x/1", "--http", "carrier-pigeon"],
        ["build"],
        ["invoke"],
        ["nonsense"],
    ],
)
def test_a_bad_argument_is_a_usage_error(arguments: list[str]) -> None:
    assert RUN.invoke(cli.app, arguments).exit_code == 2


def test_help_imports_neither_mlflow_nor_a_stage() -> None:
    code = "import sys, packager.cli; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert not loaded & {"mlflow", "numpy", "pandas", "jinja2", "packager.pipeline", "boto3"}


def errors() -> list[type[PackagerError]]:
    found, queue = [], [PackagerError]
    while queue:
        found.append(kind := queue.pop())
        queue += kind.__subclasses__()
    return found


def test_each_way_to_stop_has_its_own_exit_code() -> None:
    direct = PackagerError.__subclasses__()
    codes = [PackagerError.exit_code, *(kind.exit_code for kind in direct)]

    assert len(codes) == len(set(codes))
    assert all(0 < kind.exit_code < 126 for kind in errors())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnprovenError("There is nothing to replay."), 8),
        (VerificationError([Finding(check="budget", message="Too big.", hint="Use less.")]), 7),
    ],
)
def test_an_error_becomes_its_exit_code_and_with_json_an_object(
    error: PackagerError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop() -> None:
        raise error

    monkeypatch.setattr(cli, "app", stop)
    monkeypatch.setattr(sys, "argv", ["packager", "build", "--json"])

    with pytest.raises(SystemExit) as stopped:
        cli.main()

    assert stopped.value.code == code
    out, err = capsys.readouterr()
    assert json.loads(out)["message"] == str(error)
    assert "Traceback" not in err


def test_a_folder_that_is_no_artifact_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "packager", "invoke", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 5
    assert "is not an artifact" in done.stderr
    assert "Traceback" not in done.stderr
