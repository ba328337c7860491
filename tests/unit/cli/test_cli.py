from __future__ import annotations

import errno
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.cli import _build
from packager.errors import (
    IndexUnavailableError,
    PackagerError,
    ToolError,
    UnprovenError,
    VerificationError,
)
from packager.types import (
    BuildRequest,
    Check,
    Device,
    Engine,
    Finding,
    Front,
    TargetOptions,
    Tier,
    list_settings,
    make_request,
)

RUN = CliRunner()


@pytest.mark.parametrize("option", ["--rate", "--rtol", "--atol"])
@pytest.mark.parametrize("value", ["inf", "1e400", "nan", "-1"])
def test_a_number_without_an_end_is_refused(option: str, value: str) -> None:
    """A build without any bound to its answers' errors would prove nothing."""
    result = RUN.invoke(cli.app, ["build", "no-such-model", option, value])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


def test_every_command_has_help() -> None:
    for command in ("inspect", "build", "invoke", "batch", "serve", "demo", "cache"):
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
        ["build", "models:/x/1", "--target", "auto", "--dry-run"],
        ["build"],
        ["invoke"],
        ["nonsense"],
    ],
)
def test_a_bad_argument_is_a_usage_error(arguments: list[str]) -> None:
    assert RUN.invoke(cli.app, arguments).exit_code == 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BuildRequest]:
    """The requests that `packager build` came to, none of which is built."""
    requests: list[BuildRequest] = []

    def note(request: BuildRequest) -> dict[str, object]:
        requests.append(request)
        return {}

    monkeypatch.setattr(_build, "_build_artifact", note)
    return requests


def test_whatever_a_request_has_can_be_asked_for() -> None:
    assert {name for name, _, _ in list_settings()} <= set(
        inspect.signature(_build.build).parameters
    )


def test_without_options_a_request_is_as_it_is_by_default(asked: list[BuildRequest]) -> None:
    done = RUN.invoke(cli.app, ["build", "models:/x/1", "--json"], catch_exceptions=False)

    assert done.exit_code == 0
    assert asked == [make_request(model_uri="models:/x/1", out_dir=Path("dist"))]


def test_each_option_sets_its_field(asked: list[BuildRequest], tmp_path: Path) -> None:
    (table := tmp_path / "rows.csv").write_text("x\n1\n")
    words = f"""build models:/x/1 -o out -t aws-lambda --tracking-uri sqlite:///a
        --registry-uri b --python 3.12 --arch arm64 --example {table} --tier stub --engine auto
        --rtol 0.1 --atol 0.2 --http function-url --event sqs --event sns
        --output-to s3://bucket/p --once --baseline {table} --batch --memory 512 --timeout 9
        --rows 7 --seed 3 --passes prune,,bytecode --keep *.dat --keep *.txt --no-trace
        --optimize 1 --allow-unproven --allow-network --trust-model-index --upgrade-pins
        --facts-dir {tmp_path} --arm64-python {tmp_path} --no-cache --json"""

    done = RUN.invoke(cli.app, words.split(), catch_exceptions=False)

    assert done.exit_code == 0
    assert asked == [
        make_request(
            model_uri="models:/x/1",
            out_dir=Path("out"),
            tracking_uri="sqlite:///a",
            registry_uri="b",
            python_minor="3.12",
            architecture="arm64",
            example=table,
            tier=Tier.STUB,
            engine=None,
            rtol=0.1,
            atol=0.2,
            front=Front.FUNCTION_URL,
            events=("sqs", "sns", "files", "stepfunctions"),
            output_to="s3://bucket/p",
            once=True,
            baseline=table,
            batch=True,
            memory_mb=512,
            timeout_seconds=9,
            rows=7,
            seed=3,
            passes=("prune", "bytecode"),
            keep=("*.dat", "*.txt"),
            trace=False,
            optimize=1,
            allow_unproven=True,
            allow_network=True,
            trust_model_index=True,
            upgrade_pins=True,
            reuse=False,
            facts_dir=tmp_path,
            arm64_python=tmp_path,
        )
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--arm64-python {} --arch x86_64", "no effect without --arch arm64"),
        ("--arm64-python {}/none --arch arm64", "does not exist"),
        ("--arm64-python {}/file --arch arm64", "is a file"),
    ],
)
def test_an_arm64_python_that_cannot_be_meant_is_refused(
    tmp_path: Path, words: str, said: str
) -> None:
    (tmp_path / "file").touch()
    done = RUN.invoke(cli.app, ["build", "models:/x/1", *words.format(tmp_path).split()])

    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_telemetry_is_asked_for_by_a_word(asked: list[BuildRequest]) -> None:
    words = "build m -t azure-functions --opentelemetry --json"

    done = RUN.invoke(cli.app, words.split(), catch_exceptions=False)

    assert done.exit_code == 0
    assert [(r.target.name, r.http.opentelemetry) for r in asked] == [("azure-functions", True)]


def test_each_option_of_a_container_sets_its_field(asked: list[BuildRequest]) -> None:
    image = f"python@sha256:{'0' * 64}"
    words = f"build m -t gpu-container --base-image {image} --device cuda --driver 580 --json"

    words += " --engine onnx"

    done = RUN.invoke(cli.app, words.split(), catch_exceptions=False)

    assert done.exit_code == 0
    (request,) = asked
    assert request.engine.kind is Engine.ONNX
    assert request.target == TargetOptions(
        name="gpu-container", base_image=image, device=Device.CUDA, driver="580"
    )


def test_help_imports_neither_mlflow_nor_a_stage() -> None:
    code = "import sys, packager.cli; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert not loaded & {"mlflow", "numpy", "pandas", "jinja2", "packager.pipeline.build", "boto3"}


def errors() -> list[type[PackagerError]]:
    found, queue = [], [PackagerError]
    while queue:
        found.append(kind := queue.pop())
        queue += kind.__subclasses__()
    return found


def test_each_way_to_stop_has_its_own_exit_code() -> None:
    # an index that does not answer is as a tool that fails, whoever reads the code
    assert IndexUnavailableError.exit_code == ToolError.exit_code
    direct = [kind for kind in PackagerError.__subclasses__() if kind is not IndexUnavailableError]
    codes = [PackagerError.exit_code, *(kind.exit_code for kind in direct)]

    assert len(codes) == len(set(codes))
    assert all(0 < kind.exit_code < 126 for kind in errors())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnprovenError("There is nothing to replay."), 8),
        (VerificationError([Finding(check=Check.BUDGET, message="Too big.", hint="Use less.")]), 7),
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


def test_a_full_disk_that_nobody_else_noticed_ends_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/some/file")

    monkeypatch.setattr(cli, "app", stop)
    monkeypatch.setattr(sys, "argv", ["packager", "serve"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 9
    err = " ".join(capsys.readouterr().err.split())
    assert "The disk is full under /: no room for file. Free space" in err


def test_any_other_failure_of_the_system_is_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop() -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(cli, "app", stop)
    with pytest.raises(OSError, match="Bad file descriptor"):
        cli.main()


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [".", "chrun"])
def test_a_folder_that_is_no_artifact_is_refused(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "packager", "invoke", tmp_path / name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 5
    assert "is not an artifact: it has no report.json" in done.stderr
    assert "Name the folder that a build made." in done.stderr
    assert "Traceback" not in done.stderr
