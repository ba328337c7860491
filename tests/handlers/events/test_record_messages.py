"""Messages of a record: what a consumer of answers gets, and what a dead-letter queue does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from handlers.events import record_messages
from handlers.events.records import Outcome, Record, RecordsFailedError, all_or_nothing
from handlers.scoring.errors import InvalidInputError, ScoringError
from tests.handlers.scorers import manifest

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def refused(body: Any, error: ScoringError | None = None, name: str = "1") -> Any:
    record = Record(id=name, item=name, body=body, group="g")
    return record_messages.of_failure("sqs", Outcome(record=record, error=error))


def answered(answer: bytes | None, **values: Any) -> Any:
    record = Record(id="1", item="1", body=b"", **values)
    outcome = Outcome(record=record, answer=answer)
    return record_messages.of_answer("sqs", outcome, manifest(model_version="7"), once=False)


LEFT_OUT = "left out: it is no JSON, or is nested too deeply"
BODIES: tuple[tuple[Any, str, str], ...] = (
    ("text", "text", "text"),
    (b"text", "text", "text"),
    ("tab\tline\n", "tab\tline\n", "text"),
    ({"x": 1}, '{"x": 1}', "text"),
    ([None], "[null]", "text"),
    ("", "=", "base64"),
    (b"", "=", "base64"),
    ("\x00", "AA==", "base64"),
    (b"\xff", "/w==", "base64"),
    ("\ufffe", "77++", "base64"),
    ("\ud800", "7aCA", "base64"),
    ("\U0001f600", "\U0001f600", "text"),
    ({1, 2}, "-", LEFT_OUT),
    ({(1, 2): 3}, "-", LEFT_OUT),
)


@pytest.mark.parametrize(("body", "text", "encoding"), BODIES, ids=range(len(BODIES)))
def test_a_dead_letter_holds_the_record_as_far_as_a_queue_carries_it(
    body: Any, text: str, encoding: str
) -> None:
    message = refused(body)

    assert message.body.decode() == text
    assert message.attributes["encoding"] == encoding


@pytest.mark.few(0)
def test_what_is_nested_too_deeply_is_left_out() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    assert refused(deep).body == b"-"


def test_bytes_come_back_whole_on_one_line() -> None:
    body = bytes(range(256)) * 4

    assert base64.b64decode(refused(body).body, validate=True) == body


def test_a_dead_letter_says_why_and_whose() -> None:
    message = refused("x", InvalidInputError("no\x00thing"), name="a")

    assert (message.id, message.group) == ("sqs/a", "g")
    assert message.attributes == {
        "source": "sqs",
        "record": "a",
        "encoding": "text",
        "error_code": "BAD_REQUEST",
        "error_message": "Invalid input. no?thing",
    }


def test_a_dead_letter_without_a_reason_is_still_a_message() -> None:
    """A queue takes no attribute that is empty."""
    attributes = refused("x").attributes

    assert (attributes["error_code"], attributes["error_message"]) == ("UNKNOWN", "-")


def test_a_reason_is_cut_where_it_would_fill_the_message() -> None:
    message = refused("x", InvalidInputError("y" * 5000))

    assert len(message.attributes["error_message"]) == 1000


@pytest.mark.parametrize(
    ("answer", "rest"),
    [
        (b'{"predictions": [1.5]}', {"predictions": [1.5]}),
        (b"[1.5]", {"answer": [1.5]}),
        (b'{"other": 1}', {"answer": {"other": 1}}),
        (None, {"answer": None}),
    ],
)
def test_an_answer_lies_beside_the_names_of_its_record_and_its_model(
    answer: bytes | None, rest: dict[str, Any]
) -> None:
    message = answered(answer, group="g")

    head = {"id": "1", "source": "sqs", "model": "m", "version": "7"}
    assert json.loads(message.body) == {**head, **rest}
    assert (message.id, message.group, message.once) == ("sqs/1", "g", "")
    assert message.attributes == {}


def test_an_answer_carries_its_record_s_trace_on() -> None:
    message = answered(b"[]", traceparent=TRACE)

    assert json.loads(message.body)["traceparent"] == TRACE
    assert message.attributes == {"traceparent": TRACE}


def test_an_answer_that_is_written_once_names_its_model() -> None:
    outcome = Outcome(record=Record(id="1", item="1", body=b""), answer=b"[]")

    message = record_messages.of_answer("sqs", outcome, manifest(digest="d"), once=True)

    assert message.once == "d"


@pytest.mark.parametrize(("again", "count"), [([False, True], 1), ([True, True], 2)])
def test_a_batch_is_taken_whole_or_comes_again(again: list[bool], count: int) -> None:
    made = [Outcome(record=Record(id="1", item="1", body=b""), retry=each) for each in again]

    with pytest.raises(RecordsFailedError, match=f"{count} of 2 records"):
        all_or_nothing(made)
    all_or_nothing(made[:0])
