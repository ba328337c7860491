"""What watching for drift costs, and how often it rings without a reason.

    python bench/drift.py [--calls 300] [--out bench/results]

Cost: a function over a tiny registered model is laid out twice, with a baseline and without, and
each is asked calls of 1,000 rows in interleaved rounds, in processes of their own; CPU of the
process a call, the median of the rounds. False alarms: 1,000 draws of the baseline's own
distribution, five columns, for the smallest set that is ever told and for the usual one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402 - the checkout is put on the path first

from handlers.drift import LEAST_ROWS, ROWS  # noqa: E402
from handlers.manifest import FILENAME, Manifest  # noqa: E402
from handlers.sketches import compare, sketch  # noqa: E402
from packager.types import Frame, Tier  # noqa: E402
from tests import models  # noqa: E402
from tests.handlers.modelling import laid_out, with_handlers  # noqa: E402
from tests.handlers.test_drift import ALARM, drawn  # noqa: E402

CASES = (("sklearn_columns", Frame.PANDAS), ("lightgbm_booster", Frame.NUMPY))
ROUNDS = 5
DRAWS = 1000
BASELINES = (200, 1000, 10_000)

_RUN = """
import json, sys, time
sys.path.insert(0, sys.argv[2])
calls = int(sys.argv[3])
import os
real, sys.stdout = sys.stdout, open(os.devnull, "w")
from handlers.aws_lambda import handler
class Context:
    aws_request_id = "r"
    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "f"
    def get_remaining_time_in_millis(self):
        return 3000
request = json.load(open(sys.argv[1]))
for _ in range(20):
    handler(request, Context())
begun = time.process_time()
for _ in range(calls):
    handler(request, Context())
print(1000 * (time.process_time() - begun) / calls, file=real)
"""


def request(manifest: Manifest) -> dict[str, Any]:
    """A thousand rows of numbers for the model's columns."""
    names = [spec["name"] for spec in (manifest.signature or {})["inputs"]]
    rows = np.random.default_rng(5).uniform(0, 8, (1000, len(names))).round(3)
    return {"dataframe_split": {"columns": names, "data": rows.tolist()}}


def cost(name: str, frame: Frame, calls: int, base: Path) -> dict[str, Any]:
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
    rounds: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(ROUNDS):
        for kind, folder in folders.items():
            argv = [sys.executable, "-c", _RUN, str(asked), str(folder), str(calls)]
            done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
            rounds[kind].append(float(done.stdout))
    ms = {kind: statistics.median(found) for kind, found in rounds.items()}
    return {
        "model": name,
        "frame": str(frame),
        "ms_without": round(ms["without"], 3),
        "ms_with": round(ms["with"], 3),
        "percent": round(100 * (ms["with"] / ms["without"] - 1), 2),
        "rounds": {kind: [round(v, 3) for v in found] for kind, found in rounds.items()},
    }


def false_alarms(baseline_rows: int, rows: int) -> int:
    """Of DRAWS sets, those of which any of five columns is beyond the alarm's level."""
    base = [sketch(name, values) for name, values in drawn(1, baseline_rows).items()]
    alarms = 0
    for seed in range(DRAWS):
        data = drawn(50_000 + seed, rows)
        alarms += max(compare(each, data[each.name]).psi or 0.0 for each in base) > ALARM
    return alarms


def text(found: dict[str, Any]) -> str:
    """The page beside the figures."""
    costs = "\n".join(
        "| {model}, {frame} | {ms_without} ms | {ms_with} ms | {percent} % |".format(**each)
        for each in found["costs"]
    )
    alarms = "\n".join(
        f"| {a['baseline_rows']:,} | {a['rows']:,} | {a['alarms']} of {DRAWS:,} |"
        for a in found["alarms"]
    )
    return f"""# Watching for drift

Written by `python bench/drift.py`; see there for how.

CPU of an invocation of 1,000 rows, median of {ROUNDS} interleaved rounds:

| model | without | with | more |
|---|---|---|---|
{costs}

Sets drawn from the baseline's own distribution that pass the alarm's level ({ALARM}) in any of five
columns:

| rows of the baseline | rows of the set | false alarms |
|---|---|---|
{alarms}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="packager-bench-") as folder:
        costs = [cost(name, frame, given.calls, Path(folder)) for name, frame in CASES]
    alarms = [
        {"baseline_rows": base, "rows": rows, "alarms": false_alarms(base, rows)}
        for base in BASELINES
        for rows in (LEAST_ROWS, ROWS)
    ]
    found = {"costs": costs, "alarms": alarms}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "drift.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (given.out / "drift.md").write_text(text(found), encoding="utf-8")
    print(text(found))


if __name__ == "__main__":
    main()
