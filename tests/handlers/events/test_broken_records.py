"""A record that is broken costs itself alone: for every source, at every field, in every way."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.events import aws_sources
from handlers.events.aws_sources import sqs
from handlers.events.event_processor import EventProcessor
from handlers.events.records import Outcome, read_records
from handlers.scoring.errors import ScoringError
from packager.probes.aws_source_events import source_event
from packager.probes.aws_source_events.s3 import NOTICES, notice_event
from tests.handlers.events.test_events import Book, Box, Context, row
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import Doubling

DEEP = "[" * 100_000
WRONG: tuple[Any, ...] = (
    None, True, 7, 1.5, "", "x", "\ud800", "\x00", "***", DEEP, '"' + "9" * 5000, [], [None], {},
    {"": None}, [[]], {"a": {"b": []}}, float("nan"), -1, 10**400,
)  # fmt: skip
"""In the place of a field; GONE takes the field away."""
GONE = object()
LISTS = ("sqs", "kinesis", "dynamodb", "kafka")
"""Sources with several records an event, each of which can be broken by itself."""


class Files:
    """Reads no file; tells which it was asked for."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, record: Any, file: Any, _: Callable[[], float]) -> Outcome:
        self.read.append(f"{file.bucket}/{file.key}")
        return Outcome(record=record, answer=b"{}")


class Asked:
    """An inbox of every source, and where its answers and failures went."""

    def __init__(self, *names: str) -> None:
        self.output, self.failures, self.files = Box(), Box(), Files()
        self.inbox = EventProcessor(
            names or aws_sources.SOURCES,
            scorer(Doubling()),
            output=self.output,
            failures=self.failures,
            files=lambda: self.files,  # type: ignore[arg-type, return-value]
            table=lambda _: Book(),  # type: ignore[arg-type, return-value]
        )

    def __call__(self, event: Any) -> Any:
        """None where the event is nobody's: the direct invoke then refuses it."""
        source = self.inbox.find_source(event)
        return None if source is None else self.inbox.answer(source, event, Context())[0]

    @property
    def reasons(self) -> list[str]:
        return [message.attributes["error_message"] for message in self.failures.messages]


def batch(name: str, *requests: Any) -> Any:
    """An event with a record a request, each under a name of its own."""
    events_ = [source_event(name, request) for request in requests]
    if name == "kafka":
        found = events_[0]
        records = [event["records"]["requests-0"][0] for event in events_]
        for place, record in enumerate(records):
            record["offset"] = place
        return {**found, "records": {"requests-0": records}}
    records = [event["Records"][0] for event in events_]
    for place, record in enumerate(records):
        for key in ("messageId", "eventID"):
            if key in record:
                record[key] = f"m{place}"
        for part in ("kinesis", "dynamodb"):
            for key in ("sequenceNumber", "SequenceNumber"):
                if key in record.get(part, {}):
                    record[part][key] = f"{place}"
    return {"Records": records}


def records_of(event: Any) -> list[Any]:
    found: list[Any] = event.get("Records") or event["records"]["requests-0"]
    return found


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value in a value, the whole left out."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from paths(inner, (*path, key))


def changed(value: Any, path: tuple[Any, ...], into: Any) -> Any:
    made = copy.deepcopy(value)
    place = made
    for key in path[:-1]:
        place = place[key]
    if into is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = into
    return made


@pytest.mark.few(1)
@pytest.mark.parametrize("name", LISTS)
def test_whatever_a_field_holds_the_rest_of_the_batch_is_answered(name: str) -> None:
    whole = batch(name, row(1.0), row(2.0), row(3.0))
    for path in paths(records_of(whole)[1]):
        for into in (GONE, *WRONG):
            event = copy.deepcopy(whole)
            records_of(event)[1] = changed(records_of(whole)[1], path, into)
            asked = Asked()

            answer = asked(event)

            told = [json.loads(message.body)["predictions"] for message in asked.output.messages]
            assert [2.0] in told, (path, into)
            assert [6.0] in told, (path, into)
            assert answer in (None, {"batchItemFailures": []}), (path, into)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("into", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("place", [0, 1])
def test_what_stands_in_a_record_s_place_costs_no_other(name: str, into: Any, place: int) -> None:
    event = batch(name, row(1.0), row(2.0), row(3.0))
    records_of(event)[place] = into
    asked = Asked()

    asked(event)

    tombstone = name == "kafka" and isinstance(into, dict)
    assert len(asked.output.messages) == 2
    assert len(asked.failures.messages) == (0 if tombstone else 1)


@pytest.mark.parametrize("name", ["sqs", "kinesis"])
def test_a_record_of_another_source_costs_no_other(name: str) -> None:
    event = batch(name, row(1.0), row(2.0))
    event["Records"].insert(0, source_event("s3", {})["Records"][0])
    asked = Asked(name)

    asked(event)

    assert len(asked.output.messages) == 2
    assert asked.files.read == []


def test_another_record_under_a_name_that_was_there_is_answered_too() -> None:
    event = batch("sqs", row(1.0), row(2.0), row(1.0))
    for record in event["Records"]:
        record["messageId"] = "same"
    asked = Asked()

    asked(event)

    told = [json.loads(message.body)["predictions"] for message in asked.output.messages]
    assert told == [[2.0], [4.0]]


@pytest.mark.parametrize(
    "headers",
    [None, 7, "x", {}, [None], [{"traceparent": None}], [{"traceparent": "x"}], [[1]],
     [{"traceparent": [None]}], [{"traceparent": [300, -1]}]],
)  # fmt: skip
def test_a_header_is_worth_no_record(headers: Any) -> None:
    event = batch("kafka", row(1.0))
    records_of(event)[0]["headers"] = headers
    asked = Asked()

    asked(event)

    assert len(asked.output.messages) == 1


@pytest.mark.parametrize("partition", [None, 7, "x", {}, {"offset": 1}, [None]])
def test_a_partition_that_is_broken_costs_no_other(partition: Any) -> None:
    event = batch("kafka", row(1.0))
    event["records"]["requests-1"] = partition
    asked = Asked()

    asked(event)

    assert len(asked.output.messages) == 1


def test_items_of_a_file_are_answered_beside_what_is_none() -> None:
    good = {"x": "1.5", "kind": "a"}
    items = [good, None, {"x": ["1"]}, {"x": "1"}, {**good, "more": "1"}, {}, DEEP, good]

    answer = Asked()({"BatchInput": {"format": "csv"}, "Items": items})

    assert [answer[place] for place in (0, 7)] == [{"predictions": [3.0]}] * 2
    assert all("message" in answer[place] for place in (1, 2, 3, 5, 6))


@pytest.mark.parametrize("given", [None, 7, [], "csv", {"format": {}}])
def test_a_batch_input_may_be_anything(given: Any) -> None:
    assert Asked()({"BatchInput": given, "Items": [row(1.0)]}) == [{"predictions": [2.0]}]


NOTICE: dict[str, Any] = source_event("s3", {})
FORGED = {
    "none of its fields": {"Records": [{**NOTICE["Records"][0], "s3": {}}]},
    "whole": NOTICE,
    "test": {"Event": "s3:TestEvent"},
    "deep": '{"Records":[{"eventSource":"aws:s3"}],"y":' + DEEP,
    "event": {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}},
    "in an envelope": {
        "Type": "Notification", "TopicArn": "a", "MessageId": "1", "Message": json.dumps(NOTICE),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
@pytest.mark.parametrize("names", [("s3",), ("sqs", "s3")])
@pytest.mark.parametrize("told", ["", NOTICES])
def test_a_notice_in_a_user_s_queue_is_a_record_like_any(
    kind: str, names: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_NOTICES", told)
    event = batch("sqs", row(1.0), row(2.0))
    body = FORGED[kind]
    event["Records"][0]["body"] = body if isinstance(body, str) else json.dumps(body)
    asked = Asked(*names)

    answer = asked(event)

    assert asked.files.read == []
    assert answer == {"batchItemFailures": []}
    assert [json.loads(m.body)["predictions"] for m in asked.output.messages] == [[4.0]]
    (reason,) = asked.reasons
    assert "notice of S3" in reason or kind == "deep"


def notices(*bodies: Any) -> Any:
    (record,) = notice_event()["Records"]
    return {
        "Records": [
            {**record, "messageId": f"m{place}", "body": json.dumps(body)}
            for place, body in enumerate(bodies)
        ]
    }


def enveloped(body: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "a", "MessageId": "1", "Message": json.dumps(body)}


def test_notices_of_their_own_queue_are_read_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PACKAGER_NOTICES", NOTICES)
    bus: dict[str, Any] = {"detail": {"bucket": {"name": "data"}, "object": {"key": "in/b"}}}
    bus |= {"source": "aws.s3", "detail-type": "Object Created"}
    asked = Asked("s3", "sqs")

    answer = asked(
        notices(
            NOTICE,
            enveloped(NOTICE),
            bus,
            {"Event": "s3:TestEvent"},
            row(1.0),
            FORGED["none of its fields"],
            {"input": "s3://a/b", "output": "s3://c/d"},
        )
    )

    assert answer == {"batchItemFailures": []}
    assert asked.files.read == ["data/in/some request.json", "data/in/b"]
    assert asked.output.messages == []
    assert len(asked.reasons) == 3


@pytest.mark.parametrize(
    ("told", "read"),
    [("", 2), ("s3://data/", 2), ("s3://data/in/", 2), ("s3://data/other/", 0), ("s3://dat/", 0)],
)
def test_only_objects_of_the_bucket_and_folder_that_are_set_are_read(
    told: str, read: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_NOTICES", NOTICES)
    monkeypatch.setenv("PACKAGER_INPUT", told)
    asked = Asked("s3")

    asked(notices(NOTICE))
    asked(NOTICE)

    assert len(asked.files.read) == read
    assert asked.reasons == []


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A real event of a source, some of its values replaced, gone, doubled or exchanged."""
    name = draw(st.sampled_from([*aws_sources.SOURCES, "notice"]))
    event = notice_event() if name == "notice" else source_event(name, row(1.0))
    for _ in range(draw(st.integers(1, 4))):
        found = [path for path in paths(event) if path]
        if not found:
            break
        path = draw(st.sampled_from(found))
        event = changed(event, path, draw(st.sampled_from([GONE, *WRONG])))
    if isinstance(event.get("Records"), list) and draw(st.booleans()):
        # a list of its own: that which is there may be one of WRONG's, which every example shares
        added = source_event("sqs", row(2.0))["Records"]
        event = {**event, "Records": [*event["Records"], *added]}
    return event


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(event=mutated())
def test_no_event_makes_the_handler_raise_but_what_it_is_to_raise(event: Any) -> None:
    """A map's task and a direct invoke are told why; a queue, a stream and a bus never are."""
    asked = Asked()
    source = asked.inbox.find_source(event)
    if source is None:
        return
    records = read_records(source, event) if not source.RETURNS else []

    if source.RETURNS:
        _tolerant(asked, event)
        return
    asked(event)

    done = {
        message.id.partition("/")[2]
        for box in (asked.output, asked.failures)
        for message in box.messages
    }
    assert {record.id for record in records if record.file is None} <= done


def _tolerant(asked: Asked, event: Any) -> None:
    with contextlib.suppress(ScoringError):
        asked(event)


@pytest.mark.parametrize(("arn", "is_message"), [(NOTICES, False), (f"{NOTICES}-of-mine", True)])
def test_a_notice_is_no_message_of_the_user_s_queue(
    arn: str, monkeypatch: pytest.MonkeyPatch, *, is_message: bool
) -> None:
    """Whatever order the sources are asked in: the model would be asked what a bucket says."""
    monkeypatch.setenv("PACKAGER_NOTICES", NOTICES)
    message = {"messageId": "1", "body": "{}", "eventSource": "aws:sqs", "eventSourceARN": arn}

    assert sqs.claims_event({"Records": [message]}) is is_message
