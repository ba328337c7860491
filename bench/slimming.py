"""What slimming saves and whether it errs, on six registered models, side by side.

    python bench/slimming.py [--models NAME ...] [--rounds 3] [--cold-rounds 3]
                             [--again TREE ...] [--fresh]

Each model (those of tests/models: small, as it is the packages that are measured) is registered,
built, and compared with
  stock        its requirements.txt installed, a handler that calls mlflow.pyfunc.load_model
  skinny       the same with mlflow-skinny
  plain        the packages that ours is made of, installed as they are, with our handler: no mlflow
  plain-valid  the same with valid bytecode
  sls          plain, after the patterns of serverless-python-requirements' `slim: true`
               (https://github.com/serverless/serverless-python-requirements, README, Slim Package)
  strip        plain-valid, after `strip --strip-unneeded` on every shared library
  ours         the artifact
All boot read-only under the same runtime client, emulator and Python. stock, skinny and plain are
installed without bytecode, which is what bytecode by file time is worth in a zip with fixed dates.
CPU is the function's process from its start to its first answer, with a warm and with a dropped
page cache. Ours is then asked at least 10,000 rows that nothing was slimmed by, each answer held to
the registered model's in its own environment. Results are kept as they come: a run that was stopped
goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlflow import MlflowClient  # noqa: E402 - the checkout is put on the path first

from bench._parts import (  # noqa: E402
    NoAnswerError,
    Variant,
    boot,
    drop_page_cache,
    installed,
    medians,
    size,
    valid_bytecode,
)
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline import build  # noqa: E402
from packager.pipeline.slim import slim  # noqa: E402
from packager.pipeline.verify import oracle, replay  # noqa: E402
from packager.probes import Probe, unseen  # noqa: E402
from packager.system import file_tree  # noqa: E402
from packager.types import (  # noqa: E402
    BuildPlan,
    BuildRequest,
    Bundle,
    Engine,
    ResolvedModel,
    make_request,
)
from tests import models as logged  # noqa: E402

MODELS: Final = {
    "sklearn_columns": "scikit-learn ColumnTransformer with strings",
    "sklearn_boosting": "scikit-learn HistGradientBoosting",
    "xgboost_classifier": "xgboost",
    "lightgbm_classifier": "lightgbm",
    "catboost_categories": "catboost",
    "pyfunc_code": "PythonModel with pandas",
}
HANDLER: Final = """\
import mlflow.pyfunc
import pandas as pd

model = mlflow.pyfunc.load_model("model")


def handler(event, context):
    split = event["dataframe_split"]
    answer = model.predict(pd.DataFrame(split["data"], columns=split["columns"]))
    as_records = hasattr(answer, "to_dict")
    return {"predictions": answer.to_dict("records") if as_records else answer.tolist()}
"""
TREES: Final = ("stock", "skinny", "plain", "plain-valid", "sls", "strip", "ours")
OUR_HANDLER: Final = "handlers.aws_lambda.handler"
ROWS: Final = 10_000
SEED: Final = 4711
"""Of the rows that ours is asked in the end; a build's own are drawn with seed 0."""
AIMS: Final = {
    "unzipped, of plain": 0.60,
    "CPU, of plain-valid": 0.45,
    "CPU, of stock": 0.20,
    "peak memory, of plain-valid": 0.80,
}
CITED: Final = """\
Cited, not run here: lambda-trim (ASPLOS 2025, https://github.com/eniac/lambda-trim) over the 21
applications of its authors' tables: import time 0.81 of what it was on average (0.46 at best), cold
start end to end 0.90 (0.48), memory 0.90 (0.58); its scikit-learn application 1.93 -> 1.97 s, its
lightgbm application 1.14 -> 0.80 s. It does not reduce the size, and its test of sameness is the
text that a hand-written event prints.
"""


class Bench:
    """One model: its trees in `work`, what was measured of them in `row`, saved after each."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self.options = name, options
        self.work: Path = options.work / name
        self.saved: Path = options.out / "slimming.json"
        if options.fresh:
            shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
        self.row: dict[str, Any] = {} if options.fresh else self._everything().get(name, {})
        for key in options.again:
            self.row.pop(key, None)
        if "ours" in options.again:
            for key in ("slim_seconds", "answers"):
                self.row.pop(key, None)
        self.registry, self.uri = self._registered()

    def _everything(self) -> dict[str, Any]:
        if not self.saved.is_file():
            return {}
        found: dict[str, Any] = json.loads(self.saved.read_text())["models"]
        return found

    def save(self) -> None:
        everything = {**self._everything(), self.name: self.row}
        found = {"cores": os.cpu_count(), "models": everything}
        self.saved.parent.mkdir(parents=True, exist_ok=True)
        self.saved.write_text(json.dumps(found, indent=2) + "\n")

    def _registered(self) -> tuple[str, str]:
        """The model in a registry of its own; the registry's address, the model's."""
        uri = f"sqlite:///{self.work / 'mlflow.db'}"
        if not (self.work / "logged").is_dir():
            shutil.copytree(logged.folder(self.name), self.work / "logged")
            client = MlflowClient(uri, uri)
            client.create_registered_model(self.name)
            client.create_model_version(self.name, str(self.work / "logged"))
        return uri, f"models:/{self.name}/1"

    def run(self) -> None:
        request = make_request(
            model_uri=self.uri,
            out_dir=self.work / "ours",
            tracking_uri=self.registry,
            engine=Engine.NATIVE,
        )
        registry = MlflowRegistry(self.registry, None)
        if "slim_seconds" not in self.row:
            self._build(request, registry)
        report = json.loads((request.output.folder / "report.json").read_text())
        with build.plan_build(request, registry) as (model, attempts, _):
            (plan,) = (each for each in attempts
                       if (each.tier, each.frame) == (report["tier"], report["frame"]))  # fmt: skip
            self.row["python"] = plan.interpreter.version
            if "answers" not in self.row:
                self.row["answers"] = answers(model, plan, request.output.folder / "function")
                self.save()
            for variant in self._variants(model, plan):
                if variant.key not in self.row:
                    self.row[variant.key] = self._measured(variant, plan)
                    self.save()

    def _build(self, request: BuildRequest, registry: MlflowRegistry) -> None:
        spent: list[tuple[float, float]] = []

        def timed(plan: BuildPlan, work: Path) -> Bundle:
            begun, cpu = time.monotonic(), cpu_seconds()
            bundle = slim(plan, work)
            spent.append((time.monotonic() - begun, cpu_seconds() - cpu))
            return bundle

        with mock.patch.object(build, "slim", timed):
            report = build.build(request, registry)
        self.row |= {
            "what": MODELS[self.name],
            "commit": commit(),
            "rounds": [self.options.rounds, self.options.cold_rounds],
            "slim_seconds": spent[-1][0],
            "slim_cpu_seconds": spent[-1][1],
            "ledger": [
                [entry.name, entry.bytes_before - entry.bytes_after, list(entry.reverted)]
                for entry in report.bundle.ledger
            ],
        }
        self.save()

    def _variants(self, model: ResolvedModel, plan: BuildPlan) -> Iterator[Variant]:
        yield Variant("ours", "ours", self.work / "ours" / "function", OUR_HANDLER)
        plain, valid = self.work / "plain", self.work / "plain-valid"
        if not plain.is_dir():
            staged = slim(replace(plan, passes=("libraries",)), self.work / "staging")
            staged.root.rename(plain)
        if not valid.is_dir():
            shutil.copytree(plain, valid)
            valid_bytecode(valid, plan.interpreter)
        yield Variant("plain", "packages as installed", plain, OUR_HANDLER)
        yield Variant("plain-valid", "with valid bytecode", valid, OUR_HANDLER)
        for key, source, change in (
            ("sls", plain, serverless_slim),
            ("strip", valid, lambda folder: strip(folder, "--strip-unneeded")),
        ):
            if not (folder := self.work / key).is_dir():
                shutil.copytree(source, folder)
                change(folder)
            yield Variant(key, key, folder, OUR_HANDLER)
        for key, package in (("skinny", "mlflow-skinny"), ("stock", "mlflow")):
            if not (folder := self.work / key).is_dir():
                lines = (model.root / "requirements.txt").read_text().split()
                lines = [line.replace("mlflow==", f"{package}==") for line in lines]
                installed(lines, folder, plan.interpreter, bytecode=False)
                shutil.copytree(model.root, folder / "model")
                (folder / "app.py").write_text(HANDLER)
            yield Variant(key, package, folder, "app.handler")

    def _measured(self, variant: Variant, plan: BuildPlan) -> dict[str, Any]:
        payload = first_row(plan.model)
        run = lambda: boot(variant, plan.interpreter, payload)  # noqa: E731 - one expression
        row: dict[str, Any] = size(variant.folder, self.work / "size.zip")
        try:
            row["warm"] = medians(self.options.rounds, run, cold=False)
            if drop_page_cache():
                row["cold"] = medians(self.options.cold_rounds, run, cold=True)
        except NoAnswerError as error:
            row["broken"] = why_broken(error)
        print(self.name, variant.key, json.dumps(row), file=sys.stderr)
        return row


def first_row(model: ResolvedModel) -> bytes:
    """The saved example's first row without a gap: an event is strict JSON."""
    split = json.loads((model.root / "serving_input_example.json").read_text())["dataframe_split"]
    row = next(row for row in split["data"] if all(cell == cell for cell in row))  # noqa: PLR0124
    return json.dumps({"dataframe_split": {**split, "data": [row]}}).encode()


def why_broken(error: NoAnswerError) -> str:
    """The sentence of the failure, without addresses of this machine."""
    _, said, log = error.args
    try:
        return str(json.loads(said).get("errorMessage", said))[:300]
    except ValueError:
        return f"{said} {log}"[:300]


def serverless_slim(folder: Path) -> None:
    """What `slim: true` takes away: bytecode, dist-info, and `strip` on every *.so."""
    for pattern in ("**/*.pyc", "**/*.pyo", "**/__pycache__", "**/*.dist-info"):
        for path in sorted(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    strip(folder)


def strip(folder: Path, *options: str) -> None:
    libraries = [str(path) for path in sorted(folder.rglob("*.so"))]
    # it answers 0 whether or not what it leaves still loads
    subprocess.run([tool("strip"), *options, *libraries], capture_output=True, check=False)


def tool(name: str) -> str:
    return shutil.which(name) or sys.exit(f"{name} is not on this machine")


def answers(model: ResolvedModel, plan: BuildPlan, function: Path) -> dict[str, int]:
    """Rows that nothing was slimmed by, and how many requests were answered otherwise."""
    asked = list(many(model))
    recorded = oracle.record(model, asked, plan.interpreter, plan.platform)
    bundle = Bundle(root=function, files=tuple(file_tree.records(function)))
    with tempfile.TemporaryDirectory(prefix="packager-bench-") as work:
        done = replay.check(bundle, replace(plan, model=model), asked, recorded.answers, Path(work))
    return {
        "rows": done.replay.unseen_rows,
        "requests": done.replay.unseen_requests,
        "refused_alike": done.replay.refusals_agreed,
        "wrong": done.replay.mismatches,
        "cold_store_misses": len(done.replay.cold_store_misses),
    }


def many(model: ResolvedModel) -> Iterator[Probe]:
    rows, seed = 0, SEED
    # a model may refuse what is extreme: half as many again are made
    while rows < ROWS * 1.5:
        for probe in unseen(model, seed):
            rows += probe.rows
            yield probe
        seed += 1


def cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def commit() -> str:
    argv = [tool("git"), "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def ratios(row: dict[str, Any]) -> dict[str, float | None]:
    def of(key: str, *path: str) -> float | None:
        found: Any = row.get(key, {})
        for name in path:
            found = found.get(name, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, int | float) else None

    pairs = {
        "unzipped, of plain": ("plain", "unzipped_mb"),
        "CPU, of plain-valid": ("plain-valid", "warm", "cpu_ms"),
        "CPU, of stock": ("stock", "warm", "cpu_ms"),
        "peak memory, of plain-valid": ("plain-valid", "warm", "peak_rss_mb"),
    }
    found: dict[str, float | None] = {}
    for name, (key, *path) in pairs.items():
        ours, theirs = of("ours", *path), of(key, *path)
        found[name] = ours / theirs if ours is not None and theirs else None
    return found


def report(out: Path) -> None:
    """slimming.md out of slimming.json."""
    facts = json.loads((out / "slimming.json").read_text())
    rows = {name: facts["models"][name] for name in MODELS if name in facts["models"]}
    pythons = sorted({row["python"] for row in rows.values() if "python" in row})
    lines = [
        "# What slimming saves, and whether it errs",
        "",
        f"Python {', '.join(pythons)}, {facts['cores']} cores; `bench/slimming.py` says what each",
        "row is. The figures are this machine's: the ratios are what to take.",
        "",
        table(
            "model", "unzipped MB", "zipped MB", *AIMS, "wrong answers", "cold-store misses",
            "slim stage s", "of CPU",
        ),
        "|---" * (len(AIMS) + 7) + "|",
        table("aim", "250", "60", *(f"{aim:.2f}" for aim in AIMS.values()), "0", "shown", "90", ""),
    ]  # fmt: skip
    for row in rows.values():
        ours, asked = row.get("ours", {}), row.get("answers", {})
        wrong = f"{asked['wrong']} in {asked['rows']:,} rows" if asked else "-"
        cells = [
            row["what"],
            number(ours, "unzipped_mb"),
            number(ours, "zipped_mb"),
            *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios(row).values()),
            wrong,
            str(asked.get("cold_store_misses", "-")),
            number(row, "slim_seconds"),
            number(row, "slim_cpu_seconds"),
        ]
        lines.append(table(*cells))
    for row in rows.values():
        warm_rounds, cold_rounds = row["rounds"]
        lines += [
            "",
            f"## {row['what']}",
            "",
            f"Medians of {warm_rounds} starts with a warm page cache, {cold_rounds} with none.",
            "",
            table(
                "tree", "unzipped MB", "zipped MB", "files", "CPU ms", "CPU ms, no cache",
                "init ms, no cache", "peak MB", "",
            ),
            "|---" * 9 + "|",
        ]  # fmt: skip
        for key in TREES:
            if key in row:
                lines.append(table(*tree_cells(key, row[key])))
    text = "\n".join([*lines, "", CITED])
    (out / "slimming.md").write_text(text)
    print(text)


def table(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def tree_cells(key: str, row: dict[str, Any]) -> Sequence[str]:
    warm, cold = row.get("warm", {}), row.get("cold", {})
    return (
        key,
        number(row, "unzipped_mb"),
        number(row, "zipped_mb"),
        number(row, "files"),
        number(warm, "cpu_ms"),
        number(cold, "cpu_ms"),
        number(cold, "init_wall_ms"),
        number(warm, "peak_rss_mb"),
        f"does not start: {row['broken']}".replace("|", "/").replace("\n", " ")
        if "broken" in row
        else "",
    )


def number(row: dict[str, Any], key: str) -> str:
    return f"{row[key]:,.0f}" if key in row else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("--again", nargs="*", choices=TREES, default=[], help="measure these anew")
    parser.add_argument("--fresh", action="store_true", help="install and measure all anew")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-slimming")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    for name in options.models:
        Bench(name, options).run()
    report(options.out)


if __name__ == "__main__":
    main()
