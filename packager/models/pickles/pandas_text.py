"""Text that pandas keeps in Arrow, written into the pickle as pandas keeps it without Arrow.

From pandas 3 on text is kept in pyarrow wherever that is installed, and as Python's own texts where
it is not: https://pandas.pydata.org/docs/whatsnew/v3.0.0.html#dedicated-string-data-type-by-default
A pickle of the first loads with pyarrow alone. Its arrays are cut out as opcodes, decoded, and
written as a pickle of the second; the rest of the pickle stays as it is, and none of it is run.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from packager.models.pickles.arrow_text import decode_text
from packager.models.pickles.pickle_values import (
    Item,
    Kind,
    Reading,
    Span,
    Value,
    is_global,
    list_parts,
    read_dict,
    read_values,
)

_MOST_OPCODES: Final = 3_000_000
"""Of a pickle: some seconds."""
_ARRAYS: Final = (
    "pandas.arrays.ArrowStringArray",
    "pandas.core.arrays.string_arrow.ArrowStringArray",
)
_TYPES: Final = ("pandas.StringDtype", "pandas.core.arrays.string_.StringDtype")
_MISSING: Final = ("pandas.NA", "pandas._libs.missing.NA")
_BYTES: Final = ("bytearray", "builtins.bytearray", "__builtin__.bytearray", "__builtin__.bytes")
_ENCODE: Final = "_codecs.encode"
_READ_ONLY: Final = "_readonly"
_STATE: Final = frozenset({"_pa_array", "_dtype", "_cache", _READ_ONLY})
_ARROW: Final = "pyarrow"
_RESTORED: Final = 7
"""Values that pyarrow restores an array of."""
_FREE_BYTES: Final = 1 << 20
_MOST_TIMES: Final = 4
"""Bytes of all arrays together, in those of the file: each array has buffers of its own in it."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A pickle that needs no pyarrow for pandas' text, and what was written anew in it."""

    data: bytes
    arrays: int
    types: int
    """Types of columns that are kept beside them."""


def rewrite_text(data: bytes) -> Rewritten:
    """Write a pickle's text arrays as pandas keeps them without pyarrow.

    One that holds none is as it was, with no arrays and no types counted. Raises ValueError where
    an array is damaged or of another form, or pyarrow is needed for more.
    """
    edits: list[_Edit] = []
    counts = Counter[str]()
    try:
        reading = read_values(data, wanted=_is_text, most=_MOST_OPCODES)
        _edit(reading, edits, counts, _Budget(_FREE_BYTES + _MOST_TIMES * len(data)))
    except (IndexError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no whole pickle: {error}") from error
    written = b"".join(_apply(data, edits))
    return Rewritten(written, counts["arrays"], counts["types"])


@dataclass(frozen=True, slots=True, order=True)
class _Edit:
    start: int
    end: int
    text: bytes = field(compare=False)


def _is_text(value: Value) -> bool:
    """Tell the values that are written anew."""
    if value.kind is Kind.NEW:
        return is_global(value.parts[0], *_ARRAYS)
    return value.kind is Kind.CALL and is_global(value.parts[0], *_TYPES) and _is_arrow_type(value)


def _is_arrow_type(value: Value) -> bool:
    parts = value.parts[1].parts if isinstance(value.parts[1], Value) else []
    return bool(parts) and parts[0] == _ARROW


class _Budget:
    """Bytes that are still decoded: an array may be named again and again."""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes

    def spend(self, size_bytes: int) -> None:
        """Raises ValueError where no more are left."""
        self._left -= size_bytes
        if self._left < 0:
            raise ValueError("its arrays of text come to many times the file")


def _edit(reading: Reading, edits: list[_Edit], counts: Counter[str], budget: _Budget) -> None:
    """Add the edits of one pickle. Raises ValueError."""
    spans = _list_outermost(reading.spans)
    inside = _Inside(spans)
    _refuse_arrow(reading, inside)
    for inner in reading.inner:
        _edit(inner, edits, counts, budget)
    if not spans:
        return
    edits += _edit_spans(reading, spans, inside, budget)
    for span in spans:
        counts["arrays" if span.value.kind is Kind.NEW else "types"] += 1
    edits += (_Edit(start, end, b"") for start, end in reading.frames if not inside.has(start))
    # places of the memo are counted by those before, of which some are gone
    edits += (
        _Edit(start, end, _put(number))
        for start, end, number in reading.puts
        if not inside.has(start)
    )


def _refuse_arrow(reading: Reading, inside: _Inside) -> None:
    """Raises ValueError for what needs pyarrow and is no part of text."""
    for end, name in reading.globals:
        if _needs_arrow(name) and not inside.has(end - 1):
            raise ValueError(f"it names {name} beside text")


def _edit_spans(
    reading: Reading, spans: list[Span], inside: _Inside, budget: _Budget
) -> Iterator[_Edit]:
    """Yield what comes in the place of each span. Raises ValueError."""
    wanted = {number for start, number in reading.gets if not inside.has(start)}
    starts = [start for start, _, _ in reading.puts]
    numbers = _Numbers(reading)
    for span in spans:
        put = reading.puts[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        kept = {number: reading.memo[number] for _, _, number in put if number in wanted}
        if span.value.kind is Kind.NEW:
            text = _write_array(span.value, kept, numbers, budget)
        else:
            text = _write_type(span, kept)
        yield _Edit(span.start, span.end, text)


def _needs_arrow(name: str) -> bool:
    top, _, last = name.partition(".")
    return top == _ARROW or (top == "pandas" and last.rpartition(".")[2].startswith("Arrow"))


def _list_outermost(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if found and span.start < found[-1].end:
            continue
        found.append(span)
    return found


class _Inside:
    """Tells whether a place is in any of the spans, asked for in any order."""

    def __init__(self, spans: list[Span]) -> None:
        self._starts = [span.start for span in spans]
        self._ends = [span.end for span in spans]

    def has(self, place: int) -> bool:
        at = bisect_right(self._starts, place) - 1
        return at >= 0 and place < self._ends[at]


class _Numbers:
    """Places of the memo that the pickle does not use."""

    def __init__(self, reading: Reading) -> None:
        self._last = max(reading.memo, default=-1)

    def take(self) -> int:
        self._last += 1
        return self._last


def _apply(data: bytes, edits: list[_Edit]) -> Iterator[bytes]:
    at = 0
    for edit in sorted(edits):
        yield data[at : edit.start]
        yield edit.text
        at = edit.end
    yield data[at:]


def _write_type(span: Span, kept: dict[int, Item]) -> bytes:
    return _restore(kept, but=None) + _write(_loosen(span.value))


def _write_array(value: Value, kept: dict[int, Item], numbers: _Numbers, budget: _Budget) -> bytes:
    """Opcodes of a StringArray in the place of an ArrowStringArray. Raises ValueError."""
    said = read_dict(value.state)
    if said.keys() - _STATE or not isinstance(said.get("_dtype"), Value):
        raise ValueError(f"a text array of it holds {', '.join(sorted(said))}")
    dtype = _loosen(said["_dtype"])
    missing = list_parts(list_parts(dtype, Kind.CALL)[1], Kind.TUPLE)[1]
    texts = [*_read_array(said.get("_pa_array"), budget)]
    own = b"".join(_put(number) for number, item in kept.items() if item is value)
    attributes = b"}"
    if _READ_ONLY in said:
        attributes += _write(_READ_ONLY) + _write(said[_READ_ONLY]) + b"s"
    return b"".join(
        (
            _restore(kept, but=value),
            b"cpandas.arrays\nStringArray\n)\x81" + own,
            _write(dtype),
            b"cnumpy\narray\n",
            _write_texts(texts, missing, numbers),
            b"\x8c\x01O\x86R",
            attributes + b"\x87b",
        )
    )


def _write_texts(texts: list[str | None], missing: Item, numbers: _Numbers) -> bytes:
    """A list of texts; one that comes again is got from the memo."""
    often = {text: count for text, count in Counter(texts).items() if count > 1}
    places: dict[str, int] = {}
    parts = [b"]("]
    absent = _write(missing)
    for text in texts:
        if text is None:
            parts.append(absent)
        elif text in places:
            parts.append(_get(places[text]))
        else:
            parts.append(_write(text))
            if text in often:
                places[text] = numbers.take()
                parts.append(_put(places[text]))
    return b"".join((*parts, b"e"))


def _restore(kept: dict[int, Item], *, but: Value | None) -> bytes:
    """Put into the memo what was put there within a span, and is got from it outside of it."""
    return b"".join(
        _write(_loosen(item)) + _put(number) + b"0"
        for number, item in kept.items()
        if but is None or item is not but
    )


def _loosen(item: Item) -> Item:
    """A type of pandas' text without pyarrow; any other value as it is. Raises ValueError."""
    if not isinstance(item, Value) or item.kind is not Kind.CALL:
        return item
    kind, arguments = item.parts
    if not is_global(kind, *_TYPES):
        return item
    parts = list_parts(arguments, Kind.TUPLE)
    if len(parts) != 2 or not _is_missing(parts[1]):
        raise ValueError("a type of its text is of another form")
    storage = "python" if parts[0] == _ARROW else parts[0]
    return Value(Kind.CALL, parts=[kind, Value(Kind.TUPLE, parts=[storage, parts[1]])])


def _is_missing(item: Item) -> bool:
    return is_global(item, *_MISSING) or (isinstance(item, float) and math.isnan(item))


def _read_array(item: Item, budget: _Budget) -> Iterator[str | None]:
    """Yield the texts of an array of pyarrow's, or of the chunks of one. Raises ValueError."""
    function, arguments = list_parts(item, Kind.CALL)
    chunks = [item]
    if is_global(function, "pyarrow.lib.chunked_array"):
        parts = list_parts(arguments, Kind.TUPLE)
        chunks = list_parts(next(iter(parts), None), Kind.LIST, Kind.TUPLE)
    for chunk in chunks:
        yield from _read_chunk(chunk, budget)


def _read_chunk(item: Item, budget: _Budget) -> list[str | None]:
    function, arguments = list_parts(item, Kind.CALL)
    parts = list_parts(arguments, Kind.TUPLE)
    if not is_global(function, "pyarrow.lib._restore_array"):
        raise ValueError("a text array of it is of another form")
    if len(parts) == 1:
        parts = list_parts(parts[0], Kind.TUPLE)
    if len(parts) != _RESTORED:
        raise ValueError(f"a text array of it has {len(parts)} parts")
    kind, length, _, offset, buffers, children, dictionary = parts
    if list_parts(children, Kind.LIST, Kind.TUPLE) or dictionary is not None:
        raise ValueError("a text array of it is of another form")
    read = [_read_buffer(each) for each in list_parts(buffers, Kind.LIST, Kind.TUPLE)]
    budget.spend(sum(len(each) for each in read if each is not None))
    try:
        return decode_text(_read_kind(kind), length, offset, read)
    except ValueError as error:
        raise ValueError(f"a text array of it is damaged: {error}") from error


def _read_kind(item: Item) -> str:
    function, arguments = list_parts(item, Kind.CALL)
    (name,) = list_parts(arguments, Kind.TUPLE)
    if not is_global(function, "pyarrow.lib.type_for_alias") or not isinstance(name, str):
        raise ValueError("its type is of another form")
    return name


def _read_buffer(item: Item) -> bytes | None:
    if item is None:
        return None
    function, arguments = list_parts(item, Kind.CALL)
    if not is_global(function, "pyarrow.lib.py_buffer"):
        raise ValueError("a buffer of it is of another form")
    (content,) = list_parts(arguments, Kind.TUPLE)
    return _read_bytes(content)


def _read_bytes(item: Item) -> bytes:
    """Bytes as any protocol from 2 on writes them. Raises ValueError for another value."""
    if isinstance(item, (bytes, bytearray)):
        return bytes(item)
    function, arguments = list_parts(item, Kind.CALL)
    match list_parts(arguments, Kind.TUPLE):
        case [] if is_global(function, *_BYTES):
            return b""
        case [(bytes() | bytearray() | Value()) as inner] if is_global(function, *_BYTES):
            return _read_bytes(inner)
        case [str() as text, "latin1" | "latin-1"] if is_global(function, _ENCODE, *_BYTES):
            return text.encode("latin-1")
        case _:
            raise ValueError("a buffer of it is of another form")


def _write(item: Item) -> bytes:
    """Opcodes that push a value. Raises ValueError for one that is not told whole."""
    match item:
        case None | bool():
            return {None: b"N", True: b"\x88", False: b"\x89"}[item]
        case str():
            encoded = item.encode("utf-8", "surrogatepass")
            if len(encoded) < 1 << 8:
                return b"\x8c" + struct.pack("<B", len(encoded)) + encoded
            return b"\x8d" + struct.pack("<Q", len(encoded)) + encoded
        case bytearray():
            return b"\x96" + struct.pack("<Q", len(item)) + item
        case bytes():
            return b"\x8e" + struct.pack("<Q", len(item)) + item
        case int():
            return b"L%dL\n" % item
        case float():
            return b"G" + struct.pack(">d", item)
        case Value():
            return _write_value(item)


def _write_value(value: Value) -> bytes:
    if value.kind is Kind.GLOBAL and not _needs_arrow(value.name):
        module, _, name = value.name.rpartition(".")
        return f"c{module}\n{name}\n".encode()
    if value.kind is Kind.TUPLE and not value.is_cut:
        return b"(" + b"".join(map(_write, value.parts)) + b"t"
    if value.kind is Kind.CALL and is_global(value.parts[0], *_TYPES):
        return b"".join(map(_write, value.parts)) + b"R"
    what = value.name or f"a {value.kind.value}"
    raise ValueError(f"{what}, of which its text is made, is used beside text too")


def _put(number: int) -> bytes:
    return b"q" + bytes((number,)) if number < 1 << 8 else b"r" + struct.pack("<I", number)


def _get(number: int) -> bytes:
    return b"h" + bytes((number,)) if number < 1 << 8 else b"j" + struct.pack("<I", number)
