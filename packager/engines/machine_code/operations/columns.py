"""Columns gathered into blocks, and what is computed column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from packager.engines.machine_code.form import INPUT_KINDS, MOST_WIDTH, Step
from packager.engines.machine_code.operations.interface import (
    C_TYPES,
    REAL,
    Operation,
    block,
    check_alike,
    check_array,
    check_inputs,
    check_range,
    check_whole,
    constant,
    each,
)

_NUMBERS: Final = frozenset({"double", "float", "int64", "bool"})
_SIGNS: Final = frozenset("+-*/")


def _check_input(step: Step) -> None:
    check_inputs(step, 0)
    check_whole(step, "column", 0, MOST_WIDTH)
    if step.width != 1:
        raise step.fail("an input of no column")


def _check_gather(step: Step) -> None:
    check_inputs(step, len(step.inputs), _NUMBERS)
    if not step.inputs or step.kind not in REAL | {"int64"}:
        raise step.fail(f"a block of {step.kind}")
    if step.kind == "int64" and any(source.kind in REAL for source in step.inputs):
        raise step.fail("numbers that are not whole for whole ones")
    check_array(step, "sources", step.width, "<i4")
    check_array(step, "places", step.width, "<i4")
    check_range(step, "sources", 0, len(step.inputs))
    for source, place in zip(step.array("sources"), step.array("places"), strict=True):
        if not 0 <= place < step.inputs[source].width:
            raise step.fail("a column that its source does not have")


def _write_gather(step: Step) -> Iterable[str]:
    """Runs of neighbouring columns are one loop each."""
    sources, places = step.array("sources").tolist(), step.array("places").tolist()
    at = 0
    while at < step.width:
        end = at + 1
        while (
            end < step.width
            and sources[end] == sources[at]
            and places[end] - places[at] == end - at
        ):
            end += 1
        source = block(step.inputs[sources[at]])
        cast = f"({C_TYPES[step.kind]}){source}"
        if end - at == 1:
            yield f"{block(step)}[{at}] = {cast}[{places[at]}];"
        else:
            yield f"for (int64_t i = 0; i < {end - at}; i++)"
            yield f"  {block(step)}[{at} + i] = {cast}[{places[at]} + i];"
        at = end


def _check_arithmetic(step: Step) -> None:
    check_alike(step)
    check_array(step, "constants", step.width, "<f8")
    if step.parameters["sign"] not in _SIGNS or step.parameters.get("within", "double") not in REAL:
        raise step.fail("a sign that is not known")


def _write_arithmetic(step: Step) -> Iterable[str]:
    kind = step.parameters.get("within", "double")
    sign = step.parameters["sign"]
    return each(step, f"({kind})x {sign} ({kind}){constant(step, 'constants')}[i]")


def _check_fill(step: Step) -> None:
    check_alike(step)
    check_array(step, "constants", step.width, "<f8")


def _write_fill(step: Step) -> Iterable[str]:
    return each(step, f"x != x ? {constant(step, 'constants')}[i] : x")


def _check_above(step: Step) -> None:
    check_inputs(step, 1)
    if step.inputs[0].width != step.width or step.kind not in REAL | {"int64"}:
        raise step.fail("a block unlike its input")
    check_array(step, "constants", step.width, "<f8")


def _write_above(step: Step) -> Iterable[str]:
    return each(step, f"x > {constant(step, 'constants')}[i] ? 1 : 0")


def _check_clip(step: Step) -> None:
    check_alike(step)
    check_array(step, "ends", 2, "<f8")


def _write_clip(step: Step) -> Iterable[str]:
    ends = constant(step, "ends")
    return each(step, f"x < {ends}[0] ? {ends}[0] : x > {ends}[1] ? {ends}[1] : x")


def _write_is_missing(step: Step) -> Iterable[str]:
    return each(step, "x != x ? 1 : 0")


def _check_least(step: Step) -> None:
    check_alike(step)
    if step.kind != step.inputs[0].kind or not isinstance(step.parameters["equal"], bool):
        raise step.fail("a guard of another form")
    check_array(step, "constants", step.width, "<f8")


def _write_least(step: Step) -> Iterable[str]:
    """Refuse the row for a value below its column's constant, or at it."""
    sign = "<=" if step.parameters["equal"] else "<"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const {step.kind} x = {block(step.inputs[0])}[i];"
    yield f"  if (x {sign} {constant(step, 'constants')}[i]) return 1;"
    yield f"  {block(step)}[i] = x;"
    yield "}"


def _check_refuse(step: Step) -> None:
    check_alike(step)
    if step.kind != step.inputs[0].kind or any(
        not isinstance(step.parameters[name], bool) for name in ("nan", "infinite", "wide")
    ):
        raise step.fail("a guard of another form")


def _write_refuse(step: Step) -> Iterable[str]:
    """Refuse the row for a value that the model takes in no row."""
    tests = {
        "nan": "x != x",
        "infinite": "x - x != 0 && x == x",
        "wide": "x - x == 0 && (float)x - (float)x != 0",
    }
    yield f"for (int64_t i = 0; i < {step.width}; i++) {{"
    yield f"  const {step.kind} x = {block(step.inputs[0])}[i];"
    for name, test in tests.items():
        if step.parameters[name]:
            yield f"  if ({test}) return 1;"
    yield f"  {block(step)}[i] = x;"
    yield "}"


def _check_alone(step: Step) -> None:
    check_alike(step)
    if step.kind != step.inputs[0].kind:
        raise step.fail("a guard of another form")


def _write_alone(step: Step) -> Iterable[str]:
    """Refuse a request of one row."""
    yield "if (v->rows == 1) return 1;"
    yield from each(step, "x")


def write_input(step: Step, kind: str) -> str:
    """The line that reads one cell of a request's column of MLflow's type `kind`."""
    number = step.parameters["column"]
    if INPUT_KINDS[kind] == "text":
        return f"read_text(&columns[{number}], row, &{block(step)}[0]);"
    stored = {"integer": "int32_t"}.get(kind, C_TYPES[INPUT_KINDS[kind]])
    return f"{block(step)}[0] = ((const {stored} *)columns[{number}].values)[row];"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "input": Operation(_check_input, lambda _step: ()),
    "gather": Operation(_check_gather, _write_gather),
    "arithmetic": Operation(_check_arithmetic, _write_arithmetic),
    "fill": Operation(_check_fill, _write_fill),
    "above": Operation(_check_above, _write_above),
    "clip": Operation(_check_clip, _write_clip),
    "refuse": Operation(_check_refuse, _write_refuse),
    "refuse_below": Operation(_check_least, _write_least),
    "refuse_alone": Operation(_check_alone, _write_alone),
    "is_missing": Operation(check_alike, _write_is_missing),
}
