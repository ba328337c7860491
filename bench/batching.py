"""The container's server against itself without batches, LitServe and MLServer, with one model.

    python bench/batching.py [--seconds 4] [--rounds 3] [--out bench/results]

The model is a small transformer whose weights outweigh a row, so that it gains from batches; how
much it can gain is measured too, without any server. Every server runs it on onnxruntime with one
thread, on this machine's CPUs, which it shares with the client. The servers take turns. Figures:
answered a second at 32 clients; median latency at one; at twice the own peak, what is still
answered, shed and failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first
import onnxruntime  # noqa: E402

from bench import _network, _servers  # noqa: E402
from bench._shapes import FEATURES, TOKENS  # noqa: E402
from handlers.manifest import FILENAME, Manifest  # noqa: E402
from packager.environments import interpreters, virtual_environments  # noqa: E402

CLIENTS = 32
LAYERS = 3
"""Weights of 85 MB: more than the cache that a core of a server shares."""
LITSERVE = """
import sys
import litserve, numpy, onnxruntime
class Api(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options)
    def decode_request(self, request):
        return numpy.asarray(request["inputs"], dtype="float32")[0]
    def batch(self, inputs):
        return numpy.stack(inputs)
    def predict(self, x):
        return self.session.run(["y"], {"x": x})[0]
    def unbatch(self, output):
        return list(output)
    def encode_response(self, output):
        return {"predictions": output.tolist()}
if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=64, batch_timeout=0.0), accelerator="cpu")
    server.run(port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
"""
MLSERVER = """
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
class Model(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri, options)
        return True
    async def predict(self, payload):
        x = NumpyCodec.decode_input(payload.inputs[0])
        y = self.session.run(["y"], {"x": x})[0]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("y", y)]
        )
"""


def function(folder: Path, example: list[Any]) -> Path:
    """A folder as a build lays it out, of this checkout's handlers."""
    shutil.copytree(ROOT / "handlers", folder / "handlers")
    (folder / "model").mkdir()
    _network.write(folder / "model" / "model.onnx", layers=LAYERS)
    (folder / "model" / "example.json").write_text(json.dumps({"inputs": example}))
    shape = [-1, TOKENS, FEATURES]
    spec = {"type": "tensor", "name": "x", "tensor-spec": {"dtype": "float32", "shape": shape}}
    made = Manifest(
        model_name="transformer",
        model_version="1",
        mlflow_version="3.17.2",
        digest="0" * 64,
        flavor="onnx",
        loader="onnx",
        frame="numpy",
        signature={"inputs": [spec], "outputs": None, "params": None},
        options={"file": "model.onnx", "session_options": {"intra_op_num_threads": 1}},
        example="model/example.json",
        python=platform.python_version(),
        request_bytes=6_000_000,
        response_bytes=6_000_000,
    )
    (folder / FILENAME).write_text(made.text())
    return folder


def servers(work: Path) -> list[_servers.Server]:
    rows = np.random.default_rng(1).normal(size=(8, TOKENS, FEATURES))
    example = rows.round(4).tolist()
    folder = function(work / "function", example)
    body = json.dumps({"inputs": example[:1]}).encode()
    ours: list[str | Path] = [sys.executable, "-m", "handlers.container", "serve"]
    made = []
    for name, batch in (("ours", "64"), ("ours, unbatched", "1")):
        port = _servers.free_port()
        env = {"PORT": str(port), "PACKAGER_BATCH_ROWS": batch, "PYTHONPATH": str(folder)}
        made.append(_servers.Server(name, ours, port, "/invocations", body, "/ping", env, folder))
    model = folder / "model" / "model.onnx"
    python = interpreters.find("3.12")
    for name, maker in (("litserve", _litserve), ("mlserver", _mlserver)):
        needs = [name, "onnxruntime", "numpy"]
        made.append(
            maker(work, model, virtual_environments.ensure(python, needs, label=name), example)
        )
    return made


def _litserve(work: Path, model: Path, python: Path, example: list[Any]) -> _servers.Server:
    script = work / "litserve_app.py"
    script.write_text(LITSERVE)
    port = _servers.free_port()
    body = json.dumps({"inputs": example[:1]}).encode()
    argv: list[str | Path] = [python, script, model, str(port)]
    return _servers.Server("litserve", argv, port, "/predict", body, "/health")


def _mlserver(work: Path, model: Path, python: Path, example: list[Any]) -> _servers.Server:
    folder = work / "mlserver"
    folder.mkdir()
    port, others = _servers.free_port(), [_servers.free_port(), _servers.free_port()]
    (folder / "app.py").write_text(MLSERVER)
    settings = {
        "name": "m",
        "implementation": "app.Model",
        "max_batch_size": 64,
        "max_batch_time": 0.005,
        "parameters": {"uri": str(model)},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    ports = {"http_port": port, "grpc_port": others[0], "metrics_port": others[1]}
    host = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (folder / "settings.json").write_text(json.dumps(host))
    flat = np.asarray(example[0]).reshape(-1).tolist()
    shape = [1, TOKENS, FEATURES]
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "data": flat}
    body = json.dumps({"inputs": [tensor]}).encode()
    argv: list[str | Path] = [python.with_name("mlserver"), "start", "."]
    path = "/v2/models/m/infer"
    env = {"PYTHONPATH": str(folder)}
    return _servers.Server("mlserver", argv, port, path, body, "/v2/models/m/ready", env, folder)


def alone(model: Path) -> dict[str, float]:
    """Medians of the session's run in ms: of one row, and of as many as there are clients."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options)

    def took(rows: int) -> float:
        x = np.random.default_rng(2).normal(size=(rows, TOKENS, FEATURES)).astype("float32")
        spent = []
        for _ in range(50):
            begun = time.perf_counter()
            session.run(["y"], {"x": x})
            spent.append((time.perf_counter() - begun) * 1000)
        return statistics.median(spent)

    one, many = took(1), took(CLIENTS)
    return {"one_ms": round(one, 2), "many_ms": round(many, 2), "gain": one * CLIENTS / many}


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the rounds."""
    return {
        load: {
            name: round(statistics.median(each[load][name] for each in rounds), 3)
            for name in figures
        }
        for load, figures in rounds[0].items()
    }


def shown(result: Mapping[str, Any]) -> dict[str, float]:
    """What the batcher is held to, of our own two servers."""
    ours, alone = result["servers"]["ours"], result["servers"]["ours, unbatched"]
    peak = f"{CLIENTS}_clients"
    return {
        "gain": round(ours[peak]["answered_a_second"] / alone[peak]["answered_a_second"], 2),
        "added_ms": round(ours["one_client"]["p50_ms"] - alone["one_client"]["p50_ms"], 2),
        "of_peak_at_twice": ours["twice_the_peak"]["of_peak"],
        "errors_5xx": ours["twice_the_peak"]["errors_5xx"],
    }


def text(result: Mapping[str, Any]) -> str:
    held = result["shown"]
    lines = [
        "# Batching, side by side",
        "",
        f"{result['machine']}. The median of {len(result['rounds'])} rounds, in each of which the",
        "servers are started, asked and ended one after the other; written by",
        f"`{result['command']}`. {result['note']}",
        "",
        f"- {CLIENTS} clients, batches against none: {held['gain']} times the rows a second; the",
        f"  session alone, {CLIENTS} rows against one: {result['session']['gain']:.1f} times",
        f"- one client: {held['added_ms']:+} ms at the median",
        f"- asked twice what it can do: {held['of_peak_at_twice']:.0%} of its peak is answered,",
        f"  with {held['errors_5xx']:.0f} answers of 5xx",
        "",
        "| server | rows/s, 32 clients | p50 ms | p50 ms, 1 client | twice | 429 | 5xx | lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in result["servers"].items():
        one, many, twice = found["one_client"], found[f"{CLIENTS}_clients"], found["twice_the_peak"]
        lines.append(
            f"| {name} | {many['answered_a_second']} | {many['p50_ms']} | {one['p50_ms']} | "
            f"{twice['of_peak']:.0%} | {twice['shed_429']:.0f} | {twice['errors_5xx']:.0f} | "
            f"{twice['lost']:.0f} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    asked = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        work = Path(name)
        every = servers(work)
        session = alone(work / "function" / "model" / "model.onnx")
        for number in range(asked.rounds):
            rounds.append({})
            # not always in one order: what the machine does beside it must favour nobody
            for server in every if number % 2 == 0 else every[::-1]:
                with _servers.Running(server, work):
                    found = asyncio.run(_servers.measured(server, CLIENTS, asked.seconds))
                rounds[-1][server.name] = found
                print(server.name, json.dumps(found), flush=True)
        names = [server.name for server in every]
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, Python "
        f"{platform.python_version()} (ours), no GPU",
        "command": "python bench/batching.py",
        "note": "The client is on the same CPUs, and so is whatever else the machine does.",
        "session": session,
        "servers": {each: middle([found[each] for found in rounds]) for each in names},
        "rounds": rounds,
    }
    result["shown"] = shown(result)
    asked.out.mkdir(exist_ok=True)
    (asked.out / "batching.json").write_text(json.dumps(result, indent=2) + "\n")
    (asked.out / "batching.md").write_text(text(result))


if __name__ == "__main__":
    main()
