"""Log the zoo's models, build each, and ask it what its example tells nothing of: `make zoo`.

    python tests/zoo/build.py [--work DIR] [--only NAME ...] [--log-only] [--plan] [--again]
                              [--json]

Each model's result is kept in DIR/results, by the digest of what was logged, so that a run that was
ended goes on where it was; --again tries those once more that were not built. --plan stops before
anything is installed, --log-only once the models are logged. Two runs may share a DIR and a
checkout where each has other models. The last result of every model is in bench/results/zoo.json,
with the commit that it is of, and docs/zoo.md is written of that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from packager.errors import PackagerError  # noqa: E402 - the checkout is put on the path first
from packager.models.registry import MlflowRegistry  # noqa: E402
from packager.pipeline.build import build, plan_build  # noqa: E402
from packager.types import BuildPlan, BuildReport, BuildRequest, Engine, make_request  # noqa: E402
from tests.zoo import environments, report, results, service  # noqa: E402
from tests.zoo.asking import ask_artifact, compare_requests  # noqa: E402

_MODEL: Final = re.compile(
    r'@zoo\(\s*"(?P<environment>[^"]+)",\s*"(?P<about>[^"]+)"\s*\)\s*def (?P<name>\w+)\('
)

_WAYS: Final[dict[str, dict[str, object]]] = {
    "--upgrade-pins": {"upgrade_pins": True},
    "--engine machine-code": {"engine": Engine.MACHINE_CODE},
    "--target aws-lambda-image": {"target": "aws-lambda-image"},
    "--allow-network": {"allow_network": True},
    "--allow-unproven": {"allow_unproven": True},
}
"""What a refusal may offer that can be tried here -> the settings of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model of the zoo, as its source says."""

    name: str
    environment: str
    about: str


def list_models() -> tuple[Listed, ...]:
    """Read the models' names where they are made: their libraries are in other environments."""
    files = sorted((environments.HERE / "models").glob("[!_]*.py"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    return tuple(Listed(**match.groupdict()) for text in texts for match in _MODEL.finditer(text))


def log_missing(models: list[Listed], work: Path) -> None:
    """Log, environment by environment, what is not in its registry yet."""
    for environment in environments.read_environments():
        registry = _registry(work, environment.name)
        names = [
            each.name
            for each in models
            if each.environment == environment.name and not _asked_file(each, work).is_file()
        ]
        if names:
            folder = environments.make_environment(environment, work)
            python = environments.find_python(folder)
            environments.log_models(environment, folder, registry, names, python)


def try_model(model: Listed, work: Path, *, plan_only: bool, **settings: object) -> dict[str, Any]:
    """Plan or build a model, and ask it; one that is refused is built by what its refusal offers.

    What stops a build is the result, and no error. `settings` are a build's, in place of its
    defaults.
    """
    if plan_only:
        return _plan_model(model, work)
    result = _build_and_ask(model, work, settings)
    offered = [way for way in _WAYS if way in result.get("sentence", "")]
    if offered:
        ways = {
            way: _build_and_ask(model, work, {**settings, **_WAYS[way]}, way) for way in offered
        }
        result["ways"] = ways
        if any(each["outcome"] == "wrong" for each in ways.values()):
            result["outcome"] = "wrong"
    return result


def _plan_model(model: Listed, work: Path) -> dict[str, Any]:
    began = time.perf_counter()
    request, registry = _make_request(model, work)
    try:
        with plan_build(request, registry, as_built=True) as (_, attempts, _):
            result = _describe_plan(attempts[0]) | {"outcome": "planned"}
    except PackagerError as error:
        result = _describe_refusal(error, work)
    return result | {"seconds": round(time.perf_counter() - began, 1), "is_plan": True}


def _build_and_ask(
    model: Listed, work: Path, settings: Mapping[str, object], way: str = ""
) -> dict[str, Any]:
    """Build it and ask it, unless a run that was ended did so for the same code."""
    kept = _step_file(model, work, way)
    if kept is not None and kept.is_file():
        read: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return read
    # it answers whoever reaches it: a build does with --allow-network alone
    with service.run_service() if model.name == service.ASKED_BY else nullcontext():
        result = _try_once(model, work, **settings)
    if kept is not None:
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    return result


def _step_file(model: Listed, work: Path, way: str) -> Path | None:
    """Where a build of a model with several is kept; None for one that could not be found again."""
    result, commit = _result_file(model, work, plan_only=False), results.find_commit()
    if result is None or commit.endswith("+"):
        return None
    name = f"{result.stem}.{commit}{way.replace(' ', '')}.json"
    return work / "steps" / name


def _try_once(model: Listed, work: Path, **settings: object) -> dict[str, Any]:
    out = work / "built" / model.name
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    try:
        result = _describe_build(build_model(model, work, **settings))
    except PackagerError as error:
        result = _describe_refusal(error, work)
    result["seconds"] = round(time.perf_counter() - began, 1)
    if result["outcome"] == "built":
        result |= ask_model(model, work)
        shutil.rmtree(out)
    return result


def _describe_refusal(error: PackagerError, work: Path) -> dict[str, Any]:
    """Describe it without the place of this run: the table is of any machine."""
    sentence = str(error).replace(f"{work.resolve()}/", "")
    return {"outcome": "refused", "error": type(error).__name__, "sentence": sentence}


def build_model(model: Listed, work: Path, **settings: object) -> BuildReport:
    """Build a model into WORK/built. Raises what `build` raises."""
    return build(*_make_request(model, work, **settings))


def ask_model(model: Listed, work: Path) -> dict[str, Any]:
    """Ask a built model; one that cannot be asked is as wrong as one that answers otherwise."""
    asked = json.loads(_asked_file(model, work).read_text(encoding="utf-8"))
    expected = [(status, text) for status, text in asked["answers"]]
    try:
        answers = ask_artifact(
            work / "built" / model.name,
            asked["requests"],
            network=model.name == service.ASKED_BY,
        )
        difference = compare_requests(expected, answers, is_chance=asked.get("is_chance", False))
    except PackagerError as error:
        return {"outcome": "wrong", "rows": 0, "largest": 0.0, "wrong": [str(error)]}
    return asdict(difference) | {"outcome": "wrong" if difference.wrong else "built"}


def _make_request(
    model: Listed, work: Path, **settings: object
) -> tuple[BuildRequest, MlflowRegistry]:
    address = f"sqlite:///{_registry(work, model.environment) / 'mlflow.db'}"
    out = work / "built" / model.name
    uri = f"models:/{model.name}/latest"
    request = make_request(uri, out_dir=out, tracking_uri=address, **settings)
    return request, MlflowRegistry(address)


def _describe_plan(plan: BuildPlan) -> dict[str, Any]:
    return {
        "target": plan.target.name,
        "engine": str(plan.engine),
        "tier": plan.tier,
        "frame": plan.frame,
        "requirements": str(plan.shipped),
        "declared": plan.model.requirements.declared,
        "shipped": len(plan.lock.packages),
        "left_out": list(plan.unshipped),
        "reasons": list(plan.reasons),
    }


def _describe_build(built: BuildReport) -> dict[str, Any]:
    artifact, evidence = built.artifact, built.evidence
    return {
        **_describe_plan(built.plan),
        "outcome": "built",
        "unzipped_bytes": artifact.unzipped_bytes,
        "size_bytes": artifact.size_bytes,
        "rows_replayed": evidence.replay.rows_compared,
        "tried": list(evidence.tried),
        "added": [name for name, why in built.plan.kept_for.items() if "missed" in why],
    }


def _registry(work: Path, environment: str) -> Path:
    return work / "registries" / environment


def _asked_file(model: Listed, work: Path) -> Path:
    """Where the requests of a logged model are, and its author's answers."""
    return _registry(work, model.environment) / "asked" / f"{model.name}.json"


def _result_file(model: Listed, work: Path, *, plan_only: bool) -> Path | None:
    """Where a model's result is kept; None where it was not logged."""
    asked = _asked_file(model, work)
    if not asked.is_file():
        return None
    digest = hashlib.sha256(asked.read_bytes()).hexdigest()[:12]
    return work / ("planned" if plan_only else "results") / f"{model.name}-{digest}.json"


def run_models(
    models: list[Listed], work: Path, *, plan_only: bool, again: bool
) -> dict[str, dict[str, Any]]:
    """Try each model that has no result yet; answers with the results of all of them."""
    found: dict[str, dict[str, Any]] = {}
    for number, model in enumerate(models, start=1):
        path = _result_file(model, work, plan_only=plan_only)
        if path is None:
            continue
        result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        if result is None or (again and result["outcome"] in {"refused", "wrong"}):
            result = results.stamp_result(try_model(model, work, plan_only=plan_only))
            results.keep_result(model.name, result)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
            for step in (work / "steps").glob(f"{path.stem}.*"):
                step.unlink()
            sentence = result.get("sentence") or result.get("wrong") or ""
            told = f"{number}/{len(models)} {model.name}: {result['outcome']} {result['seconds']} s"
            print(told, sentence, file=sys.stderr, flush=True)
        found[model.name] = result
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=ROOT / ".zoo", help="kept between runs")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="models, in this order")
    parser.add_argument("--log-only", action="store_true", help="stop once all are logged")
    parser.add_argument("--plan", action="store_true", help="stop before anything is installed")
    parser.add_argument("--again", action="store_true", help="try again what was not built")
    parser.add_argument(
        "--json", action="store_true", help="print the results instead of writing the page"
    )
    given = parser.parse_args()
    work = given.work.absolute()
    every = list_models()
    by_name = {each.name: each for each in every}
    if unknown := [name for name in given.only or () if name not in by_name]:
        parser.error(f"no model of the zoo is called {', '.join(unknown)}")
    models = [by_name[name] for name in given.only or by_name]
    log_missing(models, work)
    if given.log_only:
        missing = [each.name for each in models if not _asked_file(each, work).is_file()]
        sys.exit(f"not logged: {', '.join(missing)}" if missing else 0)
    found = run_models(models, work, plan_only=given.plan, again=given.again)
    if given.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        report.write_page(every, results.read_results())
    sys.exit(any(each["outcome"] == "wrong" for each in found.values()))


if __name__ == "__main__":
    main()
