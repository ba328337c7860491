"""The build's side of a compilation: what is asked of the worker, and what comes of it."""

from __future__ import annotations

import json
import logging
import math
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.environments import virtual_environments
from packager.errors import ToolError, VerificationError
from packager.models import registered_model
from packager.probes import examples
from packager.probes.values import Values
from packager.system import resources
from packager.system.sandbox import check_plain, read_result
from packager.system.scratch import make_scratch
from packager.types import BuildPlan, Check, Compiled, Finding, Json, LoaderSpec, ResolvedModel

_LOG = logging.getLogger(__name__)

CONVERTERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sklearn": ("skl2onnx",),
    "xgboost": (),
    "lightgbm": (),
    "catboost": (),
    "statsmodels": (),
    "pytorch": ("onnxscript",),
    "tensorflow": ("tf2onnx",),
    "keras": ("tf2onnx",),
}
"""By flavor, beside onnx and its runtime; in packager/facts/tools.toml. Build-time only."""
ALREADY: Final = "onnx"
"""The flavor whose model is a graph: it passes through as it was logged."""
_TYPES: Final = frozenset({"double", "float", "long", "integer", "boolean", "string"})
_HANDS_ON: Final = frozenset({"pytorch", "xgboost"})
"""Flavors whose pyfunc passes a request's params to the model; the others check and drop them.

https://github.com/mlflow/mlflow, `predict` of `_XGBModelWrapper` and `_PyTorchWrapper`
"""
SECONDS: Final = 600
ROWS: Final = 10_000
_CELLS: Final = 2_000_000
"""Of a tensor's generated rows together."""
_LEAST: Final = 200
_HINT: Final = "Build with --engine native, or set --rtol and --atol if the difference is small."
_OWN: Final = Path(__file__).parent


def why_not(model: ResolvedModel, flavor: str) -> str:
    """Explain why there is no use in trying to compile this model; empty where there is."""
    if flavor == ALREADY:
        return ""
    if flavor not in CONVERTERS:
        return f"the flavor {flavor} has no compiler"
    inputs = (model.signature or {}).get("inputs")
    if not inputs:
        return "the model has no signature"
    if strange := sorted({str(spec.get("type")) for spec in inputs} - _TYPES - {"tensor"}):
        return f"the signature has columns of type {', '.join(strange)}"
    if flavor in _HANDS_ON and (params := (model.signature or {}).get("params")):
        names = ", ".join(str(each.get("name")) for each in params)
        return f"the model itself is handed the parameters {names}, and a graph takes none"
    if any(not spec.get("required", True) and spec.get("type") == "string" for spec in inputs):
        return "a text column may be absent"
    return ""


def loader(facts_dir: Path | None) -> LoaderSpec:
    """Return the loader that serves a graph: the options come with it."""
    runtime = facts.tools(facts_dir)["onnxruntime"]
    return LoaderSpec(
        loader="compiled",
        options={},
        requires=(runtime.requirement, "numpy"),
        excludes=("flatbuffers", "packaging", "protobuf"),
        alone=True,
    )


def compile_model(plan: BuildPlan, work: Path) -> BuildPlan:
    """The same plan with a graph in place of the model, proven row by row where both load.

    A model that is a graph already passes through.

    Raises VerificationError with a finding of the check `engine` where no graph answers as the
    model does, or the converter does not come to an end.
    """
    if plan.flavor == ALREADY:
        return plan
    request = plan.request
    _LOG.info("Compiling to ONNX")
    wanted = make_question(
        plan.model, ROWS, request.proof.seed, request.engine.rtol, request.engine.atol
    )
    out = work / "compiled"
    out.mkdir(parents=True)
    try:
        _run(plan, wanted, out)
        result = json.loads(read_result(out / "result.json"))
    except ToolError as error:
        raise refuse_model("ONNX", [str(error)], _HINT) from error
    if "refused" in result:
        raise refuse_model("ONNX", result["refused"], _HINT)
    graph = work / "graph"
    graph.mkdir()
    check_plain(out / "model.onnx")
    shutil.move(out / "model.onnx", graph / "model.onnx")
    made = Compiled(
        folder=graph,
        evidence={**result["evidence"], "engine": "onnx"},
        adversarial=tuple(result["adversarial"]),
        tolerance=(request.engine.rtol, request.engine.atol),
    )
    return replace(plan, loader=replace(plan.loader, options=result["options"]), compiled=made)


def make_question(model: ResolvedModel, rows: int, seed: int, rtol: float, atol: float) -> Json:
    """Return what the worker is told: rows by column, drawn as those of a replay are."""
    values = Values(random.Random(seed), _columns(model))  # noqa: S311 - repeatable on purpose
    inputs = (model.signature or {}).get("inputs") or []
    table: dict[str, Json] = {}
    example: dict[str, Json] | None = {}
    for at, spec in enumerate(inputs):
        name = str(spec.get("name", "" if spec.get("type") == "tensor" else at))
        seen = values.examples.get(name, ())
        if spec.get("type") == "tensor":
            tail = [max(1, int(length)) for length in spec["tensor-spec"]["shape"][1:]]
            shape = [min(rows, max(_LEAST, _CELLS // math.prod(tail))), *tail]
            table[name] = values.tensor(str(spec["tensor-spec"]["dtype"]), shape, list(_flat(seen)))
        else:
            table[name] = [values.column(spec, name) for _ in range(rows)]
        if example is not None and seen:
            example[name] = list(seen)
        else:
            example = None
    return {"table": table, "example": example, "rtol": rtol, "atol": atol, "seed": seed}


def _columns(model: ResolvedModel) -> Mapping[str, list[Json]]:
    return examples.columns(
        None if model.example is None else examples.decode_example(model.example)
    )


def _flat(value: Json) -> list[Json]:
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in _flat(inner)]
    return [value]


def _run(plan: BuildPlan, wanted: Json, out: Path) -> None:
    """In the model's environment with the converters added; for a limited time."""
    tools = facts.tools(plan.request.target.facts_dir)
    interpreter, _ = virtual_environments.interpreter_of(plan.model, plan.interpreter)
    names = ("onnx", "onnxruntime", *CONVERTERS[plan.flavor])
    more = [tools[name].requirement for name in names]
    python = virtual_environments.of_model(
        plan.model, interpreter, plan.platform, more=more, label="onnx"
    )
    with make_scratch("engine") as given:
        copy_sources(given / "site", ("onnx", "proof"))
        question = given / "asked.json"
        question.write_text(json.dumps(wanted), encoding="utf-8")
        registered_model.run(
            [python, "-s", "-m", "packager.engines.onnx.worker", plan.model.root, question, out],
            readable=(plan.model.root, given),
            writable=(out,),
            network=plan.request.model.allow_network,
            more={"PYTHONPATH": str(given / "site")},
            timeout_seconds=SECONDS,
        )


def copy_sources(site: Path, parts: Sequence[str]) -> None:
    """Copy the worker's own modules and the loaders that it tries, and nothing else of ours."""
    skipped = shutil.ignore_patterns("__pycache__")
    target = site / "packager" / "engines"
    for part in parts:
        shutil.copytree(_OWN / part, target / part, ignore=skipped)
    for package in (site / "packager", target):
        (package / "__init__.py").touch()
    shutil.copytree(resources.handlers_root(), site / "handlers", ignore=skipped)


def refuse_model(form: str, why: Sequence[str], hint: str) -> VerificationError:
    """Return what is raised where a model is not compiled, with the reasons."""
    text = "; ".join(line.strip()[-1500:].rstrip(".") for line in why) or "there was no candidate"
    finding = Finding(
        check=Check.ENGINE,
        message=f"The model cannot be compiled to {form} so that it answers the same: {text}.",
        hint=hint,
    )
    return VerificationError([finding])
