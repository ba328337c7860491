"""Points near a row: those within a distance, distances to the nearest, and ways over these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    Operation,
    block,
    check_array,
    check_inputs,
    check_whole,
    constant,
)
from packager.engines.machine_code.operations.neighbors import APART, HEAP, check_apart

_DOUBLE: Final = frozenset({"double"})


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
    yield "double far[count];"
    yield "int64_t near[count];"
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
    "spread": Operation(_check_spread, _write_spread, (HEAP,)),
    "paths": Operation(_check_paths, _write_paths),
    "convolve": Operation(_check_convolve, _write_convolve),
}
