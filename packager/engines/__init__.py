"""Engines that run a model in the artifact outside its own framework: compiled."""

from __future__ import annotations

from pathlib import Path

from packager.engines import _host, _machine_code
from packager.engines._host import ALREADY
from packager.types import BuildPlan, Engine, LoaderSpec, ResolvedModel

__all__ = ["ALREADY", "compile_model", "loader", "why_not"]


def why_not(model: ResolvedModel, flavor: str, engine: Engine = Engine.ONNX) -> str:
    """Explain why there is no use in trying to compile this model; empty where there is."""
    if engine is Engine.MACHINE_CODE:
        return _machine_code.why_not(model, flavor)
    return _host.why_not(model, flavor)


def loader(engine: Engine, facts_dir: Path | None) -> LoaderSpec:
    """Return the loader that serves what the engine compiles."""
    if engine is Engine.MACHINE_CODE:
        return _machine_code.loader()
    return _host.loader(facts_dir)


def compile_model(plan: BuildPlan, work: Path) -> BuildPlan:
    """The same plan with what its engine compiles in place of the model, proven row by row.

    Raises VerificationError with a finding of the check `engine` where nothing is proven.
    """
    if plan.engine is Engine.MACHINE_CODE:
        return _machine_code.compile_model(plan, work)
    return _host.compile_model(plan, work)
