"""The protocol's own cost, side by side in one run: MLflow's scoring server and ours.

    python bench/protocol.py [--rounds 15] [--out bench/results]

The model answers zeros, so all that is measured is parsing, typing and encoding: what a server
adds. Each server is its ASGI application in this process, called through one client on one event
loop. A round asks each of them once, in an order that turns, so that a busy machine is busy for
all; figures are medians of this process's CPU time, and ratios are MLflow's against ours.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first
import pandas as pd  # noqa: E402

from bench import _numbers  # noqa: E402
from handlers.http.asgi import App  # noqa: E402
from handlers.http.fastapi_app import create_app  # noqa: E402
from tests.conformance.asking import ours  # noqa: E402
from tests.conformance.cases import CSV, JSON, column  # noqa: E402
from tests.conformance.reference import theirs  # noqa: E402

SIZES = ((1, 500), (10_000, 20))
SERVERS = ("mlflow", "lean, numpy", "lean, pandas", "fastapi, pandas")
PARSERS = ("json", "orjson", "msgspec")
PARSE = """
import sys, time, json
import numpy
body = open(sys.argv[1], "rb").read()
before = set(sys.modules)
begun = time.process_time()
import {0}
imported = time.process_time() - begun
loads = {0}.json.decode if "{0}" == "msgspec" else {0}.loads
times = []
for _ in range(9):
    begun = time.process_time()
    loads(body)
    times.append(time.process_time() - begun)
print(imported * 1e3, len(set(sys.modules) - before), sorted(times)[4] * 1e3)
"""


BOUND = (
    "What bounds the large bodies: 200,000 numbers, CSV to an array of doubles, nothing checked, "
    "the collector off, the objects' end included (bench/_numbers.py):"
)


class Zeros:
    """Answers one number a row, at no cost worth measuring."""

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 - a model's own
        return np.zeros(len(next(iter(data.values()))) if isinstance(data, dict) else len(data))


class Body(NamedTuple):
    name: str
    rows: int
    columns: int
    content_type: str
    content: bytes


def bodies(rows: int, columns: int) -> Iterator[Body]:
    """The same numbers, of six decimals, in each of the forms."""
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(6)
    names = [f"c{i}" for i in range(columns)]
    frame = pd.DataFrame(values, columns=names)
    forms = {
        "split": {"dataframe_split": {"columns": names, "data": values.tolist()}},
        "records": {"dataframe_records": frame.to_dict(orient="records")},
        "inputs": {"inputs": frame.to_dict(orient="list")},
    }
    for name, form in forms.items():
        yield Body(name, rows, columns, JSON, json.dumps(form).encode())
    yield Body("csv", rows, columns, CSV, frame.to_csv(index=False).encode())


async def ask(app: Any, body: Body) -> tuple[float, bytes]:
    """CPU ms of one request, and what was answered."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": "/invocations", "raw_path": b"/invocations", "root_path": "", "scheme": "http",
        "query_string": b"", "server": ("bench", 80), "client": ("bench", 1),
        "headers": [(b"content-type", body.content_type.encode())],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": body.content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    begun = time.process_time()
    await app(scope, receive, send)
    spent = (time.process_time() - begun) * 1e3
    if sent[0]["status"] != 200:
        sys.exit(f"{body.name}: {sent}")
    return spent, b"".join(message.get("body", b"") for message in sent[1:])


async def measure(body: Body, rounds: int) -> dict[str, float]:
    """Median CPU ms by server; all must answer with the same bytes."""
    signature = {"inputs": [column("double", f"c{i}") for i in range(body.columns)]}
    numpy, pandas = (ours(signature, Zeros(), frame=frame) for frame in ("numpy", "pandas"))
    apps = dict(
        zip(
            SERVERS,
            (theirs(signature, Zeros()), App(numpy), App(pandas), create_app(pandas)),
            strict=True,
        )
    )
    spent: dict[str, list[float]] = {name: [] for name in SERVERS}
    answers = {(await ask(app, body))[1] for app in apps.values()}  # the first imports and caches
    if len(answers) != 1:
        sys.exit(f"{body.name}: the servers answer differently")
    for turn in range(rounds):
        for name in (*SERVERS[turn % 4 :], *SERVERS[: turn % 4]):
            spent[name].append((await ask(apps[name], body))[0])
    return {name: statistics.median(times) for name, times in spent.items()}


def scored(rounds: int) -> list[dict[str, Any]]:
    found = []
    for rows, columns in SIZES:
        for body in bodies(rows, columns):
            medians = asyncio.run(measure(body, rounds))
            found.append(
                {
                    "body": body.name,
                    "rows": rows,
                    "columns": columns,
                    "bytes": len(body.content),
                    "cpu_ms": medians,
                    "ratio": {name: medians["mlflow"] / medians[name] for name in SERVERS[1:]},
                }
            )
            print(f"{rows} x {columns} {body.name}: {medians}", flush=True)
    return found


def parsers(work: Path) -> list[dict[str, Any]]:
    """Import and parse of each JSON parser that is installed, each in fresh processes."""
    bodies_by_name = {body.name: body for body in bodies(10_000, 20) if body.name != "csv"}
    found = []
    for parser in PARSERS:
        if parser != "json" and not _installed(parser):
            continue
        row: dict[str, Any] = {"parser": parser, "installed_mb": _installed_mb(parser)}
        for name, body in bodies_by_name.items():
            path = work / name
            path.write_bytes(body.content)
            argv = [sys.executable, "-c", PARSE.format(parser), str(path)]
            runs = [
                subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
                for _ in range(5)
            ]
            row["import_ms"] = statistics.median(float(run[0]) for run in runs)
            row["modules"] = int(runs[0][1])
            row[f"{name}_ms"] = statistics.median(float(run[2]) for run in runs)
        found.append(row)
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installed_mb(name: str) -> float:
    if name == "json":
        return 0.0
    files = importlib.metadata.distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| body | rows x columns | MB | MLflow ms | " + " | ".join(SERVERS[1:]) + " |",
        "|---" * (4 + len(SERVERS[1:])) + "|",
    ]
    for row in results:
        cells = [
            f"{row['cpu_ms'][name]:.2f} ms, 1/{row['ratio'][name]:.1f}" for name in SERVERS[1:]
        ]
        size = f"{row['rows']:,} x {row['columns']}"
        lines.append(
            f"| {row['body']} | {size} | {row['bytes'] / 1e6:.2f} | {row['cpu_ms']['mlflow']:.2f} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def report(
    results: list[dict[str, Any]],
    parsed: list[dict[str, Any]],
    ways: list[dict[str, Any]],
    rounds: int,
) -> str:
    versions = {n: importlib.metadata.version(n) for n in ("mlflow", "pandas", "numpy", "msgspec")}
    met = [
        f"{row['body']} {row['rows']:,} x {row['columns']} ({row['ratio']['lean, numpy']:.1f})"
        for row in results
        if row["ratio"]["lean, numpy"] < 10
    ]
    lines = [
        "# What the protocol costs",
        "",
        "Made by `python bench/protocol.py`: CPU ms a request, medians, and the share of MLflow's "
        "own server's; all servers in one process, asked in turn, "
        f"{rounds} rounds. Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f", {os.cpu_count()} cores.",
        "",
        table(results),
        "",
        "Aim: at most 1/10. Not reached by the lean server without pandas: "
        + (", ".join(met) or "none")
        + ".",
        "",
        "JSON parsers over the large bodies, with Python's collector on, in fresh processes:",
        "",
        "| parser | installed MB | import ms | modules | split ms | records ms | inputs ms |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {p['parser']} | {p['installed_mb']:.2f} | {p['import_ms']:.2f} | {p['modules']} "
        f"| {p['split_ms']:.1f} | {p['records_ms']:.1f} | {p['inputs_ms']:.1f} |"
        for p in parsed
    ]
    lines += [
        "",
        BOUND,
        "",
        "| by | how | CPU ms |",
        "|---|---|---|",
    ]
    lines += [
        f"| {w['library']} | {w['how']} | "
        + ("not installed" if w["ms"] is None else f"{w['ms']:.1f}")
        + " |"
        for w in ways
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    results = scored(options.rounds)
    with tempfile.TemporaryDirectory() as work:
        parsed = parsers(Path(work))
        ways = _numbers.measured(Path(work))
    options.out.mkdir(parents=True, exist_ok=True)
    text = report(results, parsed, ways, options.rounds)
    (options.out / "protocol.md").write_text(text, encoding="utf-8")
    document = json.dumps({"requests": results, "parsers": parsed, "numbers": ways}, indent=1)
    (options.out / "protocol.json").write_text(document + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
