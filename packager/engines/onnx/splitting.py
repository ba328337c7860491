"""Splits of an ensemble, and what a row has to be to come to one of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from packager.engines.onnx.compilers.ensembles import Ensemble, Node

_CELLS: Final = 64
"""Categories at most that a row is made for at each split."""


@dataclass(frozen=True, slots=True)
class Split:
    tree: int
    feature: int
    threshold: float
    bounds: Mapping[int, tuple[float, float]]
    """By feature: above the first, not above the second."""
    fixed: Mapping[int, float] = field(default_factory=dict)
    """By feature of categories: the one to be."""
    cells: tuple[float, ...] = ()
    """Of a split by categories: some that it names, some that it does not, and none of any."""


@dataclass(frozen=True, slots=True)
class _Path:
    bounds: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    among: Mapping[int, frozenset[float]] = field(default_factory=dict)
    """By feature: the categories that are left."""
    beyond: frozenset[int] = frozenset()
    """Features that may be of no category that is known."""


def splits(ensemble: Ensemble) -> Iterator[Split]:
    """Every split that a row without missing values can come to, tree by tree."""
    known = _known(ensemble)
    for number, tree in enumerate(ensemble.trees):
        start = _Path(among=known, beyond=frozenset(known))
        todo: list[tuple[int, _Path]] = [(0, start)]
        while todo:
            at, path = todo.pop()
            node = tree.nodes[at]
            if node.left is None or node.right is None:
                continue
            if node.members is None:
                left, right = _halves(node, path)
                found = _numeric(number, node, path, known)
            else:
                left, right = _parts(node, path)
                found = _categorical(number, node, path, known)
            if found is not None:
                yield found
            todo += [(node.right, right), (node.left, left)]


def _known(ensemble: Ensemble) -> dict[int, frozenset[float]]:
    """Categories that any split names, by feature."""
    found: dict[int, set[float]] = {}
    for tree in ensemble.trees:
        for node in tree.nodes:
            if node.members is not None:
                found.setdefault(node.feature, set()).update(node.members)
    return {feature: frozenset(each) for feature, each in found.items()}


def _halves(node: Node, path: _Path) -> tuple[_Path, _Path]:
    low, high = path.bounds.get(node.feature, (-math.inf, math.inf))
    below = {**path.bounds, node.feature: (low, min(high, node.value))}
    above = {**path.bounds, node.feature: (max(low, node.value), high)}
    return _Path(below, path.among, path.beyond), _Path(above, path.among, path.beyond)


def _parts(node: Node, path: _Path) -> tuple[_Path, _Path]:
    members = frozenset(node.members or ())
    among = path.among[node.feature]
    named = {**path.among, node.feature: among & members}
    others = {**path.among, node.feature: among - members}
    return (
        _Path(path.bounds, named, path.beyond - {node.feature}),
        _Path(path.bounds, others, path.beyond),
    )


def _numeric(
    tree: int, node: Node, path: _Path, known: Mapping[int, frozenset[float]]
) -> Split | None:
    low, high = path.bounds.get(node.feature, (-math.inf, math.inf))
    fixed = _choose_categories(path, known)
    if fixed is None or not low < node.value <= high:
        return None
    return Split(tree, node.feature, node.value, path.bounds, fixed)


def _categorical(
    tree: int, node: Node, path: _Path, known: Mapping[int, frozenset[float]]
) -> Split | None:
    fixed = _choose_categories(path, known)
    if fixed is None:
        return None
    members = sorted(node.members or ())
    others = sorted(known[node.feature] - set(members))
    none = max(known[node.feature], default=0.0) + 1.0
    named = [*members[: _CELLS // 2], *others[: _CELLS // 2]]
    # between two categories, below the first and behind the last there is none, or there is by the
    # way in which a number is rounded
    beside = (named[0] + 0.5, named[0] - 0.5, -0.5, -1.0, none) if named else (none,)
    return Split(tree, node.feature, none, path.bounds, fixed, (*named, *beside, math.nan))


def _choose_categories(
    path: _Path, known: Mapping[int, frozenset[float]]
) -> dict[int, float] | None:
    """A category for each feature that a split before this one named; None where there is none."""
    found: dict[int, float] = {}
    for feature, among in path.among.items():
        if among:
            found[feature] = min(among)
        elif feature in path.beyond:
            found[feature] = max(known[feature], default=0.0) + 1.0
        else:
            return None
    return found
