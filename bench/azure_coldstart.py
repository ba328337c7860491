"""Import and indexing on Azure, side by side in one run: an app made by hand, and ours.

    python bench/azure_coldstart.py [--rounds 3] [--python 3.13 --python 3.12] [--out bench/results]

The demo's registered model as
  hand stale    mlflow-skinny, scikit-learn, pandas and FastAPI behind azure.functions'
                AsgiFunctionApp, calling mlflow.pyfunc.load_model: as a read-only package has it
                that was installed without bytecode, so that every module is compiled at each start
  hand valid    the same with bytecode that stays good, which is the best that a hand can do
  native, onnx  ours: five functions, as they are asked by HTTP, queue, blob, Event Grid and Service
                Bus; those made by hand have the one for HTTP
All are indexed by the same worker library under the same Python, read-only. `index CPU` is that of
the app's import and indexing alone; `CPU` that of the worker's process from its start to its first
answer. Medians; ratios are ours against the app made by hand. Then the native artifacts for Azure
and for Lambda are asked the same rows, and every answer is compared, to the byte. What is there in
--work is used again, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import (  # noqa: E402 - the checkout is put on the path first
    installed,
    medians,
    sh,
    size,
    valid_bytecode,
)
from packager import targets  # noqa: E402
from packager.commands import artifact  # noqa: E402
from packager.environments import interpreters  # noqa: E402
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build  # noqa: E402
from packager.targets.hosts import HOSTS, Boot, Call  # noqa: E402
from packager.targets.hosts.functions_worker import WorkerHost  # noqa: E402
from packager.types import Engine, HostKind, Interpreter, make_request  # noqa: E402

APP = """\
from pathlib import Path

import azure.functions as func
import mlflow.pyfunc
import pandas as pd
from fastapi import FastAPI, Request

model = mlflow.pyfunc.load_model(str(Path(__file__).parent / "model"))
web = FastAPI()


@web.post("/invocations")
async def invocations(request: Request):
    split = (await request.json())["dataframe_split"]
    frame = pd.DataFrame(split["data"], columns=split["columns"])
    return {"predictions": model.predict(frame).tolist()}


app = func.AsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.FUNCTION, function_name="http")
"""
HOME = ".python_packages/lib/site-packages"
ADDRESS = "models:/wine@champion"
EVENTS = ("queue", "blob", "eventgrid", "servicebus")
COLUMNS = (
    "", "Python", "unzipped MB", "zipped MB", "files", "index CPU ms", "CPU ms", "init ms",
    "warm ms", "peak MB", "index / hand stale", "index / hand valid",
)  # fmt: skip


def trained(work: Path) -> str:
    uri = f"sqlite:///{work / 'mlflow.db'}"
    if (work / "mlflow.db").exists():
        return uri
    env = {**os.environ, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true"}
    worker = ROOT / "packager/workers/train_demo.py"
    sh(sys.executable, worker, "wine", "champion", cwd=work, env=env)
    return uri


def ours(uri: str, out: Path, minor: str, engine: Engine, target: str) -> Boot:
    if not artifact.is_artifact(out):
        _build(uri, out, minor, engine, target)
    function, given = artifact.read(out).folder, targets.load(target)
    interpreter = interpreters.find(minor)
    return Boot(folder=function, interpreter=interpreter, entrypoint=given.program.entrypoint)


def _build(uri: str, out: Path, minor: str, engine: Engine, target: str) -> None:
    azure = target == "azure-functions"
    request = make_request(
        model_uri=ADDRESS,
        out_dir=out,
        target=target,
        tracking_uri=uri,
        python_minor=minor,
        engine=engine,
        events=EVENTS if azure else (),
        output_to="queue://answers" if azure else None,
    )
    build(request, MlflowRegistry(uri, None))


def hand_made(model: Path, folder: Path, interpreter: Interpreter) -> None:
    if folder.exists():
        return
    lines = (model / "requirements.txt").read_text().split()
    lines = [line.replace("mlflow==", "mlflow-skinny==") for line in lines]
    (folder / HOME).mkdir(parents=True)
    installed([*lines, "fastapi", "azure-functions"], folder / HOME, interpreter, bytecode=False)
    shutil.copytree(model, folder / "model")
    (folder / "function_app.py").write_text(APP)


def boot(folder: Path, interpreter: Interpreter, payload: bytes) -> dict[str, float]:
    """One start, one first answer, six warm ones."""
    call = Call(body=payload, content_type="application/json")
    with WorkerHost(Boot(folder=folder, interpreter=interpreter, entrypoint="")) as host:
        first = host.ask(call)
        if first.status != 200:
            sys.exit(f"{folder} does not answer: {first.text[:500]}\n{host.log()[-2000:]}")
        stats = host.stats()
        warm = sorted(host.ask(call).seconds * 1000 for _ in range(6))[2]
        peak = host.stats().peak_rss_bytes
        index = host.index_cpu_ms
    return {
        "index_cpu_ms": index,
        "cpu_ms": stats.cpu_ms,
        "init_wall_ms": stats.init_wall_ms,
        "warm_invoke_ms": warm,
        "peak_rss_mb": peak / 1e6,
    }


def same_answers(azure: Boot, aws: Boot, example: dict[str, Any]) -> dict[str, int]:
    """Rows that both artifacts were asked over HTTP; an answer that differs ends this program."""
    split = example["dataframe_split"]
    table = np.asarray(split["data"], dtype=float)
    dice = np.random.default_rng(2026)
    picked = table[dice.integers(len(table), size=1000)]
    drawn = picked * dice.normal(1, 0.5, picked.shape)
    rows = requests = 0
    with HOSTS[HostKind.WORKER](azure) as one, HOSTS[HostKind.LAMBDA](aws) as other:
        for size in (1, 9, 90, 900):
            part = drawn[rows : rows + size].tolist()
            body = json.dumps({"dataframe_split": {"columns": split["columns"], "data": part}})
            call = Call(body=body.encode(), content_type="application/json")
            a, b = one.ask(call), other.ask(call)
            if a.status != 200 or (a.status, a.text) != (b.status, b.text):
                sys.exit(f"{size} rows: {a.status} {a.text[:300]} and {b.status} {b.text[:300]}")
            requests, rows = requests + 1, rows + size
    return {"rows": rows, "requests": requests}


def doors(out: Path) -> str:
    """By what the artifact was asked before it was taken, and with what result."""
    checks = json.loads((out / "evidence.json").read_text())["evidence"]["checks"]
    return str(checks["doors"])


def measured(
    work: Path, uri: str, minor: str, rounds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    interpreter = interpreters.find(minor)
    folder = work / minor
    shutil.rmtree(folder / "fetched", ignore_errors=True)
    (folder / "fetched").mkdir(parents=True)
    model = MlflowRegistry(uri, None).fetch(ADDRESS, folder / "fetched").folder
    payload = (model / "serving_input_example.json").read_bytes()
    stale, valid = folder / "stale", folder / "valid"
    hand_made(model, stale, interpreter)
    if not valid.exists():
        shutil.copytree(stale, valid)
        valid_bytecode(valid, interpreter)
    native = ours(uri, folder / "native", minor, Engine.NATIVE, "azure-functions")
    onnx = ours(uri, folder / "onnx", minor, Engine.ONNX, "azure-functions")
    trees = {
        "hand stale": stale,
        "hand valid": valid,
        "native": native.folder,
        "onnx": onnx.folder,
    }
    table: dict[str, Any] = {}
    for key, tree in trees.items():
        run = lambda t=tree: boot(t, interpreter, payload)  # noqa: E731 - one expression
        table[key] = {
            "python": interpreter.version,
            **size(tree, folder / "size.zip"),
            **medians(rounds, run, cold=False),
        }
        print(minor, key, json.dumps(table[key]), file=sys.stderr)
    aws = ours(uri, folder / "aws", minor, Engine.NATIVE, "aws-lambda")
    proofs = {f"{key} doors": doors(folder / key) for key in ("native", "onnx")}
    return table, {**same_answers(native, aws, json.loads(payload)), **proofs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", action="append")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-azure")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    uri = trained(options.work)
    tables, compared = {}, {}
    for minor in options.python or ["3.13", "3.12"]:
        tables[minor], compared[minor] = measured(options.work, uri, minor, options.rounds)
        report(tables, compared, options.out, options.rounds)


def report(tables: dict[str, Any], compared: dict[str, Any], out: Path, rounds: int) -> None:
    """Write azure_coldstart.json and azure_coldstart.md; the table also goes to stdout."""
    out.mkdir(parents=True, exist_ok=True)
    found = {"cores": os.cpu_count(), "rounds": rounds, "tables": tables, "same": compared}
    (out / "azure_coldstart.json").write_text(json.dumps(found, indent=2) + "\n")
    lines = [
        f"{os.cpu_count()} cores; medians of {rounds}",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for table in tables.values():
        for key, row in table.items():
            cells = [
                key,
                row["python"],
                *(f"{row[k]:,.0f}" for k in ("unzipped_mb", "zipped_mb")),
                f"{row['files']:,}",
                *(f"{row[k]:,.0f}" for k in ("index_cpu_ms", "cpu_ms", "init_wall_ms")),
                f"{row['warm_invoke_ms']:,.1f}",
                f"{row['peak_rss_mb']:,.0f}",
                *(
                    f"{row['index_cpu_ms'] / table[hand]['index_cpu_ms']:.2f}"
                    for hand in ("hand stale", "hand valid")
                ),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for minor, same in compared.items():
        asked = f"the same {same['rows']:,} rows in {same['requests']:,} requests, byte for byte"
        lines += [
            f"Python {minor}: Azure's artifact and Lambda's gave {asked}.",
            *(f"Python {minor}, {key}: {same[f'{key} doors']}." for key in ("native", "onnx")),
            "",
        ]
    text = "\n".join(lines).rstrip() + "\n"
    (out / "azure_coldstart.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
