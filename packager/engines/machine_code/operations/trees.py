"""Sums of trees' leaves. Splits, nodes and leaves are tables; one loop walks all trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import Array, Step
from packager.engines.machine_code.operations.interface import (
    REAL,
    Operation,
    block,
    check_array,
    check_inputs,
    check_range,
    check_starts,
    constant,
)

_REAL_DTYPES: Final = {"double": "<f8", "float": "<f4"}
ZERO: Final = "1.0000000180025095e-35"
"""LightGBM's kZeroThreshold, which is a float's 1e-35 (include/LightGBM/meta.h)."""


def _check(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind not in REAL or step.parameters["less"] not in {"<", "<="}:
        raise step.fail("trees of another form")
    real = _REAL_DTYPES[step.kind]
    splits = len(step.array("features"))
    check_array(step, "features", splits, "<i4", "<u2")
    check_range(step, "features", 0, step.inputs[0].width)
    check_array(step, "thresholds", splits, "<f8", "<f4")
    check_array(step, "flags", splits, "|u1")
    check_range(step, "flags", 0, 4)
    nodes = splits
    if "splits" in step.constants:
        nodes = len(step.array("splits"))
        check_array(step, "splits", nodes, "<u2", "<i4")
        check_range(step, "splits", 0, splits)
    for name in ("lefts", "rights"):
        check_array(step, name, nodes, "<i2", "<i4")
    trees = len(step.array("targets"))
    check_array(step, "targets", trees, "<i4")
    check_array(step, "base", step.width, real)
    check_array(step, "node_starts", trees + 1, "<i4")
    check_starts(step, "node_starts", nodes)
    check_array(step, "leaf_starts", trees + 1, "<i4")
    leaves = int(step.array("leaf_starts")[-1])
    check_starts(step, "leaf_starts", leaves)
    values = _values_of_leaf(step)
    check_array(step, "leaves", leaves * values, real)
    check_range(step, "targets", 0, step.width if values == 1 else 1)
    _check_children(step)


def _values_of_leaf(step: Step) -> int:
    leaves = int(step.array("leaf_starts")[-1])
    values, rest = divmod(len(step.array("leaves")), max(1, leaves))
    if rest or values not in {1, step.width}:
        raise step.fail("leaves of several widths")
    return values


def _check_children(step: Step) -> None:
    """A child comes after its parent in the same tree, so that every walk ends; or is a leaf."""
    starts = step.array("node_starts").astype(np.int64)
    sizes, leaves = np.diff(starts), np.diff(step.array("leaf_starts").astype(np.int64))
    if (leaves < 1).any():
        raise step.fail("a tree without leaves")
    inside = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    for name in ("lefts", "rights"):
        children: Array = step.array(name).astype(np.int64)
        after = (children > inside) & (children < np.repeat(sizes, sizes))
        leaf = (children < 0) & (~children < np.repeat(leaves, sizes))
        if not (after | leaf).all():
            raise step.fail(f"{name} that lead back or out of their tree")


def _write(step: Step) -> Iterable[str]:
    source, values = step.inputs[0], _values_of_leaf(step)
    shared = ("splits",) if "splits" in step.constants else ()
    names = ("node_starts", "leaf_starts", "lefts", "rights", "leaves", "flags", *shared)
    for name in (*names, "features", "thresholds"):
        pointer = constant(step, name)
        yield f"{pointer[2 : pointer.index('*')]}*const {name} = {pointer};"
    yield f"for (int64_t k = 0; k < {step.width}; k++)"
    yield f"  {block(step)}[k] = {constant(step, 'base')}[k];"
    yield f"for (int64_t t = 0; t < {len(step.array('targets'))}; t++) {{"
    yield "  const int64_t first = node_starts[t];"
    yield "  int64_t at = node_starts[t + 1] == first ? -1 : 0;"
    yield "  while (at >= 0) {"
    yield f"    const int64_t split = {'splits[first + at]' if shared else 'first + at'};"
    yield f"    const {source.kind} x = {block(source)}[features[split]];"
    zero = f" || ((flags[split] & 2) && x <= {ZERO} && x >= -{ZERO})"
    missing = "x != x" + (zero if (step.array("flags") & 2).any() else "")
    yield (
        f"    const int left = {missing} ? flags[split] & 1 : "
        f"x {step.parameters['less']} thresholds[split];"
    )
    yield "    at = left ? lefts[first + at] : rights[first + at];"
    yield "  }"
    yield f"  const {step.kind} *leaf = leaves + (leaf_starts[t] + ~at) * {values};"
    if values == step.width:
        yield f"  for (int64_t k = 0; k < {values}; k++) {block(step)}[k] += leaf[k];"
    else:
        yield f"  {block(step)}[{constant(step, 'targets')}[t]] += leaf[0];"
    yield "}"


OPERATIONS: Final[Mapping[str, Operation]] = {"trees": Operation(_check, _write)}
