"""Requirements that serving can need: the first attempt where they save enough.

MLflow records a whole environment where a `uv.lock` lies beside the code, and `pip freeze` does
too. The first attempt installs what the loader requires, what the model's own files name, and what
these require, at the author's versions; the next one installs all that is listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packager.facts.modules import companions
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan.requirements import _requirements
from packager.pipeline.plan.requirements._requirements import MLFLOW
from packager.types import REQUIRED_BESIDE, BuildPlan, Flavor, LoaderSpec, Lock, Shipped, Tier

KNOWN: Final = frozenset(
    {"catboost", "lightgbm", "onnx", "prophet", "python_function", "sklearn", "statsmodels"}
    | {"xgboost"}
)
"""Flavors whose loader states all that it imports: others choose among what is there."""
_WORTH_BYTES: Final = 5_000_000
"""Of wheels: to leave out less is not worth an attempt more, nor to differ from the author."""


def is_known(setting: Setting, flavor: Flavor, tier: Tier, loader: LoaderSpec) -> bool:
    """True where what serving can need may be told from the model's files and the loader."""
    return (
        setting.request.slimming.requirements is Shipped.SERVING
        and bool(setting.declared)
        and not setting.named.open_at
        # what declares them shows in the author's environment, which is made for the proof
        and not (setting.named.groups and setting.request.proof.allow_unproven)
        and flavor.name in KNOWN
        and tier is not Tier.SKINNY
        and not loader.alone
    )


def drop_idle(plans: Sequence[BuildPlan]) -> tuple[BuildPlan, ...]:
    """The plans without those that leave out little of what the author listed."""
    full = {_kind(plan): plan for plan in plans if plan.shipped is Shipped.DECLARED}
    return tuple(
        plan
        for plan in plans
        if plan.shipped is Shipped.DECLARED
        or (other := full.get(_kind(plan))) is None
        or _size_bytes(other.lock) - _size_bytes(plan.lock) >= _WORTH_BYTES
    )


def _kind(plan: BuildPlan) -> tuple[str, ...]:
    return plan.engine, plan.tier, plan.frame, f"rewritten {bool(plan.rewritten)}"


def _size_bytes(lock: Lock) -> int:
    return sum(package.size_bytes or 0 for package in lock.packages)


def explain_each(setting: Setting, loader: LoaderSpec, lock: Lock) -> Mapping[str, str]:
    """Distribution -> why it is in the lock."""
    required = _requirements.find_required([loader])
    spared = list_spared(setting, loader, lock)
    of_target = {canonicalize_name(Requirement(line).name) for line in setting.requires}
    found: dict[str, str] = {}
    for package in lock.packages:
        name = canonicalize_name(package.name)
        if (why := setting.named.distributions.get(name)) is None:
            why = (
                f"it is listed, and {explain_spared(setting)}"
                if name in spared
                else REQUIRED_BESIDE
            )
        if name in of_target:
            why = "the function's own code needs it"
        if name in required:
            why = "the model's loader needs it"
        found[name] = why
    return found


def explain_spared(setting: Setting) -> str:
    """Say why what is listed ships though nothing touches it; empty where it need not."""
    if place := setting.named.open_at:
        return f"{place} imports what only running it tells"
    if setting.request.slimming.requirements is Shipped.DECLARED:
        return "--requirements declared asks for it"
    return ""


def list_spared(setting: Setting, loader: LoaderSpec, lock: Lock) -> frozenset[str]:
    """Distributions of the lock that the author listed, where that is a reason to ship them."""
    if loader.alone or not explain_spared(setting):
        return frozenset()
    listed = {each.name for each in _requirements.parse_lines(setting.model.requirements.lines)}
    listed |= {each.by for each in setting.builds.substitutes if each.name in listed}
    return frozenset(canonicalize_name(package.name) for package in lock.packages) & listed


def list_unshipped(setting: Setting, loader: LoaderSpec, lock: Lock) -> tuple[str, ...]:
    """Distributions of the author's environment, MLflow's own aside, that are not in the lock."""
    if loader.alone:
        return ()
    installed = {canonicalize_name(package.name) for package in lock.packages}
    return tuple(sorted(setting.declared.keys() - installed - MLFLOW))


def explain(shipped: Shipped, setting: Setting, loader: LoaderSpec, lock: Lock) -> list[str]:
    """Say how many distributions ship and why, and which of those left out others look for."""
    if shipped is Shipped.DECLARED:
        if loader.alone or not (because := explain_spared(setting)):
            return []
        return [f"All that is listed ships while it fits the target: {because}."]
    why = explain_each(setting, loader, lock)
    each = "; ".join(f"{name} ({reason})" for name, reason in sorted(why.items()))
    declared = setting.model.requirements.declared
    counted = (
        f"{declared} declared, {len(why)} shipped, and what turns out to be missed is added: "
        f"{each}. --requirements declared ships all, --keep-package NAME one more."
    )
    looked_for = companions(setting.request.target.facts_dir)
    unshipped = list_unshipped(setting, loader, lock)
    left_out = {name: sorted(looked_for[name] & {*unshipped}) for name in sorted(looked_for)}
    about = [
        f"{name} works another way where it finds {', '.join(left)}, which is left out: the "
        "answers are compared with those of an environment that has it."
        for name, left in left_out.items()
        if left and name in why
    ]
    asked = [
        f"{place} asks for entry points of {group}: what the author's environment has of these is "
        "added when the registered model is asked."
        for group, place in sorted(setting.named.groups.items())
    ]
    return [counted, *about, *asked]
