"""What watching for drift costs, and how often it rings without a reason.

    python bench/drift.py [--rounds 60] [--out bench/results]

Cost: a function over a tiny registered model is laid out twice, with a baseline and without. Two
processes, one of each, are asked blocks of calls of 1,000 rows in turn, each first as often as the
other, so that what else the machine does meets both; CPU of a process a call (user and system). The
cost is the median over the rounds of the one's CPU through the other's; its interval is that of
medians of rounds drawn again. False alarms: 1,000 draws of the baseline's own distribution, five
columns, for the smallest set that is ever told and for the usual one; beside them, draws that are
shifted by a part of a standard deviation, which should ring.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first

from handlers.manifest import FILENAME, Manifest  # noqa: E402
from handlers.observability.drift import LEAST_ROWS, ROWS  # noqa: E402
from handlers.observability.sketches import compare, sketch  # noqa: E402
from packager.types import Frame, Tier  # noqa: E402
from tests import models  # noqa: E402
from tests.handlers.modelling import laid_out, with_handlers  # noqa: E402
from tests.handlers.observability.test_drift import ALARM, drawn  # noqa: E402

CASES = (("sklearn_columns", Frame.PANDAS), ("lightgbm_booster", Frame.NUMPY))
CALLS = 40
"""Of a block: what is told every eighth call is in each of them alike."""
DRAWS = 1000
BASELINES = (200, 1000, 10_000)
SHIFTS = (0.0, 0.25, 0.5, 1.0)
MOST_PERCENT = 3.0

_RUN = """
import json, sys, time
sys.path.insert(0, sys.argv[2])
calls = int(sys.argv[3])
class Lines:
    sets = 0
    def write(self, text):
        Lines.sets += "DriftRows" in text
    def flush(self):
        pass
real, sys.stdout = sys.stdout, Lines()
from handlers.aws_lambda import handler
class Context:
    aws_request_id = "r"
    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "f"
    def get_remaining_time_in_millis(self):
        return 3000
request = json.load(open(sys.argv[1]))
for _ in range(2 * calls):
    handler(request, Context())
while sys.stdin.readline():
    begun = time.process_time()
    for _ in range(calls):
        handler(request, Context())
    print(1000 * (time.process_time() - begun) / calls, Lines.sets, file=real, flush=True)
"""


def request(manifest: Manifest) -> dict[str, Any]:
    """A thousand rows of numbers for the model's columns."""
    names = [spec["name"] for spec in (manifest.signature or {})["inputs"]]
    rows = np.random.default_rng(5).uniform(0, 8, (1000, len(names))).round(3)
    return {"dataframe_split": {"columns": names, "data": rows.tolist()}}


def cost(name: str, frame: Frame, rounds: int, base: Path) -> dict[str, Any]:
    folders = {kind: base / f"{name}-{kind}" for kind in ("without", "with")}
    for folder in folders.values():
        folder.mkdir()
        laid_out(models.folder(name), folder, Tier.NATIVE, frame)
        with_handlers(folder)
    manifest = Manifest.read(folders["with"])
    asked = base / f"{name}.json"
    sent = request(manifest)
    asked.write_text(json.dumps(sent), encoding="utf-8")
    split = sent["dataframe_split"]
    columns = zip(split["columns"], np.array(split["data"]).T, strict=True)
    drift = {
        "source": "the benchmark",
        "rows": 1000,
        "inputs": [asdict(sketch(column, values)) for column, values in columns],
        "predictions": [asdict(sketch("0", np.random.default_rng(1).normal(0, 1, 1000)))],
    }
    (folders["with"] / "drift.json").write_text(json.dumps(drift), encoding="utf-8")
    told = replace(manifest, baseline="drift.json").text()
    (folders["with"] / FILENAME).write_text(told, encoding="utf-8")
    pairs, sets = measured({kind: [str(asked), str(at)] for kind, at in folders.items()}, rounds)
    calls = rounds * CALLS
    return {"model": name, "frame": str(frame), **summed(pairs), "calls": calls, "sets": sets}


def measured(arguments: dict[str, list[str]], rounds: int) -> tuple[list[dict[str, float]], int]:
    """CPU ms a call, by kind, of each round; the sets of metrics that were told meanwhile."""
    found = []
    with contextlib.ExitStack() as stack:
        running = {kind: stack.enter_context(started(given)) for kind, given in arguments.items()}
        _, before = block(running["with"])
        for number in range(rounds):
            kinds = list(running) if number % 2 else list(running)[::-1]
            found.append({kind: block(running[kind])[0] for kind in kinds})
        _, after = block(running["with"])
    return found, after - before


@contextlib.contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", _RUN, *arguments, str(CALLS)]
    pipe = subprocess.PIPE
    # threads that wait for each other on a busy machine would be counted as work
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        argv, cwd=arguments[1], env=env, stdin=pipe, stdout=pipe, text=True
    ) as process:
        block(process)
        yield process


def block(process: subprocess.Popen[str]) -> tuple[float, int]:
    """CPU ms a call, and the sets of metrics that were told since the start."""
    asks, tells = process.stdin, process.stdout
    if asks is None or tells is None:
        raise ValueError("a process without pipes")
    asks.write("\n")
    asks.flush()
    ms, sets = tells.readline().split()
    return float(ms), int(sets)


def summed(pairs: list[dict[str, float]]) -> dict[str, Any]:
    percents = np.array([100 * (pair["with"] / pair["without"] - 1) for pair in pairs])
    dice = np.random.default_rng(2)
    again = np.median(dice.choice(percents, (2000, len(percents))), axis=1)
    low, high = np.quantile(again, [0.025, 0.975])
    return {
        **{f"ms_{k}": round(statistics.median(p[k] for p in pairs), 3) for k in pairs[0]},
        "percent": round(float(np.median(percents)), 2),
        "percent_low": round(float(low), 2),
        "percent_high": round(float(high), 2),
        "rounds": len(pairs),
    }


def alarms_of(baseline_rows: int, rows: int, shift: float) -> int:
    """Of DRAWS sets, those of which any of five columns is beyond the alarm's level."""
    base = [sketch(name, values) for name, values in drawn(1, baseline_rows).items()]
    alarms = 0
    for seed in range(DRAWS):
        data = drawn(50_000 + seed, rows, shift)
        alarms += max(compare(each, data[each.name]).psi or 0.0 for each in base) > ALARM
    return alarms


def text(found: dict[str, Any]) -> str:
    """The page beside the figures."""
    costs = "\n".join(
        "| {model}, {frame} | {ms_without} ms | {ms_with} ms | {percent} % "
        "| {percent_low} to {percent_high} % | {sets} in {calls:,} calls |".format(**each)
        for each in found["costs"]
    )
    alarms = "\n".join(
        f"| {a['baseline_rows']:,} | {a['rows']:,} | {' | '.join(map(str, a['alarms'].values()))} |"
        for a in found["alarms"]
    )
    return f"""# Watching for drift

Written by `python bench/drift.py`; see there for how.

CPU of an invocation of 1,000 rows, two processes that take turns every {CALLS} calls; the 95 %
interval is of the median, the last column says how many sets of metrics were told meanwhile:

| model | without | with | more | interval | told |
|---|---|---|---|---|---|
{costs}

Of {DRAWS:,} sets, those that pass the alarm's level ({ALARM}) in any of five columns: drawn from
the baseline's own distribution (false alarms), and shifted by so many standard deviations:

| rows of the baseline | rows of the set | {" | ".join(f"shifted by {s}" for s in SHIFTS)} |
|---|---|---{"|---" * len(SHIFTS)}|
{alarms}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packager-bench-") as folder:
        costs = [cost(name, frame, given.rounds, Path(folder)) for name, frame in CASES]
    alarms = [
        {
            "baseline_rows": base,
            "rows": rows,
            "alarms": {str(shift): alarms_of(base, rows, shift) for shift in SHIFTS},
        }
        for base in BASELINES
        for rows in (LEAST_ROWS, ROWS)
    ]
    found = {"costs": costs, "alarms": alarms}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "drift.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (given.out / "drift.md").write_text(text(found), encoding="utf-8")
    print(text(found))
    if over := [each for each in costs if each["percent_high"] > MOST_PERCENT]:
        raise SystemExit(f"more than {MOST_PERCENT} %: {over}")


if __name__ == "__main__":
    main()
