"""Everything that wants an NVIDIA GPU, in one command: the container's server with torch on it.

    python bench/gpu.py [--device cuda|cpu] [--seconds 6] [--out bench/results]

Run it with a Python that has torch and the server's own packages (the group handlers-container, and
nvidia-ml-py). Without a GPU it stops, unless --device cpu is given, which tries the script itself:
what needs a GPU is then said to be not run, and nothing is written.

Checks: the refusal to answer from a CPU; that the model is on the GPU; batches against none over
HTTP; the memory probe and the recovery from running out, beside a ballast that leaves little; eager
against half precision, torch.compile and CUDA graphs, each with its largest difference.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first
import torch  # noqa: E402

from bench import _servers  # noqa: E402
from bench._shapes import FEATURES, TOKENS, WIDTH  # noqa: E402
from handlers.manifest import FILENAME, Manifest  # noqa: E402
from handlers.service import accelerator, warmup  # noqa: E402
from handlers.service.batcher import Job  # noqa: E402
from handlers.service.runner import Runner  # noqa: E402

CLIENTS = 32
NOT_RUN = "not run: needs a GPU"


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
    rows = np.random.default_rng(1).normal(size=(1, TOKENS, FEATURES)).round(4)
    body = json.dumps({"inputs": rows.tolist()}).encode()
    found = {}
    most = "256" if device == "cuda" else "8"
    for name, batch in (("batched", most), ("unbatched", "1")):
        port = _servers.free_port()
        env = {"PORT": str(port), "PACKAGER_BATCH_ROWS": batch, "PYTHONPATH": str(folder)}
        env |= {"PACKAGER_DEVICE": device, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
        argv: list[str | Path] = [sys.executable, "-m", "handlers.container"]
        server = _servers.Server(name, argv, port, "/invocations", body, "/ping", env, folder)
        with _servers.Running(server, work):
            found[name] = asyncio.run(_servers.measured(server, CLIENTS, seconds))
    peak = f"{CLIENTS}_clients"
    gain = (
        found["batched"][peak]["answered_a_second"] / found["unbatched"][peak]["answered_a_second"]
    )
    return {**found, "gain": round(gain, 2)}


def memory(folder: Path, device: str) -> dict[str, Any]:
    """The probe, and a recovery, beside a ballast that leaves little of the GPU's memory."""
    manifest = Manifest.read(folder)
    from handlers.predictor import load
    from handlers.scoring import Scorer

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


def timed(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> float:
    """Milliseconds, the median of what came after the first ten."""
    times = []
    for _ in range(60 if x.is_cuda else 13):
        if x.is_cuda:
            torch.cuda.synchronize()
        begun = time.perf_counter()
        call(x)
        if x.is_cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - begun) * 1000)
    return round(statistics.median(times[10:]), 4)


def halved(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    answer: torch.Tensor = module(x.to(torch.bfloat16)).float()
    return answer


def graphed(module: torch.nn.Module, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """One CUDA graph, for one size of batch.

    https://pytorch.org/docs/stable/notes/cuda.html
    """
    held = x.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            module(held)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = module(held)

    def call(value: torch.Tensor) -> torch.Tensor:
        held.copy_(value)
        graph.replay()
        return answer

    return call


def tiers(device: str) -> dict[str, Any]:
    """Each way to run the module, for some sizes of batch: milliseconds, and how far off."""
    module = network().to(device)
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for rows in (1, 8, 64) if device != "cpu" else (1, 2):
            x = torch.randn(rows, TOKENS, FEATURES, device=device)
            eager = module(x).clone()
            ways: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"eager": module}
            half = network().to(device).to(torch.bfloat16)
            ways["bfloat16"] = functools.partial(halved, half)
            if device != "cpu":
                ways["compiled"] = torch.compile(module, mode="reduce-overhead")
                ways["graph"] = graphed(module, x)
            for name, call in ways.items():
                off = float((call(x).float() - eager).abs().max())
                found.setdefault(name, {})[rows] = {"ms": timed(call, x), "off": off}
    if device == "cpu":
        found["compiled"] = found["graph"] = NOT_RUN
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
            "tiers": tiers(device),
        }
    print(json.dumps(result, indent=2))
    if cuda:
        (asked.out / "gpu.json").write_text(json.dumps(result, indent=2) + "\n")
    else:
        print("Nothing is written: this was no GPU.")


if __name__ == "__main__":
    main()
