"""Requirements to install, out of the author's list: less, replaced, and a little more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from packager.environments import lockfile
from packager.facts.devices import Substitute
from packager.types import Frame, LoaderSpec, ResolvedModel, Runtime, Tier

MLFLOW: Final = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line of the author's requirements."""

    line: str
    name: str
    requirement: Requirement | None
    """None for a wheel that lies in the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    lines: tuple[str, ...]
    excluded: tuple[str, ...]
    substituted: tuple[tuple[str, str], ...]
    """Pairs of the author's distribution and what stands in for it."""
    reasons: tuple[str, ...]
    held: tuple[str, ...] = ()
    """Versions of listed distributions that are not among the lines, as constraints."""


def parse_lines(lines: Iterable[str]) -> tuple[Listed, ...]:
    """Each line parsed: of a plan's requirements, which were checked."""
    return tuple(_parse_line(line) for line in lines)


def find_required(loaders: Iterable[LoaderSpec]) -> frozenset[str]:
    """Distributions that serving needs whether or not the model lists them."""
    lines = (line for each in loaders for line in each.requires)
    return frozenset(canonicalize_name(Requirement(line).name) for line in lines)


def list_needed(
    model: ResolvedModel,
    loader: LoaderSpec,
    frame: Frame,
    required: Sequence[str],
    substitutes: tuple[Substitute, ...],
    *,
    named: Mapping[str, str] | None = None,
    serving: bool = False,
    substitute: bool = True,
    about: str = "built without a GPU's code",
) -> Needed:
    """The lines to lock for one attempt; with `substitute` false the author's choice is kept.

    `required` are the target's own lines; `named` are distributions that the model's own files
    name: nothing of these is left out. With `serving` of the other lines only those stay that the
    loader needs, and the model's own wheels.
    """
    own = {} if named is None or loader.alone else named
    never = {canonicalize_name(name) for name in loader.excludes} - own.keys()
    drops = {canonicalize_name(name) for name in loader.drops} - own.keys() | never
    lines: list[str] = []
    names: set[str] = set()
    replaced = _list_replaced(model, substitutes) if substitute else {}
    only = find_required([loader]) | own.keys() if serving else None
    substituted: dict[str, str] = {}
    listed = () if loader.alone else parse_lines(model.requirements.lines)
    selected = list(_select_lines(listed, drops, substitutes, only))
    for each, called in selected:
        names |= called
        lines.append(_substitute(each.name, each.line, each.requirement, replaced, substituted))
    for name, line in _find_unlisted((*loader.requires, *required, *sorted(own)), names):
        chosen = _choose_version(name, line, model)
        lines.append(_substitute(name, chosen, Requirement(line), replaced, substituted))
    excluded = never | (drops & {"pandas"} if frame is Frame.NUMPY else set())
    return Needed(
        lines=tuple(sorted(lines)),
        excluded=tuple(sorted(excluded | set(substituted))),
        substituted=tuple(sorted(substituted.items())),
        reasons=_describe_substitutes(substituted, about),
        held=_list_versions(listed, drops, selected),
    )


def _list_replaced(model: ResolvedModel, substitutes: Iterable[Substitute]) -> dict[str, str]:
    """Distributions that another stands in for; a file that is pinned by its digest has none."""
    pinned = lockfile.read_digests(model.requirements)
    return {fact.name: fact.by for fact in substitutes if fact.name not in pinned}


def _describe_substitutes(substituted: Mapping[str, str], about: str) -> tuple[str, ...]:
    return tuple(
        f"{new} stands in for {old}: the same version, {about}."
        for old, new in sorted(substituted.items())
    )


def _find_unlisted(lines: Iterable[str], names: Collection[str]) -> Iterator[tuple[str, str]]:
    """The first line of each distribution that is not among `names`, with its name."""
    seen = set(names)
    for line in lines:
        name = canonicalize_name(Requirement(line).name)
        if name not in seen:
            seen.add(name)
            yield name, line


def _choose_version(name: str, line: str, model: ResolvedModel) -> str:
    """The line; of mlflow-skinny, at the version that the model has."""
    if name == "mlflow-skinny" and model.mlflow_version:
        return f"{name}=={model.mlflow_version}"
    return line


def _select_lines(
    listed: Iterable[Listed],
    drops: Collection[str],
    substitutes: Sequence[Substitute],
    only: Collection[str] | None,
) -> Iterator[tuple[Listed, set[str]]]:
    """The author's lines that stay, each with the names that it stands for."""
    for each in listed:
        if each.name in MLFLOW or each.name in drops:
            continue
        # who lists xgboost-cpu has xgboost
        called = {each.name, *(fact.name for fact in substitutes if fact.by == each.name)}
        if only is None or each.requirement is None or not called.isdisjoint(only):
            yield each, called


def _list_versions(
    listed: Iterable[Listed],
    drops: Collection[str],
    selected: Iterable[tuple[Listed, Collection[str]]],
) -> tuple[str, ...]:
    """Versions of the listed distributions that are not selected, as constraints."""
    lines = {each.line for each, _ in selected}
    return tuple(
        sorted(
            f"{each.name}{requirement.specifier}"
            for each in listed
            if each.line not in lines and each.name not in MLFLOW and each.name not in drops
            if (requirement := each.requirement) is not None
            if requirement.specifier and requirement.marker is None
        )
    )


def about_provided(model: ResolvedModel, runtime: Runtime, installed: Iterable[str]) -> list[str]:
    """Explain what the runtime carries too, and whose copy runs."""
    named = {each.name for each in parse_lines(model.requirements.lines)}
    both = sorted(runtime.provides & set(installed) & named)
    if not both:
        return []
    line = (
        f"{', '.join(both)}: shipped because the model lists it; the runtime has one too, whose "
        "version changes without notice."
    )
    return [line]


def left_out(
    model: ResolvedModel, loader: LoaderSpec, tier: Tier, installed: Iterable[str]
) -> list[str]:
    """Explain what the author listed and the artifact does not have."""
    named = {each.name for each in parse_lines(model.requirements.lines)}
    idle_names = (*loader.drops, *loader.excludes)
    drops = {canonicalize_name(name) for name in idle_names} - set(installed)
    reasons = []
    if family := sorted(named & MLFLOW):
        instead = {
            Tier.NATIVE: "a loader of our own reads the model",
            Tier.STUB: "a stand-in has the few names of it that the model's class needs",
            Tier.SKINNY: "mlflow-skinny of the same version loads the model",
        }[tier]
        reasons.append(f"Not shipped: {', '.join(family)}; {instead}.")
    if idle := sorted(named & drops):
        reasons.append(f"Not shipped: {', '.join(idle)}; serving this model never imports it.")
    return reasons


def _substitute(
    name: str,
    line: str,
    requirement: Requirement | None,
    replaced: Mapping[str, str],
    substituted: dict[str, str],
) -> str:
    if requirement is None or requirement.url is not None or name not in replaced:
        return line
    substituted[name] = replaced[name]
    return replaced[name] + line[len(requirement.name) :]


def _parse_line(line: str) -> Listed:
    if line.endswith(".whl") and "@" not in line:
        name, *_ = parse_wheel_filename(line.rsplit("/", 1)[-1])
        return Listed(line=line, name=name, requirement=None)
    requirement = Requirement(line)
    return Listed(line=line, name=canonicalize_name(requirement.name), requirement=requirement)
