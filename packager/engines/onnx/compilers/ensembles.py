"""A tree ensemble as each framework's reader makes it: splits, leaves, and what the sum becomes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Link = Literal["identity", "exp", "sigmoid", "softmax"]


@dataclass(frozen=True, slots=True)
class Node:
    """A split, or with `left` None a leaf, whose `value` is what it adds.

    With `members` a split by categories: these go left, a missing value as `missing_left` says, and
    whatever else to the right.
    """

    value: float
    feature: int = 0
    left: int | None = None
    right: int | None = None
    missing_left: bool = False
    members: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    target: int
    """Which of the margins the leaves add to."""
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    trees: tuple[Tree, ...]
    features: int
    base: tuple[float, ...]
    """What each margin starts with; its length is the number of margins."""
    less: Literal["BRANCH_LT", "BRANCH_LEQ"]
    """The comparison that sends a row to the left."""
    dtype: Any
    link: Link = "identity"
    scale: float = 1.0
    """What margins are multiplied with before the link."""
    divisor: float = 1.0
    """What sums are divided by, where the model answers with a mean."""
    narrow: bool = False
    """Whether doubles are rounded to float before they are compared."""
    whole: Literal["", "Floor", "Truncate"] = ""
    """How a number is rounded before it is looked for among categories."""
    classes: tuple[Any, ...] = field(default=())
    """Of a classifier: its labels in the order of the margins (two for a sigmoid)."""

    @property
    def exact(self) -> bool:
        """True where the graph does what the model does, in the same order and in double."""
        return self.dtype == np.float64 and self.link == "identity" and self.scale == 1.0

    def thresholds(self) -> dict[int, npt.NDArray[np.generic]]:
        """Distinct thresholds by feature; of splits by categories these, and one that is none."""
        found: dict[int, set[float]] = {}
        for tree in self.trees:
            for node in tree.nodes:
                if node.members is not None:
                    none = max(node.members, default=0.0) + 1.0
                    found.setdefault(node.feature, set()).update((*node.members, none))
                elif node.left is not None:
                    found.setdefault(node.feature, set()).add(node.value)
        return {feature: np.array(sorted(each)) for feature, each in found.items()}


def variants(
    ensemble: Ensemble,
) -> Iterator[tuple[str, Literal["double", "float"], Ensemble]]:
    """As the model computes, and what computes in double in float too."""
    if ensemble.dtype == np.float64:
        yield "double, trees", "double", ensemble
        yield "float with exact thresholds, trees", "float", narrow_ensemble(ensemble)
    else:
        yield "float, trees", "float", ensemble


def narrow_ensemble(ensemble: Ensemble) -> Ensemble:
    """The same in float: each threshold is the last float that its comparison sends to the left.

    `x <= t` and `x < t` are then what they were for every x that is a float, so that sums alone are
    rounded: exact decisions for models that round their inputs, and for columns of floats.
    """
    found = tuple(
        Tree(tree.target, tuple(_narrow_node(node, ensemble.less) for node in tree.nodes))
        for tree in ensemble.trees
    )
    return replace(ensemble, trees=found, dtype=np.float32, narrow=False)


def _narrow_node(node: Node, less: str) -> Node:
    if node.left is None or node.members is not None:
        return node
    with np.errstate(over="ignore"):
        near = np.float32(node.value)
    if less == "BRANCH_LEQ" and float(near) > node.value:
        near = np.nextafter(near, np.float32(-np.inf))
    elif less == "BRANCH_LT" and float(near) < node.value:
        near = np.nextafter(near, np.float32(np.inf))
    return replace(node, value=float(near))
