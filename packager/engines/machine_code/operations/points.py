"""Distances to points and kernels over them, neighbours among them, products of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import MOST_WIDTH, Step
from packager.engines.machine_code.operations.interface import (
    PAIRWISE,
    REAL,
    Operation,
    Scratch,
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
    "product": "sum = fma(x[i], p[i], sum)",
    "scaled": "terms[i] = (x[i] - p[i]) * (x[i] - p[i]) / scales[k * count + i]",
}
_LAST: Final[Mapping[str, str]] = {"scaled": "sum + add_pairwise(terms, count)"}
_KERNELS: Final[Mapping[str, str]] = {
    "linear": "dot",
    "poly": "dot",
    "sigmoid": "dot",
    "rbf": "squared",
    "rbf of products": "squared",
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
    if step.parameters["metric"] == "product":
        check_array(step, "squares", step.width, "<f8")
        if not isinstance(step.parameters["own"], bool):
            raise step.fail("a distance of another form")


def _write_sums(step: Step, metric: str, last: str) -> Iterable[str]:
    count = step.inputs[0].width
    yield f"const double *const x = {block(step.inputs[0])};"
    yield f"const int64_t count = {count};"
    if metric == "scaled":
        yield f"const double *const scales = {constant(step, 'scales')};"
    if step.parameters.get("own"):
        yield "double own = 0;"
        yield "for (int64_t i = 0; i < count; i++) own = fma(x[i], x[i], own);"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {{"
    yield f"  const double *const p = {constant(step, 'points')} + k * count;"
    yield "  double sum = 0;"
    yield f"  for (int64_t i = 0; i < count; i++) {{ {_STEPS[metric]}; }}"
    yield f"  {block(step)}[k] = {last};"
    yield "}"


def _list_terms(step: Step) -> Iterable[Scratch]:
    if step.parameters["metric"] == "scaled":
        yield Scratch("double", "terms", step.inputs[0].width)


def _write_distances(step: Step) -> Iterable[str]:
    """Distances by `metric`; those by products lack the row's own square where `own` is false."""
    metric = step.parameters["metric"]
    if metric == "product":
        square = f"{constant(step, 'squares')}[k]"
        last = f"-2 * sum + {square}"
        if step.parameters["own"]:
            last = f"own + -2 * sum + {square} > 0 ? own + -2 * sum + {square} : 0"
        return _write_sums(step, metric, last)
    return _write_sums(step, metric, _LAST.get(metric, "sum"))


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
        # a square and a product that have both overflowed leave no distance
        "rbf of products": f"sum == INFINITY && 2 * add_products(x, p, count) == INFINITY ? NAN : "
        f"exp(-{gamma} * sum)",
    }[step.parameters["kernel"]]
    return _write_sums(step, _KERNELS[step.parameters["kernel"]], last)


_POWER: Final = """\
__attribute__((unused))
static double add_products(const double *x, const double *y, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum = fma(x[i], y[i], sum);
  return sum;
}

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
    "distances": Operation(_check_distances, _write_distances, (PAIRWISE,), _list_terms),
    "kernels": Operation(_check_kernels, _write_kernels, (_POWER,)),
    "products": Operation(_check_products, _write_products),
}
