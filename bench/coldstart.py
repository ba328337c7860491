"""Cold start, side by side in one run: hand-made zips, MLflow's own server, and our artifact.

    python bench/coldstart.py [--rounds 5] [--cold-rounds 3] [--out bench/results]

The same registered model (the demo's) as
  a   a Lambda zip made by hand: the model's requirements.txt and a handler that calls
      mlflow.pyfunc.load_model
  b   the same with mlflow-skinny
  c   `mlflow models serve`, MLflow's own server process, in the model's own environment
  d   ours
a, b and d run under the same runtime client, emulator and Python, read-only. a and b are measured
twice: `stale`, as a deployed zip unpacks (entries dated 1980, so that the bytecode which pip wrote
is rejected and every module is compiled again at each start), and `valid`, with bytecode that stays
good, which is the best that a hand can do. CPU is that of the function's process from its start to
its first answer; wall times are this machine's. Medians; ratios are ours against each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import (  # noqa: E402 - the checkout is put on the path first
    Variant,
    boot,
    drop_page_cache,
    group_stat,
    installed,
    medians,
    re_date,
    served,
    sh,
    size,
    valid_bytecode,
)
from handlers.manifest import Manifest  # noqa: E402
from packager.environments import interpreters, virtual_environments  # noqa: E402
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build  # noqa: E402
from packager.system.process import numeric_environment  # noqa: E402
from packager.types import Engine, Interpreter, make_request  # noqa: E402

HANDLER = """\
import mlflow.pyfunc
import pandas as pd

model = mlflow.pyfunc.load_model("model")


def handler(event, context):
    split = event["dataframe_split"]
    frame = pd.DataFrame(split["data"], columns=split["columns"])
    return {"predictions": model.predict(frame).tolist()}
"""
NAME = "wine"
COLUMNS = (
    "", "what", "unzipped MB", "zipped MB", "files", "modules", "CPU ms", "init ms", "first ms",
    "warm ms", "peak MB", "CPU cold ms", "init cold ms", "ours / this (CPU)",
)  # fmt: skip
SKINNY = ("mlflow-skinny", "numpy", "pandas")


def prepare(work: Path) -> tuple[Path, Path, Interpreter]:
    """The registered model's folder, our artifact, and the Python that both run on."""
    uri = f"sqlite:///{work / 'mlflow.db'}"
    env = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    sh(sys.executable, ROOT / "packager/workers/train_demo.py", NAME, "champion", cwd=work, env=env)
    address = f"models:/{NAME}@champion"
    request = make_request(
        model_uri=address, out_dir=work / "ours", tracking_uri=uri, engine=Engine.NATIVE
    )
    registry = MlflowRegistry(uri, None)
    build(request, registry)
    (work / "fetched").mkdir()
    registry.fetch(address, work / "fetched")
    return find_prepared(work)


def find_prepared(work: Path) -> tuple[Path, Path, Interpreter]:
    """The same, of an earlier run."""
    (model,) = (work / "fetched").rglob("MLmodel")
    ours = work / "ours" / "function"
    return model.parent, ours, interpreters.find(Manifest.read(ours).python)


def hand_made(model: Path, folder: Path, interpreter: Interpreter, *, skinny: bool) -> None:
    """Install with pip's own habit (bytecode by file time), add the handler and the model."""
    lines = (model / "requirements.txt").read_text().split()
    if skinny:
        lines = [line.replace("mlflow==", "mlflow-skinny==") for line in lines]
    installed(lines, folder, interpreter, bytecode=True)
    shutil.copytree(model, folder / "model")
    (folder / "app.py").write_text(HANDLER)


def modules(variant: Variant, interpreter: Interpreter) -> int:
    module = variant.handler.rpartition(".")[0]
    code = f"import sys; sys.path.insert(0, '.'); import {module}; print(len(sys.modules))"
    env = {
        **numeric_environment(),
        "LD_LIBRARY_PATH": str(variant.folder / "lib"),
        "LAMBDA_TASK_ROOT": str(variant.folder),
        "AWS_REGION": "us-east-1",
        "HOME": "/tmp",  # noqa: S108 - as on Lambda, where nothing else can be written
    }
    done = subprocess.run(
        [str(interpreter.path), "-B", "-c", code],
        cwd=variant.folder, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.split()[-1])


def serve_once(python: Path, model: Path, payload: bytes) -> dict[str, float]:
    """Start MLflow's own server, ask until it answers, ask six times more."""
    with served(python, model, payload) as server:
        cpu, _ = group_stat(server.pid)
        warm = [server.ask(payload) * 1000 for _ in range(6)]
        _, peak = group_stat(server.pid)
    return {
        "init_wall_ms": server.up_ms,
        "cpu_ms": cpu,
        "first_invoke_ms": server.up_ms,
        "warm_invoke_ms": statistics.median(warm),
        "peak_rss_mb": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)

    model, ours, interpreter = prepare(options.work)
    payload = (model / "serving_input_example.json").read_bytes()
    variants = []
    for key, skinny in (("a", False), ("b", True)):
        folder = options.work / f"{key}-stale"
        hand_made(model, folder, interpreter, skinny=skinny)
        shutil.copytree(folder, valid := options.work / f"{key}-valid")
        re_date(folder)
        valid_bytecode(valid, interpreter)
        what = "mlflow-skinny" if skinny else "mlflow"
        variants.append(Variant(f"{key} stale", f"by hand, {what}", folder, "app.handler"))
        variants.append(Variant(f"{key} valid", f"by hand, {what}", valid, "app.handler"))
    variants.append(Variant("d", "ours", ours, "handlers.aws_lambda.handler"))

    table: dict[str, dict[str, Any]] = {}
    can_drop = drop_page_cache()
    for variant in variants:
        run = lambda v=variant: boot(v, interpreter, payload)  # noqa: E731 - one expression
        row: dict[str, Any] = {"what": variant.what, "modules": modules(variant, interpreter)}
        row |= size(variant.folder, options.work / "size.zip")
        row["warm_cache"] = medians(options.rounds, run, cold=False)
        if can_drop:
            row["cold_cache"] = medians(options.cold_rounds, run, cold=True)
        table[variant.key] = row
        print(variant.key, json.dumps(row, default=str), file=sys.stderr)
    requirements = (model / "requirements.txt").read_text().split()
    python = virtual_environments.ensure(interpreter, requirements, label="model")
    serving = lambda: serve_once(python, model, payload)  # noqa: E731 - one expression
    table["c"] = {
        "what": "mlflow models serve",
        "warm_cache": medians(options.rounds, serving, cold=False),
    }
    if can_drop:
        table["c"]["cold_cache"] = medians(options.cold_rounds, serving, cold=True)
    report(table, options.out, interpreter, can_drop=can_drop, rounds=options.rounds)


def report(
    table: dict[str, dict[str, Any]],
    out: Path,
    interpreter: Interpreter,
    *,
    can_drop: bool,
    rounds: int,
) -> None:
    """Write coldstart.json and coldstart.md; the table also goes to stdout."""
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "python": interpreter.version,
        "cores": os.cpu_count(),
        "rounds": rounds,
        "page_cache_dropped": can_drop,
        "rows": table,
    }
    (out / "coldstart.json").write_text(json.dumps(facts, indent=2) + "\n")
    left_out = "" if can_drop else "; the page cache could not be dropped: no cold figures"
    lines = [
        f"Python {interpreter.version}, {os.cpu_count()} cores; medians of {rounds}{left_out}",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    ours = table["d"]["warm_cache"]["cpu_ms"]
    for key, row in sorted(table.items()):
        warm, cold = row["warm_cache"], row.get("cold_cache", {})
        cells = [
            key,
            row["what"],
            *(f"{row[k]:,.0f}" if k in row else "-" for k in ("unzipped_mb", "zipped_mb")),
            *(f"{row[k]:,}" if k in row else "-" for k in ("files", "modules")),
            *(f"{warm[k]:,.0f}" for k in ("cpu_ms", "init_wall_ms", "first_invoke_ms")),
            f"{warm['warm_invoke_ms']:,.1f}",
            f"{warm['peak_rss_mb']:,.0f}",
            *(f"{cold[k]:,.0f}" if k in cold else "-" for k in ("cpu_ms", "init_wall_ms")),
            f"{ours / warm['cpu_ms']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    (out / "coldstart.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
