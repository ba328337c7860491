"""Shares of topics in a row of counts, estimated in turn with what each count is made of."""

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

_MOST_TURNS: Final = 100_000


def _check_settle(step: Step) -> None:
    check_inputs(step, 1, frozenset({"double"}))
    if step.kind != "double":
        raise step.fail("shares of another form")
    check_whole(step, "turns", 0, _MOST_TURNS + 1)
    check_array(step, "words", step.width * step.inputs[0].width, "<f8")
    check_array(step, "settings", 2, "<f8")


_SETTLE: Final = """\
/* The logarithm's derivative of the gamma function, as far as estimating topics takes it: after
   Bernardo (1976), Algorithm AS 103. */
static double digamma(double x) {
  if (x <= 1e-6) return -0.577215664901532860606512090082402431 - 1. / x;
  double sum = 0;
  for (; x < 6; x += 1) sum -= 1. / x;
  double r = 1. / x;
  sum += log(x) - .5 * r;
  r = r * r;
  return sum - r * ((1. / 12.) - r * ((1. / 120.) - r * (1. / 252.)));
}

/* Topics of a row: what they are expected to be and how they share its counts, in turn. */
static void settle(int64_t topics, int64_t columns, int64_t turns, const double *counts,
                   const double *words, double prior, double least, double *found, double *by,
                   double *next) {
  for (int64_t k = 0; k < topics; k++)
    found[k] = 1, by[k] = exp(digamma(1) - digamma((double)topics));
  for (int64_t turn = 0; turn < turns; turn++) {
    for (int64_t k = 0; k < topics; k++) next[k] = 0;
    for (int64_t c = 0; c < columns; c++) {
      if (counts[c] == 0) continue;
      double sum = 0;
      for (int64_t k = 0; k < topics; k++) sum += by[k] * words[k * columns + c];
      const double share = counts[c] / (sum + DBL_EPSILON);
      for (int64_t k = 0; k < topics; k++) next[k] += share * words[k * columns + c];
    }
    double total = 0, change = 0;
    for (int64_t k = 0; k < topics; k++) total += next[k] = by[k] * next[k] + prior;
    for (int64_t k = 0; k < topics; k++) {
      by[k] = exp(digamma(next[k]) - digamma(total));
      change += fabs(found[k] - next[k]);
      found[k] = next[k];
    }
    if (change / (double)topics < least) break;
  }
  double total = 0;
  for (int64_t k = 0; k < topics; k++) total += found[k];
  for (int64_t k = 0; k < topics; k++) found[k] /= total;
}
"""


def _list_topics(step: Step) -> Iterable[Scratch]:
    yield Scratch("double", "by", step.width)
    yield Scratch("double", "next", step.width)


def _write_settle(step: Step) -> Iterable[str]:
    """`settings` has the prior of a topic, and the mean change that is taken for none."""
    topics, settings = step.width, constant(step, "settings")
    yield (
        f"settle({topics}, {step.inputs[0].width}, {step.parameters['turns']}, "
        f"{block(step.inputs[0])}, {constant(step, 'words')}, {settings}[0], {settings}[1], "
        f"{block(step)}, by, next);"
    )


OPERATIONS: Final[Mapping[str, Operation]] = {
    "settle": Operation(_check_settle, _write_settle, (_SETTLE,), _list_topics),
}
