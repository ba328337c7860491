"""Look into a model's files without loading them: what they name, never what they do."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.models.pickles.pickle_names import read_opcodes
from packager.types import Frame, ResolvedModel

_MOST_SCHEMA: Final = 256 * 2**20
"""Bytes: a forest of a thousand trees has 20 MB of them."""
_NUMBERS: Final = frozenset({"boolean", "integer", "long", "float", "double"})
_FRAMEWORKS: Final = frozenset({"sklearn", "numpy", "scipy", "collections", "copyreg", "_codecs"})
_BUILTINS: Final = frozenset(
    {"bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"}
    | {"NoneType", "object", "range", "set", "slice", "str", "tuple"}
)
_WANTS_FRAME: Final = frozenset(
    {"ColumnTransformer", "FunctionTransformer", "make_column_selector", "_set_output"}
)
_OUTPUT_SETTING: Final = "_sklearn_output_config"
"""Where scikit-learn keeps what set_output(transform="pandas") was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Names that a serialized object refers to."""

    names: frozenset[str]
    """Dotted names of classes and functions; `?` for one that only running it would tell."""
    strings: frozenset[str] = field(default_factory=frozenset)

    def modules(self) -> frozenset[str]:
        """Top-level packages that are referred to."""
        return frozenset(name.partition(".")[0] for name in self.names)


def need_file(model: ResolvedModel, relative: object, key: str) -> str:
    """A file or folder of the model that its MLmodel names, or ModelFormatError."""
    name = PurePosixPath(str(relative or ""))
    if not relative or name.is_absolute() or ".." in name.parts:
        raise ModelFormatError(
            f"MLmodel's {key} is {relative!r}, not a path inside the model. "
            "Log the model again, or correct the file."
        )
    if model_documents.find_inside(model.root, str(name)) is None:
        raise ModelFormatError(
            f"MLmodel's {key} names {name}, which is not in the model folder. "
            "The upload may have been cut short: log the model again."
        )
    return str(name)


def code_folders(model: ResolvedModel, conf: Mapping[str, object]) -> list[str]:
    """Folders of code that was logged with the model, as the loaders' option `code`."""
    named = model.pyfunc.get("code") or conf.get("code")
    return [need_file(model, named, "code")] if named else []


def columns_only_numbers(model: ResolvedModel) -> bool:
    """Tell whether a DataFrame of this signature is all numbers, none of them absent."""
    inputs = (model.signature or {}).get("inputs") or []
    return bool(inputs) and all(
        spec.get("type") in _NUMBERS and spec.get("required", not spec.get("optional", False))
        for spec in inputs
    )


def is_tensor(model: ResolvedModel) -> bool:
    inputs = (model.signature or {}).get("inputs") or []
    return bool(inputs) and all(spec.get("type") == "tensor" for spec in inputs)


def frames(model: ResolvedModel, *, arrays_will_do: bool) -> tuple[Frame, ...]:
    """Both frames where the model's own files give no sign that it looks at a DataFrame."""
    plain = columns_only_numbers(model) or is_tensor(model)
    return (Frame.NUMPY, Frame.PANDAS) if plain and arrays_will_do else (Frame.PANDAS,)


def takes_arrays(contents: Contents) -> bool:
    """Tell whether an estimator is of scikit-learn, NumPy and SciPy alone, none by column."""
    if _OUTPUT_SETTING in contents.strings:
        return False
    return all(_is_plain(name) for name in contents.names)


def _is_plain(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if last in _WANTS_FRAME:
        return False
    top = module.partition(".")[0]
    return top in _FRAMEWORKS or (top == "builtins" and last in _BUILTINS)


def read_serialized(path: Path, serialization: str) -> Contents:
    """Read what a skops file or a pickle refers to.

    Raises ModelFormatError where it is neither.
    """
    return skops(path) if serialization == "skops" else read_pickled(path)


def read_schema(path: Path) -> object:
    """Read the schema of a skops file. Raises ModelFormatError."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("schema.json") as file:
            text = file.read(_MOST_SCHEMA + 1)
            if len(text) > _MOST_SCHEMA:
                raise ModelFormatError(
                    f"{path.name}: its schema has more than {_MOST_SCHEMA:,} bytes."
                )
            return json.loads(text)
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFormatError(
            f"{path.name} is not a skops file: {error}. Log the model again."
        ) from error


def skops(path: Path) -> Contents:
    """Types and functions of a skops file, from its schema."""
    schema = read_schema(path)
    names: set[str] = set()
    strings: set[str] = set()
    _walk(schema, names, strings)
    return Contents(names=frozenset(names), strings=frozenset(strings))


def _walk(value: object, names: set[str], strings: set[str]) -> None:
    todo = [value]
    while todo:
        found = todo.pop()
        if isinstance(found, dict):
            module, kind = found.get("__module__"), found.get("__class__")
            if isinstance(module, str) and isinstance(kind, str):
                names.add(f"{module}.{kind}")
            module, kind = found.get("module_path"), found.get("function")
            if isinstance(module, str) and isinstance(kind, str):
                names.add(f"{module}.{kind}")
            strings.update(key for key in found if isinstance(key, str))
            todo.extend(found.values())
        elif isinstance(found, list):
            todo.extend(found)
        elif isinstance(found, str):
            strings.add(found)


def read_pickled(path: Path) -> Contents:
    """Names in a pickle's opcodes; nothing of it is run (https://docs.python.org/3/library/pickletools.html)."""
    names: set[str] = set()
    strings: set[str] = set()
    try:
        with path.open("rb") as file:
            for name, text in _references(file):
                if name is not None:
                    names.add(name)
                if text is not None:
                    strings.add(text)
    except (OSError, ValueError) as error:
        raise ModelFormatError(
            f"{path.name} is not a whole pickle: {error}. Log the model again."
        ) from error
    return Contents(names=frozenset(names), strings=frozenset(strings))


def _references(file: IO[bytes]) -> Iterator[tuple[str | None, str | None]]:
    """(dotted name, None) for each global, (None, text) for each string.

    A global's module and name are the two strings pushed last, perhaps out of the memo.
    """
    memo: dict[int, str | None] = {}
    pushed: list[str | None] = [None, None]
    argument: Any
    for opcode, argument in read_opcodes(file):
        if (name := _name_global(opcode, argument, pushed)) is not None:
            yield name, None
            pushed = [None if opcode == "STACK_GLOBAL" else pushed[-1], None]
            continue
        match opcode:
            case "MEMOIZE":
                memo[len(memo)] = pushed[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[int(argument)] = pushed[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                pushed = [pushed[-1], memo.get(int(argument))]
            case "PROTO" | "FRAME" | "STOP":
                continue
            case _:
                text = _read_text(opcode, argument)
                if text is not None:
                    yield None, text
                pushed = [pushed[-1], text]


def _name_global(opcode: str, argument: object, pushed: Sequence[str | None]) -> str | None:
    """The dotted name of the global that an opcode pushes; None where it pushes none."""
    match opcode:
        case "GLOBAL" | "INST":
            return str(argument).replace(" ", ".")
        case "STACK_GLOBAL":
            module, name = pushed
            return "?" if module is None or name is None else f"{module}.{name}"
        case "EXT1" | "EXT2" | "EXT4":
            return "?"
        case _:
            return None


def _read_text(opcode: str, argument: object) -> str | None:
    return argument if isinstance(argument, str) and "UNICODE" in opcode else None
