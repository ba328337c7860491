"""Weighted sums, and what scores become: probabilities, labels' positions, means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    REAL,
    Operation,
    block,
    check_alike,
    check_array,
    check_inputs,
    check_whole,
    constant,
    each,
)

_NONE: Final[Mapping[str, str]] = {"nan": "", "zero": "0", "alike": "1.0 / {}"}
_MOST_LANES: Final = 64
_DTYPES: Final = {"double": "<f8", "float": "<f4"}


def _check_weigh(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind != step.inputs[0].kind:
        raise step.fail("sums of another kind than their terms")
    dtype = _DTYPES[step.kind]
    check_array(step, "weights", step.width * step.inputs[0].width, dtype)
    check_array(step, "offsets", step.width, dtype)
    if "lanes" in step.parameters:
        check_whole(step, "lanes", 1, _MOST_LANES + 1)


def _write_weigh(step: Step) -> Iterable[str]:
    """One sum in the columns' order, or so many lanes side by side, as a BLAS has long sums."""
    source, kind, lanes = step.inputs[0], step.kind, step.parameters.get("lanes", 1)
    term = f"{block(source)}[{{0}}] * weight[{{0}}]"
    yield f"for (int64_t k = 0; k < {step.width}; k++) {{"
    yield f"  const {kind} *weight = {constant(step, 'weights')} + k * {source.width};"
    yield f"  {kind} sum = 0;"
    yield "  int64_t i = 0;"
    if lanes > 1:
        yield f"  {kind} sums[{lanes}] = {{0}};"
        yield f"  for (; i + {lanes} <= {source.width}; i += {lanes})"
        yield f"    for (int64_t j = 0; j < {lanes}; j++) sums[j] += {term.format('i + j')};"
        yield f"  for (int64_t j = 0; j < {lanes}; j++) sum += sums[j];"
    yield f"  for (; i < {source.width}; i++) sum += {term.format('i')};"
    yield f"  {block(step)}[k] = sum + {constant(step, 'offsets')}[k];"
    yield "}"


def _name_function(step: Step, name: str) -> str:
    return name if step.inputs[0].kind == "double" else f"{name}f"


def _check_same_kind(step: Step) -> None:
    check_alike(step)
    if step.kind != step.inputs[0].kind:
        raise step.fail("a block of another kind than its input")


def _write_exp(step: Step) -> Iterable[str]:
    return each(step, f"{_name_function(step, 'exp')}(x)")


def _write_expit(step: Step) -> Iterable[str]:
    return each(step, f"1 / (1 + {_name_function(step, 'exp')}(-x))")


def _write_softmax(step: Step) -> Iterable[str]:
    """Behind the largest score; the sum is a double's, as XGBoost sums its floats too."""
    source, kind = block(step.inputs[0]), step.kind
    yield f"{kind} most = {source}[0];"
    yield f"for (int64_t i = 1; i < {step.width}; i++)"
    yield f"  if ({source}[i] > most) most = {source}[i];"
    yield "double sum = 0;"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  {block(step)}[i] = {_name_function(step, 'exp')}({source}[i] - most);"
    yield f"  sum += {block(step)}[i];"
    yield "}"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {block(step)}[i] /= ({kind})sum;"


def _check_shares(step: Step) -> None:
    _check_same_kind(step)
    if step.parameters["none"] not in _NONE:
        raise step.fail("shares of nothing that are not known")


def _write_shares(step: Step) -> Iterable[str]:
    """Parts of their sum; `none` says what they are where that is zero."""
    source, kind = block(step.inputs[0]), step.kind
    share = f"{source}[i] / sum"
    if none := _NONE[step.parameters["none"]]:
        share = f"sum != 0 ? {share} : {none.format(step.width)}"
    yield f"{kind} sum = 0;"
    yield f"for (int64_t i = 0; i < {step.width}; i++) sum += {source}[i];"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {block(step)}[i] = {share};"


def _write_log_shares(step: Step) -> Iterable[str]:
    """Logarithms of what softmax answers: each score less that of the sum of all exponentials."""
    source, kind = block(step.inputs[0]), step.kind
    yield f"{kind} most = {source}[0];"
    yield f"for (int64_t i = 1; i < {step.width}; i++)"
    yield f"  if ({source}[i] > most) most = {source}[i];"
    yield "if (most - most != 0) most = 0;"
    yield f"{kind} sum = 0;"
    yield f"for (int64_t i = 0; i < {step.width}; i++)"
    yield f"  sum += {_name_function(step, 'exp')}({source}[i] - most);"
    yield f"sum = {_name_function(step, 'log')}(sum) + most;"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {block(step)}[i] = {source}[i] - sum;"


def _check_complement(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind not in REAL or step.inputs[0].width != 1 or step.width != 2:
        raise step.fail("two columns are made of one")


def _write_complement(step: Step) -> Iterable[str]:
    source = block(step.inputs[0])
    yield f"{block(step)}[0] = 1 - {source}[0];"
    yield f"{block(step)}[1] = {source}[0];"


def _check_argmax(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind != "int64" or step.width != 1:
        raise step.fail("a position of another form")


def _write_argmax(step: Step) -> Iterable[str]:
    """The first of the largest; NaN is larger than any, as numpy has it."""
    source = step.inputs[0]
    yield "int64_t best = 0;"
    yield f"for (int64_t i = 1; i < {source.width}; i++) {{"
    yield f"  if ({block(source)}[best] != {block(source)}[best]) break;"
    yield f"  const {source.kind} x = {block(source)}[i];"
    yield f"  if (x > {block(source)}[best] || x != x)"
    yield "    best = i;"
    yield "}"
    yield f"{block(step)}[0] = best;"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "weigh": Operation(_check_weigh, _write_weigh),
    "exp": Operation(_check_same_kind, _write_exp),
    "expit": Operation(_check_same_kind, _write_expit),
    "softmax": Operation(_check_same_kind, _write_softmax),
    "shares": Operation(_check_shares, _write_shares),
    "log_shares": Operation(_check_same_kind, _write_log_shares),
    "complement": Operation(_check_complement, _write_complement),
    "argmax": Operation(_check_argmax, _write_argmax),
}
