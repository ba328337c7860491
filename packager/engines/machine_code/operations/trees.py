"""Sums of trees' leaves. Splits, nodes and leaves are tables; one loop walks all trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import Step
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
_COUNTS: Final = ("|u1", "<u2", "<i4")
FLAGS: Final = 4
"""Times a node's column, and its flags: 1 where a missing value goes left, 2 where zero is one."""
ZERO: Final = "1.0000000180025095e-35"
"""LightGBM's kZeroThreshold, which is a float's 1e-35 (include/LightGBM/meta.h)."""


def _check(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind not in REAL or step.parameters["less"] not in {"<", "<="}:
        raise step.fail("trees of another form")
    real = _REAL_DTYPES[step.kind]
    splits = len(step.array("asked"))
    check_array(step, "asked", splits, *_COUNTS)
    check_range(step, "asked", 0, step.inputs[0].width * FLAGS)
    check_array(step, "thresholds", splits, "<f8", "<f4")
    nodes = splits
    if "splits" in step.constants:
        nodes = len(step.array("splits"))
        check_array(step, "splits", nodes, *_COUNTS)
        check_range(step, "splits", 0, splits)
    trees = len(step.array("targets"))
    check_array(step, "targets", trees, "<i4")
    check_array(step, "base", step.width, real)
    check_array(step, "node_starts", trees + 1, "<i4")
    check_starts(step, "node_starts", nodes)
    values = _values_of_leaf(step)
    check_array(step, "leaves", (nodes + trees) * values, real)
    check_range(step, "targets", 0, step.width if values == 1 else 1)
    check_array(step, "skips", nodes, *_COUNTS)
    check_range(step, "skips", 0, nodes + 1)
    _check_skips(step)


def _values_of_leaf(step: Step) -> int:
    """A tree has one leaf more than it has nodes."""
    leaves = int(step.array("node_starts")[-1]) + len(step.array("targets"))
    values, rest = divmod(len(step.array("leaves")), max(1, leaves))
    if rest or values not in {1, step.width}:
        raise step.fail("leaves of several widths")
    return values


def _check_skips(step: Step) -> None:
    """Hold every left side to what is below its node, so that walks end."""
    starts, skips = (step.array(name).astype(np.int64) for name in ("node_starts", "skips"))
    first, end = starts[:-1], starts[1:]
    while (inner := first < end).any():
        first, end = first[inner] + 1, end[inner]
        middle = first + skips[first - 1]
        if (middle > end).any():
            raise step.fail("skips that lead out of their tree")
        first, end = np.concatenate([first, middle]), np.concatenate([middle, end])


def _write(step: Step) -> Iterable[str]:
    source, values = step.inputs[0], _values_of_leaf(step)
    shared = ("splits",) if "splits" in step.constants else ()
    for name in ("node_starts", "skips", "leaves", "asked", "thresholds", *shared):
        pointer = constant(step, name)
        yield f"{pointer[2 : pointer.index('*')]}*const {name} = {pointer};"
    yield f"for (int64_t k = 0; k < {step.width}; k++)"
    yield f"  {block(step)}[k] = {constant(step, 'base')}[k];"
    yield f"for (int64_t t = 0; t < {len(step.array('targets'))}; t++) {{"
    yield "  int64_t at = node_starts[t], leaf = at + t;"
    yield "  int64_t end = node_starts[t + 1];"
    yield "  while (at < end) {"
    yield f"    const int64_t split = {'splits[at]' if shared else 'at'};"
    yield "    const int64_t skip = skips[at];"
    yield f"    const {source.kind} x = {block(source)}[asked[split] / {FLAGS}];"
    yield f"    const int left = {_write_question(step)};"
    yield "    at += left ? 1 : 1 + skip;"
    yield "    end = left ? at + skip : end;"
    yield "    leaf += left ? 0 : 1 + skip;"
    yield "  }"
    yield f"  const {step.kind} *value = leaves + leaf * {values};"
    if values == step.width:
        yield f"  for (int64_t k = 0; k < {values}; k++) {block(step)}[k] += value[k];"
    else:
        yield f"  {block(step)}[{constant(step, 'targets')}[t]] += value[0];"
    yield "}"


def _write_question(step: Step) -> str:
    """A missing value is not below any threshold: it is asked for only where one goes left."""
    asked = f"x {step.parameters['less']} thresholds[split]"
    flags = step.array("asked") % FLAGS
    if not flags.any():
        return asked
    zero = f" || ((asked[split] & 2) && x <= {ZERO} && x >= -{ZERO})" if (flags & 2).any() else ""
    return f"x != x{zero} ? asked[split] & 1 : {asked}"


OPERATIONS: Final[Mapping[str, Operation]] = {"trees": Operation(_check, _write)}
