"""Request bodies in MLflow's forms, from a signature's inputs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from packager.probes.examples import LLM_KEYS
from packager.probes.values import Values, flatten_lists
from packager.types import Json

JSON: Final = "application/json"
CSV: Final = "text/csv"
_PLAIN: Final = frozenset({"boolean", "integer", "long", "float", "double", "string"})
_PAIR: Final = 2
"""Up to so many rows an optional column may be left out: many models refuse the request then."""
_WIDEST: Final = 4
"""Of a tensor's axis, other than the first, whose size the signature leaves open."""


@dataclass(frozen=True, slots=True)
class Made:
    body: bytes
    content_type: str
    rows: int


class Maker(Protocol):
    forms: tuple[str, ...]

    def make(self, form: str, rows: int) -> Made: ...

    def one(self) -> Made: ...


def is_tensor(spec: Mapping[str, object]) -> bool:
    return spec.get("type") == "tensor"


def maker(inputs: Sequence[Mapping[str, object]], values: Values, *, raw: bool) -> Maker:
    """Return a maker of bodies for these inputs; `raw` for a signature from type hints."""
    if is_tensor(inputs[0]):
        return Tensors(tuple(inputs), values)
    if raw:
        return Raw(tuple(inputs), values)
    if LLM_KEYS & {spec.get("name") for spec in inputs}:
        return Unified(tuple(inputs), values)
    return Columns(tuple(inputs), values)


class Columns:
    """Column-based: records, split, `inputs` as columns, and CSV where every type allows it."""

    def __init__(self, inputs: tuple[Mapping[str, object], ...], values: Values) -> None:
        self._inputs, self._values = inputs, values
        self._named = all("name" in spec for spec in inputs)
        plain = all(spec.get("type") in _PLAIN for spec in inputs)
        named = ("dataframe_records", "inputs", "instances") if self._named else ()
        self.forms: tuple[str, ...] = ("dataframe_split", *named)
        if plain and self._named:
            self.forms = (*self.forms, "csv")

    def names(self) -> tuple[str, ...]:
        return tuple(str(spec.get("name", at)) for at, spec in enumerate(self._inputs))

    def one(self) -> Made:
        return self.make("dataframe_split", 1)

    def make(self, form: str, rows: int) -> Made:
        present = [
            (spec, name)
            for spec, name in zip(self._inputs, self.names(), strict=True)
            if rows > _PAIR or spec.get("required", True) or self._values.rng.random() < 0.8
        ]
        names = [name for _, name in present]
        table = [[self._values.column(spec, name) for spec, name in present] for _ in range(rows)]
        return written(form, names if self._named else None, table)


def written(form: str, names: Sequence[str] | None, table: Sequence[Sequence[object]]) -> Made:
    """The table in one of MLflow's forms; `names` None for columns that have none."""
    if form == "csv":
        text = io.StringIO()
        out = csv.writer(text, lineterminator="\n")
        out.writerows([names or (), *table])
        return Made(text.getvalue().encode(), CSV, len(table))
    data: Json
    if names is None:
        data = {"data": table}
    elif form == "dataframe_split":
        data = {"columns": names, "data": table}
    elif form == "inputs":
        data = {name: [row[at] for row in table] for at, name in enumerate(names)}
    else:
        data = [dict(zip(names, row, strict=True)) for row in table]
    return Made(json.dumps({form: data}).encode(), JSON, len(table))


class Unified:
    """MLflow's unified LLM input: the columns are the body's keys, and a request is one row."""

    forms: tuple[str, ...] = ("a chat",)

    def __init__(self, inputs: tuple[Mapping[str, object], ...], values: Values) -> None:
        self._inputs, self._values = inputs, values

    def one(self) -> Made:
        return self.make("a chat", 1)

    def make(self, form: str, rows: int) -> Made:  # noqa: ARG002 - one form, one row
        body = {
            name: self._values.column(spec, name)
            for spec in self._inputs
            for name in (str(spec.get("name")),)
            if spec.get("required", True) or self._values.rng.random() < 0.2
        }
        return Made(json.dumps(body).encode(), JSON, 1)


class Raw:
    """From type hints: `inputs` as it is, one item a row."""

    forms: tuple[str, ...] = ("inputs",)

    def __init__(self, inputs: tuple[Mapping[str, object], ...], values: Values) -> None:
        self._spec, self._values = inputs[0], values

    def one(self) -> Made:
        return self.make("inputs", 1)

    def make(self, form: str, rows: int) -> Made:
        seen = [value for value in self._values.examples.get("", ()) if value is not None]
        items = [self._values.draw_typed(self._spec, seen) for _ in range(rows)]
        return Made(json.dumps({form: items}).encode(), JSON, rows)


class Tensors:
    """Tensor-based: `inputs` as one tensor or by name; `instances` where the first axis is rows."""

    def __init__(self, inputs: tuple[Mapping[str, Json], ...], values: Values) -> None:
        self._inputs, self._values = inputs, values
        self._named = "name" in inputs[0]
        batched = all(spec["tensor-spec"]["shape"][:1] == [-1] for spec in inputs)
        self.forms: tuple[str, ...] = ("inputs", "instances") if batched else ("inputs",)

    def one(self) -> Made:
        return self.make("inputs", 1)

    def make(self, form: str, rows: int) -> Made:
        made = {str(spec.get("name", "")): self._tensor(spec, rows) for spec in self._inputs}
        first = next(iter(made.values()))
        count = len(first) if isinstance(first, list) else 1
        data: Json
        if not self._named:
            data = first
        elif form == "inputs":
            data = made
        else:
            data = [{name: made[name][at] for name in made} for at in range(count)]
        return Made(json.dumps({form: data}).encode(), JSON, count)

    def _tensor(self, spec: Mapping[str, Json], rows: int) -> Json:
        described = spec["tensor-spec"]
        sizes = list(described["shape"])
        shape = [
            size if size >= 0 else (rows if axis == 0 else self._values.rng.randint(1, _WIDEST))
            for axis, size in enumerate(sizes)
        ]
        seen = self._values.examples.get(str(spec.get("name", "")), ())
        return self._values.tensor(str(described["dtype"]), shape, list(flatten_lists(list(seen))))
