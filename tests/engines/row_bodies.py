"""Bodies of rows, drawn: read by a library's own C and the general way, which are compared.

    python -m tests.engines.row_bodies LIBRARY SEED COUNT

It runs where numpy cannot be imported, as a function of the frame `plain` does. What is printed is
how many bodies were read by the library.
"""

from __future__ import annotations

import json
import random
import struct
import sys
from collections.abc import Iterator
from decimal import Decimal, localcontext
from typing import Any, Final

from handlers.loaders._libraries import Entry
from handlers.manifest import Manifest
from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Scorer

_KINDS: Final = ("double", "float", "long", "integer", "boolean", "string")
_WORDS: Final = (
    "a",
    "",
    "basic",
    "\u00e9\u2603",
    "]], [[",
    "[[1]]",
    "\U0001f600 x",
    ",",
    "<cells>",
)
_NUMBERS: Final = (
    *("0.1", "-0.0", "0", "-0", "1e3", "5e-324", "1.7976931348623157e308", "null", "1e22", "1e23"),
    *("2.2250738585072014e-308", "9007199254740993.0", "123456789012345678", "1234567890123456789"),
    *("0.000000000000000000000001", "1e400", "-1E-400", "NaN", "Infinity", "1e0001"),
)
_ODD: Final = (
    *("null", "true", "1.5", '"x"', "[]", "{}", "01", "1.", "-", ".5", "+1", "1e", "nul", "tru"),
    *('"a\\nb"', '"\u00e9', "2147483648", "-2147483649", "9223372036854775808", "1_0", "0x1", " "),
    *('"\\u00e9"', '"\x01"', '"\\ud800"'),
)
_ENDS: Final = (
    *("}}", "}}", "}}", '}, "params": {"a": [1]}}', '}, "params": {}}'),
    *(', "index": [0]}}', "}} ", "}}x"),
)


class Silent:
    """A model that is never asked."""

    def __init__(self, row_library: Entry | None) -> None:
        self.row_library = row_library

    def predict(self, data: Any, params: dict[str, object] | None) -> Any:
        raise NotImplementedError


def draw_number(draw: random.Random) -> str:
    how = draw.randrange(6)
    if how == 0:
        return repr(draw.uniform(-1000, 1000))
    if how == 1:  # any double but subnormal ones
        bits = draw.getrandbits(64) & ~(0x7FF << 52) | draw.randint(1, 0x7FE) << 52
        return repr(struct.unpack("d", struct.pack("Q", bits))[0])
    if how == 2:
        return f"{draw.uniform(-10, 10):.{draw.randint(0, 25)}f}"
    if how == 3:
        whole, part = (draw.randint(0, 10 ** draw.randint(1, 22)) for _ in range(2))
        return f"{whole}.{part}{draw.choice(['', 'e5', 'E-7', 'e+0', 'e-20', 'e15', 'e300'])}"
    if how == 4:  # between two doubles, or next to the middle
        with localcontext() as context:
            context.prec = 60
            middle = Decimal((draw.getrandbits(53) | 1 << 52) * 2 + draw.randint(0, 1))
            text = format(middle / 2 ** draw.randint(0, 60), "f")
        return text if "." in text else f"{text}.0"
    return draw.choice(_NUMBERS)


def draw_cell(draw: random.Random, kind: str, odd: float) -> str:
    if draw.random() < odd:
        return draw.choice(_ODD)
    if kind == "boolean":
        return draw.choice(["true", "false"])
    if kind == "string":
        return json.dumps(draw.choice(_WORDS), ensure_ascii=False)
    if kind in {"long", "integer"}:
        most = 10**17 if kind == "long" else 2**31 - 1
        return draw.choice([str(draw.randint(-most, most)), str(draw.randint(-9, 9)), "-0"])
    return draw_number(draw)


def draw_body(draw: random.Random, kinds: list[str]) -> bytes:
    odd = draw.choice([0, 0, 0, 0.01, 0.05])
    order = draw.sample(range(len(kinds)), len(kinds))
    if draw.random() < 0.05:
        order.pop()
    comma = draw.choice([",", ", ", " ,\n"])
    rows = [
        f"[{comma.join(draw_cell(draw, kinds[at], odd) for at in order)}]"
        for _ in range(draw.choice([1, 2, 3, 10]))
    ]
    names = json.dumps([f"c {at}" for at in order])
    text = f'{{"dataframe_split": {{"columns": {names}, "data": [{comma.join(rows)}]'
    body = (text + draw.choice(_ENDS)).encode("utf-8")
    if draw.random() < 0.02:
        at = draw.randrange(len(body))
        body = body[:at] + bytes([draw.getrandbits(8)]) + body[at + 1 :]
    return body[: draw.randrange(len(body))] if draw.random() < 0.02 else body


def describe_columns(data: Any) -> Iterator[tuple[str, str, list[object]]]:
    """Names, dtypes and cells; a double by its bytes, as a zero has a sign."""
    for name, column in data.items():
        cells = column.tolist()
        if column.dtype.kind == "f":
            yield name, column.dtype.name, [struct.pack("d", v) if v == v else "" for v in cells]  # noqa: PLR0124
        else:
            yield name, column.dtype.name, [(type(value), value) for value in cells]


def ask(scorer: Scorer, body: bytes) -> object:
    try:
        checked = scorer.read(body, "application/json")
    except ScoringError as error:
        return error.message
    return list(describe_columns(checked.data)), checked.params


def make_scorer(kinds: list[str], library: Entry | None) -> Scorer:
    inputs = [{"name": f"c {at}", "type": kind} for at, kind in enumerate(kinds)]
    manifest = Manifest(
        model_name="m", mlflow_version="3.17.2", digest="0", flavor="f", loader="l", frame="plain",
        signature={"inputs": inputs}, python="3.13", request_bytes=10**6, response_bytes=10**6,
    )  # fmt: skip
    return Scorer(manifest, Silent(library))


def compare_bodies(library: Entry, seed: int, count: int) -> int:
    """How many of the bodies the library read. Raises AssertionError for one read otherwise."""
    draw, read = random.Random(seed), 0
    for _ in range(count):
        kinds = [draw.choice(_KINDS) for _ in range(draw.randint(1, 5))]
        body = draw_body(draw, kinds)
        general, own = make_scorer(kinds, None), make_scorer(kinds, library)
        assert own._row_reader is not None
        read += own._row_reader.json(body) is not None
        assert ask(own, body) == ask(general, body), (kinds, body)
    return read


if __name__ == "__main__":
    from handlers.scoring import scorer

    scorer._ROW_BYTES = 0
    count = compare_bodies(Entry(sys.argv[1], {}), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(f"{count}\n")
