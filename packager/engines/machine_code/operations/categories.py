"""Words and numbers as positions among categories, and positions as ones or as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from packager.engines.machine_code.form import Step
from packager.engines.machine_code.operations.interface import (
    C_TYPES,
    REAL,
    Operation,
    block,
    check_array,
    check_inputs,
    check_range,
    check_starts,
    check_whole,
    constant,
)

_TEXT: Final = frozenset({"text"})
_MOST: Final = 2**31
_WHOLE: Final = 2.0**53


def _check_position(step: Step, count: int) -> None:
    if step.kind != "int64" or step.width != 1 or not isinstance(step.parameters["refuses"], bool):
        raise step.fail("a position of another form")
    check_array(step, "positions", count, "<i8")
    check_range(step, "positions", 0, _MOST)
    check_whole(step, "missing", -1, _MOST)


def _check_word(step: Step) -> None:
    check_inputs(step, 1, _TEXT)
    offsets = step.array("offsets")
    check_array(step, "offsets", len(offsets), "<i8")
    check_array(step, "words", len(step.array("words")), "|u1")
    check_starts(step, "offsets", len(step.array("words")))
    _check_position(step, len(offsets) - 1)
    if "missing_nan" in step.parameters:
        check_whole(step, "missing_nan", -1, _MOST)


def _write_word(step: Step) -> Iterable[str]:
    count = len(step.array("offsets")) - 1
    yield f"const struct text *x = &{block(step.inputs[0])}[0];"
    yield (
        f"int64_t found = x->missing ? -1 : find_word(x, {constant(step, 'words')}, "
        f"{constant(step, 'offsets')}, {count});"
    )
    none = step.parameters["missing"]
    nan = step.parameters.get("missing_nan", none)
    yield from _finish(step, "x->missing", f"x->missing == 2 ? {nan} : {none}")


def _finish(step: Step, missing: str, place: str) -> Iterable[str]:
    positions = constant(step, "positions")
    yield f"int64_t position = found < 0 ? -1 : {positions}[found];"
    yield f"if ({missing}) position = {place};"
    if step.parameters["refuses"]:
        yield "if (position < 0) return 1;"
    yield f"{block(step)}[0] = position;"


def _check_number(step: Step) -> None:
    check_inputs(step, 1, frozenset({"double", "float", "int64"}))
    numbers = step.array("numbers")
    check_array(step, "numbers", len(numbers), "<f8")
    if len(numbers) > 1 and not (np.diff(numbers) > 0).all():
        raise step.fail("numbers that are in no order")
    check_whole(step, "at", 0, step.inputs[0].width)
    _check_position(step, len(numbers))


def _write_number(step: Step) -> Iterable[str]:
    source = step.inputs[0]
    yield f"double x = (double){block(source)}[{step.parameters['at']}];"
    if source.kind == "int64":
        # beyond, several whole numbers are one double
        yield "if (x > 9007199254740992.0 || x < -9007199254740992.0) x = INFINITY;"
    yield (
        f"int64_t found = find_number(x, {constant(step, 'numbers')}, "
        f"{len(step.array('numbers'))});"
    )
    yield from _finish(step, "x != x", str(step.parameters["missing"]))


def _check_one_hot(step: Step) -> None:
    check_inputs(step, 1, frozenset({"int64"}))
    check_whole(step, "dropped", -1, step.width + 1)
    check_whole(step, "at", 0, step.inputs[0].width)
    if step.kind not in REAL | {"int64"}:
        raise step.fail("ones of another form")


def _write_one_hot(step: Step) -> Iterable[str]:
    dropped = step.parameters["dropped"]
    yield f"int64_t position = {block(step.inputs[0])}[{step.parameters['at']}];"
    yield f"for (int64_t i = 0; i < {step.width}; i++) {block(step)}[i] = 0;"
    if dropped >= 0:
        yield f"if (position == {dropped}) return 0;"
        yield f"if (position > {dropped}) position--;"
    yield f"if (position >= 0 && position < {step.width}) {block(step)}[position] = 1;"


def _check_look_up(step: Step) -> None:
    check_inputs(step, 1, frozenset({"int64"}))
    codes = step.array("constants")
    check_array(step, "constants", len(codes), "<f8")
    if step.kind not in REAL | {"int64"} or step.width != 1 or not len(codes):
        raise step.fail("numbers of another form")
    if step.kind == "int64" and not (np.abs(codes) < _WHOLE).all():
        raise step.fail("whole numbers beyond those of a double")
    check_whole(step, "at", 0, step.inputs[0].width)


def _write_look_up(step: Step) -> Iterable[str]:
    last = len(step.array("constants")) - 1
    yield f"int64_t position = {block(step.inputs[0])}[{step.parameters['at']}];"
    yield f"if (position < 0 || position > {last}) position = {last};"
    yield f"{block(step)}[0] = ({C_TYPES[step.kind]}){constant(step, 'constants')}[position];"


def _check_fill_text(step: Step) -> None:
    check_inputs(step, 1, _TEXT)
    if step.kind != "text" or step.width != 1:
        raise step.fail("words of another form")
    check_array(step, "word", len(step.array("word")), "|u1")
    if "fills" in step.parameters:
        check_whole(step, "fills", 1, 4)


def _write_fill_text(step: Step) -> Iterable[str]:
    yield f"{block(step)}[0] = {block(step.inputs[0])}[0];"
    yield f"if ({block(step)}[0].missing & {step.parameters.get('fills', 3)}) {{"
    yield f"  {block(step)}[0].bytes = {constant(step, 'word')};"
    yield f"  {block(step)}[0].length = {len(step.array('word'))};"
    yield f"  {block(step)}[0].missing = 0;"
    yield "}"


OPERATIONS: Final[Mapping[str, Operation]] = {
    "find_word": Operation(_check_word, _write_word),
    "find_number": Operation(_check_number, _write_number),
    "one_hot": Operation(_check_one_hot, _write_one_hot),
    "look_up": Operation(_check_look_up, _write_look_up),
    "fill_text": Operation(_check_fill_text, _write_fill_text),
}
