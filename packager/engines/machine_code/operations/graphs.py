"""Points near a row: those within a distance, distances to the nearest, and ways over these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    Operation,
    Scratch,
    block,
    check_array,
    check_inputs,
    check_whole,
    constant,
)
from packager.engines.machine_code.operations.neighbors import (
    APART,
    HEAP,
    check_apart,
    list_near,
)

_DOUBLE: Final = frozenset({"double"})
_MOST_NEAR: Final = 500
"""Points whose products with each other are held for a row."""


def _check_flags(step: Step, *names: str) -> None:
    check_inputs(step, 1, _DOUBLE)
    flags = (step.parameters[name] for name in names)
    if step.kind != "double" or not all(isinstance(each, bool) for each in flags):
        raise step.fail("points of another form")


def _check_within(step: Step) -> None:
    _check_flags(step, "closer", "root", "refuses")
    check_array(step, "radius", 1, "<f8")
    check_array(step, "values", step.inputs[0].width * step.width, "<f8")


def _measure(step: Step, value: str) -> str:
    return f"sqrt({value})" if step.parameters["root"] else value


def _write_within(step: Step) -> Iterable[str]:
    """Means of the values of the points within the radius; NaN, or a refusal, where none is."""
    points, out = step.inputs[0].width, block(step)
    yield f"const double *const far = {block(step.inputs[0])};"
    yield f"const double radius = {constant(step, 'radius')}[0];"
    yield "double total = 0;"
    yield "int touching = 0;"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {out}[k] = 0;"
    if step.parameters["closer"]:
        yield f"for (int64_t p = 0; p < {points}; p++) touching |= far[p] == 0;"
        by = f"touching ? far[p] == 0 : 1 / {_measure(step, 'far[p]')}"
    else:
        yield "(void)touching;"
        by = "1"
    yield f"for (int64_t p = 0; p < {points}; p++) {{"
    yield "  if (!(far[p] <= radius)) continue;"
    yield f"  const double by = {by};"
    yield f"  const double *const value = {constant(step, 'values')} + p * {step.width};"
    yield "  total += by;"
    yield f"  for (int64_t k = 0; k < {step.width}; k++) {out}[k] += by * value[k];"
    yield "}"
    if step.parameters["refuses"]:
        yield "if (total == 0) return 1;"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {out}[k] /= total;"


def _check_spread(step: Step) -> None:
    _check_flags(step, "root")
    check_apart(step)
    points = step.inputs[0].width
    if step.width != points:
        raise step.fail("distances to other points than there are")
    check_whole(step, "count", 0, points + 1)
    check_array(step, "radius", 1, "<f8")


def _write_spread(step: Step) -> Iterable[str]:
    """A column for each point that says how far it is, or that it is near.

    Near are `count` points, or where that is zero those within the radius.
    """
    points, out, count = step.inputs[0].width, block(step), step.parameters["count"]
    value, other = APART[step.parameters["apart"]]
    if not count:
        yield f"const double *const x = {block(step.inputs[0])};"
        near = value.format(_measure(step, "x[p]"))
        yield f"for (int64_t p = 0; p < {points}; p++) {{"
        yield f"  const int is_near = x[p] <= {constant(step, 'radius')}[0];"
        yield f"  {out}[p] = {other};"
        yield f"  if (is_near) {out}[p] {near};"
        yield "}"
        return
    yield f"enum {{ count = {count} }};"
    yield "for (int64_t n = 0; n < count; n++) far[n] = DBL_MAX, near[n] = 0;"
    yield f"for (int64_t p = 0; p < {points}; p++)"
    yield f"  keep_near(far, near, count, {block(step.inputs[0])}[p], p);"
    yield f"for (int64_t p = 0; p < {points}; p++) {out}[p] = {other};"
    yield "for (int64_t n = 0; n < count; n++)"
    yield f"  {out}[near[n]] {value.format(_measure(step, 'far[n]'))};"


def _check_paths(step: Step) -> None:
    _check_flags(step)
    check_array(step, "ways", step.inputs[0].width * step.width, "<f8")


def _write_paths(step: Step) -> Iterable[str]:
    """The shortest way to each end, by way of a point that is in reach."""
    out = block(step)
    yield f"const double *const reach = {block(step.inputs[0])};"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {out}[k] = INFINITY;"
    yield f"for (int64_t p = 0; p < {step.inputs[0].width}; p++) {{"
    yield "  if (reach[p] == INFINITY) continue;"
    yield f"  const double *const way = {constant(step, 'ways')} + p * {step.width};"
    yield f"  for (int64_t k = 0; k < {step.width}; k++)"
    yield f"    if (way[k] + reach[p] < {out}[k]) {out}[k] = way[k] + reach[p];"
    yield "}"


def _check_isolation(step: Step) -> None:
    _check_flags(step)
    points = step.inputs[0].width
    if step.width != 1:
        raise step.fail("an isolation of several columns")
    check_whole(step, "count", 1, points + 1)
    for name in ("reaches", "densities"):
        check_array(step, name, points, "<f8")


def _write_isolation(step: Step) -> Iterable[str]:
    """Minus the mean of the near points' densities over the row's own; infinite far from all."""
    out, count = block(step), step.parameters["count"]
    yield f"const double *const far = {block(step.inputs[0])};"
    yield f"const double *const reaches = {constant(step, 'reaches')};"
    yield f"const double *const densities = {constant(step, 'densities')};"
    yield "double reach = 0, dense = 0;"
    yield "int64_t near = 0;"
    yield f"for (int64_t p = 0; p < {step.inputs[0].width}; p++) {{"
    yield "  if (far[p] == INFINITY) continue;"
    yield "  near++, reach += fmax(far[p], reaches[p]), dense += densities[p];"
    yield "}"
    yield f"if (near < {count}) {out}[0] = -INFINITY;"
    yield f"else {out}[0] = -(dense / (1 / (reach / {count} + 1e-10)) / {count});"


def _check_balance(step: Step) -> None:
    check_inputs(step, 2, _DOUBLE)
    row, near = step.inputs
    if step.kind != "double":
        raise step.fail("places of another form")
    check_whole(step, "count", 1, min(near.width, _MOST_NEAR) + 1)
    check_array(step, "points", near.width * row.width, "<f8")
    check_array(step, "places", near.width * step.width, "<f8")
    check_array(step, "more", 1, "<f8")


_BALANCE: Final = """\
/* Weights of points whose sum is nearest the row: products of what they are apart, factored. */
static int balance(int64_t count, int64_t columns, const double *row, const double *points,
                   const int64_t *near, double more, double *lower, double *weights) {
  double trace = 0;
  for (int64_t i = 0; i < count; i++)
    for (int64_t j = 0; j <= i; j++) {
      const double *const one = points + near[i] * columns;
      const double *const other = points + near[j] * columns;
      double sum = 0;
      for (int64_t c = 0; c < columns; c++) sum = fma(one[c] - row[c], other[c] - row[c], sum);
      lower[i * count + j] = sum;
      if (i == j) trace += sum;
    }
  if (!isfinite(trace)) return 1;
  const double rest = trace > 0 ? more * trace : more;
  for (int64_t i = 0; i < count; i++) lower[i * count + i] += rest;
  for (int64_t i = 0; i < count; i++) {
    for (int64_t j = 0; j <= i; j++) {
      double sum = lower[i * count + j];
      for (int64_t k = 0; k < j; k++) sum -= lower[i * count + k] * lower[j * count + k];
      if (i > j) lower[i * count + j] = sum / lower[j * count + j];
      else if (!(sum > 0)) return 1;
      else lower[i * count + i] = sqrt(sum);
    }
    double sum = 1;
    for (int64_t k = 0; k < i; k++) sum -= lower[i * count + k] * weights[k];
    weights[i] = sum / lower[i * count + i];
  }
  double total = 0;
  for (int64_t i = count - 1; i >= 0; i--) {
    double sum = weights[i];
    for (int64_t k = i + 1; k < count; k++) sum -= lower[k * count + i] * weights[k];
    total += weights[i] = sum / lower[i * count + i];
  }
  for (int64_t i = 0; i < count; i++) weights[i] /= total;
  return 0;
}
"""


def _list_weights(step: Step) -> Iterable[Scratch]:
    count = step.parameters["count"]
    yield Scratch("double", "weights", count)
    yield Scratch("double", "lower", count * count)
    yield Scratch("int64_t", "chosen", count)


def _write_balance(step: Step) -> Iterable[str]:
    """Places of the near points, weighed; a row infinitely far from them is refused."""
    row, near = (block(each) for each in step.inputs)
    count, out = step.parameters["count"], block(step)
    yield "int64_t found = 0;"
    yield f"for (int64_t p = 0; p < {step.inputs[1].width} && found < {count}; p++)"
    yield f"  if ({near}[p] > 0) chosen[found++] = p;"
    yield f"if (found < {count}) return 1;"
    yield (
        f"if (balance({count}, {step.inputs[0].width}, {row}, {constant(step, 'points')}, chosen, "
        f"{constant(step, 'more')}[0], lower, weights)) return 1;"
    )
    yield f"for (int64_t k = 0; k < {step.width}; k++) {out}[k] = 0;"
    yield f"for (int64_t n = 0; n < {count}; n++)"
    yield f"  for (int64_t k = 0; k < {step.width}; k++)"
    yield f"    {out}[k] += weights[n] * {constant(step, 'places')}[chosen[n] * {step.width} + k];"


def _check_convolve(step: Step) -> None:
    check_inputs(step, 2, _DOUBLE)
    if step.kind != "double" or any(each.width != step.width for each in step.inputs):
        raise step.fail("columns that do not go round together")


def _write_convolve(step: Step) -> Iterable[str]:
    """Each column of one block with each of the other, summed by where the two end, going round."""
    left, right = (block(each) for each in step.inputs)
    width, out = step.width, block(step)
    yield f"for (int64_t k = 0; k < {width}; k++) {out}[k] = 0;"
    yield f"for (int64_t i = 0; i < {width}; i++)"
    yield f"  for (int64_t j = 0; j < {width}; j++)"
    yield f"    {out}[(i + j) % {width}] += {left}[i] * {right}[j];"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "within": Operation(_check_within, _write_within),
    "spread": Operation(_check_spread, _write_spread, (HEAP,), list_near),
    "paths": Operation(_check_paths, _write_paths),
    "isolation": Operation(_check_isolation, _write_isolation),
    "balance": Operation(_check_balance, _write_balance, (_BALANCE,), _list_weights),
    "convolve": Operation(_check_convolve, _write_convolve),
}
