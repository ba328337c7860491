"""Signatures and bodies that hypothesis draws: shapes that a person would not think of."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from handlers.scoring.schema.signature import DATA_TYPES
from tests.conformance.cases import CSV, JSON, NESTED_TYPES, Case, column, param, tensor

KINDS = sorted(DATA_TYPES)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-3, 3),
    st.floats(),
    TEXT,
    st.sampled_from(["1", "2.5", "YQ==", "2024-01-02", "nan", "", "2024-01-02T03:04:05Z"]),
)
CELLS = st.one_of(
    SCALARS,
    st.lists(st.integers(0, 3), max_size=2),
    st.lists(SCALARS, max_size=3),
    st.dictionaries(st.sampled_from("nsz"), SCALARS, max_size=2),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from("abcxz"), inner, max_size=3),
    ),
    max_leaves=8,
)
KEYS = ["dataframe_records", "dataframe_split", "inputs", "instances"]


@st.composite
def columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    specs = []
    for name in names:
        if draw(st.integers(0, 3)):
            specs.append(column(draw(st.sampled_from(KINDS)), name, required=draw(st.booleans())))
        else:
            kind = NESTED_TYPES[draw(st.sampled_from(sorted(NESTED_TYPES)))]
            specs.append({**kind, "name": name, "required": draw(st.booleans())})
    return specs


@st.composite
def signatures(draw: st.DrawFn) -> dict[str, Any] | None:
    which = draw(st.sampled_from(["columns"] * 5 + ["unnamed", "tensor", "tensors", "none"]))
    dtypes = st.sampled_from(["float64", "float32", "int64", "uint8", "bool", "str", "object"])
    shapes = st.sampled_from([[-1], [-1, 2], [-1, 1], [2, 2], [-1, -1], [-1, 2, 2]])
    inputs: list[dict[str, Any]]
    if which == "none":
        return None
    if which == "columns":
        inputs = draw(columns())
    elif which == "unnamed":
        kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=2))
        inputs = [column(kind, None) for kind in kinds]
    elif which == "tensor":
        inputs = [tensor(draw(dtypes), draw(shapes))]
    else:
        names = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True))
        inputs = [tensor(draw(dtypes), draw(shapes), name) for name in names]
    if draw(st.integers(0, 4)):
        return {"inputs": inputs}
    return {"inputs": inputs, "params": [param("long", 4)]}


@st.composite
def tables(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    """Rows that nearly fit, in one of the four shapes."""
    sent = draw(st.permutations([*names, "z"]))
    rows = draw(st.lists(st.tuples(*(CELLS for _ in sent)), min_size=1, max_size=4))
    records = [dict(zip(sent, row, strict=True)) for row in rows]
    key = draw(st.sampled_from(KEYS))
    if key == "dataframe_split":
        return {key: {"columns": sent, "data": [list(row) for row in rows]}}
    if key == "inputs" and draw(st.booleans()):
        return {key: {name: [record[name] for record in records] for name in sent}}
    return {key: records}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    signature = draw(signatures())
    names = [spec["name"] for spec in (signature or {}).get("inputs", ()) if "name" in spec]
    if draw(st.integers(0, 9)) == 0:
        header = ",".join(draw(st.permutations([*names, "z"])))
        lines = draw(st.lists(st.text(st.sampled_from('ab1.5,"\n -e'), max_size=12), max_size=4))
        sent = "\n".join([header, *lines]).encode()
        return Case(f"{signature} {sent!r}", signature, sent, CSV)
    if draw(st.integers(0, 3)):
        body = draw(tables(names or ["a"]))
    else:
        body = {draw(st.sampled_from([*KEYS, "messages", "prompt", "input"])): draw(ANYTHING)}
    if draw(st.integers(0, 3)) == 0:
        body["params"] = draw(st.one_of(st.fixed_dictionaries({"p": CELLS}), CELLS))
    sent = json.dumps(body).encode()
    return Case(f"{signature} {sent!r}", signature, sent, JSON)
