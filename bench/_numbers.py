"""Ways to get 200,000 numbers out of a body: what bounds what the protocol costs.

Each is measured in a fresh process with the collector paused, freeing included; none of them checks
what a server has to check. `python bench/_numbers.py WAY FILE` prints CPU ms (median of 15) of one.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import io
import json
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROWS = b"\n"
Read = Callable[[bytes], Any]


def packed(values: list[float]) -> Any:
    cells = np.empty(len(values))
    struct.pack_into(f"{len(values)}d", cells.data, 0, *values)
    return cells


def as_json(body: bytes) -> bytes:
    return b"[[" + body.replace(ROWS, b"],[") + b"]]"


def as_list(body: bytes) -> bytes:
    return b"[" + body.replace(ROWS, b",") + b"]"


def rows_json() -> Read:
    return lambda body: np.array(json.loads(as_json(body)))


def rows_orjson() -> Read:
    import orjson

    return lambda body: np.array(orjson.loads(as_json(body)))


def rows_msgspec() -> Read:
    import msgspec

    decode = msgspec.json.Decoder(list[list[float]]).decode
    pack = struct.Struct("20d").pack
    return lambda body: b"".join([pack(*row) for row in decode(as_json(body))])


def flat_msgspec() -> Read:
    import msgspec

    decode = msgspec.json.Decoder(list[float]).decode
    return lambda body: packed(decode(as_list(body)))


def flat_orjson() -> Read:
    import orjson

    return lambda body: packed(orjson.loads(as_list(body)))


def buffer_simdjson() -> Read:
    simdjson: Any = importlib.import_module("simdjson")
    parser = simdjson.Parser()
    return lambda body: parser.parse(as_list(body)).as_buffer(of_type="d")


def pandas_csv() -> Read:
    import pandas as pd

    return lambda body: pd.read_csv(io.BytesIO(body), header=None)


def numpy_fromstring() -> Read:
    return lambda body: np.fromstring(body.replace(ROWS, b","), sep=",")


def numpy_loadtxt() -> Read:
    return lambda body: np.loadtxt(io.StringIO(body.decode()), delimiter=",")


_EIGHT = np.uint64(8)
_POWERS = 10 ** np.arange(9, dtype=np.uint64)


def numpy_words() -> Read:
    """Eight digits at a time within 64-bit words, of all numbers at once.

    Up to 8 digits on either side of the point, and no exponents
    (https://lemire.me/blog/2022/01/21/swar-explained-parsing-eight-digits/).
    """
    return _words


def _words(body: bytes) -> Any:
    text = b"0000000," + body.replace(ROWS, b",") + b","
    found = np.frombuffer(text, np.uint8)
    words = np.ndarray((len(text) - 7,), "<u8", text, strides=(1,))
    marks, dots = np.flatnonzero(found == ord(",")), np.flatnonzero(found == ord("."))
    begins, ends = marks[:-1] + 1, marks[1:]
    negative = found[begins] == ord("-")
    begins += negative
    before, after = dots - begins, ends - dots - 1
    whole = _digits(words, dots, before)
    whole *= _POWERS[after]
    whole += _digits(words, ends, after)
    values = whole.astype(np.float64)
    values /= _POWERS[after]
    return np.negative(values, out=values, where=negative)


def _digits(words: Any, ends: Any, count: Any) -> Any:
    """The number of the `count` digits before each end."""
    found = words[ends - 8]
    found ^= np.uint64(0x3030303030303030)
    unused = (8 - count).astype(np.uint64) * _EIGHT
    found >>= unused
    found <<= unused
    for factor, shift, mask in (
        (2561, 8, 0x00FF00FF00FF00FF),
        (6553601, 16, 0x0000FFFF0000FFFF),
        (42949672960001, 32, 0xFFFFFFFFFFFFFFFF),
    ):
        found *= np.uint64(factor)
        found >>= np.uint64(shift)
        found &= np.uint64(mask)
    return found


WAYS: dict[str, tuple[str, str, Callable[[], Read]]] = {
    "json": ("json", "rows, numpy.array", rows_json),
    "orjson": ("orjson", "rows, numpy.array", rows_orjson),
    "msgspec-rows": ("msgspec", "rows typed, each packed", rows_msgspec),
    "msgspec": ("msgspec", "one typed list, packed (taken where simdjson is not)", flat_msgspec),
    "orjson-flat": ("orjson", "one list, packed", flat_orjson),
    "simdjson": ("simdjson", "one array to a buffer (taken)", buffer_simdjson),
    "pandas": ("pandas", "read_csv", pandas_csv),
    "fromstring": ("numpy", "fromstring", numpy_fromstring),
    "loadtxt": ("numpy", "loadtxt", numpy_loadtxt),
    "words": ("numpy", "eight digits at a time, as integers", numpy_words),
}


def body() -> bytes:
    """10,000 x 20 numbers of six decimals as CSV, without a header; none needs an exponent."""
    values = np.random.default_rng(0).normal(size=(10_000, 20)).round(6)
    values[np.abs(values) < 1e-3] = 0.5
    return "\n".join(",".join(map(repr, row)) for row in values.tolist()).encode()


def measured(work: Path) -> list[dict[str, Any]]:
    """CPU ms of each way whose library is installed; a median of three processes."""
    file = work / "numbers"
    file.write_bytes(body())
    found: list[dict[str, Any]] = []
    for name, (library, how, _) in WAYS.items():
        if importlib.util.find_spec(library) is None:
            found.append({"library": library, "how": how, "ms": None})
            continue
        argv = [sys.executable, "-W", "ignore", __file__, name, str(file)]
        runs = [
            float(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
            for _ in range(3)
        ]
        found.append({"library": library, "how": how, "ms": statistics.median(runs)})
    return found


def main(name: str, file: str) -> None:
    content = Path(file).read_bytes()
    read = WAYS[name][2]()
    gc.disable()
    times = []
    for _ in range(15):
        begun = time.process_time()
        read(content)
        times.append(time.process_time() - begun)
    print(statistics.median(times) * 1e3)


if __name__ == "__main__":
    main(*sys.argv[1:])
