"""Curves through a column's values: steps, broken lines, splines, powers that make it normal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.functions import check_same_kind
from packager.engines.machine_code.operations.interface import (
    REAL,
    Operation,
    block,
    check_alike,
    check_array,
    check_inputs,
    check_starts,
    check_whole,
    constant,
    each,
)

_MOST_DEGREE: Final = 20
_INTERPOLATE: Final = """\
/* The broken line through points whose xs never fall, as numpy.interp draws it. */
static double interpolate(double x, const double *xs, const double *ys, int64_t count) {
  if (x != x) return x;
  if (x < xs[0]) return ys[0];
  if (x >= xs[count - 1]) return ys[count - 1];
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t at = low + (high - low) / 2;
    if (x >= xs[at]) low = at + 1; else high = at;
  }
  const int64_t at = low - 1;
  if (xs[at] == x) return ys[at];
  const double slope = (ys[at + 1] - ys[at]) / (xs[at + 1] - xs[at]);
  double y = slope * (x - xs[at]) + ys[at];
  if (y != y) {
    y = slope * (x - xs[at + 1]) + ys[at + 1];
    if (y != y && ys[at] == ys[at + 1]) y = ys[at];
  }
  return y;
}
"""
_NORMAL: Final = """\
/* The quantile of the normal distribution: a first guess (Abramowitz and Stegun, 26.2.23), and
   three of Halley's steps towards where the distribution has the share. */
static double normal_quantile(double share) {
  if (!(share > 0 && share < 1))
    return share == 0 ? -INFINITY : share == 1 ? INFINITY : NAN;
  const double beyond = share - 0.5;
  const double tail = share < 0.5 ? share : 1 - share;
  const double t = sqrt(-2 * log(tail));
  double x = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  if (fabs(beyond) < 0.4) {
    /* near the middle the distribution's distance from a half is what is exact */
    x = beyond < 0 ? -x : x;
    for (int step = 0; step < 4; step++) {
      const double part = (0.5 * erf(x * 0.70710678118654757) - beyond) *
                          2.5066282746310002 * exp(0.5 * x * x);
      x -= part / (1 + 0.5 * x * part);
    }
    return x;
  }
  for (int step = 0; step < 3; step++) {
    const double part = (0.5 * erfc(x * 0.70710678118654757) - tail) *
                        2.5066282746310002 * exp(0.5 * x * x);
    x += part / (1 - 0.5 * x * part);
  }
  return share < 0.5 ? -x : x;
}
"""


def _check_table(step: Step, *names: str) -> None:
    """Values of every column behind one another, and where each column's begin."""
    starts = step.array("starts")
    check_array(step, "starts", step.width + 1, "<i4")
    count = int(starts[-1])
    check_starts(step, "starts", count)
    for name in names:
        check_array(step, name, count, "<f8")


def _check_digitize(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind != "int64" or step.width != step.inputs[0].width:
        raise step.fail("positions of another form")
    _check_table(step, "edges")


def _write_digitize(step: Step) -> Iterable[str]:
    """Count the edges that are not above the value; all of them for NaN."""
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const double x = {block(step.inputs[0])}[i];"
    yield f"  const int32_t *const starts = {constant(step, 'starts')} + i;"
    yield "  int64_t low = starts[0], high = starts[1];"
    yield "  const int64_t first = low;"
    yield "  while (low < high) {"
    yield "    const int64_t at = low + (high - low) / 2;"
    yield f"    if (x < {constant(step, 'edges')}[at]) high = at; else low = at + 1;"
    yield "  }"
    yield f"  {block(step)}[i] = low - first;"
    yield "}"


def _check_lines(step: Step) -> None:
    check_alike(step)
    _check_table(step, "xs", "ys")
    if (np.diff(step.array("starts")) < 1).any():
        raise step.fail("a line through no points")
    if step.parameters["outside"] not in {"ends", "nan", "refuse"}:
        raise step.fail("an end of a line that is not known")


def _write_lines(step: Step) -> Iterable[str]:
    starts, outside = constant(step, "starts"), step.parameters["outside"]
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const {step.inputs[0].kind} x = {block(step.inputs[0])}[i];"
    yield f"  const int64_t first = {starts}[i], count = {starts}[i + 1] - first;"
    yield f"  const double *const xs = {constant(step, 'xs')} + first;"
    if outside == "refuse":
        yield "  if (x < xs[0] || x > xs[count - 1]) return 1;"
    line = f"interpolate(x, xs, {constant(step, 'ys')} + first, count)"
    if outside == "nan":
        line = f"x < xs[0] || x > xs[count - 1] ? NAN : {line}"
    yield f"  {block(step)}[i] = ({step.kind})({line});"
    yield "}"


def _check_ends(step: Step) -> None:
    """Values at which, and those that are answered there: by column the least and the greatest."""
    check_inputs(step, 2)
    if {step.kind, *(each.kind for each in step.inputs)} != {step.kind} or any(
        each.width != step.width for each in step.inputs
    ):
        raise step.fail("blocks that do not fit each other")
    check_array(step, "least", step.width, "<f8")
    check_array(step, "most", step.width, "<f8")
    check_array(step, "answers", 2 * step.width, "<f8")
    check_array(step, "within", 1, "<f8")


def _write_ends(step: Step) -> Iterable[str]:
    """The second block, but an end's own answer where the first is no further than `within`."""
    source, curve = step.inputs
    by = f"{constant(step, 'within')}[0]"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const {step.kind} x = {block(source)}[i];"
    yield f"  {step.kind} y = {block(curve)}[i];"
    low, high = (f"{constant(step, name)}[i]" for name in ("least", "most"))
    yield f"  const {step.kind} room = ({step.kind}){by};"
    yield f"  if (room > 0 ? x + room > {high} : x == {high})"
    yield f"    y = ({step.kind}){constant(step, 'answers')}[2 * i + 1];"
    yield f"  if (room > 0 ? x - room < {low} : x == {low})"
    yield f"    y = ({step.kind}){constant(step, 'answers')}[2 * i];"
    yield f"  {block(step)}[i] = y;"
    yield "}"


def _write_normal(step: Step) -> Iterable[str]:
    return each(step, "normal_quantile(x)")


def _write_normal_share(step: Step) -> Iterable[str]:
    return each(step, "0.5 * erfc(-x * 0.70710678118654757)")


def _check_powers(step: Step) -> None:
    check_same_kind(step)
    check_array(step, "constants", step.width, "<f8")


def _write_yeo_johnson(step: Step) -> Iterable[str]:
    by = constant(step, "constants")
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const double x = {block(step.inputs[0])}[i], by = {by}[i];"
    yield "  const double e = 2.220446049250313e-16;"
    yield "  double y;"
    yield "  if (x >= 0) y = fabs(by) < e ? log1p(x) : expm1(by * log1p(x)) / by;"
    yield "  else if (fabs(by - 2) > e) y = -expm1((2 - by) * log1p(-x)) / (2 - by);"
    yield "  else y = -log1p(-x);"
    yield f"  {block(step)}[i] = ({step.kind})y;"
    yield "}"


def _write_yeo_johnson_back(step: Step) -> Iterable[str]:
    by = constant(step, "constants")
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const double x = {block(step.inputs[0])}[i], by = {by}[i];"
    yield "  const double e = 2.220446049250313e-16;"
    yield "  double y;"
    yield "  if (x >= 0) y = fabs(by) < e ? exp(x) - 1 : pow(x * by + 1, 1 / by) - 1;"
    yield "  else if (fabs(by - 2) > e) y = 1 - pow(-(2 - by) * x + 1, 1 / (2 - by));"
    yield "  else y = 1 - exp(-x);"
    yield f"  {block(step)}[i] = ({step.kind})y;"
    yield "}"


def _check_box_cox(step: Step) -> None:
    _check_powers(step)
    if step.parameters["refuses"] is not True:
        raise step.fail("numbers below zero that are taken")


def _write_box_cox(step: Step) -> Iterable[str]:
    """Raise each column to its power; a row with a number that is not above zero is refused."""
    by = constant(step, "constants")
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const double x = {block(step.inputs[0])}[i], by = {by}[i];"
    yield "  if (x <= 0) return 1;"
    yield "  const double y = fabs(by) < 1e-19 ? log(x) : expm1(by * log(x)) / by;"
    yield f"  {block(step)}[i] = ({step.kind})y;"
    yield "}"


def _check_spline(step: Step) -> None:
    check_inputs(step, 1)
    check_whole(step, "at", 0, step.inputs[0].width)
    check_whole(step, "degree", 0, _MOST_DEGREE)
    degree = step.parameters["degree"]
    check_whole(step, "turns", 0, degree + 1)
    check_whole(step, "reach", 0, step.width + 1)
    beyond = step.parameters["beyond"]
    if step.kind not in REAL or beyond not in {"continue", "constant", "linear", "periodic"}:
        raise step.fail("a spline of another form")
    check_array(step, "knots", step.width + step.parameters["turns"] + degree + 1, "<f8")
    if step.width + step.parameters["turns"] <= degree:
        raise step.fail("a spline of too few knots")
    check_array(step, "ends", 4 * step.width, "<f8")


def _write_spline(step: Step) -> Iterable[str]:
    """One column as its B-splines, by de Boor's recurrence; beyond the knots as it is told."""
    degree, beyond = step.parameters["degree"], step.parameters["beyond"]
    count = step.width + step.parameters["turns"]
    knots, ends, out = constant(step, "knots"), constant(step, "ends"), block(step)
    yield f"const double *const t = {knots};"
    if beyond != "continue":
        yield f"const double least = t[{degree}], most = t[{count}];"
    yield f"double x = {block(step.inputs[0])}[{step.parameters['at']}];"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {out}[i] = 0;"
    yield "if (x != x) return 0;"
    if beyond == "periodic":
        yield "if (most - least > 0) {"
        yield "  double turn = fmod(x - least, most - least);"
        yield "  if (turn < 0) turn += most - least;"
        yield "  x = least + turn;"
        yield "} else x = 0;"
    if beyond in {"constant", "linear"}:
        yield "if (x < least || x > most) {"
        yield f"  const double *const ends = {ends} + (x < least ? 0 : {2 * step.width});"
        reach = step.parameters["reach"]
        if beyond == "linear":
            yield "  const double past = x < least ? x - least : x - most;"
        yield f"  for (int64_t j = 0; j < {reach}; j++) {{"
        yield f"    const int64_t i = x < least ? j : {step.width - 1} - j;"
        slope = f" + past * ends[{step.width} + i]" if beyond == "linear" else ""
        yield f"    {out}[i] = ({step.kind})(ends[i]{slope});"
        yield "  }"
        yield "  return 0;"
        yield "}"
    yield f"int64_t piece = {degree};"
    yield f"while (piece != {count - 1} && x >= t[piece + 1]) piece++;"
    yield f"double h[{degree + 1}] = {{1}}, before[{degree + 1}];"
    yield f"for (int64_t j = 1; j <= {degree}; j++) {{"
    yield "  memcpy(before, h, sizeof before);"
    yield "  h[0] = 0;"
    yield "  for (int64_t n = 1; n <= j; n++) {"
    yield "    const double after = t[piece + n], prior = t[piece + n - j];"
    yield "    if (after == prior) { h[n] = 0; continue; }"
    yield "    const double w = before[n - 1] / (after - prior);"
    yield "    h[n - 1] += w * (after - x);"
    yield "    h[n] = w * (x - prior);"
    yield "  }"
    yield "}"
    yield f"for (int64_t a = 0; a <= {degree}; a++)"
    yield f"  {out}[(piece - {degree} + a) % {step.width}] += ({step.kind})h[a];"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "digitize": Operation(_check_digitize, _write_digitize),
    "lines": Operation(_check_lines, _write_lines, (_INTERPOLATE,)),
    "ends": Operation(_check_ends, _write_ends),
    "normal_quantile": Operation(check_same_kind, _write_normal, (_NORMAL,)),
    "normal_share": Operation(check_same_kind, _write_normal_share),
    "yeo_johnson": Operation(_check_powers, _write_yeo_johnson),
    "yeo_johnson_back": Operation(_check_powers, _write_yeo_johnson_back),
    "box_cox": Operation(_check_box_cox, _write_box_cox),
    "spline": Operation(_check_spline, _write_spline),
}
