"""A slice of tests/fuzz/hostile.py, in each frame, and its contents in a record of each source."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from packager.system import process
from tests.fuzz import hostile
from tests.handlers.events.test_broken_records import LISTS, Asked, batch
from tests.handlers.events.test_events import row

pytestmark = pytest.mark.usefixtures("quiet")
_ROOT = Path(__file__).parents[2]
_MARK = "in place of this"


@pytest.mark.few(1)
@pytest.mark.parametrize("frame", ["numpy", "pandas"])
def test_what_is_hard_to_read_is_answered_in_a_time_by_its_size(frame: str) -> None:
    found = list(hostile.find_faults(frame, 300_000, 0.001, seed=1))

    assert len(found) > 40
    assert [fault for fault in found if fault] == []


def test_so_it_is_without_numpy() -> None:
    done = process.run(
        [sys.executable, "-m", "tests.fuzz.hostile", "--frame", "plain", "--share", "0.001",
         "--size", "200000"],
        cwd=_ROOT,
        env={**process.basic_environment(), "PYTHONPATH": str(_ROOT)},
        timeout_seconds=300,
    )  # fmt: skip

    assert ", 0 faults" in done.stdout
    assert int(done.stdout.split()[0]) > 20


def test_what_grows_with_the_square_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_: object, body: bytes, __: str) -> int:
        for _ in range(len(body) // 20):
            body.find(b"\0")
        return 200

    monkeypatch.setattr(hostile, "_SECONDS", 0.0005)
    monkeypatch.setattr(hostile.Asked, "_ask_http", staticmethod(ask))
    sample = hostile.Sample("the body", "a text", many=False, signature="none")

    assert "seconds of CPU" in (hostile.Asked("numpy").find_fault(sample, 120_000) or "")


@pytest.mark.parametrize(
    ("answer", "told"), [(500, "status 500"), (ZeroDivisionError("x"), "ZeroDivisionError: x")]
)
def test_what_escapes_is_found(
    answer: int | Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> int:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(hostile.Asked, "_ask_http", staticmethod(ask))
    sample = hostile.Sample("the body", "a text", many=False, signature="none")

    assert told in (hostile.Asked("numpy").find_fault(sample, 1000) or "")


@pytest.mark.parametrize("name", LISTS)
def test_a_record_that_is_hard_to_read_costs_itself_alone(name: str) -> None:
    for content, make in hostile.CONTENTS.items():
        event = _with_text(
            batch(name, row(1.0), {"dataframe_records": [{"x": _MARK}]}, row(2.0)), make(20_000)
        )
        asked = Asked()
        answer = asked(event)

        assert not (answer or {}).get("batchItemFailures"), content
        ended = len(asked.output.messages), len(asked.failures.messages)
        assert ended in {(2, 1), (3, 0)}, content


def _with_text(value: Any, text: str) -> Any:
    """An event whose mark, encoded in base64 or not, is replaced by JSON as it is written."""
    if isinstance(value, dict):
        return {key: _with_text(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_text(each, text) for each in value]
    if not isinstance(value, str):
        return value
    mark = json.dumps(_MARK)
    if _MARK in value:
        return value.replace(mark, text) if mark in value else text
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except ValueError:
        return value
    return (
        base64.b64encode(decoded.replace(mark, text).encode()).decode()
        if _MARK in decoded
        else value
    )
