"""A model compiled and in its own framework, beside the floor; side by side in one run.

    python bench/engines.py [--rounds 5] [--out bench/results] [--model sklearn_columns]
                            [--parts start,estimators]

The floor is what a compiled model cannot do without: stock wheels of numpy and onnxruntime with
valid bytecode, and a handler that imports both, makes a session of the same graph and runs it
once. `onnx` and `native` are artifacts of `packager build`, asked with the model's saved example
by a direct invoke, `onnx, HTTP` the first of them asked through an HTTP API's event; `onnx, defer`
is built with the pass `defer` too. `by hand` is the model's requirements.txt installed, as a
deployed zip unpacks (its bytecode is rejected), and `mlflow.pyfunc.load_model`. All run under the
same runtime client, emulator and Python, read-only. CPU is that of the function's process from its
start to its first answer; wall times are this machine's. Medians.

Warm: the handler's time for one row, beside the same session's own run, in one process. Rows a
second: 1,000 rows of JSON, asked of the artifact under the emulator and of `mlflow models serve`.

Estimators: every one that tests/engines/estimators.py fits, and boosters of other packages, each
compiled and held to itself; its graph is put into the tree that was built for the first model, the
tree is booted and asked 1,000 rows that no compiler saw.

A part that is not asked for stays in the results as it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import _engines_report, _estimators  # noqa: E402 - the checkout is put on the path first
from bench._parts import (  # noqa: E402
    Variant,
    boot,
    installed,
    medians,
    re_date,
    served,
    size,
    valid_bytecode,
)
from bench.coldstart import hand_made  # noqa: E402
from packager import environments, facts, interpreters  # noqa: E402
from packager._process import numeric_environment  # noqa: E402
from packager.emulator import Emulator, http_event  # noqa: E402
from packager.pipeline import build  # noqa: E402
from packager.registry import MlflowRegistry  # noqa: E402
from packager.types import BuildReport, BuildRequest, Engine, Interpreter  # noqa: E402

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
session, runs = inner._session, []


class Timed:
    def run(self, *given):
        begun = time.perf_counter()
        answer = session.run(*given)
        runs.append(time.perf_counter() - begun)
        return answer


class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"

    def get_remaining_time_in_millis(self):
        return 1000


inner._session, whole = Timed(), []
for _ in range(600):
    begun = time.perf_counter()
    aws_lambda.handler(event, Context())
    whole.append(time.perf_counter() - begun)
print(statistics.median(whole[100:]) * 1e3, statistics.median(runs[100:]) * 1e3, file=sys.stderr)
"""
_ROWS = 1000
_ASKED = 15


def made(model: Path, work: Path, engine: Engine, *more: str) -> BuildReport:
    """A proven artifact; `more` names slimming passes beside the usual ones."""
    folder = "-".join((engine.value, *more))
    request = BuildRequest(model_uri=str(model), out_dir=work / folder, engine=engine)
    if more:
        from packager.plan._checks import PASSES

        request = BuildRequest(
            model_uri=str(model), out_dir=work / folder, engine=engine, passes=PASSES
        )
    return build(request, MlflowRegistry(None, None))


def floor(work: Path, graph: Path, numpy: str, interpreter: Interpreter) -> Path:
    folder = work / "floor"
    runtime = facts.tools()["onnxruntime"].requirement
    installed([runtime, f"numpy=={numpy}"], folder, interpreter, bytecode=False)
    shutil.copy(graph, folder / "model.onnx")
    (folder / "app.py").write_text(FLOOR)
    valid_bytecode(folder, interpreter)
    return folder


def by_hand(model: Path, work: Path, interpreter: Interpreter) -> Path:
    folder = work / "by-hand"
    hand_made(model, folder, interpreter, skinny=False)
    re_date(folder)
    return folder


def warm(folder: Path, interpreter: Interpreter, payload: Path) -> dict[str, float]:
    """Medians of 500 invokes of one row: the handler whole, and its session's run alone."""
    done = subprocess.run(
        [str(interpreter.path), "-B", "-c", WARM, str(payload)],
        cwd=folder, capture_output=True, text=True, check=True,
        env={**numeric_environment(), "AWS_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(folder)},
    )  # fmt: skip
    whole, run = map(float, done.stderr.split()[-2:])
    return {"handler_ms": whole, "session_ms": run, "beyond_ms": whole - run}


def rates(folder: Path, model: Path, interpreter: Interpreter, payload: bytes) -> dict[str, float]:
    """Rows a second over 1,000 rows of JSON, one request after the other."""
    lines = (model / "requirements.txt").read_text().split()
    python = environments.ensure(interpreter, lines, label="model")
    with served(python, model, payload) as server:
        theirs = statistics.median(server.ask(payload) for _ in range(_ASKED))
    with Emulator(folder, interpreter=interpreter, memory_mb=3008) as running:
        ours = statistics.median(running.invoke(payload).seconds for _ in range(_ASKED))
    return {"mlflow_serve": _ROWS / theirs, "onnx": _ROWS / ours, "ratio": theirs / ours}


def start(options: argparse.Namespace) -> tuple[dict[str, Any], BuildReport]:
    model = ROOT / "tests" / "models" / "made" / options.model
    # an event is strict JSON: what the example has as NaN goes as null
    example = json.loads(
        (model / "serving_input_example.json").read_text(), parse_constant=lambda _: None
    )
    payload = json.dumps(example).encode()
    http = http_event("POST", "/invocations", payload, {"content-type": "application/json"})
    compiled = made(model, options.work, Engine.ONNX)
    interpreter = interpreters.find(compiled.plan.runtime.python_minor)
    graph = compiled.artifact.folder / "model" / "model.onnx"
    numpy = compiled.plan.lock.version("numpy") or ""
    entry, folder = compiled.plan.target.entrypoint, compiled.artifact.folder
    native, deferred = (
        made(model, options.work, engine, *more).artifact.folder
        for engine, more in ((Engine.NATIVE, ()), (Engine.ONNX, ("defer",)))
    )
    direct = [
        Variant("floor", "", floor(options.work, graph, numpy, interpreter), "app.handler"),
        Variant("onnx", "", folder, entry),
        Variant("onnx, defer", "", deferred, entry),
        Variant("native", "", native, entry),
        Variant("by hand", "", by_hand(model, options.work, interpreter), "app.handler"),
    ]
    asked = [(each, payload) for each in direct] + [
        (Variant(key, "", each, entry), json.dumps(http).encode())
        for key, each in (("onnx, HTTP", folder), ("onnx, defer, HTTP", deferred))
    ]
    table: dict[str, dict[str, Any]] = {}
    for variant, body in asked:
        run = lambda v=variant, b=body: boot(v, interpreter, b)  # noqa: E731 - one expression
        table[variant.key] = {
            **size(variant.folder, options.work / "size.zip"),
            **medians(options.rounds, run, cold=False),
        }
        print(variant.key, json.dumps(table[variant.key]), file=sys.stderr)
    split = example["dataframe_split"]
    one, many = options.work / "one.json", {**split, "data": (split["data"] * _ROWS)[:_ROWS]}
    one.write_text(json.dumps({"dataframe_split": {**split, "data": split["data"][:1]}}))
    return {
        "model": options.model,
        "python": interpreter.version,
        "cores": os.cpu_count(),
        "rounds": options.rounds,
        "rows": table,
        "warm": {
            "onnx": warm(folder, interpreter, one),
            "onnx, defer": warm(deferred, interpreter, one),
        },
        "rows_per_second": rates(
            folder, model, interpreter, json.dumps({"dataframe_split": many}).encode()
        ),
        "engine": dict(compiled.evidence.engine),
        "rows_replayed": compiled.evidence.rows_compared,
        "declared_start_cpu_ms": compiled.evidence.declared_start_cpu_ms,
    }, compiled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="sklearn_columns")
    parser.add_argument("--parts", default="start,estimators")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-engines")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    path = options.out / "engines.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    parts = options.parts.split(",")
    compiled = None
    if "start" in parts:
        found["start"], compiled = start(options)
    if "estimators" in parts:
        if compiled is None:
            model = ROOT / "tests" / "models" / "made" / options.model
            compiled = made(model, options.work, Engine.ONNX)
        python = interpreters.find(compiled.plan.runtime.python_minor)
        outcomes = _estimators.outcomes(compiled.artifact.folder, python, options.work)
        found["estimators"] = [asdict(each) for each in outcomes]
    options.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
    text = _engines_report.text(found)
    (options.out / "engines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
