"""Signatures and bodies, crossed: what both servers are asked."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from handlers.scoring.schema.signature import DATA_TYPES

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"


class Case(NamedTuple):
    name: str
    signature: dict[str, Any] | None
    body: bytes
    content_type: str | None = JSON
    type_hints: bool = False
    method: str = "POST"
    path: str = "/invocations"


def column(kind: str, name: str | None = "x", *, required: bool = True) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": kind, "required": required}
    return spec if name is None else {**spec, "name": name}


def tensor(dtype: str, shape: list[int], name: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return spec if name is None else {**spec, "name": name}


def param(kind: str, default: Any, *, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": "p", "type": kind, "default": default, "shape": shape}


VALUES: list[list[Any]] = [
    [1, 2],
    [1.9, -0.5],
    [0, 1],
    ["7", "8"],
    ["a", ""],
    ["a", None],
    ["YQ==", "Yg=="],
    ["2024-01-02", "2024-03-04"],
    ["2024-01-02T03:04:05.678901", "2024-01-02T03:04:05.000001"],
    ["2024-01-02T00:00:00Z", "2024-01-02T00:00:00Z"],
    [True, False],
    [True, None],
    [None, None],
    [1, None],
    [1.5, None],
    [2**40, 1],
    [2**63, 1],
    [2**70, 1],
    [2**70, None],
    [-(2**63) - 1, None],
    [2**63, None],
    [2**63, 1.5],
    [2**63, float("nan")],
    [2**63, -1],
    [1, "a"],
    [1, True],
    [1.5, "2"],
    [[1], [2]],
    [[]],
    [{"a": 1}, {"a": 2}],
    [float("nan"), float("inf")],
    [],
]


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


def scalar_cases() -> Iterator[Case]:
    """Each scalar type with each pair of values through each of the four keys."""
    for kind in DATA_TYPES:
        signature = {"inputs": [column(kind)]}
        for values in VALUES:
            label = f"{kind} <- {values!r:.50}"
            records = [{"x": v} for v in values]
            split = {"columns": ["x"], "data": [[v] for v in values]}
            for key, value in (
                ("dataframe_records", records),
                ("dataframe_split", split),
                ("instances", records),
                ("inputs", {"x": values}),
                ("inputs", records),
            ):
                shape = f"{key} {type(value).__name__}"
                yield Case(f"{label} by {shape}", signature, body(**{key: value}))


TWO = {"inputs": [column("double", "a"), column("string", "b")]}
OPTIONAL = {"inputs": [column("double", "a"), column("long", "b", required=False)]}
UNNAMED = {"inputs": [column("double", None), column("string", None)]}
ONE_UNNAMED = {"inputs": [column("long", None)]}
INTS = {"inputs": [column("integer", "a"), column("boolean", "b")]}
TIMES = {"inputs": [column("datetime", "a")]}

SHAPES: list[tuple[str, Any]] = [
    ("dataframe_records", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ("dataframe_records", [{"b": "x", "a": 1, "c": 3}]),
    ("dataframe_records", [{"a": 1}, {"a": 2, "b": "y"}]),
    ("dataframe_records", [{"a": 1}, {"a": 2, "b": 5}]),
    ("dataframe_records", [{"a": 1}]),
    ("dataframe_records", [{"b": 1}]),
    ("dataframe_records", []),
    ("dataframe_records", [{}]),
    ("dataframe_records", [[1, "x"], [2, "y"]]),
    ("dataframe_records", [1, 2]),
    ("dataframe_records", ["a", "b"]),
    ("dataframe_records", [{"a": 1}, 3]),
    ("dataframe_records", [3, {"a": 1}]),
    ("dataframe_records", [None]),
    ("dataframe_records", {"a": [1]}),
    ("dataframe_records", "x"),
    ("dataframe_records", None),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}),
    ("dataframe_split", {"columns": ["b", "a"], "data": [["x", 1]], "index": [7]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"]], "index": ["r"]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"]], "index": [1, 2]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"]], "index": []}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"], [2]]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1]]}),
    ("dataframe_split", {"columns": ["a"], "data": [[1, 2]]}),
    ("dataframe_split", {"columns": ["a", "a", "b"], "data": [[1, 2, "x"]]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": []}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [], "index": [1, 2]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[]]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [1, 2]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [{"a": 1, "b": "x"}]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": {"a": [1], "b": ["x"]}}),
    ("dataframe_split", {"columns": "ab", "data": [[1, "x"]]}),
    ("dataframe_split", {"columns": [["a"], ["b"]], "data": [[1, "x"]]}),
    ("dataframe_split", {"columns": [1, None], "data": [[1, "x"]]}),
    ("dataframe_split", {"data": [[1, "x"]]}),
    ("dataframe_split", {"data": [[1, "x", 5]]}),
    ("dataframe_split", {"columns": ["a", "b"]}),
    ("dataframe_split", {"columns": ["a", "b"], "data": [[1, "x"]], "dtype": "float"}),
    ("dataframe_split", {"columns": ["a", "b"], "data": None}),
    ("dataframe_split", {"columns": ["a", "b"], "data": 5}),
    ("dataframe_split", {"columns": ["a", "b"], "data": "x"}),
    ("dataframe_split", [[1, 2]]),
    ("dataframe_split", None),
    ("inputs", {"a": [1, 2], "b": ["x", "y"]}),
    ("inputs", {"a": [1, 2], "b": ["x"]}),
    ("inputs", {"a": 1, "b": "x"}),
    ("inputs", {"a": [1], "b": "x"}),
    ("inputs", {"a": [1, 2], "b": ["x", "y"], "c": [1, 2]}),
    ("inputs", {"a": [1, 2], "b": ["x", "y"], "c": [1]}),
    ("inputs", {"a": [1, 2], "b": ["x", "y"], "c": [[1], [2, 3]]}),
    ("inputs", {"a": [[1, 2], [3, 4]], "b": ["x", "y"]}),
    ("inputs", {"a": []}),
    ("inputs", {"a": [1]}),
    ("inputs", {}),
    ("inputs", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ("inputs", [{"a": 1, "b": "x"}, {"b": "y"}]),
    ("inputs", [{"a": 1}, {"a": 2, "b": 3}]),
    ("inputs", [[1, 2], [3, 4]]),
    ("inputs", [1, 2]),
    ("inputs", ["1", "2"]),
    ("inputs", [[1], [2, 3]]),
    ("inputs", [1, {"a": 1}]),
    ("inputs", []),
    ("inputs", 5),
    ("inputs", "hi"),
    ("inputs", None),
    ("inputs", True),
    ("instances", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
    ("instances", [{"a": 1, "b": "x"}, {"a": 2}]),
    ("instances", [{"a": 1}, {"a": 2, "b": 3}]),
    ("instances", [{"a": 1, "b": "x", "c": [1]}, {"a": 2, "b": "y", "c": [1, 2]}]),
    ("instances", {"a": [1, 2], "b": ["x", "y"]}),
    ("instances", {"a": [1, 2], "b": ["x"]}),
    ("instances", [[1, 2], [3, 4]]),
    ("instances", [1, 2]),
    ("instances", [{"a": 1}, 2]),
    ("instances", []),
    ("instances", 5),
    ("instances", "hi"),
    ("instances", None),
]
SIGNATURES: dict[str, dict[str, Any] | None] = {
    "two columns": TWO,
    "optional": OPTIONAL,
    "unnamed": UNNAMED,
    "one unnamed": ONE_UNNAMED,
    "ints": INTS,
    "times": TIMES,
    "one string": {"inputs": [column("string", "a")]},
    "none": None,
    "tensor": {"inputs": [tensor("float64", [-1, 2])]},
    "flat tensor": {"inputs": [tensor("int64", [-1])]},
    "text tensor": {"inputs": [tensor("str", [-1])]},
    "object tensor": {"inputs": [tensor("object", [-1])]},
    "tensors": {"inputs": [tensor("float32", [-1], "a"), tensor("str", [-1], "b")]},
    "one named tensor": {"inputs": [tensor("float32", [-1, 2], "a")]},
    "image": {"inputs": [tensor("uint8", [-1, 2, 2])]},
    "fixed": {"inputs": [tensor("float64", [2, 2])]},
}


def shape_cases() -> Iterator[Case]:
    for label, signature in SIGNATURES.items():
        for key, value in SHAPES:
            yield Case(f"{label}: {key} {value!r:.70}", signature, body(**{key: value}), JSON)


ARRAY = {"type": "array", "items": {"type": "long"}}
NESTED_TYPES: dict[str, dict[str, Any]] = {
    "longs": ARRAY,
    "ints": {"type": "array", "items": {"type": "integer"}},
    "doubles": {"type": "array", "items": {"type": "double"}},
    "strings": {"type": "array", "items": {"type": "string"}},
    "booleans": {"type": "array", "items": {"type": "boolean"}},
    "times": {"type": "array", "items": {"type": "datetime"}},
    "bytes": {"type": "array", "items": {"type": "binary"}},
    "any list": {"type": "array", "items": {"type": "any"}},
    "lists": {"type": "array", "items": ARRAY},
    "vector": {"type": "sparkml_vector"},
    "map": {"type": "map", "values": {"type": "double"}},
    "map of lists": {"type": "map", "values": ARRAY},
    "any map": {"type": "map", "values": {"type": "any"}},
    "any": {"type": "any"},
    "object": {
        "type": "object",
        "properties": {
            "n": {"type": "long", "required": True},
            "s": {"type": "string", "required": False},
        },
    },
    "objects": {
        "type": "array",
        "items": {"type": "object", "properties": {"n": {"type": "double", "required": False}}},
    },
}
NESTED_VALUES: list[Any] = [
    [1, 2],
    [1.5, 2.0],
    [0, 1],
    ["a", "bcd"],
    ["a", None],
    ["abcd", None],
    [True, None],
    [1, None],
    [1, "a"],
    ["2024-01-02"],
    [],
    [[1], [2, 3]],
    [None],
    None,
    5,
    "text",
    {},
    {"n": 1},
    {"n": 1, "s": "t"},
    {"n": 1, "s": None},
    {"n": 1.5},
    {"n": "a"},
    {"s": "t"},
    {"n": 1, "z": 1},
    {"n": None},
    {"k": [1, 2]},
    [{"n": 1.5}],
    [{"n": None}, {}],
    [{"n": 0}],
]


def nested_cases() -> Iterator[Case]:
    for label, kind in NESTED_TYPES.items():
        for required in (True, False):
            signature = {"inputs": [{**kind, "name": "x", "required": required}]}
            for value in NESTED_VALUES:
                name = f"{label} required={required} <- {value!r}"
                for key, data in (
                    ("dataframe_records", [{"x": value}]),
                    ("inputs", {"x": value}),
                    ("inputs", [{"x": value}, {"x": value}]),
                    ("instances", [{"x": value}]),
                ):
                    yield Case(f"{name} by {key}", signature, body(**{key: data}))


PARAM_VALUES: list[Any] = [
    1, 1.5, True, "a", None, [1], [1.5, 2], ["a"], [], {"n": 1}, "2024-01-02",
    "2024-01-02T03:04:05.123456789", 2**70, [None], [[1]], {"n": "a"},
]  # fmt: skip


def param_cases() -> Iterator[Case]:
    defaults: dict[str, Any] = {
        "boolean": True, "integer": 1, "long": 1, "float": 1.0, "double": 1.0, "string": "s",
        "datetime": "2024-01-01T00:00:00",
    }  # fmt: skip
    for kind, default in defaults.items():
        for shape in (None, [-1]):
            value = default if shape is None else [default]
            signature = {"inputs": [column("long")], "params": [param(kind, value, shape=shape)]}
            for given in PARAM_VALUES:
                sent = body(inputs={"x": [1]}, params={"p": given, "unknown": 1})
                yield Case(f"param {kind}{shape} <- {given!r}", signature, sent)
    signature = {"inputs": [column("long")], "params": [param("long", 4)]}
    every: list[Any] = [{}, None, [], "x", 5, {"q": 1}]
    for given_params in every:
        sent = body(inputs={"x": [1]}, params=given_params)
        yield Case(f"params {given_params!r}", signature, sent)
        plain = {"inputs": [column("long")]}
        yield Case(f"no params spec {given_params!r}", plain, sent)
    yield Case("params left out", signature, body(inputs={"x": [1]}))


CSV_BODIES = [
    b"a,b\n1,x\n2,y\n",
    b"a,b\n1.5,x\n,\n",
    b"b,a,c\nx,1,9\n",
    b"a,b\r\n1,NA\r\n2,null\r\n",
    b'a,b\n1,"x,""y"\n2,"p\nq"\n',
    b'a,b\n1,"x\n',
    b"a\n1\n",
    b"",
    b"\n",
    b"a,b\n",
    b"a,b",
    b"a,b\n1,x,9\n2,y,8\n",
    b"a,b\n1,x\n2,y,8\n",
    b"a,b\nfoo,x\n",
    b"a,b\n1\n",
    b"\xef\xbb\xbfa,b\n1,x\n",
    b"a,b\n\xff,x\n",
    b"a,b\n 1 ,x\n",
    b"a,b\n\n1,x\n\n",
    b"a,b\nTrue,1\n",
    b"a,b\n1,True\n",
    b"a,b\n1,0\n",
    b"a,a,b\n1,2,x\n",
    b"a,b\n0.1234567890123456789,x\n",
    b"a,b\n1e400,x\n",
    b"a,b\n2024-01-02,x\n",
    b"x\n1\n",
]


def csv_cases() -> Iterator[Case]:
    for label, signature in SIGNATURES.items():
        for sent in CSV_BODIES:
            yield Case(f"csv {label} {sent!r:.50}", signature, sent, CSV)


CONTENT_TYPES = [
    JSON, "application/json; charset=utf-8", "application/json;charset=UTF-8",
    'application/json; charset="utf-8"', "application/json; charset=latin-1", "Application/JSON",
    "application/json; format=pandas-split", "application/json;", "application/json; Charset=utf-8",
    "text/plain", "", ";", "text/csv; charset=utf-16", "application/vnd.apache.parquet2", "*/*",
]  # fmt: skip
RAW_BODIES = [
    b"", b"{", b"[]", b"null", b"5", b'"x"', b"{}", b"\xff\xfe", b'{"inputs": [1], "foo": 1}',
    b'{"inputs": [1], "instances": [1]}', b'{"data": [[1]]}', b'{"inputs": NaN}', b"[" * 100_000,
    b'{"inputs": {"x": [1]}, "inputs": {"x": [2]}}', b'{"inputs": {"x": ["\\ud800"]}}',
    b'{"inputs": {"x": [' + b"9" * 5000 + b"]}}", b'\xef\xbb\xbf{"inputs": [1]}',
    '{"inputs": {"x": [1]}}'.encode("utf-16"), b'{"inputs": {"x": [1e999]}}',
    b'{"inputs": {"x": [-0.0]}}', b'{"messages": [{"role": "user", "content": "hi"}]}',
    b'{"prompt": "hi"}', b'{"input": ["a", "b"], "p": 3}', b'{"prompt": "hi", "inputs": [1]}',
    b'{"messages": "x", "x": 5}', b'{"inputs": {"x": [1]}} trailing', b"{'inputs': 1}",
]  # fmt: skip


def protocol_cases() -> Iterator[Case]:
    signatures: dict[str, dict[str, Any] | None] = {
        "long": {"inputs": [column("long")]},
        "string": {"inputs": [column("string")], "params": [param("long", 4)]},
        "none": None,
    }
    for label, signature in signatures.items():
        sent = body(inputs={"x": [1]})
        for content_type in CONTENT_TYPES:
            yield Case(f"{label} as {content_type!r}", signature, sent, content_type)
        yield Case(f"{label} untyped", signature, sent, None)
        for raw in RAW_BODIES:
            yield Case(f"{label} {raw!r:.60}", signature, raw)
    unnamed = {"inputs": [column("long", None)]}
    for raw in (body(inputs=[1]), body(instances=[1]), body(inputs="x", params={"p": 1}), b"{}"):
        yield Case(f"type hints {raw!r}", unnamed, raw, type_hints=True)


def label_cases() -> Iterator[Case]:
    """Rows with labels of their own, over plain and nested columns."""
    plain, nested = column("long", "a"), {**ARRAY, "name": "b", "required": True}
    for label, specs, rows in (
        ("plain", [plain], [[1], [2]]),
        ("nested", [nested], [[[1]], [[2, 3]]]),
        ("plain and nested", [plain, nested], [[1, [1]], [2, [2, 3]]]),
    ):
        split = {"columns": [s["name"] for s in specs], "data": rows, "index": [5, 0]}
        yield Case(f"labels: {label}", {"inputs": specs}, body(dataframe_split=split))


HINTED: list[Any] = [1, "a", None, [1, 2], {"a": 1}, [{"a": 1}], [], "", [[1], [2, 3]]]


def hint_cases() -> Iterator[Case]:
    """A signature from type hints: `inputs` reaches the model as it is."""
    specs: dict[str, dict[str, Any]] = {
        "long": {"inputs": [column("long", None)]},
        "object": {"inputs": [{**NESTED_TYPES["object"], "required": True}]},
        "params": {"inputs": [column("string", None)], "params": [param("long", 4)]},
    }
    for label, signature in specs.items():
        for value in HINTED:
            name = f"type hints {label} <- {value!r}"
            yield Case(name, signature, body(inputs=value), type_hints=True)
            sent = body(inputs=value, params={"p": 3, "q": 1})
            yield Case(f"{name} with params", signature, sent, type_hints=True)
        others: list[dict[str, Any]] = [
            {}, {"instances": [1]}, {"dataframe_split": {"data": [[1]]}, "instances": [1]},
            {"inputs": [1], "instances": [2]}, {"x": 1}, {"messages": "hi"},
        ]  # fmt: skip
        for other in others:
            name = f"type hints {label} <- {other!r}"
            yield Case(name, signature, body(**other), type_hints=True)
        yield Case(f"type hints {label} csv", signature, b"a\n1\n", CSV, type_hints=True)


MESSAGES = [{"role": "user", "content": "hi"}]
LLM_BODIES: list[dict[str, Any]] = [
    {"messages": MESSAGES},
    {"messages": MESSAGES, "temperature": 0.5, "stream": False},
    {"messages": MESSAGES, "p": 7},
    {"messages": MESSAGES, "p": "x"},
    {"messages": MESSAGES, "params": {"p": 7}},
    {"messages": [], "inputs": [1]},
    {"messages": None},
    {"prompt": "hi"},
    {"prompt": ["a", "b"], "max_tokens": 5},
    {"prompt": "hi", "n": None},
    {"input": "text"},
    {"input": ["a", "b"], "p": None},
    {"input": {"a": 1}},
    {"input": 5, "dataframe_split": {"data": [[1]]}},
    {"prompt": "hi", "messages": MESSAGES, "input": "x"},
]


def llm_cases() -> Iterator[Case]:
    """OpenAI's bodies: the whole object is the data, and the answer is not wrapped."""
    text, optional = column("string", "prompt"), {"required": False}
    message = {"role": {"type": "string"}, "content": {"type": "string"}}
    messages = {"type": "array", "items": {"type": "object", "properties": message}}
    signatures: dict[str, dict[str, Any] | None] = {
        "none": None,
        "prompt": {"inputs": [text], "params": [param("long", 4)]},
        "messages": {"inputs": [{**messages, "name": "messages", "required": True}]},
        "all": {
            "inputs": [
                {**messages, "name": "messages", **optional},
                {**text, **optional},
                {**column("string", "input"), **optional},
                {**column("double", "temperature"), **optional},
            ],
            "params": [param("long", 4)],
        },
        "params alone": {"params": [param("long", 4)]},
        "any": {"inputs": [{"type": "any", "name": "input", "required": True}]},
    }
    for label, signature in signatures.items():
        for sent in LLM_BODIES:
            yield Case(f"llm {label}: {sent!r:.80}", signature, body(**sent))


def route_cases() -> Iterator[Case]:
    """Each method on each path: redirects, 404 and 405 are the web framework's there."""
    for path in (
        "/ping", "/health", "/version", "/invocations", "/ping/", "/invocations/", "/version//",
        "/", "", "/nothing", "/nothing/", "/Ping", "/ping/x", "//ping", "/invocations?x=1",
        "/ping/?a=b&c",
    ):  # fmt: skip
        for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
            sent = body(inputs=[1]) if method == "POST" else b""
            yield Case(f"{method} {path!r}", None, sent, method=method, path=path)


WORD = column("string", "b")


def _parquet(**columns: Any) -> bytes:
    import pandas as pd

    out = io.BytesIO()
    pd.DataFrame(columns).to_parquet(out)
    return out.getvalue()


def parquet_cases() -> Iterator[Case]:
    """The same frames for each signature: what Parquet keeps of a type is what enforcement sees."""
    import pandas as pd

    times = pd.to_datetime(["2024-01-02", "NaT"])
    bodies = {
        "fits": _parquet(a=[1.5, 2.5], b=["x", None]),
        "ints": _parquet(a=[1, 2], b=["x", "y"]),
        "zeros and ones": _parquet(a=[0, 1], b=["x", "y"]),
        "small ints": _parquet(a=pd.array([1, 2], dtype="int16"), b=["x", "y"]),
        "unsigned": _parquet(a=pd.array([1, 2], dtype="uint64"), b=["x", "y"]),
        "floats": _parquet(a=pd.array([1.5, 2], dtype="float32"), b=["x", "y"]),
        "nullable ints": _parquet(a=pd.array([1, None], dtype="Int64"), b=["x", "y"]),
        "nullable floats": _parquet(a=pd.array([1.5, None], dtype="Float64"), b=["x", "y"]),
        "nulls": _parquet(a=[None, 1.5], b=[None, None]),
        "truth values": _parquet(a=[True, False], b=["x", "y"]),
        "truth values and null": _parquet(a=[True, None], b=["x", "y"]),
        "texts": _parquet(a=["1", "2"], b=["x", "y"]),
        "bytes": _parquet(a=[b"1", b"2"], b=[b"x", b"y"]),
        "times": _parquet(a=times, b=["x", "y"]),
        "times with a zone": _parquet(a=times.tz_localize("UTC"), b=["x", "y"]),
        "times in milliseconds": _parquet(a=times.as_unit("ms"), b=["x", "y"]),
        "lists": _parquet(a=[[1.5, 2], [3.0]], b=["x", "y"]),
        "objects": _parquet(a=[{"n": 1}, {"n": 2}], b=["x", "y"]),
        "categories": _parquet(a=[1.5, 2], b=pd.Categorical(["x", "y"])),
        "one column": _parquet(a=[1.5, 2.5]),
        "more columns": _parquet(c=[1, 2], b=["x", "y"], a=[1.5, 2.5]),
        "no rows": _parquet(a=[], b=[]),
        "empty": b"",
        "no Parquet": b"PAR1 and then nothing",
    }
    signatures: dict[str, dict[str, Any] | None] = {
        "two columns": TWO,
        "none": None,
        "unnamed": UNNAMED,
        "ints": {"inputs": [column("long", "a"), WORD]},
        "booleans": {"inputs": [column("boolean", "a"), WORD]},
        "times": {"inputs": [column("datetime", "a"), WORD]},
        "bytes": {"inputs": [column("binary", "a"), column("binary", "b", required=False)]},
        "array": {"inputs": [{**NESTED_TYPES["doubles"], "name": "a", "required": True}]},
        "object": {"inputs": [{**NESTED_TYPES["object"], "name": "a", "required": True}]},
        "any": {"inputs": [{"type": "any", "name": "a", "required": True}]},
        "tensor": {"inputs": [tensor("float64", [-1, 2])]},
        "named tensor": {"inputs": [tensor("float64", [-1, 2], "a")]},
    }
    for label, signature in signatures.items():
        for name, sent in bodies.items():
            yield Case(f"parquet {label}: {name}", signature, sent, PARQUET)


ALL = (
    scalar_cases,
    shape_cases,
    nested_cases,
    param_cases,
    csv_cases,
    protocol_cases,
    parquet_cases,
    label_cases,
    hint_cases,
    llm_cases,
    route_cases,
)
