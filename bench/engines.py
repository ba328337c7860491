"""A model compiled and in its own framework, beside the floor; side by side in one run.

    python bench/engines.py [--rounds 5] [--out bench/results] [--model sklearn_columns]
                            [--parts start,rows,estimators] [--minutes 5] [--fresh]

`empty` is a handler that imports nothing and answers at once: nothing starts with less. The floor
is what a graph cannot do without: stock wheels of numpy and onnxruntime with
valid bytecode, and a handler that imports both, makes a session of the same graph and runs it
once. `machine code`, `onnx` and `native` are artifacts of `packager build`, asked with the model's
saved example by a direct invoke, those with `HTTP` through an HTTP API's event. `by hand` is
the model's requirements.txt installed, as a deployed zip unpacks (its bytecode is rejected), and
`mlflow.pyfunc.load_model`. All run under the same runtime client, emulator and Python, read-only.
CPU is that of the function's process from its start to its first answer; wall times are this
machine's. Medians over rounds in which each is booted once, so that they have the machine's load in
common.

Warm: the handler's CPU time for one row, beside the same session's own run, in one process. Rows a
second: 1,000 rows of JSON, asked of the artifact under `packager serve` and under the emulator,
and of `mlflow models serve`; by the clock, and by the CPU time of all processes of who answers,
which this machine's load hardly moves.

Estimators: every one that tests/engines/estimators.py fits, and boosters of other packages, each
compiled and held to itself; its graph is put into the tree that was built for the first model, the
tree is booted and asked 1,000 rows that no compiler saw.

A part that is not asked for stays in the results as it was, with the time, the commit and the load
that it was measured at. A part is written when it is whole. A run that was stopped, or whose
--minutes are over (it ends with code 75 then), goes on where it was (--fresh: from the start), as
long as the code and the model are the same. What was built stays in --work: --clean removes it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import _engines_report, _estimators  # noqa: E402 - the checkout is put on the path first
from bench._engines_state import Built, OutOfTimeError, State  # noqa: E402
from bench._parts import (  # noqa: E402
    Server,
    Variant,
    boot,
    installed,
    medians_of,
    re_date,
    served,
    served_by_us,
    size,
    valid_bytecode,
)
from bench.coldstart import hand_made  # noqa: E402
from packager import facts  # noqa: E402
from packager.environments import interpreters, virtual_environments  # noqa: E402
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build  # noqa: E402
from packager.system import procfs  # noqa: E402
from packager.system.process import numeric_environment  # noqa: E402
from packager.targets.lambda_emulator import Emulator, http_event  # noqa: E402
from packager.types import Engine, Interpreter, make_request  # noqa: E402

EMPTY = """\
def handler(event, context):
    return {"predictions": []}
"""
FLOOR = """\
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
KINDS = {
    "tensor(double)": "f8", "tensor(float)": "f4", "tensor(int64)": "i8", "tensor(bool)": "?",
}


def handler(event, context):
    feeds = {
        each.name: np.full((1, each.shape[1]), "x", dtype=object)
        if each.type == "tensor(string)"
        else np.zeros((1, each.shape[1]), dtype=KINDS[each.type])
        for each in session.get_inputs()
    }
    return {"predictions": session.run(None, feeds)[0].tolist()}
"""
WARM = """\
import json, os, statistics, sys, time

sys.path.insert(0, ".")
sys.stdout = open(os.devnull, "w")
from handlers import aws_lambda

event = json.load(open(sys.argv[1]))
inner = aws_lambda._FUNCTION._watched._inner
graph = hasattr(inner, "_session")
holder, name = (inner._session, "run") if graph else (inner._entry, "answer_rows")
run, runs = getattr(holder, name), []


def timed(*given):
    begun = time.process_time()
    answer = run(*given)
    runs.append(time.process_time() - begun)
    return answer


class Timed:
    def __getattr__(self, asked):
        return timed if asked == name else getattr(holder, asked)


class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"

    def get_remaining_time_in_millis(self):
        return 1000


setattr(inner, "_session" if graph else "_entry", Timed())
def measure(handler):
    took = []
    for _ in range(200):
        begun = time.process_time()
        handler(event, Context())
        took.append(time.process_time() - begun)
    return statistics.median(took) * 1e3


whole, empty = [], []
for _ in range(25):
    whole.append(measure(aws_lambda.handler))
    empty.append(measure(lambda event, context: {"predictions": []}))
found = [statistics.median(each[5:]) for each in (whole, empty)]
print(*found, statistics.median(runs[1000:]) * 1e3, file=sys.stderr)
"""
_ROWS = 1000
_ASKED = 100
_ASKED_BEFORE = 200
"""What is asked of a server before it is measured, each server alike."""


def made(state: State, model: Path, engine: Engine) -> Built:
    """A proven artifact."""

    def make(folder: Path) -> Built:
        request = make_request(model_uri=str(model), out_dir=folder, engine=engine)
        done = build(request, MlflowRegistry(None, None))
        return Built(
            folder=str(done.artifact.folder),
            entrypoint=done.plan.target.program.entrypoint,
            python_minor=done.plan.runtime.python_minor,
            numpy=done.plan.lock.version("numpy") or "",
            engine=dict(done.evidence.engine),
            rows_replayed=done.evidence.replay.rows_compared,
            declared_start_cpu_ms=done.evidence.declared_start_cpu_ms,
        )

    return state.built(engine.value, make)


def empty(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(EMPTY)


def floor(folder: Path, graph: Path, numpy: str, interpreter: Interpreter) -> None:
    runtime = facts.tools()["onnxruntime"].requirement
    installed([runtime, f"numpy=={numpy}"], folder, interpreter, bytecode=False)
    shutil.copy(graph, folder / "model.onnx")
    (folder / "app.py").write_text(FLOOR)
    valid_bytecode(folder, interpreter)


def by_hand(folder: Path, model: Path, interpreter: Interpreter) -> None:
    hand_made(model, folder, interpreter, skinny=False)
    re_date(folder)


def warm(folder: Path, interpreter: Interpreter, payload: Path) -> dict[str, float]:
    """One row: the handler whole, one that is empty in turns with it, and the model's run alone.

    Medians of 20 medians of 200 invokes each, after 1,000.
    """
    done = subprocess.run(
        [str(interpreter.path), "-B", "-c", WARM, str(payload)],
        cwd=folder, capture_output=True, text=True, check=True,
        env={**numeric_environment(), "AWS_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(folder)},
    )  # fmt: skip
    whole, empty, run = map(float, done.stderr.split()[-3:])
    return {"handler_ms": whole, "session_ms": run, "beyond_ms": whole - run, "empty_ms": empty}


def rates(
    folders: Mapping[str, Path], model: Path, interpreter: Interpreter, payload: bytes
) -> dict[str, dict[str, float]]:
    """Rows a second over 1,000 rows of JSON, one request after the other, by who answers."""
    lines = (model / "requirements.txt").read_text().split()
    python = virtual_environments.ensure(interpreter, lines, label="model")

    def hold(server: Server) -> dict[str, float]:
        return steady(lambda: server.ask(payload), lambda: cpu_ms_of_all(server.pid))

    with served(python, model, payload) as server:
        found = {"mlflow models serve": hold(server)}
    for name, folder in folders.items():
        with served_by_us(folder.parent, payload) as server:
            found[f"{name}, packager serve"] = hold(server)
        with Emulator(folder, interpreter=interpreter, memory_mb=3008) as running:
            found[f"{name}, emulator"] = steady(
                lambda: running.invoke(payload).seconds,
                lambda: running.stats().cpu_ms,
            )
    return found


def cpu_ms_of_all(pid: int) -> float:
    return sum(map(procfs.cpu_ms, (pid, *procfs.descendants(pid))))


def steady(ask: Callable[[], float], read_cpu_ms: Callable[[], float]) -> dict[str, float]:
    """Rows a second of asking, and a CPU second, after as much as a server in use has answered."""
    for _ in range(_ASKED_BEFORE):
        ask()
    before = read_cpu_ms()
    asked = [ask() for _ in range(_ASKED)]
    spent = (read_cpu_ms() - before) / 1000
    return {"clock": _ROWS / statistics.median(asked), "cpu": _ROWS * _ASKED / spent}


def variants(state: State, model: Path, interpreter: Interpreter) -> list[Variant]:
    """The floor, what is built with each engine, and what is made by hand."""
    compiled = made(state, model, Engine.ONNX)
    entry, graph = compiled.entrypoint, Path(compiled.folder) / "model" / "model.onnx"
    below = state.tree("floor", lambda at: floor(at, graph, compiled.numpy, interpreter))
    return [
        Variant("empty", "", state.tree("empty", empty), "app.handler"),
        Variant("machine code", "", Path(made(state, model, Engine.MACHINE_CODE).folder), entry),
        Variant("floor", "", below, "app.handler"),
        Variant("onnx", "", Path(compiled.folder), entry),
        Variant("native", "", Path(made(state, model, Engine.NATIVE).folder), entry),
        Variant(
            "by hand",
            "",
            state.tree("by-hand", lambda at: by_hand(at, model, interpreter)),
            "app.handler",
        ),
    ]


def start(options: argparse.Namespace, state: State, model: Path) -> dict[str, Any]:
    example = read_example(model)
    payload = json.dumps(example).encode()
    http = http_event("POST", "/invocations", payload, {"content-type": "application/json"})
    made(state, model, Engine.MACHINE_CODE)  # the shortest build first: a run may be stopped
    compiled = made(state, model, Engine.ONNX)
    interpreter = interpreters.find(compiled.python_minor)
    direct = variants(state, model, interpreter)
    by_key = {each.key: each for each in direct}
    asked = [
        *((each.key, each, payload) for each in direct),
        *(
            (f"{key}, HTTP", by_key[key], json.dumps(http).encode())
            for key in ("machine code", "onnx")
        ),
    ]
    samples = state.samples(
        options.rounds,
        [(key, partial(boot, each, interpreter, body)) for key, each, body in asked],
    )
    table = {
        key: {
            **state.once(f"size {key}", partial(size, each.folder, options.work / "size.zip")),
            **medians_of(samples[key]),
        }
        for key, each, _ in asked
    }
    split = example["dataframe_split"]
    one = options.work / "one.json"
    one.write_text(json.dumps({"dataframe_split": {**split, "data": split["data"][:1]}}))
    folders = {key: by_key[key].folder for key in ("machine code", "onnx")}
    return {
        "model": options.model,
        "python": interpreter.version,
        "cores": os.cpu_count(),
        "rounds": options.rounds,
        "rows": table,
        "warm": {
            key: state.once(f"warm {key}", partial(warm, folder, interpreter, one))
            for key, folder in folders.items()
        },
        "engine": compiled.engine,
        "rows_replayed": compiled.rows_replayed,
        "declared_start_cpu_ms": compiled.declared_start_cpu_ms,
    }


def read_example(model: Path) -> dict[str, Any]:
    """An event is strict JSON: what the example has as NaN goes as null."""
    text = (model / "serving_input_example.json").read_text()
    read: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return read


def rows(state: State, model: Path) -> dict[str, Any]:
    split = read_example(model)["dataframe_split"]
    many = {**split, "data": (split["data"] * _ROWS)[:_ROWS]}
    thousand = json.dumps({"dataframe_split": many}).encode()
    built = {
        "machine code": made(state, model, Engine.MACHINE_CODE),
        "onnx": made(state, model, Engine.ONNX),
    }
    folders = {name: Path(each.folder) for name, each in built.items()}
    interpreter = interpreters.find(built["onnx"].python_minor)
    found: dict[str, Any] = state.once(
        "rates", partial(rates, folders, model, interpreter, thousand)
    )
    return found


def estimators(state: State, model: Path) -> list[dict[str, Any]]:
    compiled = made(state, model, Engine.ONNX)
    python = interpreters.find(compiled.python_minor)
    found: list[dict[str, Any]] = state.get("estimators", [])
    done = {each["name"] for each in found}
    state.check_time()
    for each in _estimators.outcomes(Path(compiled.folder), python, state.work, done):
        found.append(asdict(each))
        state.put("estimators", found)
        state.check_time()
    return found


def write_results(out: Path, found: dict[str, Any]) -> None:
    """Each file whole or as it was."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {"json": json.dumps(found, indent=2) + "\n", "md": _engines_report.text(found)}
    for kind, text in texts.items():
        part = out / f"engines.{kind}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(out / f"engines.{kind}")


_MEASURED: Final = {
    "start": ("size ", "samples", "warm "),
    "rows": ("rates",),
    "estimators": ("estimators",),
}
"""Parts, and how the names begin of what is measured in each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="sklearn_columns")
    parser.add_argument("--parts", default=",".join(_MEASURED), help="in this order")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after")
    parser.add_argument("--fresh", action="store_true", help="nothing of a run that was stopped")
    parser.add_argument("--clean", action="store_true", help="remove what was built, at the end")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-engines")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := [part for part in parts if part not in _MEASURED]:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(_MEASURED)}")
    options.work = options.work.resolve()
    model = ROOT / "tests" / "models" / "made" / options.model
    state = State(options.work, options.model, fresh=options.fresh, minutes=options.minutes)
    measure: dict[str, Callable[[], Any]] = {
        "start": lambda: start(options, state, model),
        "rows": lambda: rows(state, model),
        "estimators": lambda: estimators(state, model),
    }
    path = options.out / "engines.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    for part in parts:
        state.begin_part(part)
        try:
            found[part] = measure[part]()
        except OutOfTimeError:
            print(f"The time is over before {part} is whole: run this again.", file=sys.stderr)
            sys.exit(os.EX_TEMPFAIL)
        found.setdefault("measured", {})[part] = state.end_part(part, _MEASURED[part])
        write_results(options.out, found)
    if options.clean:
        shutil.rmtree(options.work)
    print((options.out / "engines.md").read_text())


if __name__ == "__main__":
    main()
