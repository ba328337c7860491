"""Attempts of a build: each way in which the model may be loaded and handed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packager import engines
from packager.errors import ConfigurationError
from packager.types import (
    BuildRequest,
    Engine,
    Flavor,
    Frame,
    LoaderSpec,
    ResolvedModel,
    Shipped,
    Target,
    Tier,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    engine: Engine = Engine.NATIVE
    tier: Tier
    frame: Frame
    loader: LoaderSpec
    shipped: Shipped = Shipped.DECLARED


def list_unpickled(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    return tuple(sorted({name for each in attempts for name in each.loader.unpickled}))


def list_attempts(
    flavor: Flavor, model: ResolvedModel, request: BuildRequest, target: Target
) -> tuple[tuple[Attempt, ...], tuple[str, ...]]:
    """The attempts of every engine that was asked for, and why one is left out."""
    asked = request.engine.kind
    engine = engines.AUTO if asked in {None, Engine.NATIVE} else asked
    if flavor.name == engines.COMPILERS[engine].ALREADY:
        return _pass_through(list_native(flavor, model, request.engine.tier), asked), ()
    alone = asked not in {None, Engine.NATIVE}
    native = () if alone else list_native(flavor, model, request.engine.tier)
    if asked is Engine.NATIVE:
        return native, ()
    why = engines.why_not(model, flavor.name, engine)
    if why and alone:
        raise ConfigurationError(
            f"--engine {engine}: {why}. Build with --engine native, or auto to fall back to it."
        )
    if why:
        return native, (f"engine {engine}: {why}.",)
    compiled = [
        Attempt(engine=engine, tier=Tier.NATIVE, frame=frame, loader=loader)
        for frame, loader in engines.list_loaders(engine, model, request, target)
    ]
    return (*compiled, *native), ()


def _pass_through(native: tuple[Attempt, ...], engine: Engine | None) -> tuple[Attempt, ...]:
    """A model that has its engine's form already: the loader of its flavor is the engine."""
    if engine is Engine.NATIVE:
        return native
    graphs = (
        replace(each, engine=engine or engines.AUTO) for each in native if each.tier is Tier.NATIVE
    )
    others = (each for each in native if each.tier is not Tier.NATIVE and engine is None)
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
