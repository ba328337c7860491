"""Places of a body's rows and their width, by its brackets, commas and newlines."""

from __future__ import annotations

from handlers.scoring.schema import np

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_COMMA, _NEWLINE, _SPACE, _OPEN, _CLOSE = b",\n []"
_BRACKETS = 1000
"""Looked at: for the two that rows begin with, behind the columns' names; or for columns."""


def rows_of(body: bytes) -> tuple[int, int]:
    """Find where the first `[[` begins and the last `]]` ends; twice 0 without them.

    One byte is looked for at a time: `find` takes 2 ms for two in a body of 2 MB.
    """
    begin = body.find(b"[")
    for _ in range(_BRACKETS):
        if begin < 0 or body.startswith(b"[", begin + 1):
            break
        begin = body.find(b"[", begin + 1)
    end = body.rfind(b"]") + 1
    if 0 <= begin < end - 3 and body.startswith(b"[[", begin) and body.endswith(b"]]", 0, end):
        return begin, end
    return 0, 0


def lists_of(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """Split a body into what is around its lists and what is in them; nothing without lists."""
    count = body.count(b"[")
    if not 0 < count <= _BRACKETS or body.count(b"]") != count:
        return [], []
    around, lists, at = [], [], 0
    for _ in range(count):
        begin = body.find(b"[", at)
        end = body.find(b"]", begin)
        if begin < 0 or end < 0:
            return [], []
        around.append(body[at:begin])
        lists.append(body[begin + 1 : end])
        at = end + 1
    return [*around, body[at:]], lists


def measure_brackets(rows: bytes) -> int | None:
    """The width of `[1, 2], [3, 4]`; None where the rows are of several.

    That there is a number between any two commas, and nothing else, is not looked at here.
    """
    text = np.frombuffer(rows, np.uint8)
    opens = np.flatnonzero(text == _OPEN)
    if len(opens) != rows.count(b"]"):
        return None
    later = opens[1:]
    spaced = len(later) > 0 and rows.startswith(b" ", int(later[0]) - 1)
    before = (_SPACE, _COMMA, _CLOSE) if spaced else (_COMMA, _CLOSE)
    if any((text[later - at] != mark).any() for at, mark in enumerate(before, start=1)):
        return None
    return _width(text, opens)


def measure_lines(lines: Array) -> int | None:
    """The width of `1,2` over `3,4`, given as bytes; None where the lines are of several."""
    if not len(lines):
        return None
    return _width(lines, np.append(0, np.flatnonzero(lines == _NEWLINE) + 1), ends=0)


def _width(text: Array, starts: Array, ends: int = 1) -> int | None:
    """Count the cells of each row; None where rows differ.

    All but the last have `ends` commas more than between cells.
    """
    if starts[-1] >= len(text):
        return None
    commas = np.add.reduceat((text == _COMMA).view(np.int8), starts, dtype=np.int32)
    commas[:-1] -= ends
    return int(commas[0]) + 1 if (commas == commas[0]).all() else None
