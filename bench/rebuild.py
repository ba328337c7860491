"""What a build costs that was made before: the same again, another version, the plan alone.

    python bench/rebuild.py [--out bench/results] [--only linear|forest]

Of each model three versions are registered, of the same requirements and other rows or another
seed, and built by the command line with a cache of their own: the first into an empty cache, again
into the same folder and into another one, then the others, and a plan with what the package index
answered before, and with it asked. `linear` ships with scikit-learn, as a library would not be
equal to the last bit; `forest` is the demo's model, which ships as machine code. With `--only` the
other one keeps the figures of its last run. Wall and CPU (user and system, children
too) of each command, on a machine that may do other things: CPU tells more. Wheels come from the
package cache of the user.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "packager" / "workers" / "train_demo.py"
MODELS = {
    "linear": "Scaling and logistic regression, with scikit-learn",
    "forest": "The demo's forest, as machine code",
}
SEEDS = ("1", "2", "3")
_TRAIN = """
import sys, warnings
from importlib.metadata import version
import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
warnings.simplefilter("ignore")
needs = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
rows, labels = load_wine(return_X_y=True, as_frame=True)
some = rows.sample(150, random_state=int(sys.argv[2]))
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(some, labels[some.index])
with mlflow.start_run():
    mlflow.sklearn.log_model(
        model, name=sys.argv[1], serialization_format="skops",
        signature=infer_signature(rows, model.predict(rows)), input_example=rows.head(5),
        registered_model_name=sys.argv[1],
        pip_requirements=[f"{need}=={version(need)}" for need in needs],
    )
"""
CASES = (
    ("into an empty cache", "1", "a", ()),
    ("unchanged, into the same folder", "1", "a", ()),
    ("unchanged, into another folder", "1", "b", ()),
    ("another version of the model", "2", "a", ()),
    ("a third version of the model", "3", "a", ()),
    ("the plan of that version", "3", "a", ("--dry-run",)),
    ("its plan, with the package index asked", "3", "a", ("--dry-run", "--refresh")),
)


def run(argv: list[str], env: dict[str, str], folder: Path) -> tuple[float, float, str]:
    """Seconds of wall and of CPU, and the output."""
    before, since = os.times(), time.monotonic()
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)
    now = os.times()
    if done.returncode != 0:
        sys.exit(done.stderr)
    cpu = now.children_user + now.children_system - before.children_user - before.children_system
    return time.monotonic() - since, cpu, done.stdout


def train(name: str, env: dict[str, str], folder: Path) -> None:
    """Register a version for each seed."""
    for seed in SEEDS:
        words = ["-c", _TRAIN, name, seed]
        if name == "forest":
            words = [str(DEMO), name, "champion", seed]
        run([sys.executable, *words], env, folder)


def measure(name: str, folder: Path) -> Iterator[dict[str, object]]:
    env = {
        **os.environ,
        "PACKAGER_CACHE": str(folder / "cache"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    train(name, env, folder)
    for what, version, out, more in CASES:
        words = ["build", f"models:/{name}/{version}", "-o", str(folder / out), "--json", *more]
        wall, cpu, said = run([sys.executable, "-m", "packager", *words], env, folder)
        artifact = json.loads(said).get("artifact", {})
        yield {
            "build": what,
            "wall_seconds": round(wall, 1),
            "cpu_seconds": round(cpu, 1),
            "sha256": artifact.get("sha256", ""),
            "reused": artifact.get("reused", ""),
        }


def measure_model(name: str) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(name, Path(folder)):
            print(json.dumps(row), file=sys.stderr, flush=True)
            rows.append({**row, "load": round(os.getloadavg()[0], 1)})
    same = rows[0]["sha256"] == rows[1]["sha256"] == rows[2]["sha256"]
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}"
    return {"machine": machine, "same": same, "rows": rows}


def write_section(name: str, result: dict[str, Any]) -> Iterator[str]:
    yield from (f"## {MODELS[name]}", "", f"{result['machine']}.", "")
    yield from ("| build | wall, s | CPU, s | load |", "|---|---|---|---|")
    for row in result["rows"]:
        yield f"| {row['build']} | {row['wall_seconds']} | {row['cpu_seconds']} | {row['load']} |"
    yield from ("", f"The first three are the same artifact: {'yes' if result['same'] else 'no'}.")


def write_page(results: dict[str, dict[str, Any]]) -> str:
    about = (
        "`python bench/rebuild.py`. The load says how many other programs wanted a CPU: above 2, "
        "wall tells of them, and CPU is more than on a quiet machine."
    )
    lines = ["# Builds that were made before", "", about]
    for name in MODELS:
        if name in results:
            lines += ["", *write_section(name, results[name])]
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--only", choices=[*MODELS])
    given = parser.parse_args(argv)
    written = given.out / "rebuild.json"
    results: dict[str, dict[str, Any]] = {}
    if given.only and written.is_file():
        results = json.loads(written.read_text(encoding="utf-8"))
    for name in [given.only] if given.only else MODELS:
        results[name] = measure_model(name)
    written.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (given.out / "rebuild.md").write_text(write_page(results), encoding="utf-8")


if __name__ == "__main__":
    main()
