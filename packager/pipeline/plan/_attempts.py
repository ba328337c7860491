"""Attempts of a build: each way in which the model may be loaded and handed rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from packager import engines
from packager.errors import ConfigurationError
from packager.pipeline.plan import _names
from packager.types import (
    BuildRequest,
    Device,
    Engine,
    Flavor,
    Frame,
    LoaderSpec,
    ResolvedModel,
    RewrittenFile,
    Shipped,
    Target,
    Tier,
)

_LOG = logging.getLogger(__name__)
_NAMED: Final = 3
"""Of the classes that an engine does not read, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    engine: Engine = Engine.NATIVE
    tier: Tier
    frame: Frame
    loader: LoaderSpec
    shipped: Shipped = Shipped.DECLARED
    rewritten: tuple[RewrittenFile, ...] = ()
    """Pickles that need no pyarrow in it; none where they ship as they were logged."""


def list_unpickled(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    return tuple(sorted({name for each in attempts for name in each.loader.unpickled}))


def list_attempts(
    flavor: Flavor, model: ResolvedModel, request: BuildRequest, target: Target
) -> tuple[tuple[Attempt, ...], tuple[str, ...]]:
    """The attempts of every engine that was asked for, and why one is left out.

    Raises ConfigurationError for an engine that was asked for by name and is left out.
    """
    asked = request.engine.kind
    logged_as = engines.find_form(flavor.name)
    if logged_as is not None and asked in {None, Engine.NATIVE, logged_as}:
        return _pass_through(list_native(flavor, model, request.engine.tier), asked, logged_as), ()
    alone = asked not in {None, Engine.NATIVE}
    native = () if alone else list_native(flavor, model, request.engine.tier)
    compiled: list[Attempt] = []
    left_out: list[str] = []
    for engine in _list_tried(request, target):
        why = engines.why_not(model, flavor.name, engine)
        if why and alone:
            raise ConfigurationError(
                f"--engine {engine}: {why}. Build with --engine native, or auto to fall back to it."
            )
        if not why and not alone:
            why = _name_obstacle(flavor, model, engine, exact=not request.engine.is_tolerant)
        if why:
            left_out.append(f"engine {engine}: {why}.")
            continue
        compiled += [
            Attempt(engine=engine, tier=Tier.NATIVE, frame=frame, loader=loader)
            for frame, loader in engines.list_loaders(engine, model, request, target)
        ]
    return (*compiled, *native), tuple(left_out)


def leave_framework(
    attempts: tuple[Attempt, ...], clashes: tuple[str, ...]
) -> tuple[tuple[Attempt, ...], tuple[str, ...]]:
    """The attempts that import nothing of the author's, and why the others are left out.

    `clashes` are the author's modules that the framework could not import. Raises PlanError where
    no attempt does without it.
    """
    alone = tuple(each for each in attempts if each.loader.alone)
    if not alone:
        _names.refuse_clashes(clashes)
    if len(alone) == len(attempts):
        return attempts, ()
    _LOG.warning(
        "Only a compiled model is tried: %s. If the model's own framework should serve, rename it "
        "and log the model again.",
        "; ".join(clashes),
    )
    return alone, tuple(f"engine {Engine.NATIVE}: {clash}." for clash in clashes)


def _list_tried(request: BuildRequest, target: Target) -> tuple[Engine, ...]:
    """Return the engines that come before the framework, or in its place.

    A tier is the framework's, and only the framework runs on a GPU.
    """
    options = request.engine
    device = request.target.device or target.machine.device
    if options.kind is None and options.tier is not None:
        return ()
    if options.kind is None and device is Device.CUDA and not options.is_tolerant:
        return ()
    return engines.list_tried(options)


def _name_obstacle(flavor: Flavor, model: ResolvedModel, engine: Engine, *, exact: bool) -> str:
    """Name what in the model's files rules machine code out, before any of it is loaded."""
    if engine is not engines.WITHOUT_WHEELS or Tier.NATIVE not in flavor.tiers:
        return ""
    framework = list_native(flavor, model, None)[0].loader
    if unread := engines.list_unread(model, flavor.name, framework):
        return f"it does not read {', '.join(unread[:_NAMED])}"
    summed = engines.find_summed(model, flavor.name, framework) if exact else ""
    if not summed:
        return ""
    return (
        f"what {summed} answers is not equal to the last bit; give --rtol if a difference of 1e-12 "
        "relative will do"
    )


def _pass_through(
    native: tuple[Attempt, ...], asked: Engine | None, logged_as: Engine
) -> tuple[Attempt, ...]:
    """A model that has its engine's form already: the loader of its flavor is the engine."""
    if asked is Engine.NATIVE:
        return native
    graphs = (replace(each, engine=logged_as) for each in native if each.tier is Tier.NATIVE)
    others = (each for each in native if each.tier is not Tier.NATIVE and asked is None)
    return (*graphs, *others)


def list_native(flavor: Flavor, model: ResolvedModel, only: Tier | None) -> tuple[Attempt, ...]:
    if only is not None and only not in flavor.tiers:
        raise ConfigurationError(
            f"--tier {only}: the flavor {flavor.name} does not have this tier for this model. "
            f"Choose one of: {', '.join(flavor.tiers)}."
        )
    pairs = [
        (tier, frame)
        for tier in flavor.tiers
        if only in {None, tier}
        for frame in (flavor.frames(model) if tier is Tier.NATIVE else (Frame.PANDAS,))
    ]
    return tuple(
        Attempt(tier=tier, frame=frame, loader=flavor.read(model, tier, frame))
        for tier, frame in pairs
    )
