"""How a process ended before its time: by what, at which call, and what to do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from packager.errors import SandboxError, ToolError, UnprovenError
from packager.models import registered_model
from packager.pipeline.verify import oracle_runs
from packager.probes import Probe
from packager.system import process, sandbox
from packager.system.sandbox import Confinement, endings
from packager.system.sandbox.endings import explain_code, explain_words

WAYS = {
    "segv": "ctypes.string_at(0)",
    "abort": "os.abort()",
    "exit": "os._exit(3)",
    "exit at once": "os._exit(0)",
    "sys.exit": "sys.exit('bye')",
    "sys.exit(0)": "sys.exit(0)",
    "interrupt": "raise KeyboardInterrupt",
    "kill": "os.kill(os.getpid(), 9)",
    "hang": "time.sleep(60)",
    "lock": "threading.Lock().acquire(); l = threading.Lock(); l.acquire(); l.acquire()",
    "recursion": "sys.setrecursionlimit(10**9); f = lambda x: f([x]) + 1; f(0)",
}
MODEL = """import ctypes, os, sys, threading, time
def do():
    {way}
"""
PROGRAM = "import faulthandler, model; faulthandler.dump_traceback_later(1, exit=True); model.do()"
SIGNALS = {
    "segv": "was ended by SIGSEGV (a fault in native code) at do (model.py, line 3)",
    "abort": "was ended by SIGABRT (a native library gave up) at do (model.py, line 3)",
    "exit": "ended itself with exit code 3",
    "kill": "was ended by SIGKILL (killed from outside",
    "hang": "was still busy after 0:00:01 seconds, at do (model.py, line 3)",
    "lock": "was still busy after 0:00:01 seconds, at do (model.py, line 3)",
}


@pytest.mark.few(2)
@pytest.mark.parametrize("way", SIGNALS)
def test_names_the_signal_and_the_call(way: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL.format(way=WAYS[way]))
    done = sandbox.run(
        [sys.executable, "-c", PROGRAM],
        inside=Confinement(readable=(tmp_path,)),
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        timeout_seconds=30,
        check=False,
    )
    ending = explain_code(done.returncode, done.stderr)
    assert ending.cause.startswith(SIGNALS[way])
    assert ending.hint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Error: Runtime exited with error: signal: segmentation fault", "SIGSEGV"),
        ("Error: Runtime exited with error: signal: killed", "SIGKILL"),
        ("Error: Runtime exited with error: signal: bad system call", "SIGSYS"),
        ("Error: Runtime exited with error: signal: interrupt", "KeyboardInterrupt"),
        ("Error: Runtime exited with error: signal: user defined signal 1", "a signal"),
        ("Error: Runtime exited with error: exit status 3", "exit code 3"),
        ("Task timed out after 60.00 seconds", "busy after 60.00 seconds"),
    ],
)
def test_reads_the_words_of_lambda_s_emulator(words: str, said: str) -> None:
    ending = explain_words(words, "")
    assert ending is not None
    assert said in ending.cause


OTHER_THREAD = """Fatal Python error: Aborted

Thread 0x0002 (most recent call first):
  File "/var/task/net.py", line 8 in predict
  File "/usr/lib/python3.12/threading.py", line 9 in run

Current thread 0x0001 (most recent call first):
  File "/usr/lib/python3.12/selectors.py", line 452 in select
"""


_BUSY = "This machine is busy with other programs (22 wait for 2 processors)"


@pytest.mark.parametrize(("load", "said"), [(0.4, ""), (5.9, ""), (22.0, _BUSY)])
def test_a_time_that_other_programs_took_is_said(
    monkeypatch: pytest.MonkeyPatch, load: float, said: str
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    hint = endings.explain_timeout("Task timed out after 60.00 seconds").hint
    assert (_BUSY in hint) is bool(said)
    assert "raise --timeout" in hint


def test_a_loop_that_waits_for_the_model_is_not_named() -> None:
    ending = explain_words("Task timed out after 3.00 seconds", OTHER_THREAD)
    assert ending is not None
    assert ending.cause.endswith("at predict (net.py, line 8)")


def test_other_words_tell_of_no_end() -> None:
    assert explain_words("Runtime.ImportModuleError: No module named 'x'", "") is None


MLFLOW = {
    "__init__.py": "__version__ = '3'\nfrom . import models, pyfunc, exceptions\n",
    "exceptions.py": "class MlflowException(Exception): pass\n",
    "models.py": "class Model:\n    flavors = {}\n    load = classmethod(lambda c, f: c())\n",
    "pyfunc/__init__.py": (
        "class Meta:\n    get_input_schema = lambda s: None\n"
        "class Loaded:\n    metadata = Meta()\n"
        "def load_model(folder):\n    import load_context\n    return Loaded()\n"
    ),
    "pyfunc/scoring_server.py": (
        "class Done:\n    status, response = 200, '{}'\n"
        "def invocations(*_):\n    import predict\n    predict.do()\n    return Done\n"
    ),
}
PROBES = [Probe(name="the saved example", body=b"{}", content_type="text/csv", rows=1, door="http")]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Ask a model that ends its process in `load` or `predict`; what the oracle says of it."""
    for name, text in MLFLOW.items():
        path = tmp_path / "mlflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    real = registered_model.run

    def run(argv: list[str | Path], *, more: dict[str, str], **options: object) -> process.Done:
        more = {**more, "PYTHONPATH": str(tmp_path)}
        return real(argv, more=more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(registered_model, "run", run)

    def ask(step: str, way: str) -> str:
        text = MODEL.format(way=way)
        loads = step == "load"
        (tmp_path / "load_context.py").write_text(text + ("do()\n" if loads else ""))
        (tmp_path / "predict.py").write_text(text if not loads else "def do(): pass\n")
        kept = tmp_path / "kept"
        kept.mkdir(exist_ok=True)
        (kept / "asked").write_text(json.dumps({"body": "e30=", "content_type": ""}) + "\n")
        answers = kept / "answers.jsonl"
        words: list[str | Path] = [sys.executable, "-s", oracle_runs.WORKER, tmp_path]
        oracle_runs.run_worker(
            [*words, kept / "asked", answers, "--seconds", "1"],
            oracle_runs.Given(readable=(tmp_path,), writable=(kept,), bytecode=kept),
            network=False,
            step=lambda: oracle_runs.name_step(kept / "answers.jsonl.at", PROBES),
        )
        raise AssertionError("the worker ended well")

    def say(step: str, way: str) -> str:
        with pytest.raises(UnprovenError) as caught:
            ask(step, way)
        return str(caught.value)

    return say


@pytest.mark.few(2)
@pytest.mark.parametrize("way", WAYS)
def test_the_registered_model_s_end_is_named(way: str, record: Callable[[str, str], str]) -> None:
    said = record("predict", WAYS[way])
    assert "While it answered the saved example, the registered model's process" in said
    if "exit at" not in way and way not in {"exit", "kill"}:
        assert "(predict.py, line" in said.splitlines()[0]


@pytest.mark.few(1)
@pytest.mark.parametrize("way", ["segv", "sys.exit", "exit", "exit at once", "interrupt"])
def test_an_end_while_loading_is_named(way: str, record: Callable[[str, str], str]) -> None:
    said = record("load", WAYS[way])
    assert "While it loaded the model, the registered model's process" in said


def test_memory_is_named_with_the_call(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "def do():\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n"
    )
    with pytest.raises(SandboxError, match=r"at do \(model.py, line 4\): it used .* MB of memory"):
        sandbox.run(
            [sys.executable, "-c", "import model; model.do()"],
            inside=Confinement(readable=(tmp_path,), memory_bytes=100 << 20),
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            timeout_seconds=30,
        )


def test_a_checked_run_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL.format(way=WAYS["segv"]))
    with pytest.raises(ToolError, match=r"was ended by SIGSEGV .* at do \(model.py, line 3\)"):
        sandbox.run(
            [sys.executable, "-c", "import model; model.do()"],
            inside=Confinement(readable=(tmp_path,)),
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            timeout_seconds=30,
        )
