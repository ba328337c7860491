"""Whether the tree fits the target, and what takes the room where it does not."""

from __future__ import annotations

from collections import Counter
from typing import Final

from packager.types import BuildPlan, Bundle, Finding

_LARGEST: Final = 10


def check(bundle: Bundle, plan: BuildPlan) -> tuple[list[Finding], str]:
    """Findings, and the result in a sentence."""
    size, limit = bundle.size_bytes, plan.target.limits.unzipped_bytes
    sentence = (
        f"{size / 1e6:.1f} MB unzipped, {100 * size / limit:.0f} % of the {limit / 1e6:.1f} MB "
        f"that {plan.target.name} allows."
    )
    if size <= limit:
        return [], sentence
    largest = ", ".join(f"{name} {each / 1e6:.1f} MB" for name, each in packages(bundle)[:_LARGEST])
    finding = Finding(
        check="budget",
        message=f"{sentence} It is {(size - limit) / 1e6:.1f} MB over. Largest: {largest}.",
        hint=f"Take what serving does not need out of the model's requirements, or build with "
        f"--target {plan.target.way_out}. The limit is stated at {plan.target.limits.source}.",
    )
    return [finding], sentence


def packages(bundle: Bundle) -> list[tuple[str, int]]:
    """Bytes by top-level name, largest first; a wheel's `.libs` counts with it."""
    sizes: Counter[str] = Counter()
    for file in bundle.files:
        sizes[file.path.parts[0].removesuffix(".libs")] += file.size_bytes
    return sorted(sizes.items(), key=lambda each: (-each[1], each[0]))
