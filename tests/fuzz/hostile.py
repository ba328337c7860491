"""Every place of a request crossed with whatever is hard to read, at any size, in any frame.

    python -m tests.fuzz.hostile [--frame numpy|pandas|plain] [--share 0.05] [--seed N]
        [--size N] [--seconds S]

A place is where a sender can put a text of his own: a cell, a name, a label, a parameter, a header,
in each of MLflow's forms, CSV and direct invokes. A content is a text that some reader takes the
square of. Each is sent once large and once as many small ones. Printed, with exit code 1, is what
is answered with 500, what escapes, and what takes more than six times the CPU for four times the
bytes.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import logging
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

if "plain" in sys.argv and __name__ == "__main__":  # before anything imports it
    for _name in ("numpy", "pandas", "pyarrow"):
        sys.modules[_name] = None  # type: ignore[assignment]

from handlers.scoring.errors import ScoringError
from handlers.scoring.scorer import Scorer
from tests.conformance.asking import ours
from tests.conformance.cases import CSV, JSON, column, param, tensor

OPEN = "the Open Inference Protocol"
Signature = dict[str, Any] | None
Make = Callable[[int], str]
"""JSON of about so many characters."""
GROWTH = 6.0
"""At most, for four times the bytes."""
_SECONDS = 0.1
"""Below, no growth can be told from chance."""


def _repeated(unit: str, before: str = "", after: str = "") -> Make:
    return lambda size: before + unit * max(1, size // len(unit)) + after


def _text(unit: str, before: str = "", after: str = "") -> Make:
    return _repeated(unit, f'"{before}', f'{after}"')


def _keys(size: int) -> str:
    return "{" + ",".join(f'"k{i}":1' for i in range(max(1, size // 9))) + "}"


def _nested(opening: str, closing: str) -> Make:
    def make(size: int) -> str:
        depth = max(1, size // len(opening + closing))
        return f"{opening * depth}1{closing * depth}"

    return make


def _ragged(size: int) -> str:
    """Lists of every length up to the root of the size."""
    count = max(1, int(size**0.5))
    return "[" + ",".join("[" + "1," * i + "1]" for i in range(count)) + "]"


CONTENTS: dict[str, Make] = {
    "digits": _repeated("1"),
    "digits, a minus": _repeated("1", "-"),
    "a fraction": _repeated("1", "0."),
    "zeros after the point": _repeated("0", "0.", "1"),
    "an exponent": _repeated("9", "1e"),
    "a negative exponent": _repeated("0", "1e-", "9"),
    "a text": _text("x"),
    "digits in a text": _text("1"),
    "digits and a letter": _text("1", after="x"),
    "points": _text("1."),
    "signs": _text("-"),
    "exponents": _text("1e"),
    "underscores": _text("1_"),
    "spaces and a letter": _text(" ", after="x"),
    "spaces and a digit": _text(" ", after="1"),
    "tabs": _text("\\t", after="1"),
    "escapes": _text("\\\\"),
    "escaped quotes": _text('\\"'),
    "quotes and commas": _text('\\",'),
    "zeros": _text("\\u0000"),
    "byte order marks": _text("\ufeff"),
    "escaped byte order marks": _text("\\ufeff"),
    "lone surrogates": _text("\\ud800"),
    "line ends": _text("\\r\\n"),
    "mixed line ends": _text("\\r\\n\\r\\n\\n\\r"),
    "combining marks": _text("a\u0301\u0323"),
    "other digits": _text("\u0661"),
    "upper case that grows": _text("\u0130"),
    "base64": _text("YWFh"),
    "no base64": _text("Y="),
    "not quite base64": _text("YW\\n"),
    "a time's head": _text("0", "2024-01-01T00:00:00."),
    "a time's zone": _text("00:", "2024-01-01T00:00:00+"),
    "many times": _text("2024-01-01 "),
    "words of a month": _text("January "),
    "commas": _text(","),
    "percents": _text("%s"),
    "braces": _text("{0}"),
    "nans": _text("nan"),
    "lists in lists": _nested("[", "]"),
    "objects in objects": _nested('{"a":', "}"),
    "a list of numbers": _repeated("1,", "[", "1]"),
    "a list of large numbers": _repeated(f"{2**70},", "[", "1]"),
    "a list of texts": _repeated('"ab",', "[", '"c"]'),
    "a list of nulls": _repeated("null,", "[", "1]"),
    "a list of empty lists": _repeated("[],", "[", "[]]"),
    "a list of objects": _repeated('{"a":1},', "[", "{}]"),
    "a list of mixed": _repeated('1,"a",null,[],{},', "[", "true]"),
    "a ragged list": _ragged,
    "an object of names": _keys,
    "one name again": _repeated('"a":1,', "{", '"a":2}'),
    "no JSON": _repeated("[1,", "", "x"),
}


class Place(NamedTuple):
    put: Callable[[str], str]
    """A body around a content."""
    name: bool = False
    """Only a text can stand here."""
    media: str = JSON
    many: bool = True
    """Of `X,X` a list is made where the content may stand many times."""


def _many(around: str) -> Callable[[str], str]:
    return lambda value: around.replace("@", value)


def _csv_cell(value: str) -> str:
    try:
        text = json.loads(value)
    except (ValueError, RecursionError):
        text = value
    return text if isinstance(text, str) else value


PLACES: dict[str, Place] = {
    "a split's cells": Place(_many('{"dataframe_split":{"columns":["x"],"data":[[@]]}}')),
    "a split's rows": Place(_many('{"dataframe_split":{"columns":["x"],"data":[@]}}')),
    "a split's data": Place(_many('{"dataframe_split":{"columns":["x"],"data":@}}'), many=False),
    "a split's columns": Place(_many('{"dataframe_split":{"columns":[@,"x"],"data":[[1,2]]}}')),
    "a split's only columns": Place(_many('{"dataframe_split":{"columns":@,"data":[[1]]}}')),
    "a split's labels": Place(
        _many('{"dataframe_split":{"columns":["x"],"index":[@],"data":[[1]]}}')
    ),
    "a split's keys": Place(_many('{"dataframe_split":{@:[[1]]}}'), name=True, many=False),
    "a split": Place(_many('{"dataframe_split":@}'), many=False),
    "a record's value": Place(_many('{"dataframe_records":[{"x":@}]}'), many=False),
    "a record's list": Place(_many('{"dataframe_records":[{"x":[@]}]}')),
    "a record's name": Place(_many('{"dataframe_records":[{@:1,"x":1}]}'), name=True, many=False),
    "records": Place(_many('{"dataframe_records":[@]}')),
    "instances": Place(_many('{"instances":[@]}')),
    "an instance's value": Place(_many('{"instances":[{"x":@}]}'), many=False),
    "an instance's list": Place(_many('{"instances":[{"x":[@]}]}')),
    "an instance's name": Place(_many('{"instances":[{@:1}]}'), name=True, many=False),
    "inputs": Place(_many('{"inputs":@}'), many=False),
    "inputs' list": Place(_many('{"inputs":[@]}')),
    "inputs' column": Place(_many('{"inputs":{"x":[@]}}')),
    "inputs' scalar": Place(_many('{"inputs":{"x":@}}'), many=False),
    "inputs' second column": Place(_many('{"inputs":{"x":[1],"y":[@]}}')),
    "inputs' name": Place(_many('{"inputs":{@:[1]}}'), name=True, many=False),
    "a list of inputs": Place(_many('{"inputs":[{"x":1},{"x":@}]}'), many=False),
    "a parameter": Place(_many('{"inputs":{"x":[1]},"params":{"p":@}}'), many=False),
    "a parameter's list": Place(_many('{"inputs":{"x":[1]},"params":{"p":[@]}}')),
    "a parameter's name": Place(
        _many('{"inputs":{"x":[1]},"params":{@:1}}'), name=True, many=False
    ),
    "all parameters": Place(_many('{"inputs":{"x":[1]},"params":@}'), many=False),
    "a key": Place(_many('{@:1,"inputs":[1]}'), name=True, many=False),
    "messages": Place(_many('{"messages":[@]}')),
    "a message": Place(_many('{"messages":[{"role":"user","content":@}]}'), many=False),
    "the body": Place(lambda value: value, many=False),
    "a CSV cell": Place(lambda value: f"x\n1\n{_csv_cell(value)}\n", media=CSV, many=False),
    "a quoted CSV cell": Place(
        lambda value: f'x,y\n1,"{_csv_cell(value)}"\n', media=CSV, many=False
    ),
    "an open CSV quote": Place(
        lambda value: f'x,y\n1,2\n1,"{_csv_cell(value)}\n', media=CSV, many=False
    ),
    "a CSV header": Place(lambda value: f"x,{_csv_cell(value)}\n1,2\n", media=CSV, many=False),
    "a CSV header alone": Place(lambda value: f"{_csv_cell(value)}\n1\n", media=CSV, many=False),
    "a CSV": Place(_csv_cell, media=CSV, many=False),
    "an open protocol's data": Place(
        _many('{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[@]}]}'), media=OPEN
    ),
    "an open protocol's texts": Place(
        _many('{"inputs":[{"name":"x","datatype":"BYTES","shape":[1],"data":[@]}]}'), media=OPEN
    ),
    "an open protocol's shape": Place(
        _many('{"inputs":[{"name":"x","datatype":"FP64","shape":[@],"data":[]}]}'), media=OPEN
    ),
    "an open protocol's inputs": Place(_many('{"inputs":[@]}'), media=OPEN),
    "an open protocol's parameters": Place(
        _many('{"parameters":@,"outputs":[{"name":"x","parameters":@}],"inputs":[]}'),
        media=OPEN,
        many=False,
    ),
    "a content type": Place(lambda value: '{"inputs":[1]}', many=False),
}


def _columns(*kinds: str, params: Any = None) -> Signature:
    made: dict[str, Any] = {
        "inputs": [column(kind, name) for kind, name in zip(kinds, "xy", strict=False)]
    }
    return made if params is None else {**made, "params": params}


def _nesting(spec: dict[str, Any]) -> Signature:
    return {"inputs": [{**spec, "name": "x", "required": False}]}


_OBJECT = {"type": "object", "properties": {"a": {"type": "double"}, "k1": {"type": "string"}}}
SIGNATURES: dict[str, Signature] = {
    "none": None,
    **{
        kind: _columns(kind)
        for kind in (
            "double", "float", "long", "integer", "boolean", "string",
        )
    },
    "two": _columns("double", "string"),
    "unnamed": {"inputs": [column("double", None), column("string", None)]},
    "optional": {"inputs": [column("double"), column("string", "y", required=False)]},
    "numeric params": _columns("double", params=[param("double", 1.0)]),
    "text params": _columns("double", params=[param("string", "a")]),
    "list params": _columns("double", params=[param("long", [1], shape=[-1])]),
}  # fmt: skip
ARRAYS: dict[str, Signature] = {
    "binary": _columns("binary"),
    "datetime": _columns("datetime"),
    "time params": _columns("double", params=[param("datetime", "2024-01-01")]),
    "object params": _columns(
        "double", params=[{**_OBJECT, "name": "p", "default": {"a": 1.0}, "shape": None}]
    ),
    "array": _nesting({"type": "array", "items": {"type": "double"}}),
    "array of texts": _nesting({"type": "array", "items": {"type": "string"}}),
    "array of arrays": _nesting(
        {"type": "array", "items": {"type": "array", "items": {"type": "long"}}}
    ),
    "map": _nesting({"type": "map", "values": {"type": "double"}}),
    "object": _nesting(_OBJECT),
    "any": _nesting({"type": "any"}),
    "tensor": {"inputs": [tensor("float64", [-1, 2])]},
    "named tensor": {"inputs": [tensor("int64", [-1], "x")]},
    "text tensor": {"inputs": [tensor("str", [-1], "x")]},
    "object tensor": {"inputs": [tensor("object", [-1], "x")]},
    "bool tensor": {"inputs": [tensor("bool", [-1, -1])]},
}
"""What the frame `plain` serves none of."""


class Sample(NamedTuple):
    place: str
    content: str
    many: bool
    signature: str

    def make(self, size: int) -> tuple[bytes, str]:
        """A body of about so many bytes, and its content type."""
        place, content = PLACES[self.place], CONTENTS[self.content]
        value = content(size)
        if self.many:
            few = content(24)
            value = ",".join([few] * max(1, size // (len(few) + 1)))
        if self.place == "a content type":
            return b'{"inputs":[1]}', f"{JSON};{value}"
        return place.put(value).encode("utf-8", "surrogatepass"), place.media


def samples(frame: str) -> Iterator[Sample]:
    """All of them."""
    signatures = {**SIGNATURES, **({} if frame == "plain" else ARRAYS)}
    for (name, place), content, signature in itertools.product(
        PLACES.items(), CONTENTS, signatures
    ):
        if frame == "plain" and place.media == OPEN:
            continue
        if place.name and not CONTENTS[content](1).startswith('"'):
            continue
        for many in (False, True) if place.many else (False,):
            yield Sample(name, content, many, signature)


class Quiet:
    """A model that takes anything and answers little."""

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [0.5]


class Asked:
    """A scorer for each signature, in one frame."""

    def __init__(self, frame: str) -> None:
        self._frame = frame
        self._scorers: dict[str, Scorer] = {}

    def find_fault(self, sample: Sample, size: int) -> str | None:
        """Tell what is wrong with how a sample is answered."""
        if sample.signature not in self._scorers:
            signature = {**SIGNATURES, **ARRAYS}[sample.signature]
            self._scorers[sample.signature] = ours(signature, Quiet(), frame=self._frame)
        scorer = self._scorers[sample.signature]
        media = PLACES[sample.place].media
        ways = [self._infer] if media == OPEN else [self._ask_http]
        ways += [self._invoke] if media == JSON else []
        for way in ways:
            if (fault := self._find_fault(way, scorer, sample, size)) is not None:
                return f"{way.__name__}: {fault}"
        return None

    def _find_fault(
        self, way: Callable[..., int | None], scorer: Scorer, sample: Sample, size: int
    ) -> str | None:
        try:
            status, spent = self._take_time(way, scorer, sample, size)
            if status is not None and status >= 500:
                return f"status {status}"
            if spent < _SECONDS:
                return None
            grown = [
                self._grow(way, scorer, sample, size),
                # what grows with the square does so at every size; memory's caches end only once
                self._grow(way, scorer, sample, size * 2),
            ]
        except Exception as error:  # noqa: BLE001 - anything that escapes is what is looked for
            return f"{type(error).__name__}: {error!s:.200}"
        if all(large > _SECONDS and large > GROWTH * small for small, large in grown):
            return f"seconds of CPU for a quarter and all of {size} bytes, and of twice: {grown}"
        return None

    def _grow(
        self, way: Callable[..., int | None], scorer: Scorer, sample: Sample, size: int
    ) -> tuple[float, float]:
        """Seconds for a quarter and for all, the least of several: others may use the machine."""
        small = large = float("inf")
        for _ in range(4):
            large = min(large, self._take_time(way, scorer, sample, size)[1])
            small = min(small, self._take_time(way, scorer, sample, size // 4)[1])
            if large < max(_SECONDS, GROWTH * small):
                break
        return small, large

    @staticmethod
    def _take_time(
        way: Callable[..., int | None], scorer: Scorer, sample: Sample, size: int
    ) -> tuple[int | None, float]:
        body, media = sample.make(size)
        gc.disable()  # when the next round of it is due hangs on what was asked before
        try:
            begun = time.process_time()
            status = way(scorer, body, media)
            return status, time.process_time() - begun
        finally:
            gc.enable()

    @staticmethod
    def _ask_http(scorer: Scorer, body: bytes, media: str) -> int | None:
        return scorer.invocations(body, media).status

    @staticmethod
    def _infer(scorer: Scorer, body: bytes, media: str) -> int | None:
        """A request of the container's other protocol, which reads with numpy alone."""
        from handlers.container_server import open_inference_protocol

        try:
            infer = open_inference_protocol.read(body, None, scorer.manifest)
            scorer.enforce_request(infer.request)
        except ScoringError as error:
            return error.status
        except RecursionError:  # as handlers.container_server.service answers it
            return 400
        return 200

    @staticmethod
    def _invoke(scorer: Scorer, body: bytes, media: str) -> int | None:
        """A direct invoke, whose event the platform has decoded."""
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return None
        try:
            scorer.invoke(payload)
        except ScoringError as error:
            return error.status
        return 200


def find_faults(
    frame: str, size: int, share: float, seed: int, seconds: float = float("inf")
) -> Iterator[str | None]:
    """For each sample that is drawn, in any order, what is wrong with how it is answered."""
    asked, rng, end = Asked(frame), random.Random(seed), time.monotonic() + seconds
    drawn = [sample for sample in samples(frame) if rng.random() < share]
    rng.shuffle(drawn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sample in drawn:
            if time.monotonic() > end:
                return
            fault = asked.find_fault(sample, size)
            yield fault and f"{frame}, {sample}: {fault}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frame", choices=["numpy", "pandas", "plain"], default="numpy")
    parser.add_argument("--size", type=int, default=400_000, help="bytes of the large one")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of all samples, drawn by the seed"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="none is begun later")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    count = faults = 0
    for fault in find_faults(
        options.frame, options.size, options.share, options.seed, options.seconds
    ):
        count += 1
        if fault is not None:
            faults += 1
            sys.stdout.write(f"{fault}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{count:,} samples in the frame {options.frame}, {faults} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
