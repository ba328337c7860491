"""Trees of any framework as tables: distinct splits, nodes that name one, and leaves."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np

from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError

MISSING_LEFT = 1
ZERO_IS_MISSING = 2
"""LightGBM's zero_as_missing: what is zero goes where a missing value goes."""
FLAGS = 4
"""A node's column and its two flags are one number: so many times the column, and the flags."""


class Tree(NamedTuple):
    """A tree whose inner nodes and leaves are counted apart; below zero a child is ~leaf."""

    lefts: Array
    rights: Array
    features: Array
    thresholds: Array
    flags: Array
    leaves: Array
    """A row of values for each leaf."""


def number_apart(lefts: Array, rights: Array) -> Sequence[Array]:
    """Inner nodes and leaves counted apart, where -1 as a child says that a node is a leaf.

    Returns the positions of the inner nodes, of the leaves, and the children of the former. A
    child comes after its parent; where it did not, nodes are put in such an order first.
    """
    inner = lefts >= 0
    at = np.flatnonzero(inner)
    if not ((lefts[at] > at).all() and (rights[at] > at).all()):
        order = _order_from_root(lefts, rights)
        place = np.full(len(lefts), -1, np.int64)
        place[order] = np.arange(len(order))
        known = np.where(inner, lefts, 0), np.where(inner, rights, 0)
        moved = [np.where(inner, place[each], -1)[order] for each in known]
        split, leaf, left, right = number_apart(*moved)
        return order[split], order[leaf], left, right
    leaf = np.flatnonzero(~inner)
    number = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    return at, leaf, number[lefts[at]], number[rights[at]]


def _order_from_root(lefts: Array, rights: Array) -> Array:
    order: list[int] = []
    todo = [0]
    while todo:
        at = todo.pop()
        order.append(at)
        if len(order) > len(lefts):
            raise UnsupportedError("a tree whose nodes lead back to one another")
        if lefts[at] >= 0:
            todo += [int(rights[at]), int(lefts[at])]
    return np.array(order)


def add_trees(
    program: Program,
    block: Block,
    trees: Sequence[Tree],
    targets: Sequence[int],
    base: Array,
    less: str,
    kind: str,
) -> Block:
    """Sum of the trees' leaves, tree by tree in their order, each starting with its base.

    `targets` says which sum a tree of one value adds to; one of several adds to all.
    """
    real = np.float64 if kind == "double" else np.float32
    shape = _order_depth_first(trees)
    features = np.concatenate([each.features for each in trees]).astype(np.int64)[shape.nodes]
    # as the model's own values are: comparing happens in the width of the wider of the two
    thresholds = np.concatenate([each.thresholds for each in trees])[shape.nodes]
    if block.kind == "float":
        thresholds = round_to_float(thresholds, less)
    flags = np.concatenate([each.flags for each in trees]).astype(np.int64)[shape.nodes]
    asked = _narrow(features * FLAGS + flags)
    first, splits = _find_distinct(asked, thresholds)
    whole = asked.itemsize + thresholds.itemsize
    shared: dict[str, Array] = {}
    if len(first) * whole + splits.nbytes < len(asked) * whole:
        asked, thresholds = asked[first], thresholds[first]
        shared["splits"] = splits
    return program.add(
        "trees",
        [block],
        kind,
        len(base),
        less=less,
        node_starts=shape.starts,
        targets=np.array(targets, np.int32),
        asked=asked,
        thresholds=thresholds,
        **shared,
        skips=_narrow(shape.skips),
        leaves=np.concatenate([each.leaves for each in trees])[shape.leaves].astype(real).ravel(),
        base=np.asarray(base, real),
    )


class _Shape(NamedTuple):
    """Nodes of all trees, each followed by those on its left, then by those on its right."""

    nodes: Array
    """Where each was before, among the inner nodes of all trees."""
    skips: Array
    """By node how many inner nodes are on its left: behind them its right begins."""
    leaves: Array
    """Where each leaf was before, from left to right."""
    starts: Array
    """Where each tree's nodes begin. It has one leaf more than nodes."""


def _order_depth_first(trees: Sequence[Tree]) -> _Shape:
    """Leave out nodes that are not reached.

    Raises UnsupportedError for nodes that lead to one another, or to one from two.
    """
    counts, leaf_counts = (
        np.array([len(getattr(each, name)) for each in trees]) for name in ("lefts", "leaves")
    )
    firsts, first_leaves = (np.cumsum(each) - each for each in (counts, leaf_counts))
    total = int(counts.sum())
    children = []
    for name in ("lefts", "rights"):
        inside = np.concatenate([getattr(each, name) for each in trees]).astype(np.int64)
        node = inside + np.repeat(firsts, counts)
        leaf = ~inside + np.repeat(first_leaves, counts)
        children.append(np.where(inside >= 0, node, ~leaf))
    roots = np.where(counts > 0, firsts, ~first_leaves)
    levels = [roots[roots >= 0]]
    seen = len(levels[0])
    while len(levels[-1]):
        below = np.concatenate([each[levels[-1]] for each in children])
        levels.append(below[below >= 0])
        seen += len(levels[-1])
        if seen > total:
            raise UnsupportedError("a tree whose nodes lead back to one another")
    sizes = np.zeros(total + 1, np.int64)  # the last is that of a leaf
    for level in reversed(levels):
        sides = [np.where(each[level] >= 0, each[level], total) for each in children]
        sizes[level] = 1 + sizes[sides[0]] + sizes[sides[1]]
    found = np.where(roots >= 0, sizes[np.maximum(roots, 0)], 0)
    starts = _starts(found)
    nodes, skips = np.zeros(int(starts[-1]), np.int64), np.zeros(int(starts[-1]), np.int64)
    leaves = np.zeros(len(nodes) + len(trees), np.int64)
    alone = roots < 0
    leaves[(starts[:-1] + np.arange(len(trees)))[alone]] = ~roots[alone]
    level, at = roots[~alone], starts[:-1][~alone].astype(np.int64)
    leaf_at = at + np.flatnonzero(~alone)
    while len(level):
        left, right = (each[level] for each in children)
        skip = np.where(left >= 0, sizes[np.maximum(left, 0)], 0)
        nodes[at], skips[at] = level, skip
        both = np.concatenate([left, right])
        at = np.concatenate([at + 1, at + 1 + skip])
        leaf_at = np.concatenate([leaf_at, leaf_at + skip + 1])
        leaves[leaf_at[both < 0]] = ~both[both < 0]
        level, at, leaf_at = (each[both >= 0] for each in (both, at, leaf_at))
    return _Shape(nodes, skips, leaves, starts)


def _narrow(numbers: Array) -> Array:
    """Numbers from zero on, in the narrowest dtype that an operation reads."""
    most = int(numbers.max()) if len(numbers) else 0
    kinds = ((np.uint8, 2**8), (np.uint16, 2**16), (np.int32, 2**31))
    return numbers.astype(next(kind for kind, end in kinds if most < end))


def round_to_float(thresholds: Array, less: str) -> Array:
    """Thresholds in float that part the floats as they do: the next below, above for `<`."""
    if thresholds.dtype == np.float32:
        return thresholds
    with np.errstate(all="ignore"):
        narrow = thresholds.astype(np.float32)
    wide = narrow.astype(np.float64)
    beyond = wide > thresholds if less == "<=" else wide < thresholds
    end = np.float32(-np.inf if less == "<=" else np.inf)
    return np.where(beyond, np.nextafter(narrow, end), narrow)


def _find_distinct(asked: Array, thresholds: Array) -> tuple[Array, Array]:
    """Return where each distinct split comes first, and by node which of these is its own."""
    bits = np.ascontiguousarray(thresholds.astype(np.float64)).view(np.int64)
    order = np.lexsort((bits, asked))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(asked[order].astype(np.int64)) != 0) | (np.diff(bits[order]) != 0)
    splits = np.zeros(len(order), np.int64)
    splits[order] = np.cumsum(new) - 1
    return order[new], _narrow(splits)


def _starts(counts: Array) -> Array:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
