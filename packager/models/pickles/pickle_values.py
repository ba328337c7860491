"""Values that a pickle's opcodes make, as far as they can be told; nothing of it is run.

A value on the stack is made by one run of opcodes, so that it can be cut out and another put in its
place: https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

import io
import pickletools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import Final, TypeAlias, TypeGuard

_MOST_PARTS: Final = 256
"""Of a list, tuple or dict that are remembered."""
_WRAPPER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
_ITEM: Final = re.compile(r"[<>|=]?([biufcmMSUVO?])(\d*)")
_CONSTANTS: Final = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"}
    | {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
)
_SINGLE: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Kind(Enum):
    """The opcodes that made a value that is no constant."""

    GLOBAL = "global"
    TUPLE = "tuple"
    LIST = "list"
    DICT = "dict"
    """Keys and values by turns."""
    CALL = "call"
    """A function and its arguments."""
    NEW = "new"
    """A class and its arguments."""
    OTHER = "other"


@dataclass(slots=True, eq=False)
class Value:
    """A value that is no constant: what it was made of, and what it was given later."""

    kind: Kind
    name: str = ""
    """Dotted, of a global."""
    parts: list[Item] = field(default_factory=list)
    is_cut: bool = False
    """It has more parts."""
    state: Item = None

    def add(self, parts: list[Item]) -> None:
        """Remember what a container is given."""
        left = _MOST_PARTS - len(self.parts)
        self.is_cut |= len(parts) > left
        self.parts += parts[:left]


Item: TypeAlias = str | bytes | bytearray | int | float | Value | None
"""A constant stands for itself."""


@dataclass(frozen=True, slots=True)
class Span:
    """Opcodes that make a value, from the first byte to after the last."""

    start: int
    end: int
    value: Value


@dataclass(slots=True)
class Reading:
    """One pickle of a file: its end, spans of what was looked for, and each use of the memo."""

    end: int = 0
    spans: list[Span] = field(default_factory=list)
    memo: dict[int, Item] = field(default_factory=dict)
    puts: list[tuple[int, int, int]] = field(default_factory=list)
    """(start, end, number) of opcodes that put a value into the memo."""
    gets: list[tuple[int, int]] = field(default_factory=list)
    """(start, number) of opcodes that get one from it."""
    frames: list[tuple[int, int]] = field(default_factory=list)
    globals: list[tuple[int, str]] = field(default_factory=list)
    """(end, dotted name) of opcodes that push a global."""
    inner: list[Reading] = field(default_factory=list)
    """Pickles between this one's opcodes, as joblib writes an array of objects."""


def is_global(item: Item, *names: str) -> TypeGuard[Value]:
    """Tell a global by any of its dotted names."""
    return isinstance(item, Value) and item.kind is Kind.GLOBAL and item.name in names


def list_parts(item: Item, *kinds: Kind) -> list[Item]:
    """The parts of a value of these kinds. Raises ValueError for any other, and for too many."""
    if not isinstance(item, Value) or item.kind not in kinds or item.is_cut:
        raise ValueError(f"no {' or '.join(each.value for each in kinds)} where one is written")
    return item.parts


def read_values(
    data: bytes, *, wanted: Callable[[Value], bool], most: int, start: int = 0
) -> Reading:
    """Read the pickle at `start`; `wanted` says of which made values the spans are kept.

    Raises ValueError for what is no pickle, has more than `most` opcodes, or is of another form.
    """
    file = io.BytesIO(data)
    file.seek(start)
    return _Reader(file, wanted, most).read()


class _Reader:
    """The machine that pickle's opcodes are for, over values that are only described."""

    def __init__(self, file: io.BytesIO, wanted: Callable[[Value], bool], most: int) -> None:
        self._file = file
        self._wanted = wanted
        self._left = most
        self._stack: list[tuple[int, Item]] = []
        self._marks: list[tuple[int, int]] = []
        """(height of the stack, start of the opcode) of each mark."""
        self._found = Reading()
        self._start = 0

    def read(self) -> Reading:
        for name, argument, start in self._list_opcodes():
            self._start = start
            self._take(name, argument)
        self._found.end = self._file.tell()
        return self._found

    def _list_opcodes(self) -> Iterator[tuple[str, object, int]]:
        for opcode, argument, start in pickletools.genops(self._file):
            self._left -= 1
            if self._left < 0:
                raise ValueError("it has more opcodes than are read")
            yield opcode.name, argument, start or 0

    def _take(self, name: str, argument: object) -> None:
        handler = getattr(self, f"_on_{name.lower()}", None)
        if name in _CONSTANTS and isinstance(argument, (str, bytes, bytearray, int, float)):
            self._push(argument)
        elif name in _SINGLE:
            self._push(_SINGLE[name])
        elif handler is not None:
            handler(argument)
        elif name not in {"PROTO", "STOP"}:
            self._take_other(name)

    def _push(self, item: Item, start: int | None = None) -> None:
        self._stack.append((self._start if start is None else start, item))

    def _pop(self, count: int) -> tuple[int, list[Item]]:
        """Take that many from the stack: where the first was made, and each of them."""
        floor = self._marks[-1][0] if self._marks else 0
        if len(self._stack) - count < floor:
            raise ValueError("it takes more than it has put there")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return (taken[0][0] if taken else self._start), [item for _, item in taken]

    def _pop_marked(self) -> tuple[int, list[Item]]:
        if not self._marks:
            raise ValueError("it goes back to a mark that is not there")
        height, start = self._marks.pop()
        taken = self._stack[height:]
        del self._stack[height:]
        return start, [item for _, item in taken]

    def _top(self) -> Item:
        if not self._stack:
            raise ValueError("it uses what it has not made")
        return self._stack[-1][1]

    def _make(self, kind: Kind, start: int, parts: list[Item]) -> Value:
        value = Value(kind)
        value.add(parts)
        self._push(value, start)
        return value

    def _keep(self, value: Value, start: int) -> None:
        if self._wanted(value):
            self._found.spans.append(Span(start, self._file.tell(), value))

    def _on_frame(self, _argument: object) -> None:
        self._found.frames.append((self._start, self._file.tell()))

    def _on_mark(self, _argument: object) -> None:
        self._marks.append((len(self._stack), self._start))

    def _on_pop(self, _argument: object) -> None:
        if self._marks and self._marks[-1][0] == len(self._stack):
            self._marks.pop()
        else:
            self._pop(1)

    def _on_pop_mark(self, _argument: object) -> None:
        self._pop_marked()

    def _on_dup(self, _argument: object) -> None:
        self._push(self._top())

    def _on_memoize(self, _argument: object) -> None:
        self._put(len(self._found.memo))

    def _put(self, number: int) -> None:
        if number in self._found.memo:
            raise ValueError("it puts two values in one place of its memo")
        self._found.memo[number] = self._top()
        self._found.puts.append((self._start, self._file.tell(), number))

    def _on_put(self, argument: object) -> None:
        self._put(int(str(argument)))

    _on_binput = _on_long_binput = _on_put

    def _on_get(self, argument: object) -> None:
        number = int(str(argument))
        if number not in self._found.memo:
            raise ValueError("it gets what is not in its memo")
        self._found.gets.append((self._start, number))
        self._push(self._found.memo[number])

    _on_binget = _on_long_binget = _on_get

    def _on_empty_tuple(self, _argument: object) -> None:
        self._make(Kind.TUPLE, self._start, [])

    def _on_empty_list(self, _argument: object) -> None:
        self._make(Kind.LIST, self._start, [])

    def _on_empty_dict(self, _argument: object) -> None:
        self._make(Kind.DICT, self._start, [])

    def _on_tuple1(self, _argument: object) -> None:
        self._make(Kind.TUPLE, *self._pop(1))

    def _on_tuple2(self, _argument: object) -> None:
        self._make(Kind.TUPLE, *self._pop(2))

    def _on_tuple3(self, _argument: object) -> None:
        self._make(Kind.TUPLE, *self._pop(3))

    def _on_tuple(self, _argument: object) -> None:
        self._make(Kind.TUPLE, *self._pop_marked())

    def _on_list(self, _argument: object) -> None:
        self._make(Kind.LIST, *self._pop_marked())

    def _on_dict(self, _argument: object) -> None:
        self._make(Kind.DICT, *self._pop_marked())

    def _extend(self, kind: Kind, parts: list[Item]) -> None:
        container = self._top()
        if isinstance(container, Value) and container.kind is kind:
            container.add(parts)

    def _on_append(self, _argument: object) -> None:
        self._extend(Kind.LIST, self._pop(1)[1])

    def _on_appends(self, _argument: object) -> None:
        self._extend(Kind.LIST, self._pop_marked()[1])

    def _on_setitem(self, _argument: object) -> None:
        self._extend(Kind.DICT, self._pop(2)[1])

    def _on_setitems(self, _argument: object) -> None:
        self._extend(Kind.DICT, self._pop_marked()[1])

    def _push_global(self, name: str, start: int) -> None:
        self._found.globals.append((self._file.tell(), name))
        self._push(Value(Kind.GLOBAL, name=name), start)

    def _on_global(self, argument: object) -> None:
        self._push_global(str(argument).replace(" ", "."), self._start)

    def _on_stack_global(self, _argument: object) -> None:
        start, names = self._pop(2)
        self._push_global(".".join(each if isinstance(each, str) else "?" for each in names), start)

    def _on_inst(self, argument: object) -> None:
        self._found.globals.append((self._file.tell(), str(argument).replace(" ", ".")))
        self._take_other("INST")

    def _on_reduce(self, _argument: object) -> None:
        start, parts = self._pop(2)
        self._keep(self._make(Kind.CALL, start, parts), start)

    def _on_newobj(self, _argument: object) -> None:
        start, parts = self._pop(2)
        self._make(Kind.NEW, start, parts)

    def _on_build(self, _argument: object) -> None:
        _, (state,) = self._pop(1)
        value = self._top()
        if not isinstance(value, Value):
            return
        value.state = state
        self._keep(value, self._stack[-1][0])
        if value.kind is Kind.NEW and is_global(value.parts[0], _WRAPPER):
            self._pass_array(state)

    def _pass_array(self, state: Item) -> None:
        """Pass over the array that joblib writes after its description.

        https://github.com/joblib/joblib/blob/main/joblib/numpy_pickle.py (NumpyArrayWrapper)
        """
        said = read_dict(state)
        letter, size = _read_item_type(said.get("dtype"))
        if letter == "O":
            inner = _Reader(self._file, self._wanted, self._left)
            self._found.inner.append(inner.read())
            self._left = inner._left
            return
        if isinstance(said.get("numpy_array_alignment_bytes"), int):
            padding = self._file.read(1)
            self._file.seek(padding[0] if padding else 0, io.SEEK_CUR)
        shape = list_parts(said.get("shape"), Kind.TUPLE)
        lengths = [each for each in shape if isinstance(each, int) and each >= 0]
        if len(lengths) != len(shape):
            raise ValueError("an array of it has a shape that is none")
        self._file.seek(prod(lengths) * size, io.SEEK_CUR)

    def _take_other(self, name: str) -> None:
        """Take and push as the opcode does, without telling what."""
        opcode = _OPCODES[name]
        before = list(opcode.stack_before)
        start = self._start
        if pickletools.markobject in before:
            start, _ = self._pop_marked()
            before = before[: before.index(pickletools.markobject)]
        if before:
            start, _ = self._pop(len(before))
        for _ in opcode.stack_after:
            self._push(Value(Kind.OTHER), start)


_OPCODES: Final = {opcode.name: opcode for opcode in pickletools.opcodes}


def read_dict(item: Item) -> dict[str, Item]:
    """The values of a dict by their texts. Raises ValueError for any other value."""
    parts = list_parts(item, Kind.DICT)
    keys = [each for each in parts[::2] if isinstance(each, str)]
    if len(keys) * 2 != len(parts):
        raise ValueError("a key that is no text")
    return dict(zip(keys, parts[1::2], strict=True))


def _read_item_type(item: Item) -> tuple[str, int]:
    """The letter of a numpy type, and the bytes of one item. Raises ValueError for others."""
    kind, arguments = list_parts(item, Kind.CALL)
    if not is_global(kind, "numpy.dtype", "numpy.core.dtype"):
        raise ValueError("an array of it has a type that is not known")
    text = next(iter(list_parts(arguments, Kind.TUPLE)), None)
    match = _ITEM.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1] == "V":
        raise ValueError(f"an array of it has the type {text!r}, which is not known")
    return match[1], int(match[2] or 1) * (4 if match[1] == "U" else 1)
