"""Distances to points and kernels over them, neighbours among them, products of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import MOST_WIDTH, Step
from packager.engines.machine_code.operations.interface import (
    REAL,
    Operation,
    block,
    check_array,
    check_inputs,
    check_range,
    check_whole,
    constant,
)

_STEPS: Final[Mapping[str, str]] = {
    "squared": "sum += (x[i] - p[i]) * (x[i] - p[i])",
    "manhattan": "sum += fabs(x[i] - p[i])",
    "chebyshev": "if (fabs(x[i] - p[i]) > sum) sum = fabs(x[i] - p[i])",
    "dot": "sum += x[i] * p[i]",
    "scaled": "sum += (x[i] - p[i]) * (x[i] - p[i]) / scales[k * count + i]",
}
_KERNELS: Final[Mapping[str, str]] = {
    "linear": "dot",
    "poly": "dot",
    "sigmoid": "dot",
    "rbf": "squared",
}
_DOUBLE: Final = frozenset({"double"})


def _check_points(step: Step) -> None:
    check_inputs(step, 1, _DOUBLE)
    if step.kind != "double":
        raise step.fail("distances of another form")
    check_array(step, "points", step.width * step.inputs[0].width, "<f8")


def _check_distances(step: Step) -> None:
    _check_points(step)
    if step.parameters["metric"] not in _STEPS:
        raise step.fail("a metric that is not known")
    if step.parameters["metric"] == "scaled":
        check_array(step, "scales", step.width * step.inputs[0].width, "<f8")


def _write_sums(step: Step, metric: str, last: str) -> Iterable[str]:
    count = step.inputs[0].width
    yield f"const double *const x = {block(step.inputs[0])};"
    yield f"const int64_t count = {count};"
    if metric == "scaled":
        yield f"const double *const scales = {constant(step, 'scales')};"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {{"
    yield f"  const double *const p = {constant(step, 'points')} + k * count;"
    yield "  double sum = 0;"
    yield f"  for (int64_t i = 0; i < count; i++) {{ {_STEPS[metric]}; }}"
    yield f"  {block(step)}[k] = {last};"
    yield "}"


def _write_distances(step: Step) -> Iterable[str]:
    return _write_sums(step, step.parameters["metric"], "sum")


def _check_kernels(step: Step) -> None:
    _check_points(step)
    if step.parameters["kernel"] not in _KERNELS:
        raise step.fail("a kernel that is not known")
    check_whole(step, "degree", 0, 1000)
    check_array(step, "settings", 2, "<f8")


def _write_kernels(step: Step) -> Iterable[str]:
    """`settings` has gamma and what is added to the product."""
    gamma, more = (f"{constant(step, 'settings')}[{at}]" for at in (0, 1))
    last = {
        "linear": "sum",
        "poly": f"whole_power({gamma} * sum + {more}, {step.parameters['degree']})",
        "sigmoid": f"tanh({gamma} * sum + {more})",
        "rbf": f"exp(-{gamma} * sum)",
    }[step.parameters["kernel"]]
    return _write_sums(step, _KERNELS[step.parameters["kernel"]], last)


_POWER: Final = """\
__attribute__((unused))
static double whole_power(double base, int64_t times) {
  double product = 1;
  for (int64_t t = times; t > 0; t /= 2) {
    if (t % 2 == 1) product *= base;
    base = base * base;
  }
  return product;
}
"""


def _check_nearest(step: Step) -> None:
    check_inputs(step, 1, _DOUBLE)
    source = step.inputs[0]
    check_whole(step, "count", 1, source.width + 1)
    if step.kind != "double" or not isinstance(step.parameters["closer"], bool):
        raise step.fail("neighbours of another form")
    check_array(step, "values", source.width * step.width, "<f8")


def _write_nearest(step: Step) -> Iterable[str]:
    """Means of the nearest points' values, each alike or by its distance's reciprocal.

    Of points that are as far the one that comes first is nearer; where distances are infinite,
    the first of all points stands for what is missing.
    """
    source, count = step.inputs[0], step.parameters["count"]
    yield f"const double *const far = {block(source)};"
    yield f"int64_t near[{count}];"
    yield f"double least[{count}];"
    yield f"for (int64_t n = 0; n < {count}; n++) {{ near[n] = 0; least[n] = INFINITY; }}"
    yield f"for (int64_t p = 0; p < {source.width}; p++) {{"
    yield f"  if (!(far[p] < least[{count - 1}])) continue;"
    yield f"  int64_t at = {count - 1};"
    yield "  for (; at > 0 && far[p] < least[at - 1]; at--) {"
    yield "    near[at] = near[at - 1];"
    yield "    least[at] = least[at - 1];"
    yield "  }"
    yield "  near[at] = p;"
    yield "  least[at] = far[p];"
    yield "}"
    yield "double total = 0;"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] = 0;"
    closer = step.parameters["closer"]
    if closer:
        yield "int touching = 0;"
        yield f"for (int64_t n = 0; n < {count}; n++) touching |= least[n] == 0;"
    yield f"for (int64_t n = 0; n < {count}; n++) {{"
    by = "touching ? least[n] == 0 : 1 / least[n]" if closer else "1"
    yield f"  const double by = {by};"
    yield f"  const double *const value = {constant(step, 'values')} + near[n] * {step.width};"
    yield "  total += by;"
    yield f"  for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] += by * value[k];"
    yield "}"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {block(step)}[k] /= total;"


def _check_products(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind not in REAL or step.kind != step.inputs[0].kind:
        raise step.fail("products of another form")
    for name in ("before", "factors"):
        check_array(step, name, step.width, "<i4")
    check_range(step, "before", -1, MOST_WIDTH)
    check_range(step, "factors", -1, step.inputs[0].width)
    if (step.array("before") >= np.arange(step.width)).any():
        raise step.fail("a product of one that comes later")
    if ((step.array("before") >= 0) & (step.array("factors") < 0)).any():
        raise step.fail("a product of one factor")


def _write_products(step: Step) -> Iterable[str]:
    """Each an earlier one times a column, a column, or 1."""
    source, out = block(step.inputs[0]), block(step)
    yield f"for (int64_t k = 0; k < {step.width}; k++) {{"
    yield f"  const int32_t before = {constant(step, 'before')}[k];"
    yield f"  const int32_t factor = {constant(step, 'factors')}[k];"
    yield f"  if (before >= 0) {out}[k] = {out}[before] * {source}[factor];"
    yield f"  else {out}[k] = factor >= 0 ? {source}[factor] : 1;"
    yield "}"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "distances": Operation(_check_distances, _write_distances),
    "kernels": Operation(_check_kernels, _write_kernels, _POWER),
    "nearest": Operation(_check_nearest, _write_nearest),
    "products": Operation(_check_products, _write_products),
}
