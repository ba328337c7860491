"""Check that the tree fits the target; what takes the room in it, and what lies outside of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from packager.pipeline import sizes
from packager.types import BuildPlan, Bundle, Check, Finding, Shipped, Weights

_SHIPPED: Final[Mapping[Shipped, str]] = {
    Shipped.SERVING: "Nothing but what serving can need is in it.",
    Shipped.DECLARED: "All that the model's requirements list is in it.",
}


def check(bundle: Bundle, plan: BuildPlan) -> tuple[list[Finding], str]:
    """Findings, and the result in a sentence."""
    size, limit = bundle.size_bytes, plan.target.limits.unzipped_bytes
    sentence = (
        f"{size / 1e6:.1f} MB unzipped, {100 * size / limit:.0f} % of the {limit / 1e6:.1f} MB "
        f"that {plan.target.name} allows."
    )
    if size <= limit:
        return [], sentence
    packages = sizes.by_package((file.path, file.size_bytes) for file in bundle.files)
    largest = ", ".join(f"{name} {each / 1e6:.1f} MB" for name, each in packages[: sizes.SHOWN])
    snapshot = sizes.leaves_snapshot(bundle, plan)
    room = sizes.unlocking(packages, plan.target, plan.runtime, snapshot=snapshot)
    finding = Finding(
        check=Check.BUDGET,
        message=f"{sentence} It is {(size - limit) / 1e6:.1f} MB over. Largest: {largest}.",
        hint=f"{room} {_describe(bundle, plan)} "
        f"Build with --target {plan.target.way_out}, which takes more{_suggest(bundle, plan)}. "
        f"The limit is stated at {plan.target.limits.source}.",
    )
    return [finding], sentence


def _describe(bundle: Bundle, plan: BuildPlan) -> str:
    """Say what is in the tree."""
    if bundle.left_out:
        return f"{', '.join(bundle.left_out)} {_are(bundle.left_out)} left out already."
    return _SHIPPED[plan.shipped]


def _are(names: Collection[str]) -> str:
    return "are" if len(names) > 1 else "is"


def list_left_out_notes(bundle: Bundle, plan: BuildPlan) -> Iterator[str]:
    """Name what went, though code may import it, as the tree would not fit with it."""
    if not bundle.left_out:
        return
    limit, names = plan.target.limits.unzipped_bytes, ", ".join(bundle.left_out)
    it = "them" if len(bundle.left_out) > 1 else "it"
    yield (
        f"{names} {_are(bundle.left_out)} left out: with {it} the function has more than the "
        f"{limit / 1e6:.1f} MB that {plan.target.name} allows, and no request of the proof touched "
        f"{it}. All was to ship because {plan.spared_for}: a request that imports {it} "
        f"fails. --keep-package NAME keeps one, and --target {plan.target.way_out} takes more."
    )


def _suggest(bundle: Bundle, plan: BuildPlan) -> str:
    """Name the option that would have it fit, where one would."""
    outside = sum(file.size_bytes for file in sizes.list_weights(bundle, plan))
    over = bundle.size_bytes - plan.target.limits.unzipped_bytes
    if plan.target.weights is None or bundle.weights or outside < over:
        return ""
    way = plan.target.weights.ways[0]
    return f", or with --weights {way}: {outside / 1e6:.1f} MB of the model can lie outside"


def describe_weights(bundle: Bundle, plan: BuildPlan) -> dict[str, str]:
    """Return how the booted function had them; empty where none lie outside."""
    if not bundle.weights:
        return {}
    count = len({file.sha256 for file in bundle.weights})
    size = f"{count} file{'s' * (count > 1)}, {bundle.outside_bytes / 1e6:.1f} MB, outside of it"
    if plan.weights_way is Weights.MOUNT:
        how = (
            "it had them read-only in a folder outside of its own, which stands for the mounted "
            "file system"
        )
    else:
        how = (
            "it fetched them to /tmp in ranges by signed requests, from a server inside the "
            "sandbox that stands for S3, and held each to its sha256"
        )
    return {"weights": f"{size}: {how}."}


_SPARED: Final = {
    Weights.FETCH: "nothing to push, and nothing to fetch at a start",
    Weights.MOUNT: "no file system to fill and to mount",
}


def list_weight_notes(bundle: Bundle, plan: BuildPlan) -> Iterator[str]:
    """Yield what whoever deploys should know of them."""
    wanted, limits = plan.weights_way, plan.target.limits
    if not bundle.weights:
        if plan.request.target.weights in (Weights.AUTO, Weights.PACKAGE):
            return
        least = sizes.LEAST_WEIGHT_BYTES >> 20
        yield (
            f"--weights {wanted} has no effect: the model has no file of {least} MB or more that "
            "holds no code."
        )
        return
    whole = bundle.size_bytes + bundle.weights_bytes
    if whole <= limits.unzipped_bytes:
        yield (
            f"The weights would fit: with them the function has {whole / 1e6:.1f} MB of the "
            f"{limits.unzipped_bytes / 1e6:.1f} MB that {plan.target.name} takes. Without "
            f"--weights {wanted} there is {_SPARED[wanted]}."
        )
    seconds = sizes.estimate_fetch_seconds(bundle, plan)
    if plan.target.weights is not None and seconds > limits.init_seconds:
        yield (
            f"Fetching {bundle.outside_bytes / 1e6:.1f} MB takes about {seconds:.0f} s at "
            f"{plan.target.weights.fetch_bytes_per_second / 1e6:.0f} MB/s "
            f"({plan.target.weights.source}; not measured here). {plan.target.name} gives a start "
            f"{limits.init_seconds:g} s; then it begins again within the first request, and goes "
            "on where the fetching was."
        )
