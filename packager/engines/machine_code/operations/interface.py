"""Interface of an operation: what a step of it must be, and the C that answers one row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from packager.engines.machine_code.form import Step

C_TYPES: Final = {
    "double": "double",
    "float": "float",
    "int64": "int64_t",
    "bool": "uint8_t",
    "text": "struct text",
}
REAL: Final = frozenset({"double", "float"})
_C_DTYPES: Final = {
    "<f8": "double",
    "<f4": "float",
    "<i8": "int64_t",
    "<i4": "int32_t",
    "<i2": "int16_t",
    "<u2": "uint16_t",
    "|u1": "uint8_t",
}


@dataclass(frozen=True, slots=True)
class Scratch:
    """An array that a step computes with. It lies beside the row: no stack is as large."""

    kind: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Operation:
    check: Callable[[Step], None]
    """Raises FormError for a step whose C would read or write beyond what is its own."""
    write: Callable[[Step], Iterable[str]]
    """The body of a function that has the row's blocks as `v`; it returns 1 to refuse the row."""
    helpers: tuple[str, ...] = ()
    """C functions that the body calls."""
    scratch: Callable[[Step], Iterable[Scratch]] = lambda _step: ()
    """Arrays that the body has by their names, with whatever the row before has left in them."""


def block(step: Step) -> str:
    """The C name of a step's block in a row."""
    return f"v->b{step.number}"


def constant(step: Step, name: str) -> str:
    """A C expression for the address of a constant."""
    values = step.array(name)
    return f"((const {_C_DTYPES[values.dtype.str]} *)(constants + {step.constants[name].offset}))"


def check_inputs(step: Step, count: int, kinds: frozenset[str] = REAL) -> None:
    if len(step.inputs) != count or any(each.kind not in kinds for each in step.inputs):
        raise step.fail(f"{[each.kind for each in step.inputs]} for inputs")


def check_alike(step: Step) -> None:
    """One input of numbers, and a block as wide."""
    check_inputs(step, 1)
    if step.kind not in REAL or step.inputs[0].width != step.width:
        raise step.fail("a block unlike its input")


def check_array(step: Step, name: str, count: int, *dtypes: str) -> None:
    values = step.array(name)
    if len(values) != count or values.dtype.str not in dtypes:
        raise step.fail(f"{len(values)} of {values.dtype.str} for {name}")


def check_range(step: Step, name: str, least: int, end: int) -> None:
    """Every value of a constant at least `least` and below `end`."""
    values = step.array(name)
    if len(values) and (int(values.min()) < least or int(values.max()) >= end):
        raise step.fail(f"{name} from {values.min()} to {values.max()}")


def check_whole(step: Step, name: str, least: int, end: int) -> None:
    """A parameter that is a whole number from `least` to below `end`; True is none."""
    value = step.parameters[name]
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < end:
        raise step.fail(f"{value!r} for {name}")


def check_starts(step: Step, name: str, end: int) -> None:
    """Positions that begin with 0, never fall and end with `end`."""
    starts = step.array(name).astype(np.int64)
    if not len(starts) or starts[0] != 0 or starts[-1] != end or (np.diff(starts) < 0).any():
        raise step.fail(f"{name} that are no starts")


def each(step: Step, expression: str) -> Iterable[str]:
    """A loop over the columns: `x` is the input's, `i` its position."""
    source = step.inputs[0]
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const {C_TYPES[source.kind]} x = {block(source)}[i];"
    yield f"  {block(step)}[i] = ({C_TYPES[step.kind]})({expression});"
    yield "}"


PAIRWISE: Final = """\
/* A sum in the order of numpy's: by eights, and by halves where there are many. */
__attribute__((unused))
static double add_pairwise(const double *x, int64_t count) {
  if (count < 8) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += x[i];
    return sum;
  }
  if (count > 128) {
    const int64_t half = count / 2 - (count / 2) % 8;
    return add_pairwise(x, half) + add_pairwise(x + half, count - half);
  }
  double part[8];
  for (int64_t j = 0; j < 8; j++) part[j] = x[j];
  int64_t i = 8;
  for (; i < count - count % 8; i += 8)
    for (int64_t j = 0; j < 8; j++) part[j] += x[i + j];
  double sum = ((part[0] + part[1]) + (part[2] + part[3])) +
               ((part[4] + part[5]) + (part[6] + part[7]));
  for (; i < count; i++) sum += x[i];
  return sum;
}
"""
