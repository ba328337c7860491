"""Contents of a saved example: values by column, and rows that can be drawn again."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence

from packager.types import Json, SavedExample

LLM_KEYS = frozenset({"messages", "prompt", "input"})
"""A body with one of these goes to the model unparsed (MLflow's unified LLM input)."""


def decode_example(example: SavedExample) -> object:
    """The body as JSON, CSV as a `dataframe_split`; None where it is neither."""
    try:
        text = example.body.decode()
        if not example.content_type.startswith("text/csv"):
            return json.loads(text)
    except ValueError:
        return None
    rows = list(csv.reader(io.StringIO(text)))
    return {"dataframe_split": {"columns": rows[0], "data": rows[1:]}} if rows else None


def columns(body: Json) -> dict[str, list[Json]]:
    """Values by column name; a column without a name goes by its position, a tensor by ``."""
    if not isinstance(body, dict):
        return {}
    if LLM_KEYS & set(body):
        return {str(name): [value] for name, value in body.items()}
    split = body.get("dataframe_split")
    if isinstance(split, dict) and isinstance(split.get("data"), list):
        return _split_columns(split)
    data = next(
        (body[key] for key in ("dataframe_records", "instances", "inputs") if key in body), None
    )
    return {} if data is None else _data_columns(data)


def _data_columns(data: object) -> dict[str, list[object]]:
    if isinstance(data, dict):
        return {
            str(name): values if isinstance(values, list) else [values]
            for name, values in data.items()
        }
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return {**_gather_columns(data), "": data}
    return {"": data if isinstance(data, list) else [data]}


def _gather_columns(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    names = sorted({str(name) for row in rows for name in row})
    return {name: [row.get(name) for row in rows] for name in names}


def _split_columns(split: Mapping[str, Json]) -> dict[str, list[object]]:
    rows = [row for row in split["data"] if isinstance(row, list)]
    width = max((len(row) for row in rows), default=0)
    names = [str(name) for name in split.get("columns") or range(width)]
    return {name: [row[at] for row in rows if at < len(row)] for at, name in enumerate(names)}


def resample_rows(body: object, rows: int, rng: random.Random) -> object:
    """The same kind of body with `rows` of its rows, drawn with replacement; None: it has none."""
    if not isinstance(body, dict) or LLM_KEYS & set(body):
        return None
    split = body.get("dataframe_split")
    if isinstance(split, dict) and isinstance(split.get("data"), list) and split["data"]:
        drawn = {**split, "data": rng.choices(split["data"], k=rows)}
        drawn.pop("index", None)
        return {**body, "dataframe_split": drawn}
    for key in ("dataframe_records", "instances", "inputs"):
        if (picked := _draw_rows(body.get(key), rows, rng)) is not None:
            return {**body, key: picked}
    return None


def _draw_rows(data: object, rows: int, rng: random.Random) -> object:
    """Rows of a list, or of columns of one length; None: it has none."""
    if isinstance(data, list) and data:
        return rng.choices(data, k=rows)
    if isinstance(data, dict) and _are_aligned(data):
        picked = [rng.randrange(_count_rows(data)) for _ in range(rows)]
        return {name: [data[name][at] for at in picked] for name in data}
    return None


def row_count(body: object) -> int:
    """Count the rows that a body holds; 1 where that is not known."""
    found = columns(body)
    return max((len(values) for values in found.values()), default=1)


def _are_aligned(data: Mapping[str, object]) -> bool:
    lengths = {len(v) if isinstance(v, list) else -1 for v in data.values()}
    return len(lengths) == 1 and not lengths & {-1, 0}


def _count_rows(data: Mapping[str, Sequence[object]]) -> int:
    return len(next(iter(data.values())))
