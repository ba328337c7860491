"""Where the recorded answers come from, and when they are taken from the cache."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.environments import interpreters, virtual_environments
from packager.errors import (
    InterpreterNotFoundError,
    ToolError,
    UnprovenError,
    UnresolvableError,
)
from packager.pipeline.verify import oracle, oracle_runs
from packager.pipeline.verify.oracle import Answers, Recorded
from packager.probes import Probe
from packager.system import process, sandbox
from packager.types import Interpreter, Requirements, ResolvedModel
from tests import fake_plan, models

OTHER = Interpreter(path=Path("/opt/python3.13"), version="3.13.0", found_by="test")
PROBE = Probe(name="p", body=b'{"inputs": [1]}', content_type="application/json", rows=1,
              door="http")  # fmt: skip
PLATFORM = f"{platform.machine()}-manylinux_2_17"
"""One that every machine of the tests runs."""


class Machine:
    """What the oracle did to the machine: environments asked for, workers run."""

    def __init__(self) -> None:
        self.environments: list[dict[str, Any]] = []
        self.workers: list[list[str]] = []
        self.environment: dict[str, str] = {}
        self.more: dict[str, Any] = {}
        self.mlflow = "3.17.2"
        self.asked: list[Any] = []
        self.result = process.Done(returncode=0, stdout="", stderr="")
        self.imports: Callable[[Path, Path], None] = lambda _place, _bytecode: None
        self.inside: sandbox.Confinement | None = None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    made = Machine()

    def ensure(interpreter: Interpreter, requirements: Any, **options: Any) -> Path:
        made.environments.append(
            {"interpreter": interpreter, "requirements": requirements, **options}
        )
        python = tmp_path / "model-abc" / "venv" / "bin" / "python"
        (python.parent.parent / "lib").mkdir(parents=True, exist_ok=True)
        (python.parent.parent / "lib" / "a.py").write_text("12345")
        (python.parent.parent / "lib" / "a.pyc").write_text("not counted")
        return python

    def run(
        argv: list[Any], *, env: dict[str, str], inside: sandbox.Confinement, **_: Any
    ) -> process.Done:
        made.workers.append([str(each) for each in argv])
        made.inside = inside
        made.imports(tmp_path, Path(env["PYTHONPYCACHEPREFIX"]))
        made.environment = env
        made.asked = [json.loads(line) for line in Path(argv[4]).read_text().splitlines()]
        run = {"python": "3.11.7", "mlflow": made.mlflow, "first_answer_cpu_ms": 7.0}
        lines = [run, {"status": 200, "body": '{"predictions": [1]}', **made.more}]
        Path(argv[5]).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return made.result

    monkeypatch.setattr(virtual_environments, "ensure", ensure)
    monkeypatch.setattr(sandbox, "run", run)
    monkeypatch.setattr(
        interpreters,
        "find",
        lambda minor: Interpreter(path=Path("/py"), version=f"{minor}.7", found_by="test"),
    )
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return made


def record(model: ResolvedModel | None = None, probe: Probe = PROBE) -> Answers:
    return oracle.record(model or fake_plan.model(), (probe,), OTHER, PLATFORM)


def test_answers_in_the_models_own_python_and_requirements(machine: Machine) -> None:
    answers = record()
    assert answers.answers == (Recorded(status=200, body='{"predictions": [1]}'),)
    assert answers.oracle == "Python 3.11.7, mlflow 3.17.2, installed by uv from requirements.txt"
    assert answers.declared_bytes == 5
    assert answers.start_cpu_ms == 7.0
    (environment,) = machine.environments
    assert environment["interpreter"].version == "3.11.7"
    assert environment["requirements"] == ("scikit-learn==1.8.0", "mlflow==3.17.2")


@pytest.mark.parametrize(
    ("mlflow", "rows", "raised", "said"),
    [
        ("2.3.0", 2, "MlflowException INTERNAL_ERROR", "lacks"),
        ("1.30.1", 2, "MlflowException INTERNAL_ERROR", "lacks"),
        ("2.3.0", 2, "MlflowException BAD_REQUEST", "refuses"),  # of the model
        ("2.3.0", 0, "MlflowException INTERNAL_ERROR", "refuses"),  # an edge case: refused by both
        ("2.4.0", 2, "MlflowException INTERNAL_ERROR", "refuses"),
        ("3.17.2", 2, "MlflowException INTERNAL_ERROR", "refuses"),
        ("10.1", 2, "MlflowException INTERNAL_ERROR", "refuses"),
    ],
)
def test_a_form_that_an_early_mlflow_does_not_take_is_told_from_a_refusal(
    machine: Machine, mlflow: str, rows: int, raised: str, said: str
) -> None:
    machine.mlflow = mlflow
    machine.more = {"status": 400, "raised": raised}

    (answer,) = record(probe=replace(PROBE, rows=rows)).answers

    assert answer.lacks_form is (said == "lacks")


def test_versions_that_the_author_left_open_are_those_of_the_target(machine: Machine) -> None:
    """A pandas that has no wheel there answers otherwise than the one that the artifact has."""
    record()
    assert [environment["platform"] for environment in machine.environments] == [PLATFORM]


@pytest.mark.parametrize(
    ("cause", "tried"),
    [(UnresolvableError("no wheel"), [PLATFORM, None]), (OSError("no space"), [PLATFORM])],
)
def test_what_has_no_wheel_on_the_target_is_installed_for_this_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, cause: Exception, tried: list[str | None]
) -> None:
    ensure, asked = virtual_environments.ensure, []

    def refuse(*args: Any, platform: str | None, **more: Any) -> Path:
        asked.append(platform)
        if platform is not None:
            raise ToolError("no") from cause
        return ensure(*args, platform=platform, **more)

    monkeypatch.setattr(virtual_environments, "ensure", refuse)
    with contextlib.nullcontext() if None in tried else pytest.raises(UnprovenError):
        record()
    assert asked == tried


@pytest.mark.parametrize(
    ("machine", "libc", "taken"),
    [
        ("x86_64", ("glibc", "2.36"), True),
        ("x86_64", ("glibc", "2.28"), True),
        ("x86_64", ("glibc", "2.27"), False),
        ("x86_64", ("glibc", "2.4"), False),
        ("aarch64", ("glibc", "2.36"), False),
        ("x86_64", ("", ""), False),
        ("x86_64", ("musl", "1.2"), False),
    ],
)
def test_a_platform_is_taken_where_this_machine_runs_it(
    monkeypatch: pytest.MonkeyPatch, machine: str, libc: tuple[str, str], *, taken: bool
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    chosen = virtual_environments.choose_platform("x86_64-manylinux_2_28")
    assert chosen == ("x86_64-manylinux_2_28" if taken else None)


def test_the_start_is_measured_in_a_run_of_its_own(machine: Machine) -> None:
    record()
    assert ["--first" in argv for argv in machine.workers] == [False, True]


def test_the_same_question_is_not_asked_twice(machine: Machine) -> None:
    assert record() == record()
    assert len(machine.workers) == 2
    record(probe=Probe(name="q", body=b"{}", content_type="text/csv", rows=1, door="http"))
    record(fake_plan.model(digest="cd" * 32))
    assert len(machine.workers) == 6


@pytest.mark.parametrize("line", ["mlflow==3.1", "MLflow>=3", "mlflow_skinny==3.1", "mlflow"])
def test_a_listed_mlflow_is_not_added_again(machine: Machine, line: str) -> None:
    record(fake_plan.model(requirements=Requirements(lines=(line,))))
    (found,) = machine.environments[0]["requirements"]
    assert re.split("[=>]", found)[0] == re.split("[=>]", line)[0]


@pytest.mark.parametrize(
    ("line", "based"),
    [
        ("code/mine-1.0-py3-none-any.whl", True),
        ("mine @ https://example.org/mine.whl", False),
        ("numpy==2", False),
    ],
)
def test_wheels_of_the_model_are_found_in_its_folder(
    machine: Machine, line: str, *, based: bool
) -> None:
    record(fake_plan.model(requirements=Requirements(lines=(line,))))
    base = Path("/build/model")
    assert machine.environments[0]["base"] == (base if based else None)


def test_a_python_that_is_not_here_is_replaced_and_said(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(minor: str) -> Interpreter:
        raise InterpreterNotFoundError(minor, ("PATH",))

    monkeypatch.setattr(interpreters, "find", find)
    assert record().oracle.endswith("the author's Python 3.11.7 is not on this machine")
    assert machine.environments[0]["interpreter"] == OTHER


def test_the_models_code_gets_mlflows_switches_and_no_secrets(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    record()
    assert machine.environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert machine.environment["OPENBLAS_CORETYPE"] == "Haswell"
    assert "MLFLOW_TRACKING_TOKEN" not in machine.environment
    assert Path(machine.environment["HOME"]) != Path.home()


def test_a_model_that_does_not_load_leaves_nothing_in_the_cache(machine: Machine) -> None:
    machine.result = process.Done(returncode=1, stdout="", stderr="KeyError: 'x'")
    for _ in range(2):
        with pytest.raises(UnprovenError, match=r"does not load(?s:.)*KeyError: 'x'"):
            record()
    assert len(machine.workers) == 2


def test_a_module_that_was_not_logged_is_named_with_how_to_log_it(machine: Machine) -> None:
    said = "Traceback ...\nModuleNotFoundError: No module named 'churn.steps'"
    machine.result = process.Done(returncode=1, stdout="", stderr=said)
    with pytest.raises(UnprovenError, match=r"does not load(?s:.)*code_paths=\['path/to/churn'\]"):
        record()


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "garbage",
        "{}\n",
        '{"first_answer_cpu_ms": 1}\n{"status": "200", "body": ""}\n',
        '{"first_answer_cpu_ms": 1}\n{"status": 200}\n',
        '{"first_answer_cpu_ms": 1}\n[]\n',
        '{"first_answer_cpu_ms": "soon"}\n{"status": 200, "body": ""}\n',
    ],
)
def test_a_model_that_ends_its_process_has_not_answered(
    written: str | None, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def write_answers(argv: Sequence[str | Path], *_: Any, **__: Any) -> None:
        if written is not None:
            Path(argv[5]).write_text(written)

    monkeypatch.setattr(oracle_runs, "run_worker", write_answers)
    with pytest.raises(UnprovenError, match=r"ended before it had answered"):
        record()
    assert list((tmp_path / "cache" / "answers").iterdir()) == []


def test_what_the_environment_s_code_compiled_to_is_there_for_the_next_version(
    machine: Machine, tmp_path: Path
) -> None:
    def import_module(place: Path, bytecode: Path) -> None:
        source = place / "model-abc" / "venv" / "lib" / "a.py"
        written = bytecode / source.parent.relative_to("/")
        if not written.exists():
            written.mkdir(parents=True)
            (written / "a.cpython-311.pyc").write_bytes(b"")

    machine.imports = import_module
    found = Interpreter(path=Path(sys.executable), version="3.11.7", found_by="test")
    asked = oracle.record(fake_plan.model(python_version=None), (PROBE,), found, PLATFORM)
    assert len(machine.workers) == 2  # the second measures a start with the bytecode in place
    again = oracle.record(
        fake_plan.model(python_version=None, digest="cd" * 32), (PROBE,), found, PLATFORM
    )

    assert len(machine.workers) == 3
    assert again == asked
    store = Path(machine.environment["PYTHONPYCACHEPREFIX"])
    assert store.is_relative_to(tmp_path / "cache")
    assert machine.inside is not None
    assert store in machine.inside.readable
    assert not any(store.is_relative_to(each) for each in machine.inside.writable)


@pytest.mark.parametrize("damage", ["garbage", "", None])
def test_recorded_answers_that_were_damaged_are_recorded_again(
    damage: str | None, machine: Machine, tmp_path: Path
) -> None:
    whole = record()
    (path,) = (tmp_path / "cache" / "answers").glob("*/answers.jsonl")
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    assert record() == whole
    assert len(machine.workers) == 4


def test_an_environment_that_cannot_be_made_is_unproven(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure(*_: Any, **__: Any) -> Path:
        raise ToolError("no wheel for scikit-learn==0.1")

    monkeypatch.setattr(virtual_environments, "ensure", ensure)
    with pytest.raises(UnprovenError, match=r"cannot be installed(?s:.)*scikit-learn==0\.1"):
        record()


@pytest.mark.slow
def test_what_a_weaker_sandbox_refuses_is_no_answer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.more = {
        "status": 500,
        "trace": "Traceback (most recent call last)\nPermissionError: [Errno 13] "
        "Permission denied: '/tmp/x'",
    }
    (answer,) = record().answers
    assert "writes /tmp/x" in answer.refused[0]
    monkeypatch.setattr(sandbox, "weak_level", lambda: "landlock")
    with pytest.raises(UnprovenError, match=r"failed at p.*uses /tmp/x.*level 'landlock'"):
        record()
    # what was recorded at the one level is not taken at the other
    assert len(machine.workers) == 4


@pytest.mark.few(0)
def test_the_worker_answers_as_mlflows_server(tmp_path: Path) -> None:
    """Run here, where mlflow is installed: a prediction, a refusal, and one that escapes."""
    asked, answered = tmp_path / "asked", tmp_path / "answered"
    bodies = [
        (b'{"dataframe_split": {"columns": ["word"], "data": [["id-7"]]}}', "application/json"),
        (b"{", "application/json"),
        (b"1,2", "text/plain"),
        (b"\xff", "application/json"),
    ]
    lines = [
        {"body": base64.b64encode(body).decode(), "content_type": kind} for body, kind in bodies
    ]
    asked.write_text("".join(json.dumps(line) + "\n" for line in lines))
    process.run(
        [sys.executable, oracle_runs.WORKER, models.folder("pyfunc_mlflow"), asked, answered],
        timeout_seconds=120,
    )
    run, *answers = [json.loads(line) for line in answered.read_text().splitlines()]
    assert run["python"] == platform.python_version()
    assert run["first_answer_cpu_ms"] > 100
    assert [answer["status"] for answer in answers] == [200, 400, 415, 400]
    assert "predictions" in json.loads(answers[0]["body"])


def test_onnxruntime_sums_on_as_many_threads_as_in_the_function(machine: Machine) -> None:
    for threads, said in ((None, []), (1, ["--threads", "1"])):
        machine.workers.clear()
        oracle.record(fake_plan.model(), (PROBE,), OTHER, PLATFORM, threads=threads)
        assert [words[6:] for words in machine.workers] == [said, ["--first", *said]]


def test_a_session_is_given_the_threads_that_its_model_leaves_open() -> None:
    """In a process of its own: the class that MLflow asks is another afterwards."""
    model = str(models.folder("onnx_columns") / "model.onnx")
    code = (
        "import sys; from packager.workers import oracle\n"
        "oracle.limit_threads(1)\n"
        "import onnxruntime\n"
        "asked = onnxruntime.SessionOptions(); asked.intra_op_num_threads = 2\n"
        "for options in (None, onnxruntime.SessionOptions(), asked):\n"
        "    made = onnxruntime.InferenceSession(sys.argv[1], sess_options=options)\n"
        "    print(made.get_session_options().intra_op_num_threads)\n"
    )
    done = process.run([sys.executable, "-c", code, model], timeout_seconds=60)
    assert done.stdout.split() == ["1", "1", "2"]


def test_the_worker_reads_the_requests_and_keeps_bytecode_apart_from_answers(
    machine: Machine,
) -> None:
    record()
    (asked,) = machine.asked
    assert base64.b64decode(asked["body"]) == PROBE.body
    bytecode = Path(machine.environment["PYTHONPYCACHEPREFIX"])
    assert bytecode != Path(machine.workers[0][5]).parent


@pytest.mark.parametrize(
    ("at", "step"),
    [
        ("done\n", ""),
        ("0", "While it answered p"),
        ("1", "While it loaded the model"),
        ("-1", "While it loaded the model"),
        ("\u0661", "While it loaded the model"),
        ("load", "While it loaded the model"),
    ],
)
def test_the_step_at_which_the_model_ended_is_named(at: str, step: str, tmp_path: Path) -> None:
    (tmp_path / "at").write_text(at)
    assert oracle_runs.name_step(tmp_path / "at", (PROBE,)) == step


def test_a_worker_that_was_killed_at_its_start_is_said_to_have_been(machine: Machine) -> None:
    machine.result = process.Done(returncode=-9, stdout="", stderr="")
    with pytest.raises(UnprovenError, match="At its start, the registered model's process"):
        record()


def test_who_waits_is_told_how_many_requests_are_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle_runs, "_TOLD_SECONDS", 0.001)
    caplog.set_level(logging.INFO, "packager")
    at = tmp_path / "at"
    with oracle_runs._telling_count(at, [PROBE] * 300):
        for written in ("load", "12", "done", "9" * 30, "299"):
            at.write_text(written)
            time.sleep(0.05)
    assert {record.message for record in caplog.records} <= {
        f"The registered model has answered {count} of 300" for count in (12, 299, 300)
    }
    assert "has answered 299 of 300" in caplog.text
