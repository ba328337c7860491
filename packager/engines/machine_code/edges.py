"""Values of the inputs at which a program turns: thresholds traced back, categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from packager.engines.machine_code.extraction.program import Array, Entry, Program
from packager.engines.machine_code.extraction.tree_tables import FLAGS
from packager.engines.proof.inputs import Before

_STEPS: Final = 2
"""Neighbours to each side that are tried: what is traced back is rounded at each step."""
_MOST_TURNS: Final = 500_000
"""Of an operation's thresholds: more than a proof asks for, and traced in seconds."""
_KEPT: Final = frozenset({"fill", "fill_text", "clip", "refuse"})
"""Operations that leave most values as they are."""
_INVERSE: Final = {"+": np.subtract, "-": np.add, "*": np.divide, "/": np.multiply}


@dataclass(frozen=True)
class Edges:
    """Hints for `proof.model_under_test.Case`, all of them read from the program."""

    program: Program

    def thresholds(self, _model: object) -> Mapping[int, Array]:
        """By input column: where a tree or a threshold turns, as far as it can be traced back."""
        found: dict[int, list[float]] = {}
        for number, entry in enumerate(self.program.operations):
            for at, value in self._list_turns(number, entry["operation"]):
                if place := self._trace(entry["inputs"][0], at, value):
                    found.setdefault(place[0], []).append(place[1])
        return {column: np.unique(_spread(values)) for column, values in found.items()}

    def splits(self, _model: object) -> tuple[()]:
        return ()

    def before(self, _model: object) -> Before | None:
        return None

    def seen(self, _model: object) -> frozenset[str | float]:
        """Every category of every encoder."""
        return frozenset(
            each
            for number, entry in enumerate(self.program.operations)
            for each in self._list_categories(number, entry["operation"])
        )

    def known(self) -> dict[int, list[str | float]]:
        """By input column the categories that all its encoders have seen, where there are such."""
        found: dict[int, set[str | float]] = {}
        for number, entry in enumerate(self.program.operations):
            if entry["operation"] in ("find_number", "find_word"):
                for column, values in self._trace_categories(number, entry).items():
                    both = found.get(column, values) & values
                    found[column] = both or found[column]
        return {column: sorted(values, key=str) for column, values in found.items()}

    def _trace_categories(self, number: int, entry: Entry) -> dict[int, set[str | float]]:
        block, values = entry["inputs"][0], self._list_categories(number, entry["operation"])
        if entry["operation"] == "find_word":
            place = self._trace(block, 0, 0.0)
            return {place[0]: set(values)} if place and values else {}
        kept = _KEPT | {"trunc"}  # categories are whole numbers there
        at = int(entry["parameters"]["at"])
        places = [self._trace(block, at, float(each), kept) for each in values]
        found: dict[int, set[str | float]] = {}
        for place in places:
            if place:
                found.setdefault(place[0], set()).add(place[1])
        return found

    def _list_categories(self, number: int, operation: str) -> list[str | float]:
        if operation == "find_number":
            return list(self.program.array(number, "numbers").tolist())
        if operation != "find_word":
            return []
        whole = self.program.array(number, "words").tobytes()
        ends = self.program.array(number, "offsets").tolist()
        return [
            whole[start:end].decode("utf-8", "surrogatepass") for start, end in zip(ends, ends[1:])
        ]

    def _list_turns(self, number: int, operation: str) -> list[tuple[int, float]]:
        names = {"trees": "thresholds", "above": "constants"}
        if operation not in names:
            return []
        values = self.program.array(number, names[operation]).astype(np.float64)
        if operation == "trees":
            columns = self.program.array(number, "asked") // FLAGS
            chosen = slice(None, None, max(1, len(values) // _MOST_TURNS))
            return list(zip(columns[chosen].tolist(), values[chosen].tolist()))
        return list(enumerate(values.tolist()))

    def _trace(
        self, block: int, at: int, value: float, kept: frozenset[str] = _KEPT
    ) -> tuple[int, float] | None:
        """Follow a value of one column back to the input that alone it is computed from."""
        while np.isfinite(value):
            entry = self.program.operations[block]
            operation = entry["operation"]
            if operation == "input":
                return int(entry["parameters"]["column"]), value
            if operation == "gather":
                source = int(self.program.array(block, "sources")[at])
                block, at = entry["inputs"][source], int(self.program.array(block, "places")[at])
                continue
            if operation == "arithmetic":
                by = float(self.program.array(block, "constants")[at])
                with np.errstate(all="ignore"):
                    value = float(_INVERSE[entry["parameters"]["sign"]](value, by))
            elif operation not in kept:
                return None
            block = entry["inputs"][0]
        return None


def _spread(values: list[float]) -> Array:
    """The values and a few doubles to each side."""
    whole = np.array(values, np.float64)
    low = high = whole
    found = [whole]
    for _ in range(_STEPS):
        low, high = np.nextafter(low, -np.inf), np.nextafter(high, np.inf)
        found += [low, high]
    return np.concatenate(found)
