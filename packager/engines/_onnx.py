"""The build's side of a graph: what is asked of the worker, and what comes of it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.engines import _worker_call
from packager.environments import virtual_environments
from packager.errors import ToolError
from packager.system.sandbox import check_plain, read_result
from packager.system.scratch import make_scratch
from packager.types import (
    BuildPlan,
    BuildRequest,
    Compiled,
    Frame,
    LoaderSpec,
    ResolvedModel,
    Target,
)

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
FORM: Final = "a graph"
ALREADY: Final = "onnx"
"""The flavor whose model is a graph: it passes through as it was logged."""
TOOLS: Final = ("onnx", "skl2onnx", "onnxscript", "tf2onnx")
KEEPS_ORDER: Final = False
_HINT: Final = "Build with --engine native, or set --rtol and --atol if the difference is small."


def why_not(model: ResolvedModel, flavor: str) -> str:
    """Explain why there is no use in trying to compile this model; empty where there is."""
    if flavor == ALREADY:
        return ""
    if flavor not in CONVERTERS:
        return f"the flavor {flavor} has no compiler"
    return _worker_call.find_obstacle(model, flavor)


def list_loaders(
    _model: ResolvedModel, request: BuildRequest, _target: Target
) -> tuple[tuple[Frame, LoaderSpec], ...]:
    """The loader that serves a graph, in one frame: the options come with the graph."""
    runtime = facts.tools(request.target.facts_dir)["onnxruntime"]
    made = LoaderSpec(
        loader="compiled",
        options={},
        requires=(runtime.requirement, "numpy"),
        excludes=("flatbuffers", "packaging", "protobuf"),
        alone=True,
    )
    return ((Frame.NUMPY, made),)


def fetch_tools(_plan: BuildPlan) -> None:
    """Fetch nothing: the converters are installed beside the model."""


def compile_model(plan: BuildPlan, work: Path, _tell_rows: object = None) -> BuildPlan:
    """The same plan with a graph in place of the model, proven row by row where both load.

    A model that is a graph already passes through.

    Raises VerificationError with a finding of the check `engine` where no graph answers as the
    model does, or the converter does not come to an end.
    """
    if plan.flavor == ALREADY:
        return plan
    request = plan.request
    _LOG.info("Compiling to ONNX")
    wanted = _worker_call.make_question(
        plan.model, _worker_call.ROWS, request.proof.seed, *request.engine.tolerance
    )
    out = work / "compiled"
    out.mkdir(parents=True)
    try:
        _run(plan, wanted, out)
        result = json.loads(read_result(out / "result.json"))
    except ToolError as error:
        raise _worker_call.refuse_model("ONNX", [str(error)], _HINT) from error
    if "refused" in result:
        raise _worker_call.refuse_model("ONNX", result["refused"], _HINT)
    graph = work / "graph"
    graph.mkdir()
    check_plain(out / "model.onnx")
    shutil.move(out / "model.onnx", graph / "model.onnx")
    made = Compiled(
        folder=graph,
        evidence={**result["evidence"], "engine": "onnx"},
        adversarial=tuple(result["adversarial"]),
        tolerance=request.engine.tolerance,
    )
    return replace(plan, loader=replace(plan.loader, options=result["options"]), compiled=made)


def _run(plan: BuildPlan, wanted: object, out: Path) -> None:
    """In the model's environment with the converters added; for a limited time."""
    tools = facts.tools(plan.request.target.facts_dir)
    interpreter, _ = virtual_environments.interpreter_of(plan.model, plan.interpreter)
    names = ("onnx", "onnxruntime", *CONVERTERS[plan.flavor])
    more = [tools[name].requirement for name in names]
    python = virtual_environments.of_model(
        plan.model, interpreter, plan.platform, more=more, label="onnx"
    )
    with make_scratch("asked") as given:
        question = given / "asked.json"
        question.write_text(json.dumps(wanted), encoding="utf-8")
        _worker_call.run_worker(
            plan,
            (python, interpreter),
            "onnx",
            (question, out),
            readable=(given,),
            writable=out,
        )
