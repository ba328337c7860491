"""A row as a sum of few atoms, found one by one."""

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

_MOST: Final = 1000
"""Atoms of a row."""


def _check_pursue(step: Step) -> None:
    check_inputs(step, 1, frozenset({"double"}))
    atoms = step.inputs[0].width
    if step.kind != "double" or step.width != atoms:
        raise step.fail("shares of other atoms than there are")
    check_whole(step, "count", 1, min(atoms, _MOST) + 1)
    check_array(step, "products", atoms * atoms, "<f8")


_PURSUE: Final = """\
/* Orthogonal matching pursuit by the atoms' products with each other and with the row. */
static void pursue(int64_t atoms, int64_t most, const double *products, const double *row,
                   double *shares, double *rest, double *lower, double *chosen, int64_t *active) {
  int64_t count = 0;
  for (int64_t k = 0; k < atoms; k++) shares[k] = 0, rest[k] = row[k];
  while (count < most) {
    int64_t best = 0;
    for (int64_t k = 1; k < atoms; k++) if (fabs(rest[k]) > fabs(rest[best])) best = k;
    for (int64_t i = 0; i < count; i++) if (active[i] == best) return;
    if (rest[best] * rest[best] < DBL_EPSILON) return;
    double left = products[best * atoms + best];
    double *const last = lower + count * most;
    for (int64_t i = 0; i < count; i++) {
      double sum = products[best * atoms + active[i]];
      for (int64_t j = 0; j < i; j++) sum -= lower[i * most + j] * last[j];
      last[i] = sum / lower[i * most + i];
      left -= last[i] * last[i];
    }
    if (count && left <= DBL_EPSILON) return;
    last[count] = sqrt(left);
    active[count++] = best;
    for (int64_t i = 0; i < count; i++) {
      double sum = row[active[i]];
      for (int64_t j = 0; j < i; j++) sum -= lower[i * most + j] * chosen[j];
      chosen[i] = sum / lower[i * most + i];
    }
    for (int64_t i = count - 1; i >= 0; i--) {
      double sum = chosen[i];
      for (int64_t j = i + 1; j < count; j++) sum -= lower[j * most + i] * chosen[j];
      chosen[i] = sum / lower[i * most + i];
    }
    for (int64_t i = 0; i < count; i++) shares[active[i]] = chosen[i];
    for (int64_t k = 0; k < atoms; k++) {
      double sum = 0;
      for (int64_t i = 0; i < count; i++) sum += products[k * atoms + active[i]] * chosen[i];
      rest[k] = row[k] - sum;
    }
  }
}
"""


def _list_parts(step: Step) -> Iterable[Scratch]:
    count = step.parameters["count"]
    yield Scratch("double", "rest", step.width)
    yield Scratch("double", "lower", count * count)
    yield Scratch("double", "chosen", count)
    yield Scratch("int64_t", "active", count)


def _write_pursue(step: Step) -> Iterable[str]:
    count, atoms = step.parameters["count"], step.width
    yield (
        f"pursue({atoms}, {count}, {constant(step, 'products')}, {block(step.inputs[0])}, "
        f"{block(step)}, rest, lower, chosen, active);"
    )


OPERATIONS: Final[Mapping[str, Operation]] = {
    "pursue": Operation(_check_pursue, _write_pursue, (_PURSUE,), _list_parts),
}
