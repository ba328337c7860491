"""Functions of one number, and sums, differences, products and quotients of two blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    PAIRWISE,
    REAL,
    Operation,
    Scratch,
    block,
    check_alike,
    check_array,
    check_inputs,
    constant,
    each,
)

_LIBRARY: Final[Mapping[str, str]] = {
    "log": "log",
    "log1p": "log1p",
    "log2": "log2",
    "log10": "log10",
    "expm1": "expm1",
    "exp2": "exp2",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "tanh": "tanh",
    "arctan": "atan",
    "sinh": "sinh",
    "cosh": "cosh",
    "cbrt": "cbrt",
    "erf": "erf",
    "sqrt": "sqrt",
    "absolute": "fabs",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "rint",
}
"""The C library's functions, by numpy's names."""
_EXPRESSIONS: Final[Mapping[str, str]] = {
    "square": "x * x",
    "negative": "-x",
    "reciprocal": "1 / x",
    "sign": "x != x ? x : x > 0 ? 1 : x < 0 ? -1 : 0",
    "rectify": "x != x || x > 0 ? x : 0",
}
_SIGNS: Final = frozenset("+-*/")


def check_same_kind(step: Step) -> None:
    check_alike(step)
    if step.kind != step.inputs[0].kind:
        raise step.fail("a block of another kind than its input")


def _write_call(name: str) -> Callable[[Step], Iterable[str]]:
    def write(step: Step) -> Iterable[str]:
        return each(step, f"{name}{'' if step.kind == 'double' else 'f'}(x)")

    return write


def _write_expression(text: str) -> Callable[[Step], Iterable[str]]:
    return lambda step: each(step, text)


def _check_combine(step: Step) -> None:
    check_inputs(step, 2)
    left, right = step.inputs
    if step.parameters["sign"] not in _SIGNS or left.width != step.width:
        raise step.fail("a sign or a width that is not known")
    if {left.kind, right.kind} != {step.kind} or right.width not in {1, step.width}:
        raise step.fail("blocks that do not fit each other")


def _write_combine(step: Step) -> Iterable[str]:
    """Column by column; a second block of one column is used for each."""
    left, right = step.inputs
    at = "i" if right.width == step.width else "0"
    yield f"for (int64_t i = 0; i < {step.width}; i++)"
    yield (f"  {block(step)}[i] = {block(left)}[i] {step.parameters['sign']} {block(right)}[{at}];")


def _check_power(step: Step) -> None:
    check_same_kind(step)
    check_array(step, "constants", step.width, "<f8")


def _write_power(step: Step) -> Iterable[str]:
    return each(step, f"pow(x, {constant(step, 'constants')}[i])")


def _check_norm(step: Step) -> None:
    check_inputs(step, 1)
    if step.kind not in REAL or step.kind != step.inputs[0].kind or step.width != 1:
        raise step.fail("a norm of another form")
    if step.parameters["how"] not in {"l1", "l2", "max", "sum"}:
        raise step.fail("a norm that is not known")
    check_array(step, "least", 1, "<f8")


def _list_terms(step: Step) -> Iterable[Scratch]:
    if step.kind == "double" and step.parameters["how"] in {"l1", "sum"}:
        yield Scratch("double", "terms", step.inputs[0].width)


def _write_norm(step: Step) -> Iterable[str]:
    """Norm of the row; one below `least` counts as 1, so that what it divides stays as it is."""
    how, width, single = step.parameters["how"], step.inputs[0].width, step.kind == "float"
    size = "fabsf" if single else "fabs"
    source = block(step.inputs[0])
    if how in {"l1", "sum"} and not single:
        term = f"terms[i] = {f'fabs({source}[i])' if how == 'l1' else f'{source}[i]'};"
        yield f"for (int64_t i = 0; i < {width}; i++) {term}"
        yield f"double sum = add_pairwise(terms, {width});"
    else:
        term = {
            "l1": f"sum += {size}(x)",
            "l2": "sum += x * x",
            "max": f"if ({size}(x) > sum) sum = {size}(x)",
            "sum": "sum += x",
        }[how]
        yield f"{step.kind} sum = 0;"
        yield f"for (int64_t i = 0; i < {width}; i++) {{"
        yield f"  const {step.kind} x = {source}[i];"
        yield f"  {term};"
        yield "}"
    if how == "l2":
        yield f"sum = {'sqrtf' if single else 'sqrt'}(sum);"
    if how != "sum":
        yield f"if (sum < {constant(step, 'least')}[0]) sum = 1;"
    yield f"{block(step)}[0] = sum;"


OPERATIONS: Final[Mapping[str, Operation]] = {
    **{name: Operation(check_same_kind, _write_call(each)) for name, each in _LIBRARY.items()},
    **{
        name: Operation(check_same_kind, _write_expression(each))
        for name, each in _EXPRESSIONS.items()
    },
    "combine": Operation(_check_combine, _write_combine),
    "power": Operation(_check_power, _write_power),
    "norm": Operation(_check_norm, _write_norm, (PAIRWISE,), _list_terms),
}
