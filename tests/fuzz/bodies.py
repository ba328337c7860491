"""Bodies that no client should send, and those that a careless one does: endless, by seed."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.conformance.cases import ALL, CSV, JSON, Case, column
from tests.fuzz.growing import DOUBLES, FORMS

PARQUET = "application/vnd.apache.parquet"
LIMIT_BYTES = 6_000_000
TYPES = (
    JSON, CSV, PARQUET, f"{JSON}; charset=utf-8", f"{JSON};charset=UTF-16", f"{CSV}; charset=utf-8",
    "text/plain", "application/json;", "; ; =", "multipart/form-data; boundary=x", "", "\x00", "é",
)  # fmt: skip
KEYS = (
    "inputs", "instances", "dataframe_split", "dataframe_records", "params", "messages", "prompt",
    "columns", "data", "index", "a", "b", "x", "p", "", "\ud800", "\x00", "0",
)  # fmt: skip
ATOMS: tuple[Any, ...] = (
    None, True, False, 0, -0.0, 1, -1, 1.5, 2**31, 2**53 + 1, 2**63, -(2**63), 2**64, 2**70,
    10**400, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"), "", "a", "é", "\ud800",
    "\x00", "nan", "1", "2024-01-02", "2024-01-02T00:00:00Z", "YQ==", "=", "x" * 300, [], {}, [[]],
    [1, [2]], {"a": {"a": 1}},
)  # fmt: skip
TOKENS = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b"\r", b"\x00", b"\xff", b"NaN",
    b"Infinity", b"null", b"-", b"1e999", b"9" * 4400, b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf",
    b"0" * 50, b'"inputs":', b'"data":', b'"columns":', b"[" * 2000, b"-0", b"1e-7", b"\xf0\x9f",
)  # fmt: skip


class Sample(NamedTuple):
    kind: str
    signature: dict[str, Any] | None
    body: bytes
    content_type: str | None
    type_hints: bool = False


def _nested_lists() -> bytes:
    return b'{"inputs": ' + b"[" * 2_900_000 + b"]" * 2_900_000 + b"}"


def _wide_split() -> bytes:
    """10^6 columns, under the limit of bytes."""
    numbers = b"1," * 999_999 + b"1"
    return b'{"dataframe_split": {"data": [[' + numbers + b"]]}}"


def _wide_inputs() -> bytes:
    return json.dumps({"inputs": {f"{i:x}": 1 for i in range(500_000)}}).encode()[:LIMIT_BYTES]


def _wide_rows() -> bytes:
    one = json.dumps([{f"{i:x}": 1 for i in range(200_000)}])
    return f'{{"dataframe_records": {one}}}'.encode()


def _ragged_records() -> bytes:
    """Each record has a column of its own: a table of their number squared."""
    return json.dumps({"dataframe_records": [{f"{i:x}": 1} for i in range(300_000)]}).encode()


def _ragged_rows() -> bytes:
    """One long row among many short ones: a table of 10^12 cells."""
    rows = b"[1]," * 700_000 + b"[" + b"1," * 1_500_000 + b"1]"
    return b'{"dataframe_split": {"data": [' + rows + b"]}}"


def _scalar_and_list() -> bytes:
    """One list and many scalars that are repeated to its length."""
    scalars = ",".join(f'"{i:x}": 1' for i in range(200_000))
    return f'{{"inputs": {{"a": [{"1," * 900_000}1], {scalars}}}}}'.encode()


def _index() -> bytes:
    """One row that stands for every label."""
    labels = b"1," * 900_000 + b"1"
    columns = b"[" + b"1," * 900_000 + b"1]"
    return b'{"dataframe_split": {"index": [' + labels + b'], "data": [' + columns + b"]}}"


def _dicts_of_dicts() -> bytes:
    inner = ",".join(f'"{i:x}": {{"{i:x}": 1}}' for i in range(200_000))
    return f'{{"dataframe_split": {{"data": {{{inner}}}}}}}'.encode()


def _wide_csv() -> bytes:
    head = ",".join(f"{i:x}" for i in range(400_000))
    return f"{head}\n{'1,' * 399_999}1\n".encode()


def _short_csv() -> bytes:
    """A wide header and many rows of one cell: a table of 10^11 cells."""
    head = ",".join(f"{i:x}" for i in range(300_000))
    return f"{head}\n{'1' * 1}\n".encode() + b"1\n" * 1_500_000


HUGE: dict[str, Callable[[], bytes]] = {
    "nested lists": _nested_lists,
    "nested objects": lambda: b'{"inputs": ' + b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_001,
    "empty lists": lambda: b'{"inputs": [' + b"[]," * 1_900_000 + b"[]]}",
    "10^6 columns, split": _wide_split,
    "5*10^5 columns, inputs": _wide_inputs,
    "2*10^5 columns, records": _wide_rows,
    "4*10^5 columns, csv": _wide_csv,
    "short csv rows": _short_csv,
    "ragged records": _ragged_records,
    "ragged rows": _ragged_rows,
    "scalars beside a list": _scalar_and_list,
    "one row, many labels": _index,
    "dicts of dicts": _dicts_of_dicts,
    "huge integer": lambda: b'{"inputs": ' + b"9" * 5_900_000 + b"}",
    "huge integers": lambda: b'{"inputs": [' + (b"9" * 4200 + b",") * 1300 + b"1]}",
    "huge fraction": lambda: b'{"inputs": 0.' + b"1" * 5_900_000 + b"}",
    "huge exponent": lambda: b'{"inputs": 1e' + b"9" * 5_900_000 + b"}",
    "duplicate keys": lambda: b"{" + b'"inputs": [1],' * 400_000 + b'"inputs": [1]}',
    "duplicate columns": lambda: (
        b'{"dataframe_split": {"columns": [' + b'"a",' * 20_000 + b'"a"], "data": [['
        + b"1," * 20_000 + b"1]]}}"
    ),
    "lone surrogates": lambda: b'{"inputs": ["' + b"\\ud800" * 900_000 + b'"]}',
    "backslashes": lambda: b'{"inputs": "' + b"\\\\" * 2_900_000 + b'"}',
    "open string": lambda: b'{"inputs": "' + b"x" * 5_900_000,
    "spaces": lambda: b" " * 5_900_000,
    "csv quotes": lambda: b'a,b\n"' + b'""' * 2_900_000,
    "csv lines": lambda: b"\n" * 5_900_000,
    "csv commas": lambda: b"," * 5_900_000,
    "same csv names": lambda: b"a," * 40_000 + b"a\n" + b"1," * 40_000 + b"1\n",
    "dates": lambda: json.dumps({"inputs": {"x": ["2024-01-02"] * 300_000}}).encode(),
    "base64": lambda: json.dumps({"inputs": {"x": ["YQ=="] * 600_000}}).encode(),
    "maybe times": lambda: b'{"inputs": {"x": ["' + b"1" * 5_900_000 + b'"]}}',
    "maybe zones": lambda: b'{"inputs": {"x": ["' + b"00:00" * 1_100_000 + b'x"]}}',
}  # fmt: skip
SIGNATURES: dict[str, dict[str, Any] | None] = {
    "none": None,
    "doubles": DOUBLES,
    "texts": {"inputs": [column("string", "x")]},
    "times": {"inputs": [column("datetime", "x")]},
    "unnamed": {"inputs": [column("double", None)]},
    "bytes": {"inputs": [column("binary", "x"), column("long", "b", required=False)]},
    "tensor": {
        "inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    },
}


def huge() -> Iterator[Sample]:
    """Each of the large ones with each signature, once."""
    for kind, make in HUGE.items():
        body = make()[:LIMIT_BYTES]
        for name, signature in SIGNATURES.items():
            media = CSV if "csv" in kind else JSON
            yield Sample(f"{kind}, {name}", signature, body, media)
    for kind, form in FORMS.items():
        media = form.media_of(LIMIT_BYTES // 100) if form.media_of else form.media
        for signature in form.signatures:
            yield Sample(kind, signature, form.make(LIMIT_BYTES - 1000)[:LIMIT_BYTES], media)
    for kind, body in parquet_bombs().items():
        yield Sample(kind, DOUBLES, body, PARQUET)


def parquet_bombs() -> dict[str, bytes]:
    """Small files of large tables; none without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return {}

    def written(table: Any) -> bytes:
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", row_group_size=max(len(table), 1))
        return sink.getvalue()

    count = 30_000_000
    zeros = pa.chunked_array([pa.repeat(pa.scalar(1.0), count // 10)] * 10)
    long_text = pa.DictionaryArray.from_arrays(
        pa.repeat(pa.scalar(0, pa.int32()), 200_000), pa.array(["x" * 100_000])
    )
    return {
        "parquet: nothing": written(pa.table({"a": pa.array([], pa.float64())})),
        "parquet: constant columns": written(pa.table(dict.fromkeys("abx", zeros))),
        "parquet: one long text": written(pa.table({"a": long_text})),
    }


def valid() -> list[Case]:
    """What mutations start from."""
    return [case for make in ALL for case in make()]


def endless(seed: int) -> Iterator[Sample]:
    """Mutations of valid bodies, random JSON of the right keys, random bytes."""
    rng = random.Random(seed)
    cases = valid()
    while True:
        case = rng.choice(cases)
        media = case.content_type if rng.random() < 0.9 else rng.choice([*TYPES, None])
        draw = rng.randrange(12)
        if draw < 4:
            kind, body = "mutation", mutated(rng, case.body)
        elif draw < 8:
            kind, body = "other values", revalued(rng, case.body)
        elif draw < 11:
            kind, body = "random JSON", random_json(rng)
        else:
            kind, body = "random bytes", rng.randbytes(rng.randrange(200))
        yield Sample(kind, case.signature, body, media, case.type_hints)


def mutated(rng: random.Random, body: bytes) -> bytes:
    made = bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(made) + 1)
        end = min(len(made), at + rng.choice((1, 1, 2, 8, 64)))
        change = rng.randrange(6)
        if change == 0:
            del made[at:end]
        elif change == 1:
            made[at:at] = rng.choice(TOKENS)
        elif change == 2 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif change == 3:
            made[at:at] = made[at:end] * rng.choice((1, 2, 50))
        elif change == 4:
            made[at:end] = rng.choice(TOKENS)
        else:
            target = rng.randrange(len(made) + 1)
            made[target:target] = made[at:end]
    return bytes(made)


def revalued(rng: random.Random, body: bytes) -> bytes:
    """Valid JSON with a few of its values replaced."""
    try:
        made = json.loads(body)
    except (ValueError, RecursionError):
        return mutated(rng, body)
    for _ in range(rng.choice((1, 1, 2, 5))):
        made = _replaced(rng, made)
    return json.dumps(made).encode()


def _replaced(rng: random.Random, value: Any) -> Any:
    if not isinstance(value, list | dict) or not value or rng.random() < 0.1:
        return _value(rng, 2)
    key: Any = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    value[key] = _replaced(rng, value[key])
    return value


def random_json(rng: random.Random) -> bytes:
    text = json.dumps({rng.choice(KEYS): _value(rng, 0) for _ in range(rng.choice((1, 1, 1, 2)))})
    if rng.random() < 0.1:
        text = text.replace("}", f', "{rng.choice("abx")}": 1}}')
    return text.encode("utf-8", "surrogatepass")


def _value(rng: random.Random, depth: int) -> Any:
    draw = rng.random()
    if depth > 4 or draw < 0.35:
        return copy.deepcopy(rng.choice(ATOMS))  # replaced in place, perhaps
    if draw < 0.5:
        atom = rng.choice(ATOMS)
        return [copy.deepcopy(atom) for _ in range(rng.randrange(4))]
    if draw < 0.75:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(KEYS): _value(rng, depth + 1) for _ in range(rng.randrange(4))}
