"""Engines that run a model in the artifact outside its own framework: compiled.

An engine is a module here, which the build calls, a folder of what runs where the model is, a name
in `packager.types.Engine`, and a line in COMPILERS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from packager.engines import _machine_code, _onnx
from packager.engines._known_classes import find_summed, list_unread
from packager.types import (
    BuildPlan,
    BuildRequest,
    Engine,
    EngineOptions,
    Frame,
    Json,
    LoaderSpec,
    ResolvedModel,
    Target,
)

__all__ = [
    "COMPILERS",
    "WITHOUT_WEIGHTS",
    "WITHOUT_WHEELS",
    "compile_model",
    "fetch_tools",
    "find_form",
    "find_summed",
    "keeps_order",
    "list_compiling_tools",
    "list_loaders",
    "list_tried",
    "list_unread",
    "why_not",
]


TellRows: TypeAlias = Callable[[Sequence[Mapping[str, Json]]], None]


class Compiler(Protocol):
    """Interface of an engine for the build."""

    @property
    def FORM(self) -> str:  # noqa: N802 - a module's constant
        """The name of what a model is compiled to, in a sentence."""

    @property
    def ALREADY(self) -> str:  # noqa: N802 - a module's constant
        """The flavor whose model has that form as it was logged; empty where there is none."""

    @property
    def TOOLS(self) -> tuple[str, ...]:  # noqa: N802 - a module's constant
        """Distributions of packager/facts/tools.toml that may compile, and do not ship."""

    @property
    def KEEPS_ORDER(self) -> bool:  # noqa: N802 - a module's constant
        """True where sums are taken in the order in which the model takes them on one thread."""

    def why_not(self, model: ResolvedModel, flavor: str) -> str:
        """Explain why there is no use in trying to compile this model; empty where there is."""

    def list_loaders(
        self, model: ResolvedModel, request: BuildRequest, target: Target, /
    ) -> tuple[tuple[Frame, LoaderSpec], ...]:
        """Frames in which what is compiled can be asked, and their loaders: the lightest first."""

    def fetch_tools(self, plan: BuildPlan, /) -> None:
        """Have what compiles for all models in the cache. Raises ToolError."""

    def compile_model(self, plan: BuildPlan, work: Path, tell_rows: TellRows, /) -> BuildPlan:
        """The same plan with what the engine compiles in place of the model, proven row by row.

        `tell_rows` may be told the rows of `Compiled.adversarial` before they are proven. Raises
        VerificationError with a finding of the check `engine` where nothing is proven.
        """


COMPILERS: Final[Mapping[Engine, Compiler]] = MappingProxyType(
    {Engine.MACHINE_CODE: _machine_code, Engine.ONNX: _onnx}
)
WITHOUT_WHEELS: Final = Engine.MACHINE_CODE
"""The engine that needs no wheel of the model's framework."""

WITHOUT_WEIGHTS: Final = Engine.MACHINE_CODE
"""The engine whose library has the model's numbers: no file of them ships."""


def list_tried(options: EngineOptions) -> tuple[Engine, ...]:
    """Engines to try, in order, before the model's own framework or in place of it."""
    if options.kind is Engine.NATIVE:
        return ()
    if options.kind is not None:
        return (options.kind,)
    return tuple(COMPILERS) if options.is_tolerant else (Engine.MACHINE_CODE,)


def find_form(flavor: str) -> Engine | None:
    """The engine whose form the flavor's models have as they are logged; None for other flavors."""
    return next((name for name, each in COMPILERS.items() if flavor == each.ALREADY), None)


def list_compiling_tools(engine: Engine) -> tuple[str, ...]:
    """Distributions that a model may be compiled with; none for its own framework."""
    return COMPILERS[engine].TOOLS if engine in COMPILERS else ()


def keeps_order(engine: Engine) -> bool:
    """Tell whether the engine takes sums in the order of the model on one thread."""
    return COMPILERS[engine].KEEPS_ORDER


def why_not(model: ResolvedModel, flavor: str, engine: Engine) -> str:
    """Explain why there is no use in trying to compile this model; empty where there is."""
    return COMPILERS[engine].why_not(model, flavor)


def list_loaders(
    engine: Engine, model: ResolvedModel, request: BuildRequest, target: Target
) -> tuple[tuple[Frame, LoaderSpec], ...]:
    return COMPILERS[engine].list_loaders(model, request, target)


def fetch_tools(plan: BuildPlan) -> None:
    """Have what the plan's engine compiles with in the cache. Raises ToolError."""
    if plan.engine in COMPILERS:
        COMPILERS[plan.engine].fetch_tools(plan)


def _tell_nobody(_rows: Sequence[Mapping[str, Json]]) -> None:
    pass


def compile_model(plan: BuildPlan, work: Path, tell_rows: TellRows = _tell_nobody) -> BuildPlan:
    """The same plan with what its engine compiles in place of the model, proven row by row.

    `tell_rows` may be told rows that the artifact will be asked, while they are still proven.
    Raises VerificationError with a finding of the check `engine` where nothing is proven.
    """
    return COMPILERS[plan.engine].compile_model(plan, work, tell_rows)
