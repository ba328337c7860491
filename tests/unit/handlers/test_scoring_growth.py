"""What a request costs grows with its bytes, not with their square."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from handlers.scoring import fast_json
from handlers.scoring.schema import columns
from handlers.scoring.scorer import Scorer
from tests.conformance.asking import ours
from tests.conformance.cases import CSV, JSON, column
from tests.fuzz.growing import DOUBLES, FORMS, Form

pytestmark = pytest.mark.usefixtures("quiet")
_SMALL, _LARGE = 60_000, 480_000
"""Eight times: what grows with the square takes sixty-four times as long."""
_GROWTH = 24
_SECONDS = 0.12
"""Below, no growth can be told from chance."""
NESTED = {"type": "array", "name": "x"}


class Quiet:
    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return [0.5]


def seconds(scorer: Scorer, form: Form, size: int) -> float:
    body = form.make(size)
    media = form.media_of(size) if form.media_of else form.media
    begun = time.process_time()
    answer = scorer.invocations(body, media)
    spent = time.process_time() - begun
    assert answer.status < 500 or answer.body == b"Internal Server Error"
    return spent


def grows_evenly(scorer: Scorer, form: Form) -> bool:
    """By the least of several times, as others may use the machine meanwhile."""
    small = large = float("inf")
    for _ in range(5):
        large = min(large, seconds(scorer, form, _LARGE))
        if large < _SECONDS:
            return True
        small = min(small, seconds(scorer, form, _SMALL))
        if large < _GROWTH * small:
            return True
    return False


@pytest.mark.few(5)
@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("name", FORMS)
def test_a_request_takes_time_by_its_size(name: str, frame: str) -> None:
    form = FORMS[name]
    slow = [
        signature
        for signature in form.signatures
        if not grows_evenly(ours(signature, Quiet(), frame=frame), form)
    ]

    assert slow == []


@pytest.mark.parametrize("frame", ["numpy", "pandas"])
@pytest.mark.parametrize("key", ["inputs", "instances", "inputs of records", "cells"])
@pytest.mark.parametrize("kind", ["string", "binary"])
def test_texts_of_very_different_lengths_are_the_same_to_the_model(
    key: str, frame: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["x" * 300, "", "a\0b", "c\0\0", " ", "NaN"] + ["é"] * (kind == "string")
    sent: Any = {
        "inputs": {"inputs": {"x": texts}},
        "instances": {"instances": [{"x": text} for text in texts]},
        "inputs of records": {"inputs": [{"x": text} for text in texts]},
        "cells": {"dataframe_records": [{"x": texts}]},
    }[key]
    spec: Any = column(kind) if key != "cells" else {**NESTED, "items": {"type": kind}}
    scorer = ours({"inputs": [spec]}, frame=frame)

    body = json.dumps(sent).encode()
    expected = scorer.invocations(body, JSON)
    monkeypatch.setattr(columns, "_FREE_BYTES", 0)
    answers = {scorer.invocations(body, JSON).body}

    assert answers == {expected.body} or (key, kind) == ("cells", "binary")
    assert expected.status == 200


WAYS = ("small", "large", "large, without msgspec and simdjson")


@pytest.mark.parametrize("digits", [308, 309, 400, 4300, 5000])
@pytest.mark.parametrize("way", WAYS)
def test_an_integer_beyond_any_float_is_answered(
    digits: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != WAYS[0]:
        monkeypatch.setattr(fast_json, "LARGE_BYTES", 1)
    if way == WAYS[2]:
        monkeypatch.setattr(fast_json, "msgspec", lambda: None)
        monkeypatch.setattr(fast_json, "number_parser", lambda: None)
    number = "9" * digits
    csv = f"a,b,x\n1,2,3\n{number},2,3\n"
    split = f'{{"dataframe_split": {{"columns": ["a","b","x"], "data": [[{number},2,3]]}}}}'
    records = f'{{"dataframe_records": [{{"a": {number}, "b": 2, "x": 3}}]}}'
    inputs = f'{{"inputs": {{"a": [{number}], "b": [2], "x": [3]}}}}'

    for frame in ("numpy", "pandas"):
        scorer = ours(DOUBLES, Quiet(), frame=frame)
        assert scorer.invocations(csv.encode(), CSV).status == 200
        for body in (split, records, inputs):
            answer = scorer.invocations(body.encode(), JSON)
            assert answer.status == (200 if digits <= 308 else 400)
