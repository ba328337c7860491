"""The form as it is read: every number in it is checked before it becomes C."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from packager.errors import SandboxError
from packager.system.sandbox import read_bytes
from packager.types import Json

VERSION: Final = 1
INPUT_KINDS: Final[Mapping[str, str]] = {
    "double": "double",
    "float": "float",
    "long": "int64",
    "integer": "int64",
    "boolean": "bool",
    "string": "text",
}
"""A block's kind by the type of the column that it is read from."""
KINDS: Final = frozenset(INPUT_KINDS.values())
MOST_OPERATIONS: Final = 20_000
MOST_BYTES: Final = 256 << 20
"""Of constants: Lambda takes 250 MB unzipped, so no artifact holds more."""
MOST_TEXT_BYTES: Final = 64 << 20
"""Of form.json, which names what lies in the constants."""
MOST_WIDTH: Final = 4_000_000
"""Cells of all blocks of a row together: they are held while it is answered."""
_DTYPES: Final = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "<u2", "|u1"})
Array: TypeAlias = npt.NDArray[Any]


class FormError(Exception):
    """A form that breaks its own rules, with the place."""


@dataclass(frozen=True, slots=True)
class Constant:
    """An array of the form, and where its bytes lie."""

    values: Array
    offset: int


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, and the block that it answers with."""

    number: int
    operation: str
    inputs: tuple[Step, ...]
    kind: str
    width: int
    parameters: Mapping[str, Json]
    constants: Mapping[str, Constant]

    def fail(self, what: str) -> FormError:
        return FormError(f"operation {self.number} ({self.operation}): {what}")

    def array(self, name: str) -> Array:
        """Raises FormError where it is not there."""
        if name not in self.constants:
            raise self.fail(f"no constant {name!r}")
        return self.constants[name].values


@dataclass(frozen=True, slots=True)
class Form:
    columns: tuple[str, ...]
    """MLflow's type of each input column."""
    steps: tuple[Step, ...]
    answer: Step
    labels: int
    """How many labels the answer is a position among; 0 where it is numbers."""
    exact: bool
    constants: bytes


def read_form(folder: Path) -> Form:
    """Raises FormError for what is no plain file, no form of this version, or breaks its rules."""
    for name, most in (("form.json", MOST_TEXT_BYTES), ("constants.bin", MOST_BYTES)):
        _check_size(folder / name, most)
    try:
        found = json.loads(read_bytes(folder / "form.json", MOST_TEXT_BYTES))
        constants = read_bytes(folder / "constants.bin", MOST_BYTES)
    except SandboxError as error:
        raise FormError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise FormError(f"no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise FormError(f"a version other than {VERSION}")
    try:
        return _read(found, constants)
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError, ValueError) as error:
        raise FormError(f"an entry that is not as it should be: {error!r}") from error


def _check_size(path: Path, most: int) -> None:
    """Raises FormError with the limit. What is no file is refused where it is read."""
    size = path.lstat().st_size if path.exists() else 0
    if size > most:
        raise FormError(
            f"the model is too large: its trees, weights and words are {size} bytes in "
            f"{path.name}, and {most} are the most"
        )


def _read(found: Json, constants: bytes) -> Form:
    columns = tuple(each["type"] for each in found["inputs"])
    if any(each not in INPUT_KINDS for each in columns):
        raise FormError("an input column of a type that is not known")
    arrays = [_read_array(each, constants) for each in found["arrays"]]
    if len(found["operations"]) > MOST_OPERATIONS:
        raise FormError(f"{len(found['operations'])} operations: {MOST_OPERATIONS} are the most")
    steps: list[Step] = []
    width = 0
    for entry in found["operations"]:
        steps.append(_read_step(entry, steps, arrays))
        width += steps[-1].width
        if width > MOST_WIDTH:
            raise FormError(f"rows of more than {MOST_WIDTH} cells")
    answer, labels = steps[_read_count(found["answer"]["block"])], found["answer"].get("labels", 0)
    if answer.kind not in {"double", "float", "int64"} or (labels and answer.kind != "int64"):
        raise FormError(f"an answer of kind {answer.kind}")
    return Form(columns, tuple(steps), answer, _read_count(labels), bool(found["exact"]), constants)


def _read_step(entry: Json, steps: list[Step], arrays: list[Constant]) -> Step:
    step = Step(
        number=len(steps),
        operation=str(entry["operation"]),
        inputs=tuple(steps[_read_count(each)] for each in entry["inputs"]),
        kind=entry["kind"],
        width=_read_count(entry["width"]),
        parameters=dict(entry["parameters"]),
        constants={n: arrays[_read_count(each)] for n, each in entry["arrays"].items()},
    )
    if step.kind not in KINDS or not step.width:
        raise step.fail(f"a block of {step.width} columns of kind {step.kind}")
    return step


def _read_count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormError(f"{value!r} where a count or a position is meant")
    return value


def _read_array(entry: Json, constants: bytes) -> Constant:
    if entry["dtype"] not in _DTYPES:
        raise FormError(f"a constant of {entry['dtype']!r}")
    offset, count = _read_count(entry["offset"]), _read_count(entry["count"])
    dtype = np.dtype(entry["dtype"])
    if offset % dtype.itemsize or offset + count * dtype.itemsize > len(constants):
        raise FormError("a constant beyond the end")
    return Constant(np.frombuffer(constants, dtype, count, offset), offset)
