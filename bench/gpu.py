"""Everything that wants an NVIDIA GPU, in one command: the container's server with torch on it.

    python bench/gpu.py [--device cuda|cpu] [--seconds 6] [--out bench/results]

Run it with a Python that has torch and the server's own packages (the group handlers-container, and
nvidia-ml-py). Without a GPU it stops, unless --device cpu is given, which tries the script itself:
what needs a GPU is then said to be not run, and nothing is written.

Checks: the refusal to answer from a CPU; that the model is on the GPU; batches against none over
HTTP; the memory probe and the recovery from running out, beside a ballast that leaves little; eager
against half precision, torch.compile and CUDA graphs, as the server proves and takes them.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first
import torch  # noqa: E402

from bench import _servers  # noqa: E402
from bench._shapes import FEATURES, TOKENS, WIDTH  # noqa: E402
from handlers.container_server import acceleration, accelerator, replicas, warmup  # noqa: E402
from handlers.container_server.batcher import Job  # noqa: E402
from handlers.container_server.runner import Runner  # noqa: E402
from handlers.container_server.settings import ServiceSettings  # noqa: E402
from handlers.manifest import FILENAME, Manifest  # noqa: E402
from handlers.scoring.predictor import load  # noqa: E402
from handlers.scoring.scorer import Scorer  # noqa: E402

CLIENTS = 32
NOT_RUN = "not run: needs a GPU"
WAYS = {
    "cuda": (
        ("bfloat16", "eager"),
        ("float16", "eager"),
        ("float32", "compile"),
        ("float32", "graphs"),
        ("bfloat16", "graphs"),
    ),
    "cpu": (("bfloat16", "eager"), ("float32", "graphs")),
}
"""Beside the plain one: precision and tier, as handlers.container_server.acceleration has them."""
TOLD = {
    "gpu_memory_used_bytes",
    "gpu_utilisation_ratio",
    "batch_rows_limit",
    "batch_rows_sum",
    "batch_rows_count",
    "quickened",
    "out_of_memory_recovered",
}


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(WIDTH, 8, 4 * WIDTH, 0.0, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    head = (torch.nn.Flatten(), torch.nn.Linear(WIDTH * TOKENS, 3))
    return torch.nn.Sequential(torch.nn.Linear(FEATURES, WIDTH), encoder, *head).eval()


def function(folder: Path) -> Path:
    """A folder as a build lays it out, its model exported for any number of rows."""
    shutil.copytree(ROOT / "handlers", folder / "handlers")
    (folder / "model").mkdir()
    x = torch.randn(2, TOKENS, FEATURES)
    rows = torch.export.Dim("rows", min=1, max=1 << 20)
    exported = torch.export.export(network(), (x,), dynamic_shapes=({0: rows},))
    torch.export.save(exported, folder / "model" / "model.pt2")
    (folder / "model" / "example.json").write_text(json.dumps({"inputs": x.tolist()}))
    spec = {"dtype": "float32", "shape": [-1, TOKENS, FEATURES]}
    made = Manifest(
        model_name="transformer",
        model_version="1",
        mlflow_version="3.17.2",
        digest="0" * 64,
        flavor="pytorch",
        loader="pytorch",
        frame="numpy",
        signature={"inputs": [{"type": "tensor", "tensor-spec": spec}]},
        options={"file": "model.pt2", "format": "pt2", "code": []},
        example="model/example.json",
        python=platform.python_version(),
        request_bytes=6_000_000,
        response_bytes=6_000_000,
    )
    (folder / FILENAME).write_text(made.text())
    return folder


def refuses_the_cpu(folder: Path) -> dict[str, Any]:
    """The server without a visible GPU: it must stop, and say why."""
    env = {**os.environ, "PYTHONPATH": str(folder), "PACKAGER_DEVICE": "cuda", "PORT": "0"}
    env["CUDA_VISIBLE_DEVICES"] = ""
    argv = [sys.executable, "-m", "handlers.container"]
    done = subprocess.run(
        argv, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stdout.strip().splitlines()[-1:]
    if done.returncode != 3:
        sys.exit(f"the server did not refuse the CPU: {done.returncode} {said}")
    return {"exit_code": done.returncode, "said": said}


def over_http(folder: Path, work: Path, device: str, seconds: float) -> dict[str, Any]:
    """Each way as a server of its own; the gain is of batches alone, both in the plain way."""
    rows = np.random.default_rng(1).normal(size=(1, TOKENS, FEATURES)).round(4)
    body = json.dumps({"inputs": rows.tolist()}).encode()
    most = "256" if device == "cuda" else "8"
    served = {"batched": (most, "float32", "eager"), "unbatched": ("1", "float32", "eager")}
    for precision, tier in WAYS[device]:
        served[f"batched, {precision}, {tier}"] = (most, precision, tier)
    found = {}
    for name, (batch, precision, tier) in served.items():
        port = _servers.free_port()
        env = {"PORT": str(port), "PACKAGER_BATCH_ROWS": batch, "PYTHONPATH": str(folder)}
        env |= {"PACKAGER_PRECISION": precision, "PACKAGER_TIER": tier}
        env |= {"PACKAGER_DEVICE": device, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
        argv: list[str | Path] = [sys.executable, "-m", "handlers.container"]
        server = _servers.Server(name, argv, port, "/invocations", body, "/ping", env, folder)
        with _servers.Running(server, work):
            found[name] = asyncio.run(_servers.measured(server, CLIENTS, seconds))
            found[name]["metrics"] = told(port)
        print(name, json.dumps(found[name]), flush=True)
    peak = f"{CLIENTS}_clients"
    gain = (
        found["batched"][peak]["answered_a_second"] / found["unbatched"][peak]["answered_a_second"]
    )
    return {**found, "gain": round(gain, 2)}


def told(port: int) -> dict[str, float]:
    """What the server itself says of its device and its batches."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in values.items() if name.partition("{")[0] in TOLD}


def memory(folder: Path, device: str) -> dict[str, Any]:
    """The probe, and a recovery, beside a ballast that leaves little of the GPU's memory."""
    manifest = Manifest.read(folder)
    with accelerator.loading_on(device):
        predictor = load(manifest, folder)
    placed = accelerator.confirm(predictor, device)
    scorer = Scorer(manifest, predictor)
    example = scorer.read((folder / "model" / "example.json").read_bytes(), "application/json")
    if device == "cpu":
        warm = warmup.warm_up(scorer.predict, example, 4, lambda: None)
        return {"placed": placed, "probe": {"rows": warm.batch_rows}, "recovery": NOT_RUN}
    index = int(device.partition(":")[2])
    free, total = torch.cuda.mem_get_info(index)
    ballast = torch.empty(max(0, free - (3 << 30)), dtype=torch.uint8, device=device)
    most = 1 << 18
    warm = warmup.warm_up(scorer.predict, example, most, lambda: None)
    rows = 1 << 16
    data = np.random.default_rng(2).normal(size=(rows, TOKENS, FEATURES)).astype("float32")
    runner = Runner(scorer.predict, most)
    (answer,) = runner([Job(form="all", rows=rows, data=data)])
    if isinstance(answer, Exception):
        sys.exit(f"not recovered: {answer}")
    del ballast
    torch.cuda.empty_cache()
    whole = np.concatenate([scorer.predict(data[i : i + 512], None) for i in range(0, rows, 512)])
    return {
        "placed": placed,
        "total_bytes": total,
        "probe": {"rows": warm.batch_rows, "of_at_most": most},
        "recovery": {
            "rows": rows,
            "ran_out": runner.recovered,
            "rows_at_once_after": runner.batch_rows,
            "largest_difference": float(np.abs(answer - whole).max()),
        },
    }


def timed(call: Callable[[], object]) -> float:
    """Milliseconds to an answer in the host's memory, the median of what came after the first."""
    times = []
    for _ in range(60):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times[10:]), 4)


def ways(folder: Path, device: str, kind: str) -> dict[str, Any]:
    """Each way to run the module: whether the server would take it, and milliseconds by rows."""
    copy = replicas.load(Manifest.read(folder), folder, device, load)
    example = replicas.example(copy.scorer, folder)
    sizes = (1, 8, 64) if kind == "cuda" else (1, 2)
    data = np.random.default_rng(3).normal(size=(sizes[-1], TOKENS, FEATURES)).astype("float32")
    found: dict[str, Any] = {}
    for precision, tier in (("float32", "eager"), *WAYS[kind]):
        settings = ServiceSettings(batch_rows=sizes[-1], precision=precision, tier=tier)
        quick, proof = acceleration.accelerate_model(copy.predictor, copy.scorer, example, settings)
        taken = proof.used or proof is acceleration.PLAIN
        found[f"{precision}, {tier}"] = {
            "proven": proof.used,
            "why": proof.why,
            "largest_difference": proof.largest,
            "ms": {
                rows: timed(functools.partial(quick.predict, data[:rows], None)) for rows in sizes
            }
            if taken
            else {},
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    asked = parser.parse_args()
    cuda = asked.device == "cuda"
    if cuda and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here. --device cpu tries the script itself.")
    device = "cuda:0" if cuda else "cpu"
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as name:
        work = Path(name)
        folder = function(work / "function")
        result = {
            "device": torch.cuda.get_device_name(0) if cuda else "none: the CPU",
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "refuses_the_cpu": refuses_the_cpu(folder),
            "http": over_http(folder, work, asked.device, asked.seconds),
            "memory": memory(folder, device),
            "ways": ways(folder, device, asked.device),
        }
    print(json.dumps(result, indent=2))
    if cuda:
        (asked.out / "gpu.json").write_text(json.dumps(result, indent=2) + "\n")
    else:
        print("Nothing is written: this was no GPU.")


if __name__ == "__main__":
    main()
