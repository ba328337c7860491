"""Models as people have them of earlier years, logged, built and asked.

    python bench/old_models.py [--work DIR] [--only NAME ...] [--minutes N] [--out bench/results]

Each environment is made anew of its year's releases on its own Python, and four models are logged
in it as their author would: by `log_model`, with the requirements that MLflow infers. Each is built
with `--engine machine-code` for `aws-lambda`, and where that is refused for `aws-lambda-image` in
its framework. What is built is booted and asked a thousand rows, of which the answers of the
model's own environment are known. A result is kept in --work as it comes, with its commit: a run
that was ended goes on, and after --minutes nothing more is begun. The page has what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from packager.environments import uv_command  # noqa: E402 - the checkout is put on the path first
from packager.errors import PackagerError  # noqa: E402
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build  # noqa: E402
from packager.types import BuildReport, Engine, make_request  # noqa: E402
from tests.zoo.asking import ask_artifact, compare_requests  # noqa: E402
from tests.zoo.environments import Environment, find_python, make_environment  # noqa: E402
from tests.zoo.results import find_commit  # noqa: E402

KINDS: Final = ("forest", "pipeline", "xgboost", "lightgbm")
_TOLD: Final = {"forest": "a forest of ", "pipeline": "encoders and a linear model of "}


def _of(python: str, mlflow: str, **releases: str) -> Environment:
    named = {"scikit-learn": releases.pop("sklearn"), **releases}
    packages = (f"mlflow=={mlflow}", *(f"{name}=={release}" for name, release in named.items()))
    return Environment(
        name=f"{python}-mlflow{mlflow.rpartition('.')[0]}-sklearn{named['scikit-learn']}",
        about="",
        python=python,
        modules=(),
        packages=(*packages, "setuptools<70"),
    )


ENVIRONMENTS: Final = (
    _of("3.8", "1.30.1", sklearn="0.24.2", xgboost="1.5.2", lightgbm="3.2.1", pandas="1.3.5"),
    _of("3.8", "2.2.2", sklearn="1.0.2", xgboost="1.6.2", lightgbm="3.3.1", pandas="1.4.4"),
    _of("3.9", "1.30.1", sklearn="1.0.2", xgboost="1.6.2", lightgbm="3.3.3", pandas="1.4.4"),
    _of("3.9", "2.2.2", sklearn="1.1.3", xgboost="1.7.4", lightgbm="3.3.5", pandas="1.5.3"),
    _of("3.10", "2.2.2", sklearn="1.1.3", xgboost="1.7.6", lightgbm="3.3.5", pandas="1.5.3"),
    _of("3.10", "2.9.2", sklearn="1.3.2", xgboost="1.7.6", lightgbm="3.3.5", pandas="2.0.3"),
)
WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "aws-lambda": {"engine": Engine.MACHINE_CODE},
    "aws-lambda-image": {"target": "aws-lambda-image", "engine": Engine.NATIVE},
}


def log_missing(environment: Environment, work: Path) -> None:
    """Raises CalledProcessError where a model cannot be logged."""
    folder = make_environment(environment, work)
    logged = folder / "logged"
    missing = [kind for kind in KINDS if not (logged / f"{kind}.json").is_file()]
    if not missing:
        return
    shutil.rmtree(logged, ignore_errors=True)
    logged.mkdir()
    path = f"{uv_command.path().parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [find_python(folder), ROOT / "bench" / "_old_models_log.py", logged, *KINDS],
        cwd=folder,
        env={**os.environ, "PATH": path, "GIT_PYTHON_REFRESH": "quiet", "OMP_NUM_THREADS": "1"},
        check=True,
    )


def try_model(model: Path, out: Path) -> dict[str, Any]:
    """Build a logged model the first way that takes it, and ask it."""
    refused: dict[str, str] = {}
    for target, settings in WAYS.items():
        shutil.rmtree(out, ignore_errors=True)
        request = make_request(str(model), out_dir=out, **settings)
        try:
            built = build(request, MlflowRegistry(None, None))
        except PackagerError as error:
            refused[target] = str(error).replace(f"{out.parent}/", "")
            continue
        return {"target": target, **_describe(built), **_ask(model, out), "refused": refused}
    return {"target": "", "refused": refused}


def _describe(built: BuildReport) -> dict[str, Any]:
    held = built.evidence.engine or {}
    return {
        "python": built.plan.runtime.python_minor,
        "engine": str(built.plan.engine),
        "frame": built.plan.frame,
        "zip_bytes": built.artifact.size_bytes,
        "unzipped_bytes": built.artifact.unzipped_bytes,
        "rows_proven": sum(each.get("rows", 0) for each in held.get("candidates", ())),
        "rows_replayed": built.evidence.replay.rows_compared,
    }


def _ask(model: Path, out: Path) -> dict[str, Any]:
    asked = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    expected = [(200, json.dumps({"predictions": asked["answers"]}))]
    found = compare_requests(expected, ask_artifact(out, [asked["request"]]))
    return {"rows_asked": found.rows, "largest": found.largest, "wrong": list(found.wrong)}


def run(environments: list[Environment], work: Path, out: Path, end: float) -> None:
    path = out / "old_models.json"
    rows: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    for environment, kind in ((each, kind) for each in environments for kind in KINDS):
        name = f"{environment.name}/{kind}"
        kept = work / "results" / f"{name.replace('/', '-')}.json"
        if not kept.is_file():
            if time.monotonic() > end:
                continue
            log_missing(environment, work)
            found = try_model(work / environment.name / "logged" / kind, work / "built")
            found |= {"packages": list(environment.packages), "commit": find_commit()}
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(json.dumps(found, indent=1), encoding="utf-8")
            shutil.rmtree(work / "built", ignore_errors=True)
        rows[name] = json.loads(kept.read_text(encoding="utf-8"))
        print(name, json.dumps(rows[name])[:300], file=sys.stderr, flush=True)
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "old_models.md").write_text(write_page(rows), encoding="utf-8")


_HEAD: Final = (
    "logged on", "model", "built for", "its Python", "engine, frame", "MB zipped, unpacked",
    "rows proven, replayed", "fresh rows", "wrong", "largest difference",
)  # fmt: skip


def write_page(rows: Mapping[str, Any]) -> str:
    lines = [
        *("# Old models", "", "Made by `python bench/old_models.py`.", ""),
        f"Code of {', '.join(sorted({row['commit'] for row in rows.values()}))}.",
        "",
        f"| {' | '.join(_HEAD)} |",
        f"|{'---|' * len(_HEAD)}",
        *(_write_row(name, row) for name, row in rows.items()),
    ]
    told = {
        f"{name} for {target}: {why}" for name, row in rows.items()
        for target, why in row["refused"].items()
    }  # fmt: skip
    if told:
        lines += ["", "Refused:", "", *(f"- {each}" for each in sorted(told))]
    return "\n".join(lines) + "\n"


def _write_row(name: str, row: Mapping[str, Any]) -> str:
    environment, _, kind = name.partition("/")
    python, mlflow, _ = environment.split("-")
    logged_on = f"Python {python}, MLflow {mlflow.removeprefix('mlflow')}"
    library = "scikit-learn" if kind in {"forest", "pipeline"} else kind
    release = next(each for each in row["packages"] if each.startswith(f"{library}=="))
    begin = [logged_on, f"{_TOLD.get(kind, '')}{release.replace('==', ' ')}"]
    if not row["target"]:
        return f"| {' | '.join([*begin, 'refused', *[''] * (len(_HEAD) - 3)])} |"
    cells = [
        *begin,
        row["target"],
        row["python"],
        f"{row['engine']}, {row['frame']}",
        f"{row['zip_bytes'] / 1e6:.1f}, {row['unzipped_bytes'] / 1e6:.1f}",
        f"{row['rows_proven']:,}, {row['rows_replayed']:,}",
        f"{row['rows_asked']:,}",
        str(len(row["wrong"])),
        f"{row['largest']:.1e}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "bench-old-models")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="environments")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args()
    by_name = {each.name: each for each in ENVIRONMENTS}
    if unknown := [name for name in given.only or () if name not in by_name]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(by_name)}")
    chosen = [by_name[name] for name in given.only or by_name]
    run(chosen, given.work.absolute(), given.out, time.monotonic() + 60 * given.minutes)


if __name__ == "__main__":
    main()
