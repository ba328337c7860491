"""Trees of any framework as tables: distinct splits, nodes that name one, and leaves."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np

from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError

MISSING_LEFT = 1
ZERO_IS_MISSING = 2
"""LightGBM's zero_as_missing: what is zero goes where a missing value goes."""


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
    features = np.concatenate([each.features for each in trees]).astype(np.int32)
    # as the model's own values are: comparing happens in the width of the wider of the two
    thresholds = np.concatenate([each.thresholds for each in trees])
    if block.kind == "float":
        thresholds = round_to_float(thresholds, less)
    flags = np.concatenate([each.flags for each in trees]).astype(np.uint8)
    first, splits = _find_distinct(features, thresholds, flags)
    shared: dict[str, Array] = {}
    if 2 * len(first) < len(features):
        features, thresholds, flags = features[first], thresholds[first], flags[first]
        shared["splits"] = splits.astype(np.uint16 if len(first) <= 2**16 else np.int32)
    counts = np.array([len(each.lefts) for each in trees])
    leaf_counts = np.array([len(each.leaves) for each in trees])
    narrow = max(counts.max(), leaf_counts.max()) < 2**15
    children = np.int16 if narrow else np.int32
    return program.add(
        "trees",
        [block],
        kind,
        len(base),
        less=less,
        node_starts=_starts(counts),
        leaf_starts=_starts(leaf_counts),
        targets=np.array(targets, np.int32),
        features=features.astype(np.uint16) if block.width <= 2**16 else features,
        thresholds=thresholds,
        flags=flags,
        **shared,
        lefts=np.concatenate([each.lefts for each in trees]).astype(children),
        rights=np.concatenate([each.rights for each in trees]).astype(children),
        leaves=np.concatenate([each.leaves for each in trees]).astype(real).ravel(),
        base=np.asarray(base, real),
    )


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


def _find_distinct(features: Array, thresholds: Array, flags: Array) -> tuple[Array, Array]:
    """Return where each distinct split comes first, and by node which of these is its own."""
    asked = features.astype(np.int64) * (MISSING_LEFT + ZERO_IS_MISSING + 1) + flags
    bits = np.ascontiguousarray(thresholds.astype(np.float64)).view(np.int64)
    order = np.lexsort((bits, asked))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(asked[order]) != 0) | (np.diff(bits[order]) != 0)
    splits = np.zeros(len(order), np.int64)
    splits[order] = np.cumsum(new) - 1
    return order[new], splits


def _starts(counts: Array) -> Array:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
