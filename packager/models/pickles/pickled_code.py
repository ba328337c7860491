"""Imports by name in functions that a pickle holds by value: read from their bytecode, never run.

https://docs.python.org/3/library/dis.html
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.models.pickles.pickle_files import BROKEN, open_unpacked
from packager.models.pickles.pickle_names import read_opcodes

IMPORTERS: Final = frozenset({"import_module", "__import__"})
_GROUPED: Final = "entry_points"
READ: Final = IMPORTERS | {_GROUPED}
"""Functions whose calls are read."""
_KEYWORDS: Final = 172
"""Instruction of Python 3.11 and 3.12 before a call: which of its arguments have which names."""
_OPCODES: Final = {each.name: each for each in pickletools.opcodes}
_MARK: Final = object()
_MEMO: Final = frozenset({"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES: Final = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CODE_BYTES: Final = 1 << 16
"""Longer bytes are not kept: no function that imports by name has so many."""
_MOST_OPCODES: Final = 1_000_000
_MOST_ARGUMENTS: Final = 64
"""Of a call that makes a function: code takes 18 of them."""
_MOST_STEPS: Final = 20_000_000
"""Bytes, constants and names of all functions together: some seconds."""
_EXTENDED: Final = 8
"""Bits that an instruction before another adds to its argument."""
_PAIRED: Final = 4
"""Bits that the second of two local variables has, where one instruction takes both."""


@dataclass(frozen=True, slots=True)
class _Bytecode:
    """Numbers of the instructions that matter, in one version of Python."""

    constant: int
    named: dict[int, int]
    """Instructions that load by a name -> bits of the argument that say something else."""
    attributes: frozenset[int]
    local: int
    store: int
    from_: int
    extended: int
    calls: frozenset[int]
    skipped: frozenset[int]
    locals_: frozenset[int] = frozenset()
    """Other instructions that load what a local variable holds."""
    pairs: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Instructions that stand for two others of one local variable each, four bits apart."""


def _make_bytecode(
    *, attribute: int, name: int, calls: set[int], skipped: set[int], check: int = 124
) -> _Bytecode:
    """Those of Python 3.8 to 3.12; `attribute` and `name`: bits of LOAD_ATTR and LOAD_GLOBAL."""
    return _Bytecode(
        constant=100, named={106: attribute, 160: 0, 116: name, 101: 0},
        attributes=frozenset({106, 160}), local=124, store=125, from_=109, extended=144,
        calls=frozenset(calls), skipped=frozenset(skipped), locals_=frozenset({check}),
    )  # fmt: skip


_OLD: Final = _make_bytecode(attribute=0, name=0, calls={131, 141, 161}, skipped=set())
_BYTECODES: Final = {
    **dict.fromkeys(("3.8", "3.9", "3.10"), _OLD),
    "3.11": _make_bytecode(attribute=0, name=1, calls={166, 171, 172}, skipped={0, 2}),
    "3.12": _make_bytecode(attribute=1, name=1, calls={171, 172}, skipped={0, 2}, check=127),
    "3.13": _Bytecode(
        constant=83, named={82: 1, 91: 1, 92: 0}, attributes=frozenset({82}), local=85, store=110,
        from_=74, extended=71, calls=frozenset({53, 57}), skipped=frozenset({0, 34}),
        locals_=frozenset({87}), pairs={88: (85, 85), 111: (110, 85), 112: (110, 110)},
    ),
    "3.14": _Bytecode(
        constant=82, named={80: 1, 92: 1, 93: 0}, attributes=frozenset({80}), local=84, store=112,
        from_=72, extended=69, calls=frozenset({52, 55}), skipped=frozenset({0, 33}),
        locals_=frozenset({86, 88}),
        pairs={87: (84, 84), 89: (84, 84), 113: (112, 84), 114: (112, 112)},
    ),
}  # fmt: skip
"""Python's minor version -> its instructions; of another nothing is read."""


@dataclass(frozen=True, slots=True)
class _Code:
    """One function's code, as `types.CodeType` takes it."""

    instructions: bytes
    constants: tuple[object, ...]
    names: tuple[object, ...]
    variables: tuple[object, ...]
    rest: tuple[object, ...]

    @property
    def size(self) -> int:
        """Count of bytes, constants and names that there are to be read."""
        parts = (self.instructions, self.constants, self.names, self.variables)
        return sum(map(len, parts))


@dataclass(slots=True)
class NamedImports:
    """Imports by name in a pickle's functions."""

    modules: set[str] = field(default_factory=set)
    families: set[str] = field(default_factory=set)
    """Packages that a computed name begins with."""
    groups: set[str] = field(default_factory=set)
    """Groups of entry points that it asks for."""
    is_open: bool = False
    """True where only running the code tells what it imports."""


def read_named_imports(path: Path, python_version: str | None) -> NamedImports:
    """Read what the functions in a pickle import by name, under the Python that wrote it."""
    found = NamedImports()
    bytecode = _BYTECODES.get(".".join((python_version or "").split(".")[:2]))
    try:
        with open_unpacked(path) as file:
            codes = list(_list_codes(read_opcodes(file, _MOST_OPCODES)))
    except BROKEN:
        codes = []
    if sum(code.size for code in codes) > _MOST_STEPS:
        # one tuple may be in a hundred thousand functions
        found.is_open = True
        return found
    callers = [code for code in codes if _has_caller((*code.names, *code.variables))]
    found.is_open = bytecode is None or not callers
    # a tuple among the constants may be what `from importlib import` names
    found.is_open |= any(_has_caller(code.constants) for code in codes)
    found.is_open |= _names_caller([code.rest for code in codes])
    if bytecode is not None:
        for code in callers:
            _read_calls(code, bytecode, found)
    return found


def _has_caller(values: Iterable[object]) -> bool:
    """True where a name of those functions is among the values."""
    return any(isinstance(each, str) and each in READ for each in values)


def _names_caller(parts: Sequence[tuple[object, ...]]) -> bool:
    """True where a name of those functions is in the parts, however deep."""
    todo, seen = list(parts), set[int]()
    while todo:
        part = todo.pop()
        # a tuple may hold one of its own parts twice, and that one another
        if id(part) not in seen:
            seen.add(id(part))
            if _has_caller(part):
                return True
            todo += (each for each in part if isinstance(each, tuple))
    return False


def _list_codes(opcodes: Iterator[tuple[str, object]]) -> Iterator[_Code]:
    """Follow a pickle's stack, of which texts, bytes and tuples are kept."""
    stack: list[object] = []
    memo: dict[object, object] = {}
    for name, argument in opcodes:
        if name in _MEMO:
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif name in _GETS:
            stack.append(memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "TUPLE":
            stack.append(tuple(_pop_to_mark(stack)))
        elif name in _TUPLES:
            size = len(stack) - _TUPLES[name]
            stack[size:] = [tuple(stack[size:])]
        else:
            arguments = stack[-1] if name == "REDUCE" else None
            if code := _find_code(arguments):
                yield code
            _take_other(name, argument, stack)
            if (encoded := _encode(arguments)) is not None:
                stack[-1] = encoded


def _pop_to_mark(stack: list[object]) -> list[object]:
    """Raises IndexError where there is none."""
    place = len(stack) - 1
    while stack[place] is not _MARK:
        place -= 1
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _take_other(name: str, argument: object, stack: list[object]) -> None:
    opcode = _OPCODES[name]
    before = list(opcode.stack_before)
    if pickletools.markobject in before:
        _pop_to_mark(stack)
        before = before[: before.index(pickletools.markobject)]
    del stack[len(stack) - len(before) :]
    if len(opcode.stack_after) == 1 and not before:
        is_kept = isinstance(argument, str) and name != "GLOBAL"
        is_kept |= isinstance(argument, bytes) and len(argument) <= _CODE_BYTES
        stack.append(argument if is_kept else None)
    else:
        stack.extend(None for _ in opcode.stack_after)


def _encode(arguments: object) -> bytes | None:
    """Bytes that a call makes of a text, as the protocols before 3 have them: of Latin-1."""
    match arguments:
        case (str() as text, "latin1") if len(text) <= _CODE_BYTES:
            return text.encode("latin1", "replace")
        case _:
            return None


def _find_code(arguments: object) -> _Code | None:
    """Take a function's code out of arguments: bytes, and three tuples after them."""
    if not isinstance(arguments, tuple) or len(arguments) > _MOST_ARGUMENTS:
        return None
    for place, each in enumerate(arguments[:-3]):
        constants, names, variables = arguments[place + 1 : place + 4]
        if (
            isinstance(each, bytes)
            and isinstance(constants, tuple)
            and isinstance(names, tuple)
            and isinstance(variables, tuple)
        ):
            return _Code(each, constants, names, variables, arguments[place + 4 :])
    return None


def _read_calls(code: _Code, bytecode: _Bytecode, found: NamedImports) -> None:
    steps = [*_list_steps(code.instructions, bytecode), (-1, 0), (-1, 0)]
    for place, (operation, argument) in enumerate(steps[:-2]):
        first, second = steps[place + 1 : place + 3]
        if operation == bytecode.from_ and _take(code.names, argument) in READ:
            # `from importlib import import_module` under another name may be called anywhere
            is_same = _take(code.variables, first[1]) == _take(code.names, argument)
            found.is_open |= first[0] != bytecode.store or not is_same
        elif (called := _find_name(code, operation, argument, bytecode)) in IMPORTERS:
            _read_call(code, first, second, bytecode, found)
        elif called == _GROUPED:
            _read_group(code, first, second, bytecode, found)


def _list_steps(instructions: bytes, bytecode: _Bytecode) -> Iterator[tuple[int, int]]:
    """Yield each operation and its argument, without those that only make room.

    One that takes two local variables is yielded as two.
    """
    extended = 0
    for operation, argument in zip(instructions[::2], instructions[1::2], strict=False):
        whole = extended | argument
        extended = whole << _EXTENDED if operation == bytecode.extended else 0
        if operation in bytecode.pairs:
            first, second = bytecode.pairs[operation]
            yield first, whole >> _PAIRED
            yield second, whole & ((1 << _PAIRED) - 1)
        elif operation in bytecode.locals_:
            yield bytecode.local, whole
        elif operation != bytecode.extended and operation not in bytecode.skipped:
            yield operation, whole


def _find_name(code: _Code, operation: int, argument: int, bytecode: _Bytecode) -> object:
    if operation in bytecode.named:
        return _take(code.names, argument >> bytecode.named[operation])
    return _take(code.variables, argument) if operation == bytecode.local else None


def _take(values: tuple[object, ...], place: int) -> object:
    return values[place] if place < len(values) else None


def _read_call(
    code: _Code,
    first: tuple[int, int],
    second: tuple[int, int],
    bytecode: _Bytecode,
    found: NamedImports,
) -> None:
    """Note what a call's first argument begins with; `second` says whether that is all of it."""
    text = _take(code.constants, first[1]) if first[0] == bytecode.constant else None
    if not isinstance(text, str) or text.startswith("."):
        found.is_open = True
    elif second[0] in {*bytecode.calls, bytecode.constant}:
        found.modules.add(text)
    else:
        family = text.partition("%")[0].partition("{")[0].rpartition(".")[0]
        is_method = second[0] in bytecode.attributes
        is_format = _find_name(code, *second, bytecode) == "format"
        found.families |= {family} - {""}
        found.is_open |= not family or (is_method and not is_format)


def _read_group(
    code: _Code,
    first: tuple[int, int],
    second: tuple[int, int],
    bytecode: _Bytecode,
    found: NamedImports,
) -> None:
    """Note the group of `entry_points(group="one")`; all else only running it tells."""
    text = _take(code.constants, first[1]) if first[0] == bytecode.constant else None
    is_named = second[0] in {bytecode.constant, _KEYWORDS}
    if isinstance(text, str) and is_named and _take(code.constants, second[1]) == ("group",):
        found.groups.add(text)
    else:
        found.is_open = True
