"""What each source makes of its entries: names, groups, payloads, traces, and what is its own."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from handlers.events import aws_sources
from handlers.events.records import (
    FileRef,
    Outcome,
    Record,
    RecordsFailedError,
    read_records,
    text_of,
)
from handlers.scoring.errors import InvalidInputError, ScoringError
from packager.probes.aws_source_events import source_event

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ROW = {"x": 1.0, "kind": "a"}


def load(name: str) -> aws_sources.Source:
    (source,) = aws_sources.load([name])
    return source


def named(name: str, **changed: Any) -> Any:
    """An event of a source with a record whose fields are changed."""
    event = source_event(name, ROW)
    event["Records"][0] |= changed
    return event


def read_one(name: str, event: Any) -> Record:
    (record,) = read_records(load(name), event)
    return record


@pytest.mark.parametrize(
    ("name", "event", "own"),
    [
        ("eventbridge", {"detail-type": "t", "source": "s", "detail": {}, "id": "1"}, True),
        ("eventbridge", source_event("eventbridge", ROW), True),
        ("eventbridge", {"detail-type": "t", "source": "s", "detail": {}}, False),
        ("eventbridge", ["detail-type", "source", "detail", "id"], False),
        ("schedule", {"scheduled": "t", "execution": "e", "request": {}}, True),
        ("schedule", {"scheduled": "t", "execution": "e", "request": {}, "more": 1}, False),
        ("files", {"input": "s3://a/b", "output": "s3://c/d"}, True),
        ("files", {"input": "s3://a/b", "output": "s3://c/d", "input_version": "1"}, True),
        ("files", {"input": "s3://a/b"}, False),
        ("files", {"output": "s3://a/b"}, False),
        ("files", {"input": "s3://a/b", "output": "/var/d"}, False),
        ("files", {"input": "file:///etc/passwd", "output": "s3://c/d"}, False),
        ("files", {"input": "s3://a/b", "output": 7}, False),
        ("files", {"input": "s3://a/b", "output": "s3://c/d", "inputs": [1]}, False),
        ("files", [], False),
        ("stepfunctions", {"Items": []}, True),
        ("stepfunctions", {"Items": {}}, False),
        ("stepfunctions", {"Items": [], "more": 1}, False),
        ("stepfunctions", ["Items"], False),
        ("stepfunctions", {"Item": {}}, True),
        ("stepfunctions", {"Item": [1]}, False),
        ("kafka", {"eventSource": "aws:kafka", "records": {}}, True),
        ("kafka", {"eventSource": "SelfManagedKafka", "records": {}}, True),
        ("kafka", {"eventSource": "aws:kafka", "records": []}, False),
        ("kafka", {"eventSource": "aws:sqs", "records": {}}, False),
        ("s3", {"Event": "s3:TestEvent"}, True),
        ("s3", {"source": "aws.s3", "detail": {"bucket": {}}}, True),
        ("s3", {"source": "aws.s3", "detail": {}}, False),
        ("s3", {"source": "mine", "detail": {"bucket": {}}}, False),
    ],
)  # fmt: skip
def test_an_event_is_a_source_s_own_by_its_shape(name: str, event: Any, *, own: bool) -> None:
    assert load(name).claims_event(event) is own


def test_a_name_among_others_does_not_make_an_event_a_source_s() -> None:
    with_more = {"Records": [None, {"eventSource": "aws:kinesis"}]}
    assert load("kinesis").claims_event(with_more)
    assert not load("dynamodb").claims_event(with_more)
    assert not load("sns").claims_event(with_more)


@pytest.mark.parametrize(
    ("name", "event", "item", "group"),
    [
        ("sqs", named("sqs", body=None), "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", None),
        (
            "sqs",
            named("sqs", messageId="7", body=7, eventSourceARN="arn:aws:sqs:us-east-1:1:q.fifo",
                  attributes={"MessageGroupId": "g"}),
            "7",
            "g",
        ),
        (
            "kinesis",
            named("kinesis", kinesis={"sequenceNumber": "9"}, eventSourceARN="a:stream/clicks"),
            "9",
            "clicks",
        ),
        (
            "dynamodb",
            named("dynamodb", dynamodb={"SequenceNumber": "8", "NewImage": 7}, eventSourceARN="t"),
            "8",
            "t",
        ),
        ("sns", {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "5"}}]}, "5", None),
        ("eventbridge", {"id": "e1"}, "e1", None),
        ("schedule", {"execution": "x1"}, "x1", None),
        ("kafka", {"records": {"t-0": [{"offset": 4, "value": "x"}]}}, "t-0-4", "t-0"),
        ("kafka", {"records": {"t-0": [{"value": "x"}]}}, "", "t-0"),
        ("kafka", {"records": {"t-0": {"offset": 4, "value": 7}}}, "t-0-4", "t-0"),
        ("s3", {"Records": [{"messageId": "m", "eventSource": "aws:sqs"}]}, "m", None),
        ("s3", {"id": "i", "detail": 7, "detail-type": "Object Created"}, "i", None),
        (
            "s3",
            {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                          "s3": {"object": {"key": "k"}}}]},
            "k",
            None,
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_keeps_its_name_and_its_order(
    name: str, event: Any, item: str, group: str | None
) -> None:
    record = read_one(name, event)

    assert record.fault is not None
    assert (record.item, record.group) == (item, group)
    assert record.id == (item or "unreadable-0")


@pytest.mark.parametrize(
    ("name", "event", "record"),
    [
        ("eventbridge", {"id": "1", "detail": ROW}, Record(id="1", item="1", body=ROW)),
        (
            "schedule",
            {"scheduled": "t", "execution": "1", "request": ROW},
            Record(id="1", item="1", body=ROW),
        ),
        (
            "stepfunctions",
            {"Items": [ROW], "BatchInput": {"format": "csv"}},
            Record(id="0", item="0", body=ROW, text=True),
        ),
        (
            "stepfunctions",
            {"Items": [ROW], "BatchInput": {"format": "json"}},
            Record(id="0", item="0", body=ROW),
        ),
        (
            "kinesis",
            {
                "Records": [
                    {
                        "eventSource": "aws:kinesis",
                        "eventID": "shard:1",
                        "eventSourceARN": "arn:aws:kinesis:us-east-1:1:stream/clicks",
                        "kinesis": {"sequenceNumber": "1", "data": "e30="},
                    }
                ]
            },
            Record(id="clicks/shard:1", item="1", body=b"{}", group="clicks"),
        ),
        (
            "sns",
            {
                "Records": [
                    {
                        "Sns": {
                            "MessageId": "1",
                            "Message": "{}",
                            "MessageAttributes": {"traceparent": {"Value": TRACE}},
                        }
                    }
                ]
            },
            Record(id="1", item="1", body="{}", traceparent=TRACE),
        ),
        (
            "kafka",
            {
                "records": {
                    "t-0": [
                        {
                            "offset": 0,
                            "value": base64.b64encode(b"{}").decode(),
                            "headers": [{"other": [1]}, {"traceparent": list(TRACE.encode())}],
                        }
                    ]
                }
            },
            Record(id="t-0-0", item="t-0-0", body=b"{}", group="t-0", traceparent=TRACE),
        ),
        (
            "files",
            {"input": "s3://in/a/b.csv", "output": "s3://out/c", "input_version": "v"},
            Record(
                id="s3://in/a/b.csv",
                item="s3://in/a/b.csv",
                body={"input": "s3://in/a/b.csv", "output": "s3://out/c", "input_version": "v"},
                file=FileRef(bucket="in", key="a/b.csv", version="v", output="s3://out/c"),
            ),
        ),
    ],
)
def test_a_record_has_what_its_entry_says(name: str, event: Any, record: Record) -> None:
    assert read_records(load(name), event) == [record]


def test_an_item_of_a_map_is_named_by_its_place() -> None:
    source = load("stepfunctions")
    entries = source.list_entries({"Items": [ROW, ROW]})

    assert [source.identify_entry(entry) for entry in entries] == [("0", None), ("1", None)]


def test_what_was_not_scored_has_no_rows() -> None:
    outcome = Outcome(record=Record(id="1", item="1", body=b""))

    assert (outcome.rows, outcome.bad_rows, outcome.retry) == (0, 0, False)


@pytest.mark.parametrize("value", [None, "tombstone"])
def test_kafka_passes_over_a_tombstone_alone(value: str | None) -> None:
    records = [{"offset": 0, "value": value and "e30="}, {"offset": 1, "value": "e30="}]

    read = read_records(load("kafka"), {"records": {"t-0": records}})

    assert [record.id for record in read] == ["t-0-0", "t-0-1"][0 if value else 1 :]


def bucket_event(name: str, **thing: Any) -> Any:
    record = {
        "eventSource": "aws:s3",
        "eventName": name,
        "s3": {"bucket": {"name": "b"}, "object": {"key": "in/a+b%2Bc.csv", **thing}},
    }
    return {"Records": [record]}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("ObjectCreated:Put", 1),
        ("s3:ObjectCreated:CompleteMultipartUpload", 1),
        ("ObjectRemoved:Delete", 0),
        ("ObjectRestore:Completed", 0),
    ],
)
def test_only_a_created_object_is_read(name: str, read: int) -> None:
    assert len(read_records(load("s3"), bucket_event(name))) == read


def test_an_object_is_named_by_its_version_or_by_what_it_holds() -> None:
    made = "ObjectCreated:Put"
    versioned = read_one("s3", bucket_event(made, versionId="v", eTag="e", sequencer="s"))
    plain = read_one("s3", bucket_event(made, eTag="e"))

    assert versioned.file == FileRef(
        bucket="b", key="in/a b+c.csv", version="v", etag="e", sequencer="s"
    )
    assert versioned.id == versioned.item == "b/in/a b+c.csv@v"
    assert plain.id == "b/in/a b+c.csv@e"


def test_a_bus_names_an_object_as_it_is() -> None:
    thing = {"key": "in/a+b.csv", "version-id": "v", "etag": "e", "sequencer": "s"}
    event = {
        "id": "1",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "b"}, "object": thing},
    }

    assert read_one("s3", event).file == FileRef(
        bucket="b", key="in/a+b.csv", version="v", etag="e", sequencer="s"
    )
    assert read_records(load("s3"), {**event, "detail-type": "Object Deleted"}) == []


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        ({"N": "12"}, 12),
        ({"N": "-12"}, -12),
        ({"N": "1e2"}, 100.0),
        ({"NS": ["1", "2.5"]}, [1, 2.5]),
        ({"NULL": True}, None),
        ({"BOOL": False}, False),
        ({"S": "1"}, "1"),
        ({"SS": ["a"]}, ["a"]),
        ({"B": "YQ=="}, "YQ=="),
        ({"BS": ["YQ=="]}, ["YQ=="]),
        ({"L": [{"M": {"a": {"N": "1"}}}]}, [{"a": 1}]),
    ],
)
def test_dynamodb_s_values_are_json_s(kind: Any, plain: Any) -> None:
    image = {"SequenceNumber": "1", "NewImage": {"x": kind}}
    body = read_one("dynamodb", named("dynamodb", dynamodb=image)).body
    assert body == {"x": plain}
    assert type(body["x"]) is type(plain)


@pytest.mark.parametrize("kind", [{"X": 1}, {}, {"N": "1", "S": "1"}, {"N": "one"}, {"N": None}])
def test_dynamodb_has_no_other_values(kind: Any) -> None:
    image = {"SequenceNumber": "1", "NewImage": {"x": kind}}
    assert read_one("dynamodb", named("dynamodb", dynamodb=image)).fault is not None


def test_dynamodb_passes_over_what_was_removed() -> None:
    removed = named("dynamodb", eventName="REMOVE", dynamodb={"SequenceNumber": "1"})
    assert read_records(load("dynamodb"), removed) == []


@pytest.mark.parametrize("name", ["kinesis", "dynamodb"])
def test_a_stream_goes_on_at_the_first_that_failed(name: str) -> None:
    made = [
        Outcome(record=Record(id=str(at), item=str(at), body=b""), retry=at > 0) for at in range(3)
    ]
    assert load(name).make_reply({}, made) == {"batchItemFailures": [{"itemIdentifier": "1"}]}


@pytest.mark.parametrize(("length", "is_read"), [(1, True), (800, True), (801, False), (0, False)])
def test_a_name_has_to_fit_an_answer_s(length: int, *, is_read: bool) -> None:
    record = read_one("sqs", named("sqs", messageId="é" * length))

    assert (record.fault is None) is is_read
    assert record.id == ("é" * length if is_read else "unreadable-0")


@pytest.mark.parametrize("name", [7, None, "\ud800", ["x"]])
def test_what_is_no_text_is_no_name(name: Any) -> None:
    record = read_one("sqs", named("sqs", messageId=name))

    assert record.fault is not None
    assert (record.id, record.item) == ("unreadable-0", "")


def test_a_group_that_is_no_text_is_a_fault_without_a_group() -> None:
    arn = "arn:aws:sqs:us-east-1:1:q.fifo"
    record = read_one("sqs", named("sqs", eventSourceARN=arn, attributes={"MessageGroupId": ["g"]}))

    assert record.fault is not None
    assert record.group is None


def test_a_name_without_an_item_is_a_fault() -> None:
    """By an empty identifier a queue takes all of the batch back."""
    record = read_one(
        "dynamodb", named("dynamodb", dynamodb={"SequenceNumber": "", "NewImage": {}})
    )

    assert record.fault is not None


def test_an_unreadable_message_keeps_its_body_for_the_dead_letter_queue() -> None:
    record = read_one("sqs", named("sqs", messageId="1", eventSource="aws:kinesis", body="kept"))
    bare = read_one("sqs", {"Records": ["text"]})

    assert (record.body, bare.body) == ("kept", "text")
    assert isinstance(record.fault, InvalidInputError)
    assert isinstance(record.fault.__cause__, ValueError)


@pytest.mark.parametrize("value", [None, 7, b"x", ["x"]])
def test_text_is_nothing_else(value: object) -> None:
    assert text_of("x") == "x"
    with pytest.raises(TypeError, match="text is expected"):
        text_of(value)


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("s3://bucket", "s3://c/d"),
        ("s3://bucket/", "s3://c/d"),
        ("s3:///key", "s3://c/d"),
        ("s3://a/b", "s3://a/b"),
    ],
)
def test_a_file_has_an_address_of_its_own(given: str, output: str) -> None:
    """The caller is told: it is not the batch's to carry."""
    with pytest.raises(InvalidInputError, match="s3://BUCKET/KEY"):
        read_records(load("files"), {"input": given, "output": output})


def test_a_file_s_version_is_text() -> None:
    event = {"input": "s3://a/b", "output": "s3://c/d", "input_version": 7}
    assert read_one("files", event).fault is not None


def file_outcome(**values: Any) -> Outcome:
    return Outcome(record=Record(id="s3://a/b", item="s3://a/b", body={}), **values)


def test_a_file_s_caller_gets_its_counts_or_the_reason() -> None:
    source = load("files")

    assert source.make_reply({}, [file_outcome(answer=b'{"rows": 3}')]) == {"rows": 3}
    assert source.make_reply({}, [file_outcome()]) == {}
    with pytest.raises(ScoringError, match="no rows"):
        source.make_reply({}, [file_outcome(error=InvalidInputError("no rows"))])
    with pytest.raises(RecordsFailedError, match=r"Try it again\. Invalid input\. slow"):
        source.make_reply({}, [file_outcome(error=InvalidInputError("slow"), retry=True)])
    with pytest.raises(RecordsFailedError, match=r"Try it again\.$"):
        source.make_reply({}, [file_outcome(retry=True)])


def test_an_item_of_a_map_that_must_come_again_fails_the_task() -> None:
    source = load("stepfunctions")
    record = Record(id="0", item="0", body={})

    with pytest.raises(RecordsFailedError, match="Try the task again"):
        source.make_reply({"Items": [{}]}, [Outcome(record=record, retry=True)])
    assert source.make_reply({"Items": [{}]}, [Outcome(record=record)]) == [None]
    assert source.make_reply({"Item": {}}, [Outcome(record=record, answer=b"[1]")]) == [1]


@pytest.mark.parametrize("event", [None, "Items", 5, [{"Items": []}]])
def test_what_is_no_object_is_no_batch_of_step_functions(event: Any) -> None:
    assert not load("stepfunctions").claims_event(event)


def test_an_item_of_step_functions_is_known_by_its_place() -> None:
    source = load("stepfunctions")
    entries = source.list_entries({"Items": [{"x": 1}, {"x": 2}]})

    assert [source.identify_entry(each) for each in entries] == [("0", None), ("1", None)]
    assert [source.read_entry(each)[0].id for each in entries] == ["0", "1"]


@pytest.mark.parametrize(
    "event", [[], None, "Items", 5, {"Items": []}, {"Items": {}}, {"Item": []}]
)
def test_a_map_state_s_event_is_an_object_of_items(event: Any) -> None:
    assert load("stepfunctions").claims_event(event) is (event == {"Items": []})


def test_an_item_s_name_is_its_place() -> None:
    source = load("stepfunctions")
    entries = source.list_entries({"Items": ["a", "b"]})

    assert [source.identify_entry(entry) for entry in entries] == [("0", None), ("1", None)]
