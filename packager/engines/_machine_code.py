"""The build's side of machine code: the form is read, written as C, compiled, and proven."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.engines import _worker_call
from packager.engines.machine_code import toolchain
from packager.engines.machine_code.form import Form, FormError, read_form
from packager.engines.machine_code.generator import generate_c
from packager.environments import virtual_environments
from packager.errors import SandboxError, ToolError, VerificationError
from packager.models.registered_model import WaitingRun
from packager.system.sandbox import check_plain, read_result
from packager.system.scratch import make_scratch
from packager.targets.lambda_emulator.parts import host_architecture
from packager.types import (
    BuildPlan,
    BuildRequest,
    Compiled,
    Frame,
    HostKind,
    Json,
    LoaderSpec,
    ResolvedModel,
    Target,
)

_LOG = logging.getLogger(__name__)

FLAVORS: Final = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "statsmodels"})
FORM: Final = "machine code"
ALREADY: Final = ""
"""No flavor's model is a library as it was logged."""
TOOLS: Final = ("ziglang",)
KEEPS_ORDER: Final = True
_OLDEST: Final = (3, 8)
"""Python that the worker runs on."""
_HINT: Final = "Build with --engine native, or with --engine onnx if a graph will do."
_INEXACT: Final = (
    "it has sums that a BLAS orders by itself, or exp and its relatives, so that a library is not "
    "equal to the last bit"
)
_HINT_INEXACT: Final = (
    "Build with --engine machine-code, or give --rtol, if a difference of 1e-12 relative will do."
)
_HINT_COMPILER: Final = (
    "Try again once the package index, memory and disk allow it, or build with --engine native."
)
_ENGINE: Final = "machine_code"
"""The folder with the worker."""
_FORM: Final = ("form.json", "constants.bin")
_READ: Final = "read"
_ROWS: Final = "rows.json"
_QUESTION: Final = "asked.json"
_TOLD: Final = "told"
_COMPARE: Final = "compare"
_LIBRARY: Final = "model.so"
_RESULT: Final = "result.json"
_SCALARS: Final = frozenset({"boolean", "integer", "long", "float", "double", "string"})
"""Types of columns and parameters that are read without numpy."""
_ABOUT_PLAIN: Final = (
    "Frame plain: requests are read, and the library is asked, without numpy, which is not "
    "installed. The library itself reads rows in dataframe_split, the fastest form. --keep-package "
    "numpy has numpy installed and used: thousands of rows with words or integers in another form "
    "are answered in 0.6 to 0.8 of the time then."
)
_PROVEN: Final = {"options": dict, "evidence": dict, "adversarial": list}
"""What a worker's result has where the library is proven."""


def why_not(model: ResolvedModel, flavor: str) -> str:
    """Explain why there is no use in trying to compile this model; empty where there is."""
    if flavor not in FLAVORS:
        return f"the flavor {flavor} is not compiled to machine code"
    author = model.python_version or ""
    if author and tuple(map(int, author.split(".")[:2])) < _OLDEST:
        return f"it is read under its own Python {author}, and that takes 3.8 or newer"
    return _worker_call.find_obstacle(model, flavor)


def list_loaders(
    model: ResolvedModel, request: BuildRequest, target: Target
) -> tuple[tuple[Frame, LoaderSpec], ...]:
    """Frames in which a library can be asked and their loaders, the lightest first.

    The options come with the library.
    """
    arrays = LoaderSpec(loader="machine_code", options={}, requires=("numpy",), alone=True)
    why = _explain_numpy(model, request, target)
    if why:
        return ((Frame.NUMPY, replace(arrays, notes=(f"Frame numpy, not plain: {why}.",))),)
    plain = LoaderSpec(loader="machine_code_plain", options={}, alone=True, notes=(_ABOUT_PLAIN,))
    return (Frame.PLAIN, plain), (Frame.NUMPY, arrays)


def _explain_numpy(model: ResolvedModel, request: BuildRequest, target: Target) -> str:
    """Explain why requests are not read without numpy; empty where they can be."""
    signature = model.signature or {}
    inputs, params = signature.get("inputs") or (), signature.get("params") or ()
    others = [each["type"] for each in inputs if each.get("type") not in _SCALARS]
    if others or model.signature_from_type_hints:
        return f"an input is of type {others[0]}" if others else "the signature is of type hints"
    if any((each.get("type") or each.get("dtype")) not in _SCALARS for each in params):
        return "a parameter is a time or an object"
    if target.program.host is HostKind.SERVER:
        return "the container's server merges requests as numpy's arrays"
    if "numpy" in request.slimming.keep_packages:
        return "--keep-package has it installed"
    return ""


def compile_model(
    plan: BuildPlan, work: Path, tell_rows: Callable[[Sequence[Mapping[str, Json]]], None]
) -> BuildPlan:
    """The same plan with a library in place of the model, proven row by row where both load.

    `tell_rows` is told those of `adversarial` before they are proven. Raises VerificationError with
    a finding of the check `engine` where an operation is missing, the compiler fails, or a row is
    answered otherwise.
    """
    _LOG.info("Compiling to machine code")
    engine, read = plan.request.engine, work / "read"
    here, there = host_architecture(), plan.request.target.architecture
    with make_scratch("asked") as given, _reading(plan, read, given) as worker:
        form = _take_form(worker, read)
        if engine.kind is None and not (form.exact or engine.is_tolerant):
            raise _worker_call.refuse_model(FORM, [_INEXACT], _HINT_INEXACT)
        if here is None:
            raise _refuse("it is proven on x86_64 or arm64, and this machine is neither")
        libraries = _compile_form(plan, form, work, {here, there})
        _LOG.info("Comparing the library with the registered model")
        shutil.copy(libraries[here], given / _LIBRARY)
        worker.tell(_COMPARE)
        if worker.wait_for(read / _ROWS):
            tell_rows(_read_rows(read))
        _join(worker)
    result = _read_proof(read)
    folder = work / "library"
    folder.mkdir()
    shutil.move(libraries[there], folder / "model.so")
    made = Compiled(
        folder=folder,
        evidence={**result["evidence"], "engine": "machine-code", "asked_on": here},
        adversarial=tuple(result["adversarial"]),
        tolerance=None if form.exact else _read_tolerance(result["evidence"], engine.tolerance),
    )
    return replace(plan, loader=replace(plan.loader, options=result["options"]), compiled=made)


def _reading(plan: BuildPlan, out: Path, given: Path) -> WaitingRun:
    """Start the worker: it reads the model, and holds the library to it once that is in `given`."""
    out.mkdir(parents=True)
    request = plan.request
    wanted = _worker_call.make_question(
        plan.model, _worker_call.ROWS, request.proof.seed, *request.engine.tolerance
    )
    wanted["inexact"] = request.engine.kind is not None or request.engine.is_tolerant
    (given / _QUESTION).write_text(json.dumps(wanted), encoding="utf-8")

    def run() -> None:
        interpreter, _ = virtual_environments.interpreter_of(plan.model, plan.interpreter)
        python = virtual_environments.of_model(plan.model, interpreter, plan.platform)
        _worker_call.run_worker(
            plan,
            (python, interpreter),
            _ENGINE,
            (out, given / _QUESTION, given / _TOLD, given / _LIBRARY),
            readable=(given,),
            writable=out,
        )

    return WaitingRun(run, given / _TOLD, "engine")


def _take_form(worker: WaitingRun, out: Path) -> Form:
    """Read what the confined worker wrote as a stranger's: plain files, with every check."""
    if not worker.wait_for(out / _READ):
        _join(worker)
        raise _refuse(*_read_refusals(_read_result(out)))
    try:
        for name in _FORM:
            check_plain(out / name)
        return read_form(out)
    except (SandboxError, FormError) as error:
        raise _refuse(f"what was read of the model is no form: {error}") from error


def _compile_form(
    plan: BuildPlan, form: Form, work: Path, architectures: set[str]
) -> Mapping[str, Path]:
    """Compile one library for each architecture, with a compiler in an environment of its own."""
    try:
        source = generate_c(form)
    except FormError as error:
        raise _refuse(f"what was read of the model cannot be written as C: {error}") from error
    tool = _name_compiler(plan)
    try:
        compiler = _find_compiler(plan)
    except ToolError as error:
        why = f"the C compiler {tool} cannot be installed: {error}"
        raise _worker_call.refuse_model(FORM, [why], _HINT_COMPILER) from error
    try:
        with make_scratch("zig") as own:
            made: dict[str, Path] = {}
            for arch in sorted(architectures):
                toolchain.fill_cache(compiler, arch, own / arch)
                made[arch] = toolchain.compile_library(
                    compiler, source, form.constants, work / f"library-{arch}", arch, own / arch
                )
            return made
    except ToolError as error:
        why = f"the C compiler {tool} failed: {error}"
        raise _worker_call.refuse_model(FORM, [why], _HINT_COMPILER) from error


def _name_compiler(plan: BuildPlan) -> str:
    return facts.tools(plan.request.target.facts_dir)["ziglang"].requirement


def _find_compiler(plan: BuildPlan) -> Path:
    """Return the compiler's Python; it is installed where it is not there. Raises ToolError."""
    tool = _name_compiler(plan)
    return virtual_environments.ensure(plan.interpreter, [tool], label="c-compiler")


def fetch_tools(plan: BuildPlan) -> None:
    """Install the compiler where it is not there. Raises ToolError."""
    _find_compiler(plan)


def _read_rows(out: Path) -> Sequence[Mapping[str, Json]]:
    """Raises VerificationError for what a worker cannot have written."""
    try:
        found = json.loads(read_result(out / _ROWS))
    except (ToolError, ValueError, RecursionError) as error:
        raise _refuse(f"the worker left no rows: {error}") from error
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _refuse("the worker left no rows")
    return found


def _read_proof(out: Path) -> Json:
    """Raises VerificationError with the first rows that differ."""
    result = _read_result(out)
    if not all(isinstance(result.get(name), kind) for name, kind in _PROVEN.items()):
        raise _refuse(*_read_refusals(result))
    return result


def _join(worker: WaitingRun) -> None:
    try:
        worker.join()
    except ToolError as error:
        raise _refuse(str(error)) from error


def _read_tolerance(evidence: Json, most: tuple[float, float]) -> tuple[float, float]:
    """Return what the proof allowed, for the booted artifact too: relative and absolute.

    It comes from a process that ran the model's code, so `most` is never passed. Raises
    VerificationError where it is missing.
    """
    found = [evidence.get(name) for name in ("rtol", "atol")]
    if not all(isinstance(each, float) and each >= 0 for each in found):
        raise _refuse("the worker left no tolerance")
    relative, absolute = (min(each, limit) for each, limit in zip(found, most, strict=True))
    return relative, absolute


def _read_result(out: Path) -> Json:
    """Raises VerificationError for what a worker cannot have written."""
    try:
        found = json.loads(read_result(out / _RESULT))
    except (ToolError, ValueError, RecursionError) as error:
        raise _refuse(f"the worker left no result: {error}") from error
    if not isinstance(found, dict):
        raise _refuse("the worker left no result")
    return found


def _read_refusals(result: Json) -> list[str]:
    found = result.get("refused")
    return [str(each) for each in found] if isinstance(found, list) else []


def _refuse(*why: str) -> VerificationError:
    return _worker_call.refuse_model(FORM, why, _HINT)
