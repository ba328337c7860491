"""The lock of one attempt, near to what the author's own environment resolves to."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from packaging.utils import canonicalize_name

from packager.environments import lockfile, virtual_environments
from packager.environments.lockfile import Wanted
from packager.errors import PlanError, UnresolvableError
from packager.facts.devices import Builds
from packager.pipeline.plan import _modules
from packager.pipeline.plan._modules import Named
from packager.pipeline.plan._python import Candidate
from packager.pipeline.plan.requirements import _lines, _pins, _requirements
from packager.pipeline.plan.requirements._requirements import MLFLOW, Needed
from packager.types import (
    BuildRequest,
    EffectiveTarget,
    Frame,
    LoaderSpec,
    Lock,
    ResolvedModel,
    Tier,
)

_LOG = logging.getLogger(__name__)
_MOST_DROPPED: Final = 30
"""Lines that no wheel answers: each costs a run of the resolver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Setting that is the same for every attempt under one Python."""

    request: BuildRequest
    model: ResolvedModel
    target: EffectiveTarget
    builds: Builds
    candidate: Candidate
    declared: Mapping[str, str]
    """The versions that the author's own requirements resolve to; empty where they do not."""
    strict: bool = True
    """False where other versions than the listed ones will do, as none of them has wheels."""
    named: Named = field(default_factory=Named)
    """What the model's own files name of it."""
    upgrades: Mapping[str, str] = field(default_factory=dict)
    """Pins that newer patch releases may stand in for: distribution -> the author's version."""

    @property
    def platform(self) -> str:
        return self.candidate.runtime.platforms[self.request.target.architecture]

    @property
    def requires(self) -> tuple[str, ...]:
        """Distributions of the target's, and what the runtime's base image lacks of them."""
        runtime, events = self.candidate.runtime, self.request.events.sources
        lacking = (*runtime.requires, *(runtime.requires_for_events if events else ()))
        return (*self.target.requires, *lacking)

    @property
    def locked_model(self) -> ResolvedModel:
        """The model with the requirements that are locked; its own where no pin is upgraded."""
        if not self.upgrades:
            return self.model
        loose = _pins.loosen_requirements(self.model.requirements, self.upgrades)
        return replace(self.model, requirements=loose)


def resolve_declared(
    request: BuildRequest,
    model: ResolvedModel,
    candidate: Candidate,
    explain_need: Callable[[str], str],
) -> tuple[ResolvedModel, Mapping[str, str]]:
    """Name -> version of the author's whole environment, resolved for the author's Python.

    With it the model without the lines that no wheel answers and that `explain_need` knows no need
    of, and without preferred versions that do not go with the rest. Pins that conflict, as pip
    installs them with a warning, hold as they are; where anything else does not resolve the model
    has its lines as they were, and nothing is known.
    """
    if not model.requirements.lines:
        return model, {}
    slim = model
    for _ in range(_MOST_DROPPED):
        try:
            return slim, _resolve_all(request, slim, candidate)
        except UnresolvableError as error:
            _LOG.debug("The author's own environment does not resolve: %s", error.words)
            less = _lines.drop_preferred(slim, error.words)
            less = less or _lines.drop_wheelless(slim, error.words, explain_need)
            less = less or _lines.forget_preferred(slim)
            less = less or _lines.hold_pins(slim, error.words)
        if less is None:
            break
        slim = less
    return _lines.forget_preferred(model) or model, {}


def _resolve_all(
    request: BuildRequest, model: ResolvedModel, candidate: Candidate
) -> Mapping[str, str]:
    version = model.python_version
    wanted = Wanted(
        requirements=virtual_environments.list_requirements(model),
        constraints=(*model.requirements.constraints, *model.requirements.preferred),
        overrides=model.requirements.overrides,
        options=model.requirements.options,
        digests=lockfile.read_digests(model.requirements),
        interpreter=candidate.interpreter,
        platform=candidate.runtime.platforms[request.target.architecture],
        python_minor=".".join(version.split(".")[:2]) if version else None,
        base=model.root,
    )
    found = lockfile.lock(wanted)
    return {canonicalize_name(package.name): package.version for package in found.packages}


def lock(
    setting: Setting, loader: LoaderSpec, tier: Tier, frame: Frame, *, serving: bool = False
) -> tuple[Lock, tuple[str, ...]]:
    """The lock, and the decisions on the way; with `serving` of no more than serving needs.

    Raises UnresolvableError.
    """
    needed = list_needed(setting, loader, frame, serving=serving)
    kept: list[str] = []
    try:
        found, chosen = _nearest(setting, needed)
    except UnresolvableError:
        if not needed.substituted:
            raise
        old, new = needed.substituted[0]
        if setting.builds.binding:
            raise PlanError(
                f"{new} has no wheel of the version of {old} that the model lists, and {old} would "
                f"answer from a CPU. List a version of {new} in the model's requirements, or build "
                "with --device cpu."
            ) from None
        needed = list_needed(setting, loader, frame, serving=serving, substitute=False)
        found, chosen = _nearest(setting, needed)
        kept.append(f"{old} is kept: {new} has no wheel of that version for this Python.")
    runtime = setting.candidate.runtime
    names = [package.name for package in found.packages]
    provided = _requirements.about_provided(setting.model, runtime, names)
    left_out = _requirements.left_out(setting.model, loader, tier, names)
    taken = [] if loader.alone else _modules.explain_named(setting.named, setting.model, names)
    decided = (*needed.reasons, *kept, *left_out, *taken, *chosen, *provided)
    return found, (*setting.builds.notes, *decided)


def list_needed(
    setting: Setting,
    loader: LoaderSpec,
    frame: Frame,
    *,
    serving: bool = False,
    substitute: bool = True,
) -> Needed:
    """The requirements of an attempt under this setting."""
    return _requirements.list_needed(
        setting.locked_model,
        loader,
        frame,
        setting.requires,
        setting.builds.substitutes,
        named=setting.named.distributions,
        serving=serving,
        substitute=substitute,
        about=setting.builds.about,
    )


def _nearest(setting: Setting, needed: Needed) -> tuple[Lock, list[str]]:
    """With all of the author's versions, else with those that have a wheel and go together."""
    declared = {
        name: version for name, version in setting.declared.items() if name not in setting.upgrades
    }
    pins = _pin_versions(declared, needed)
    wanted = make_lock_request(setting, needed, pins)
    try:
        return _without_gpu(wanted, setting.builds)
    except UnresolvableError:
        # no other versions of the rest help a line that has no wheel
        if not pins or lockfile.unavailable(wanted):
            raise
    loose, reasons = _without_gpu(
        replace(wanted, constraints=_limit(setting, needed)), setting.builds
    )
    names = {package.name for package in loose.packages}
    mine = [pin for pin in pins if pin.partition("==")[0] in names]
    gone = set(lockfile.unavailable(replace(wanted, requirements=tuple(mine), constraints=())))
    left = tuple(pin for pin in mine if pin not in gone)
    try:
        near = replace(wanted, constraints=(*_limit(setting, needed), *left))
        loose, reasons = _without_gpu(near, setting.builds)
    except UnresolvableError:
        _LOG.debug("The author's versions do not go together under this Python")
        near = replace(wanted, constraints=_limit(setting, needed), preferred=left)
        loose, reasons = _without_gpu(near, setting.builds)
    different = [
        f"{package.name} {package.version} (the author's requirements lead to "
        f"{declared[package.name]})"
        for package in loose.packages
        if declared.get(package.name, package.version) != package.version
    ]
    if different:
        reasons.append(f"Other versions than the author's: {'; '.join(different)}.")
    return loose, reasons


def _without_gpu(wanted: Wanted, builds: Builds) -> tuple[Lock, list[str]]:
    found = lockfile.lock(wanted)
    patterns = [excluded.pattern for excluded in builds.excluded]
    idle = tuple(
        package.name
        for package in found.packages
        if any(fnmatch.fnmatchcase(package.name, pattern) for pattern in patterns)
    )
    if not idle:
        return found, []
    _loads_without(found, idle, builds)
    found = lockfile.lock(replace(wanted, excluded=(*wanted.excluded, *idle)))
    return found, [f"Not shipped: {', '.join(idle)}; there is no GPU to use it."]


def _loads_without(found: Lock, idle: tuple[str, ...], builds: Builds) -> None:
    """Raises PlanError for what is linked to the packages that a GPU's machine alone needs."""
    for each in builds.bound:
        version = found.version(each.name)
        if version is not None:
            size = sum(package.size_bytes or 0 for package in found.packages)
            raise PlanError(
                f"{each.name} {version} as the package index has it is built for a GPU and does "
                f"not load without {', '.join(idle)}: {size / 1e9:.1f} GB of wheels, where there "
                f"is no GPU to use them. {each.instead}."
            )


def make_lock_request(setting: Setting, needed: Needed, pins: tuple[str, ...]) -> Wanted:
    """The question to the resolver for an attempt, with `pins` as constraints."""
    return Wanted(
        requirements=needed.lines,
        constraints=(*_limit(setting, needed), *pins),
        overrides=setting.locked_model.requirements.overrides,
        excluded=needed.excluded,
        options=(*setting.model.requirements.options, *_indexes(setting, needed)),
        digests=lockfile.read_digests(setting.model.requirements),
        interpreter=setting.candidate.interpreter,
        platform=setting.platform,
        base=setting.model.root,
    )


def _indexes(setting: Setting, needed: Needed) -> tuple[str, ...]:
    """An index of other builds is asked for nothing where none of its packages is needed."""
    names = {each.name for each in _requirements.parse_lines(needed.lines)}
    return setting.builds.options if names & setting.builds.indexed else ()


def _limit(setting: Setting, needed: Needed) -> tuple[str, ...]:
    """Constraints that hold in every lock of this setting."""
    own = setting.locked_model.requirements.constraints
    held = (*own, *setting.request.versions)
    return (*held, *needed.held) if setting.strict else held


def _pin_versions(declared: Mapping[str, str], needed: Needed) -> tuple[str, ...]:
    """Constraints: a substitute has the version of what it stands in for."""
    versions = {
        name: version for name, version in declared.items() if version and name not in MLFLOW
    }
    for old, new in needed.substituted:
        if old in versions:
            # a constraint takes no extras
            versions[new.partition("[")[0]] = versions[old]
    return tuple(f"{name}=={version}" for name, version in sorted(versions.items()))
