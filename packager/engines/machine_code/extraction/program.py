"""The form while it is written: blocks of columns, and operations from block to block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Sequence, Union

import numpy as np

Array = Any
"""A numpy array: its typing came with versions later than a model may have."""

Fitted = Any
"""A fitted object of a framework, or a part of one."""
Entry = Dict[str, Any]
Parameter = Union[Array, str, int, bool]
VERSION = 1
KINDS = {
    "double": "double",
    "float": "float",
    "long": "int64",
    "integer": "int64",
    "boolean": "bool",
    "string": "text",
}
"""The form's kind of a column, by the type that MLflow's schema gives it."""
_ALIGNMENT = 64


INEXACT = frozenset(
    {
        "weigh", "exp", "expit", "softmax", "log", "log1p", "expm1", "exp2", "log2", "log10", "sin",
        "cos", "tan", "tanh", "arctan", "sinh", "cosh", "cbrt", "norm", "power", "yeo_johnson",
        "yeo_johnson_back", "box_cox", "normal_quantile", "normal_share", "kernels", "distances",
        "log_shares", "couple", "nearest", "walk", "within", "spread", "paths", "convolve",
        "erf", "pursue", "settle", "balance", "isolation",
    }
)  # fmt: skip
"""Operations whose result depends on a library's own rounding, or on its order of sums."""


class UnsupportedError(Exception):
    """A model that the form has no operation for, with its name."""


class Block(NamedTuple):
    """Columns of one kind that an operation answers with, or an input column."""

    number: int
    kind: str
    """double, float, int64, bool or text."""
    width: int


def is_guard(entry: Entry) -> bool:
    """Tell whether an operation refuses rows: it is needed whatever becomes of its block."""
    return entry["operation"] == "refuse" or bool(entry["parameters"].get("refuses"))


class Program:
    """Operations in their order. Constants lie in one run of bytes beside them."""

    def __init__(self) -> None:
        self.operations: list[Entry] = []
        self.inputs: list[Entry] = []
        self.answer: Entry = {}
        self.exact = True
        """False where an operation's result depends on a library's own rounding."""
        self.constants: list[Array] = []
        self._places: dict[tuple[str, bytes], int] = {}

    def add_input(self, kind: str) -> Block:
        """Raises UnsupportedError for a type that no operation takes."""
        if kind not in KINDS:
            raise UnsupportedError(f"a column of type {kind}")
        number = len(self.inputs)
        self.inputs.append({"type": kind})
        return self._append("input", (), KINDS[kind], 1, {"column": number})

    def add(
        self,
        operation: str,
        inputs: Sequence[Block],
        kind: str,
        width: int,
        **parameters: Parameter,
    ) -> Block:
        """Append an operation; numpy arrays among the parameters become constants.

        Raises UnsupportedError for one of no columns.
        """
        return self._append(operation, tuple(inputs), kind, width, parameters)

    def _append(
        self, operation: str, inputs: tuple[Block, ...], kind: str, width: int, given: Entry
    ) -> Block:
        if width < 1:
            raise UnsupportedError(f"a step without columns ({operation})")
        arrays = {n: self._keep(each) for n, each in given.items() if isinstance(each, np.ndarray)}
        plain = {n: each for n, each in given.items() if not isinstance(each, np.ndarray)}
        self.operations.append(
            {
                "operation": operation,
                "inputs": [each.number for each in inputs],
                "kind": kind,
                "width": int(width),
                "parameters": plain,
                "arrays": arrays,
            }
        )
        return Block(len(self.operations) - 1, kind, int(width))

    def _keep(self, values: Array) -> int:
        stored = np.ascontiguousarray(values)
        stored = stored.astype(stored.dtype.newbyteorder("<"))
        place = (stored.dtype.str, stored.tobytes())
        if place not in self._places:
            self._places[place] = len(self.constants)
            self.constants.append(stored)
        return self._places[place]

    def array(self, operation: int, name: str) -> Array:
        """Return a constant of an operation, as it was given."""
        return self.constants[self.operations[operation]["arrays"][name]]

    def set_answer(self, block: Block, labels: int = 0) -> None:
        """Set the block that is answered; with `labels`, a position among so many."""
        number = self._keep_needed(block.number)
        self.answer = {"block": number}
        if labels:
            self.answer["labels"] = labels
        self.exact = not any(each["operation"] in INEXACT for each in self.operations)

    def _keep_needed(self, answer: int) -> int:
        """Leave out what neither is answered nor refuses a row; return the answer's new number."""
        needed = {answer}
        for number in range(len(self.operations) - 1, -1, -1):
            entry = self.operations[number]
            if number in needed or is_guard(entry):
                needed |= {number, *entry["inputs"]}
        place = {number: at for at, number in enumerate(sorted(needed))}
        kept = [self.operations[number] for number in sorted(needed)]
        self.operations = [
            {**each, "inputs": [place[number] for number in each["inputs"]]} for each in kept
        ]
        used = sorted({each for entry in kept for each in entry["arrays"].values()})
        at_of = {old: at for at, old in enumerate(used)}
        self.constants = [self.constants[old] for old in used]
        for entry in self.operations:
            entry["arrays"] = {name: at_of[old] for name, old in entry["arrays"].items()}
        self._places.clear()
        return place[answer]

    def write(self, folder: Path) -> None:
        """Write `form.json` and `constants.bin`."""
        whole = bytearray()
        entries = []
        for each in self.constants:
            whole += b"\0" * (-len(whole) % _ALIGNMENT)
            entries.append({"dtype": each.dtype.str, "offset": len(whole), "count": int(each.size)})
            whole += each.tobytes()
        form = {
            "version": VERSION,
            "inputs": self.inputs,
            "operations": self.operations,
            "arrays": entries,
            "answer": self.answer,
            "exact": self.exact,
        }
        text = json.dumps(form, sort_keys=True, allow_nan=False, separators=(",", ":"))
        (folder / "form.json").write_text(text, encoding="utf-8")
        (folder / "constants.bin").write_bytes(bytes(whole))
