"""A model compiled and in its own framework, beside the floor; side by side in one run.

    python bench/engines.py [--rounds 5] [--out bench/results] [--model sklearn_columns]

The floor is what a compiled model cannot do without: stock wheels of numpy and onnxruntime with
valid bytecode, and a handler that imports both, makes a session of the same graph and runs it
once. The other two are artifacts of `packager build --engine onnx` and `--engine native`, asked
with the model's saved example by a direct invoke. All run under the same runtime client, emulator
and Python, read-only. CPU is that of the function's process from its start to its first answer;
wall times are this machine's. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import (  # noqa: E402 - the checkout is put on the path first
    Variant,
    boot,
    installed,
    medians,
    size,
    valid_bytecode,
)
from packager import facts, interpreters  # noqa: E402
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
COLUMNS = (
    "", "unzipped MB", "zipped MB", "files", "CPU ms", "init ms", "warm ms", "peak MB",
    "CPU / floor",
)  # fmt: skip


def made(model: Path, work: Path, engine: Engine) -> BuildReport:
    request = BuildRequest(model_uri=str(model), out_dir=work / engine.value, engine=engine)
    return build(request, MlflowRegistry(None, None))


def floor(work: Path, graph: Path, numpy: str, interpreter: Interpreter) -> Path:
    folder = work / "floor"
    runtime = facts.tools()["onnxruntime"].requirement
    installed([runtime, f"numpy=={numpy}"], folder, interpreter, bytecode=False)
    shutil.copy(graph, folder / "model.onnx")
    (folder / "app.py").write_text(FLOOR)
    valid_bytecode(folder, interpreter)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="sklearn_columns")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-engines")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    model = ROOT / "tests" / "models" / "made" / options.model
    # an event is strict JSON: what the example has as NaN goes as null
    example = json.loads(
        (model / "serving_input_example.json").read_text(), parse_constant=lambda _: None
    )
    payload = json.dumps(example).encode()

    compiled = made(model, options.work, Engine.ONNX)
    native = made(model, options.work, Engine.NATIVE)
    interpreter = interpreters.find(compiled.plan.runtime.python_minor)
    graph = compiled.artifact.folder / "model" / "model.onnx"
    numpy = compiled.plan.lock.version("numpy") or ""
    entry = compiled.plan.target.entrypoint
    variants = [
        Variant("floor", "", floor(options.work, graph, numpy, interpreter), "app.handler"),
        Variant("onnx", "", compiled.artifact.folder, entry),
        Variant("native", "", native.artifact.folder, entry),
    ]
    table: dict[str, dict[str, Any]] = {}
    for variant in variants:
        run = lambda v=variant: boot(v, interpreter, payload)  # noqa: E731 - one expression
        table[variant.key] = {
            **size(variant.folder, options.work / "size.zip"),
            **medians(options.rounds, run, cold=False),
        }
        print(variant.key, json.dumps(table[variant.key]), file=sys.stderr)
    report(table, options, interpreter, compiled)


def report(
    table: dict[str, dict[str, Any]],
    options: argparse.Namespace,
    interpreter: Interpreter,
    compiled: BuildReport,
) -> None:
    """Write engines.json and engines.md; the table also goes to stdout."""
    evidence = compiled.evidence
    facts_of_run = {
        "model": options.model,
        "python": interpreter.version,
        "cores": os.cpu_count(),
        "rounds": options.rounds,
        "rows": table,
        "candidates": evidence.engine["candidates"],
        "rows_replayed": evidence.rows_compared,
        "declared_start_cpu_ms": evidence.declared_start_cpu_ms,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "engines.json").write_text(json.dumps(facts_of_run, indent=2) + "\n")
    taken = evidence.engine["candidates"][-1]
    said = (
        f"{options.model}; Python {interpreter.version}, {os.cpu_count()} cores; medians of "
        f"{options.rounds}. The graph ({taken['name']}) was held to the model on {taken['rows']:,} "
        f"rows, largest relative difference {taken['max_rel_error']:g}. Through mlflow.pyfunc, in "
        f"the environment that the model declares, a start takes "
        f"{evidence.declared_start_cpu_ms:,.0f} ms of CPU."
    )
    lines = [
        said,
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for key, row in table.items():
        cells = [
            key,
            *(f"{row[name]:,.1f}" for name in ("unzipped_mb", "zipped_mb")),
            f"{row['files']:,}",
            *(f"{row[name]:,.0f}" for name in ("cpu_ms", "init_wall_ms")),
            f"{row['warm_invoke_ms']:,.1f}",
            f"{row['peak_rss_mb']:,.0f}",
            f"{row['cpu_ms'] / table['floor']['cpu_ms']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    (options.out / "engines.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
