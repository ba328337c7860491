"""Check that the tree fits the target, and of what takes the room where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from packager.pipeline import sizes
from packager.types import BuildPlan, Bundle, Check, Finding, Shipped

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
    finding = Finding(
        check=Check.BUDGET,
        message=f"{sentence} It is {(size - limit) / 1e6:.1f} MB over. Largest: {largest}.",
        hint=f"{sizes.unlocking(packages, plan.target, plan.runtime)} {_SHIPPED[plan.shipped]} "
        f"Build with --target {plan.target.way_out}, which takes more. "
        f"The limit is stated at {plan.target.limits.source}.",
    )
    return [finding], sentence
