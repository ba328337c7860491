"""What msgspec refuses is read again by json, whichever msgspec it is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from handlers.scoring import fast_json, fast_tables
from handlers.scoring.schema.signature import DOUBLE, ColumnSpec, Schema


class RefusedError(Exception):
    """As msgspec's own before 0.21: no ValueError. Python 3.9 has no later one."""


def _refuse(*_: object, **__: object) -> Any:
    raise RefusedError


@pytest.fixture(autouse=True)
def _old(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = SimpleNamespace(decode=_refuse)
    old = SimpleNamespace(
        MsgspecError=RefusedError,
        defstruct=lambda *_, **__: object,
        json=SimpleNamespace(decode=_refuse, Decoder=lambda _: decoder),
    )
    monkeypatch.setattr(fast_json, "msgspec", lambda: old)
    monkeypatch.setattr(fast_json, "number_parser", lambda: None)


def test_a_large_body_is_refused_in_json_s_own_words() -> None:
    blank = b" " * fast_json.LARGE_BYTES
    with pytest.raises(json.JSONDecodeError, match="Expecting value"):
        fast_json.decode(blank)
    assert fast_json.decode(blank + b"[1]") == [1]


def test_a_table_that_it_does_not_take_is_left_to_the_usual_way() -> None:
    columns = (ColumnSpec(name="x", type=DOUBLE, required=True),)
    reader = fast_tables.Reader(Schema(columns=columns))
    rows = ", ".join(["[null]"] * fast_json.LARGE_BYTES)
    body = f'{{"dataframe_split": {{"columns": ["x"], "data": [{rows}]}}}}'.encode()
    assert reader.json(body) is None
