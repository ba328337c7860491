"""Bodies of any size, each of a form for which a careless reader takes the square of its size."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.conformance.cases import CSV, JSON, column, param, tensor

_COLLIDING = 2**61 - 1
"""Python's hash of a whole number is what is left of its division by this."""
Signature = dict[str, Any] | None

DOUBLES: Signature = {"inputs": [column("double", name) for name in "abx"]}
LONGS: Signature = {"inputs": [column("long", name) for name in "abx"]}
TEXT: Signature = {"inputs": [column("string", "x")]}
TIME: Signature = {"inputs": [column("datetime", "x")]}
BYTES: Signature = {"inputs": [column("binary", "x")]}
WIDE: Signature = {"inputs": [column("double", f"c{i}") for i in range(2000)]}
TEXTS: Signature = {"inputs": [{"type": "array", "items": {"type": "string"}, "name": "x"}]}
MAPPED: Signature = {"inputs": [{"type": "map", "values": {"type": "double"}, "name": "x"}]}
OBJECT: Signature = {
    "inputs": [{"type": "object", "properties": {"n": {"type": "double"}}, "name": "x"}]
}
MATRIX: Signature = {"inputs": [tensor("float64", [-1, 2])]}
WORDS: Signature = {"inputs": [tensor("str", [-1], "x")]}
PARAMS: Signature = {"inputs": [column("double", "x")], "params": [param("datetime", "2024-01-01")]}


class Form(NamedTuple):
    make: Callable[[int], bytes]
    """A body of about so many bytes."""
    signatures: tuple[Signature, ...] = (DOUBLES,)
    media: str = JSON
    media_of: Callable[[int], str] | None = None
    """Where it is the header that grows."""


def _json(**keys: Any) -> bytes:
    return json.dumps(keys, separators=(",", ":")).encode()


def _cell(text: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda size: f"a,b,x\n1,2,3\n1,2,{text(size)}\n".encode()


def _cells(text: str) -> Callable[[int], bytes]:
    line = f"1,2,{text}\n"
    return lambda size: f"a,b,x\n{line * (size // len(line))}".encode()


def _value(text: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda size: _json(inputs={name: [text(size // 3)] for name in "abx"})


def _record(text: Callable[[int], str]) -> Callable[[int], bytes]:
    return lambda size: _json(dataframe_records=[{"x": text(size)}])


def _nested(opening: str, closing: str, around: str) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        depth = size // (len(opening) + len(closing))
        return around.replace("@", f"{opening * depth}1{closing * depth}").encode()

    return make


def _colliding(size: int, part: str) -> bytes:
    labels = [(i + 1) * _COLLIDING for i in range(size // 24)]
    split = {"data": [[1] * len(labels)]} if part == "columns" else {"data": [[1]] * len(labels)}
    return _json(dataframe_split={**split, part: labels})


def _object_of_columns(size: int) -> bytes:
    count = size // 20
    names, data = [f"x{i}" for i in range(count)], {f"k{i}": [1] for i in range(count)}
    return _json(dataframe_split={"columns": names, "data": data})


def _many_columns(size: int) -> bytes:
    names = [f"k{i}" for i in range(size // 10)]
    return _json(dataframe_split={"columns": names, "data": [[1] * len(names)]})


def _own_keys(size: int) -> list[dict[str, int]]:
    return [{f"k{i}": 1} for i in range(size // 14)]


def _long_and_short(size: int) -> list[str]:
    """One long text among many short ones: an array of fixed widths is their product."""
    return ["x" * (size // 2), *[""] * (size // 6)]


def _taken_names(size: int) -> bytes:
    """What the numbered names would be is taken."""
    names = ["a"] * 900 + [f"a.{i}" for i in range(size // 10)]
    return f"{','.join(names)}\n{'1,' * (len(names) - 1)}1\n".encode()


FORMS: dict[str, Form] = {
    "csv: digits and a letter": Form(_cell(lambda n: "1" * n + "x"), (DOUBLES, LONGS), CSV),
    "csv: digits": Form(_cell(lambda n: "1" * n), (DOUBLES, LONGS), CSV),
    "csv: a fraction": Form(_cell(lambda n: "." + "1" * n + "x"), (DOUBLES,), CSV),
    "csv: an exponent": Form(_cell(lambda n: "1e" + "1" * n + "x"), (DOUBLES, LONGS), CSV),
    "csv: zeros": Form(_cell(lambda n: "0" * n + ".x"), (DOUBLES, LONGS), CSV),
    "csv: spaces": Form(_cell(lambda n: " " * n + "x"), (DOUBLES, LONGS), CSV),
    "csv: spaces behind": Form(_cell(lambda n: "1" + " " * n + "x"), (DOUBLES, LONGS), CSV),
    "csv: signs": Form(_cell(lambda n: "-" * n), (DOUBLES, LONGS), CSV),
    "csv: infinities": Form(_cell(lambda n: "inf" * (n // 3)), (DOUBLES,), CSV),
    "csv: integers of 4,000 digits": Form(_cells("9" * 4000), (DOUBLES, LONGS), CSV),
    "csv: one quote": Form(_cell(lambda n: '"' + "x" * n), (DOUBLES, TEXT), CSV),
    "csv: quotes on lines": Form(_cell(lambda n: '"\n' * (n // 2)), (DOUBLES, TEXT), CSV),
    "csv: doubled quotes": Form(_cell(lambda n: '"' + '""' * (n // 2)), (TEXT,), CSV),
    "csv: NULs": Form(_cell(lambda n: "\0" * n), (DOUBLES, TEXT), CSV),
    "csv: blank lines": Form(_cells("3\n "), (DOUBLES,), CSV),
    "csv: carriage returns": Form(_cell(lambda n: "\r" * n), (DOUBLES,), CSV),
    "csv: a long name": Form(lambda n: b"a" * n + b"\n1\n", (DOUBLES,), CSV),
    "csv: a quoted header": Form(lambda n: b'"' + b"a\n" * (n // 2), (DOUBLES,), CSV),
    "csv: names that are taken": Form(_taken_names, (DOUBLES, None), CSV),
    "csv: names given twice": Form(
        lambda n: b"a," * 900 + b"b\n" + (b"1," * 900 + b"1\n") * (n // 1802), (DOUBLES,), CSV
    ),
    "split: an object and names": Form(_object_of_columns, (DOUBLES, None)),
    "split: many columns for many": Form(_many_columns, (WIDE, None)),
    "split: colliding names": Form(lambda n: _colliding(n, "columns"), (DOUBLES, None)),
    "split: colliding labels": Form(
        lambda n: _colliding(n, "index"), (None, {"inputs": [column("double", None)]})
    ),
    "split: a name again and again": Form(
        lambda n: _json(dataframe_split={"columns": ["a"] * (n // 6), "data": [[1] * (n // 6)]}),
        (DOUBLES,),
    ),
    "records: a name each": Form(lambda n: _json(dataframe_records=_own_keys(n)), (DOUBLES, None)),
    "records: a name each, inputs": Form(lambda n: _json(inputs=_own_keys(n)), (DOUBLES, None)),
    "records: a name each, instances": Form(
        lambda n: _json(instances=_own_keys(n)), (DOUBLES, None)
    ),
    "records: one of many names": Form(
        lambda n: _json(dataframe_records=[{f"k{i}": 1 for i in range(n // 10)}]),
        (DOUBLES, WIDE, None),
    ),
    "records: empty ones": Form(
        lambda n: _json(dataframe_records=[{"x": 1}, *["", []] * (n // 6)]), (DOUBLES,)
    ),
    "inputs: many names": Form(
        lambda n: _json(inputs={f"k{i}": [1] for i in range(n // 12)}), (DOUBLES, WIDE, None)
    ),
    "a digit string": Form(_value(lambda n: "1" * n + "x"), (DOUBLES, LONGS)),
    "a digit string in a record": Form(_record(lambda n: "1" * n + "x"), (DOUBLES, TIME, BYTES)),
    "a digit string as time": Form(_value(lambda n: "1" * n + "x"), (TIME,)),
    "dotted digits as time": Form(_record(lambda n: "1." * (n // 2)), (TIME,)),
    "spaced digits as time": Form(_record(lambda n: "1 " * (n // 2)), (TIME,)),
    "colons as time": Form(_record(lambda n: "00:" * (n // 3)), (TIME,)),
    "zones as time": Form(_record(lambda n: "00:00" * (n // 5) + "x"), (TIME,)),
    "words as time": Form(_record(lambda n: "a " * (n // 2)), (TIME,)),
    "dashes as time": Form(_record(lambda n: "2024-01-01" * (n // 10)), (TIME,)),
    "times of many forms": Form(
        lambda n: _json(
            dataframe_records=[{"x": "2024-01-01" + " " * (i % 7)} for i in range(n // 20)]
        ),
        (TIME,),
    ),
    "integers of 4,000 digits": Form(
        lambda n: f'{{"inputs":{{"x":[{",".join(["9" * 4000] * (n // 4000))}]}}}}'.encode(),
        (DOUBLES, LONGS, None),
    ),
    "a long fraction": Form(lambda n: b'{"inputs":{"x":[0.' + b"1" * n + b"]}}", (DOUBLES, None)),
    "a long integer": Form(lambda n: b'{"inputs":{"x":[' + b"1" * n + b"]}}", (DOUBLES, None)),
    "a long exponent": Form(lambda n: b'{"inputs":{"x":[1e' + b"1" * n + b"]}}", (DOUBLES, None)),
    "no base64": Form(_record(lambda n: "Y=" * (n // 2)), (BYTES,)),
    "a long text among short": Form(
        lambda n: _json(inputs={"x": _long_and_short(n)}), (TEXT, BYTES, WORDS, None)
    ),
    "a long text among short, records": Form(
        lambda n: _json(inputs=[{"x": text} for text in _long_and_short(n)]), (TEXT, WORDS, None)
    ),
    "a long text among short, instances": Form(
        lambda n: _json(instances=[{"x": text} for text in _long_and_short(n)]), (TEXT, WORDS, None)
    ),
    "a long text among short, split": Form(
        lambda n: _json(
            dataframe_split={"columns": ["x"], "data": [[t] for t in _long_and_short(n)]}
        ),
        (TEXT, WORDS, None),
    ),
    "a long text among short, one cell": Form(
        lambda n: _json(dataframe_records=[{"x": _long_and_short(n)}]), (TEXTS,)
    ),
    "a big map": Form(
        lambda n: _json(inputs=[{"x": {f"k{i}": 1.5 for i in range(n // 12)}}]), (MAPPED, OBJECT)
    ),
    "lists in lists": Form(_nested("[", "]", '{"inputs":@}'), (DOUBLES, MATRIX, None)),
    "lists in a record": Form(
        _nested("[", "]", '{"dataframe_records":[{"x":@}]}'), (DOUBLES, TEXTS, None)
    ),
    "objects in objects": Form(_nested('{"a":', "}", '{"inputs":@}'), (DOUBLES, MAPPED, None)),
    "lists in params": Form(_nested("[", "]", '{"inputs":{"x":[1]},"params":{"p":@}}'), (PARAMS,)),
    "lists in labels": Form(
        _nested("[", "]", '{"dataframe_split":{"data":[[1]],"index":@}}'), (DOUBLES, None)
    ),
    "a param of digits": Form(lambda n: _json(inputs={"x": [1]}, params={"p": "1" * n}), (PARAMS,)),
    "many params": Form(
        lambda n: _json(inputs={"x": [1]}, params={f"p{i}": 1 for i in range(n // 10)}),
        (PARAMS, DOUBLES),
    ),
    "keys given twice": Form(lambda n: b"{" + b'"inputs":[1],' * (n // 13) + b'"inputs":[1]}'),
    "unknown keys": Form(lambda n: _json(**{f"k{i}": 1 for i in range(n // 10)})),
    "lone surrogates": Form(
        lambda n: b'{"inputs":{"x":["' + b"\\ud800" * (n // 6) + b'"]}}', (TEXT,)
    ),
    "no UTF-8": Form(lambda n: b'{"inputs":"' + b"\xff" * n),
    "a content type's parameters": Form(
        lambda _: b'{"inputs":[[1]]}',
        (MATRIX,),
        media_of=lambda n: JSON + ";" + ";".join(f"a{i}=1" for i in range(n // 8)),
    ),
    "a long content type": Form(lambda _: b"{}", (MATRIX,), media_of=lambda n: ";" * n + "=" * n),
}
