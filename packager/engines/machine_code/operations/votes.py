"""Votes of several estimators, and probabilities that are made of scores of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    REAL,
    Operation,
    Scratch,
    block,
    check_array,
    check_inputs,
    check_whole,
    constant,
)

_POSITIONS: Final = frozenset({"int64"})
_MOST_CLASSES: Final = 1000


def _check_tally(step: Step) -> None:
    check_inputs(step, 1, _POSITIONS)
    if step.kind not in REAL:
        raise step.fail("votes of another form")
    check_array(step, "weights", step.inputs[0].width, "<f8")
    check_array(step, "others", step.inputs[0].width, "<f8")


def _write_tally(step: Step) -> Iterable[str]:
    """For each class the weights of those that name it, and what the others give it."""
    source = step.inputs[0]
    yield f"for (int64_t k = 0; k < {step.width}; k++) {{"
    yield "  double sum = 0;"
    yield f"  for (int64_t i = 0; i < {source.width}; i++)"
    yield (
        f"    sum += {block(source)}[i] == k ? {constant(step, 'weights')}[i] : "
        f"{constant(step, 'others')}[i];"
    )
    yield f"  {block(step)}[k] = sum;"
    yield "}"


def _check_median(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind != step.inputs[0].kind or step.width != 1:
        raise step.fail("a median of another form")
    check_array(step, "weights", step.inputs[0].width, "<f8")


def _list_order(step: Step) -> Iterable[Scratch]:
    yield Scratch("int32_t", "order", step.inputs[0].width)


def _write_median(step: Step) -> Iterable[str]:
    """The least value at which half of all weights lies below or at it."""
    source = step.inputs[0]
    yield f"const {source.kind} *const x = {block(source)};"
    yield f"for (int32_t i = 0; i < {source.width}; i++) {{"
    yield "  int32_t at = i;"
    yield "  while (at > 0 && x[i] < x[order[at - 1]]) { order[at] = order[at - 1]; at--; }"
    yield "  order[at] = i;"
    yield "}"
    yield "double total = 0, sum = 0;"
    yield f"for (int32_t i = 0; i < {source.width}; i++)"
    yield f"  total += {constant(step, 'weights')}[order[i]];"
    yield "int32_t at = 0;"
    yield f"for (; at < {source.width}; at++) {{"
    yield f"  sum += {constant(step, 'weights')}[order[at]];"
    yield "  if (sum >= 0.5 * total) break;"
    yield "}"
    yield f"{block(step)}[0] = x[order[at < {source.width} ? at : 0]];"


def _check_pairs(step: Step) -> None:
    check_inputs(step, 1, frozenset({"double"}))
    check_whole(step, "classes", 2, _MOST_CLASSES)
    classes = step.parameters["classes"]
    if step.inputs[0].width != classes * (classes - 1) // 2 or step.kind != "double":
        raise step.fail("scores that are not of every pair")
    if step.width != classes:
        raise step.fail("votes of another width")


def _write_duels(step: Step) -> Iterable[str]:
    """Count the pairs that each class has won: the first of a pair above zero, else the second."""
    classes = step.parameters["classes"]
    yield f"for (int64_t k = 0; k < {classes}; k++) {block(step)}[k] = 0;"
    yield "int64_t pair = 0;"
    yield f"for (int64_t i = 0; i < {classes}; i++)"
    yield f"  for (int64_t j = i + 1; j < {classes}; j++)"
    yield f"    {block(step)}[{block(step.inputs[0])}[pair++] > 0 ? i : j] += 1;"


def _check_ranks(step: Step) -> None:
    _check_pairs(step)


def _list_sums(step: Step) -> Iterable[Scratch]:
    yield Scratch("double", "sums", step.parameters["classes"])


def _write_ranks(step: Step) -> Iterable[str]:
    """Votes, with the sum of the scores moved into less than half a vote."""
    classes = step.parameters["classes"]
    out = block(step)
    yield f"for (int64_t k = 0; k < {classes}; k++) {out}[k] = sums[k] = 0;"
    yield "int64_t pair = 0;"
    yield f"for (int64_t i = 0; i < {classes}; i++)"
    yield f"  for (int64_t j = i + 1; j < {classes}; j++) {{"
    yield f"    const double score = {block(step.inputs[0])}[pair++];"
    yield "    sums[i] -= score;"
    yield "    sums[j] += score;"
    yield f"    {out}[score > 0 ? j : i] += 1;"
    yield "  }"
    yield f"for (int64_t k = 0; k < {classes}; k++)"
    yield f"  {out}[k] += sums[k] / (3 * (fabs(sums[k]) + 1));"


def _check_couple(step: Step) -> None:
    _check_pairs(step)
    pairs = step.inputs[0].width
    check_array(step, "slopes", pairs, "<f8")
    check_array(step, "offsets", pairs, "<f8")


_COUPLE: Final = """\
/* Probabilities of classes from those of pairs (Wu, Lin and Weng 2004, second method). */
static void couple(int64_t count, const double *pairs, double *shares, double *q, double *qp) {
  for (int64_t t = 0; t < count; t++) {
    shares[t] = 1.0 / (double)count;
    q[t * count + t] = 0;
    for (int64_t j = 0; j < count; j++) {
      if (j == t) continue;
      q[t * count + t] += pairs[j * count + t] * pairs[j * count + t];
      q[t * count + j] = -pairs[j * count + t] * pairs[t * count + j];
    }
  }
  const double enough = 0.005 / (double)count;
  for (int64_t turn = 0; turn < (count > 100 ? count : 100); turn++) {
    double all = 0, most = 0;
    for (int64_t t = 0; t < count; t++) {
      qp[t] = 0;
      for (int64_t j = 0; j < count; j++) qp[t] += q[t * count + j] * shares[j];
      all += shares[t] * qp[t];
    }
    for (int64_t t = 0; t < count; t++)
      if (fabs(qp[t] - all) > most) most = fabs(qp[t] - all);
    if (most < enough) return;
    for (int64_t t = 0; t < count; t++) {
      const double by = (-qp[t] + all) / q[t * count + t];
      shares[t] += by;
      all = (all + by * (by * q[t * count + t] + 2 * qp[t])) / (1 + by) / (1 + by);
      for (int64_t j = 0; j < count; j++) {
        qp[j] = (qp[j] + by * q[t * count + j]) / (1 + by);
        shares[j] /= 1 + by;
      }
    }
  }
}
"""


def _list_shares(step: Step) -> Iterable[Scratch]:
    classes = step.parameters["classes"]
    yield Scratch("double", "pairs", classes * classes)
    yield Scratch("double", "q", classes * classes)
    yield Scratch("double", "qp", classes)


def _write_couple(step: Step) -> Iterable[str]:
    """Each pair's score through its logistic function, and shares that agree with all pairs."""
    classes = step.parameters["classes"]
    yield "int64_t at = 0;"
    yield f"for (int64_t i = 0; i < {classes}; i++)"
    yield f"  for (int64_t j = i + 1; j < {classes}; j++, at++) {{"
    yield (
        f"    const double f = {block(step.inputs[0])}[at] * {constant(step, 'slopes')}[at] + "
        f"{constant(step, 'offsets')}[at];"
    )
    yield "    double share = f >= 0 ? exp(-f) / (1 + exp(-f)) : 1 / (1 + exp(f));"
    yield "    if (share < 1e-7) share = 1e-7;"
    yield "    if (share > 1 - 1e-7) share = 1 - 1e-7;"
    yield f"    pairs[i * {classes} + j] = share;"
    yield f"    pairs[j * {classes} + i] = 1 - share;"
    yield "  }"
    yield f"couple({classes}, pairs, {block(step)}, q, qp);"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "tally": Operation(_check_tally, _write_tally),
    "weighted_median": Operation(_check_median, _write_median, scratch=_list_order),
    "duels": Operation(_check_pairs, _write_duels),
    "ranks": Operation(_check_ranks, _write_ranks, scratch=_list_sums),
    "couple": Operation(_check_couple, _write_couple, (_COUPLE,), _list_shares),
}
