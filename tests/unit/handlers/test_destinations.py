"""Answers reach each service, and the table of answered records keeps its word; against moto."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from handlers import aws_clients
from handlers.events import destinations
from handlers.events.destinations import Message, chunks
from handlers.events.event_processor import EventProcessor
from handlers.events.idempotency import IdempotencyTable
from handlers.events.records import Claim
from tests.handlers.events.test_events import Context, queue, row
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import POISON, Doubling

COUNT = 27
"""More than one request of SQS, EventBridge or DynamoDB carries."""


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        aws_clients.client.cache_clear()
        aws_clients._session.cache_clear()
        yield
    aws_clients.client.cache_clear()


def asked(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")  # type: ignore[call-overload]


def messages(count: int = COUNT, **more: Any) -> list[Message]:
    return [
        Message(id=f"sqs/{n}", body=json.dumps({"id": n}).encode(), **more) for n in range(count)
    ]


def received(url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while (
        batch := asked("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        .get("Messages")
    ):
        found += batch
        for message in batch:
            asked("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("address", "keys"),
    [
        ("s3://answers/churn/v1/", "churn/v1/sqs/"),
        ("s3://answers/churn", "churn/sqs/"),
        ("s3://answers", "sqs/"),
    ],
)
def test_one_object_an_answer(address: str, keys: str) -> None:
    asked("s3").create_bucket(Bucket="answers")

    assert destinations.load(address).send(messages()) == frozenset()
    assert destinations.load(address).send(messages(1)) == frozenset()

    listed = asked("s3").list_objects_v2(Bucket="answers")["Contents"]
    assert {item["Key"] for item in listed} == {f"{keys}{n}.json" for n in range(COUNT)}
    first = asked("s3").get_object(Bucket="answers", Key=f"{keys}0.json")
    assert json.loads(first["Body"].read()) == {"id": 0}


def test_an_object_that_is_to_be_written_once_gives_way_to_another_model_s_alone() -> None:
    asked("s3").create_bucket(Bucket="answers")
    asked("s3").put_bucket_versioning(
        Bucket="answers", VersioningConfiguration={"Status": "Enabled"}
    )
    bucket = destinations.load("s3://answers")

    for model in ("one", "one", "two", "two"):
        sent = [Message(id="sqs/0", body=model.encode(), once=model)]
        assert bucket.send(sent) == frozenset()

    found = asked("s3").list_object_versions(Bucket="answers")["Versions"]
    bodies = [
        asked("s3").get_object(Bucket="answers", Key=each["Key"], VersionId=each["VersionId"])
        for each in found
    ]
    assert sorted(each["Body"].read() for each in bodies) == [b"one", b"two"]


def test_an_object_that_can_not_be_looked_at_is_not_taken_for_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked("s3").create_bucket(Bucket="answers")
    bucket = destinations.load("s3://answers")
    sent = [Message(id="sqs/0", body=b"1", once="one")]
    assert bucket.send(sent) == frozenset()

    def down(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://example.org")

    monkeypatch.setattr(aws_clients.client("s3"), "head_object", down)
    assert bucket.send(sent) == frozenset({0})
    assert "the record comes again: EndpointConnectionError. Check the bucket" in caplog.text


def test_an_object_that_need_not_be_written_once_is_the_latest() -> None:
    asked("s3").create_bucket(Bucket="answers")
    bucket = destinations.load("s3://answers")

    for body in (b"first", b"second"):
        assert bucket.send([Message(id="sqs/0", body=body)]) == frozenset()

    found = asked("s3").get_object(Bucket="answers", Key="sqs/0.json")
    assert (found["Body"].read(), found["Metadata"]) == (b"second", {"packager-through": ""})


def test_a_bucket_that_fails_takes_no_answer_for_another_model_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked("s3").create_bucket(Bucket="answers")
    bucket = destinations.load("s3://answers")
    assert bucket.send([Message(id="sqs/0", body=b"1", once="one")]) == frozenset()
    put, tried = aws_clients.client("s3").put_object, []

    def fail_once(**given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise EndpointConnectionError(endpoint_url="https://example.org")
        return put(**given)

    monkeypatch.setattr(aws_clients.client("s3"), "put_object", fail_once)

    assert bucket.send([Message(id="sqs/0", body=b"2", once="two")]) == frozenset({0})
    assert len(tried) == 1


def test_a_fifo_queue_sends_nothing_of_a_group_after_what_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = asked("sqs").create_queue(QueueName="answers.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    output = destinations.load(f"sqs:{url}")
    sent, send = [], aws_clients.client("sqs").send_message

    def fail_first(**given: Any) -> Any:
        sent.append((given["MessageGroupId"], given["MessageBody"]))
        if len(sent) == 1:
            raise EndpointConnectionError(endpoint_url="https://example.org")
        return send(**given)

    monkeypatch.setattr(aws_clients.client("sqs"), "send_message", fail_first)
    batch = [
        Message(id=f"sqs/{n}", body=f"{n}".encode(), group=group) for n, group in enumerate("aabb")
    ]

    assert output.send(batch) == frozenset({0, 1})
    assert sent == [("a", "0"), ("b", "2"), ("b", "3")]


def test_a_queue_gets_every_message() -> None:
    url = asked("sqs").create_queue(QueueName="answers")["QueueUrl"]

    assert destinations.load(f"sqs:{url}").send(messages(attributes={"a": "b"})) == frozenset()

    found = received(url)
    assert sorted(json.loads(m["Body"])["id"] for m in found) == list(range(COUNT))
    assert {m["MessageAttributes"]["a"]["StringValue"] for m in found} == {"b"}


def test_a_fifo_queue_keeps_order_and_takes_each_once() -> None:
    url = asked("sqs").create_queue(QueueName="answers.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    output = destinations.load(f"sqs:{url}")

    assert output.send(messages(group="g")) == frozenset()
    assert output.send(messages(group="g")) == frozenset()

    assert [json.loads(m["Body"])["id"] for m in received(url)] == list(range(COUNT))


def test_a_bus_gets_every_event() -> None:
    bus, logs = asked("events"), asked("logs")
    bus.create_event_bus(Name="answers")
    logs.create_log_group(logGroupName="/aws/events/answers")
    bus.put_rule(
        Name="all", EventBusName="answers", EventPattern='{"source": ["packager"]}', State="ENABLED"
    )
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/events/answers"
    bus.put_targets(Rule="all", EventBusName="answers", Targets=[{"Id": "1", "Arn": arn}])

    assert destinations.load("eventbridge:answers").send(messages()) == frozenset()

    found = logs.filter_log_events(logGroupName="/aws/events/answers", limit=100)["events"]
    told = [json.loads(event["message"]) for event in found]
    assert sorted(event["detail"]["id"] for event in told) == list(range(COUNT))
    assert {event["detail-type"] for event in told} == {"Prediction"}


def table(name: str) -> None:
    asked("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_table_gets_every_item_once() -> None:
    table("answers")
    output = destinations.load("dynamodb:answers")

    assert output.send(messages()) == frozenset()
    assert output.send(messages()) == frozenset()

    items = asked("dynamodb").scan(TableName="answers")["Items"]
    assert {item["id"]["S"] for item in items} == {f"sqs/{n}" for n in range(COUNT)}
    assert len(items) == COUNT


def test_a_delivery_stream_gets_a_line_an_answer() -> None:
    asked("s3").create_bucket(Bucket="lake")
    role = "arn:aws:iam::123456789012:role/firehose"
    target = {"RoleARN": role, "BucketARN": "arn:aws:s3:::lake"}
    asked("firehose").create_delivery_stream(
        DeliveryStreamName="answers", ExtendedS3DestinationConfiguration=target
    )

    assert destinations.load("firehose:answers").send(messages()) == frozenset()

    keys = [item["Key"] for item in asked("s3").list_objects_v2(Bucket="lake")["Contents"]]
    text = b"".join(asked("s3").get_object(Bucket="lake", Key=key)["Body"].read() for key in keys)
    assert sorted(json.loads(line)["id"] for line in text.splitlines()) == list(range(COUNT))


@pytest.mark.parametrize(
    "address",
    [
        "s3://missing/prefix",
        "sqs:https://sqs.us-east-1.amazonaws.com/123456789012/missing",
        "sqs:https://sqs.us-east-1.amazonaws.com/123456789012/missing.fifo",
        "dynamodb:missing",
        "firehose:missing",
    ],
)
def test_what_does_not_arrive_is_named(address: str) -> None:
    output = destinations.load(address)
    assert output.send(messages(12)) == frozenset(range(12))


@pytest.mark.parametrize(
    ("address", "attribute", "answer"),
    [
        ("eventbridge:b", "_put", {"Entries": [{"EventId": "1"}, {"ErrorCode": "Throttled"}]}),
        (
            "firehose:s",
            "_put",
            {"RequestResponses": [{"RecordId": "1"}, {"ErrorCode": "ServiceUnavailable"}]},
        ),
        (
            "dynamodb:t",
            "_write",
            {"UnprocessedItems": {"t": [{"PutRequest": {"Item": {"id": {"S": "sqs/1"}}}}]}},
        ),
    ],
)
def test_what_a_service_leaves_out_is_named(
    address: str, attribute: str, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    output = destinations.load(address)
    setattr(output, attribute, lambda **_: answer)

    assert output.send(messages(2)) == {1}


@pytest.mark.parametrize("address", ["", "s3", "s3:", "ftp://x"])
def test_an_address_must_be_of_a_kind(address: str) -> None:
    with pytest.raises(ValueError, match="PACKAGER_OUTPUT must be KIND:ADDRESS"):
        destinations.load(address)


def test_requests_are_cut_by_count_and_by_size() -> None:
    small, large = Message(id="s", body=b"x"), Message(id="l", body=b"x" * 8)

    def cut(*sent: Message) -> list[list[int]]:
        return list(chunks(sent, count=3, size_bytes=10))

    assert cut() == []
    assert cut(small, small, small, small) == [[0, 1, 2], [3]]
    assert cut(large, large, small, small) == [[0], [1, 2, 3]]
    assert cut(Message(id="h", body=b"x" * 99), small) == [[0], [1]]


def ledger(digest: str = "d", source: str = "sqs") -> IdempotencyTable:
    return IdempotencyTable("answered", digest, source)


def test_a_record_is_claimed_once() -> None:
    table("answered")
    ids = [str(n) for n in range(40)]

    assert ledger().claim(ids, "one", 60) == [Claim.OURS] * 40
    assert ledger().claim(ids, "two", 60) == [Claim.ELSEWHERE] * 40
    ledger().done(ids[:10])
    assert ledger().claim(ids[:20], "two", 60) == [Claim.DONE] * 10 + [Claim.ELSEWHERE] * 10


def test_a_claim_is_free_after_its_deadline() -> None:
    table("answered")

    ledger().claim(["a"], "dead", 0.01)
    time.sleep(0.05)

    assert ledger().claim(["a"], "next", 60) == [Claim.OURS]
    assert ledger().claim(["a"], "other", 60) == [Claim.ELSEWHERE]


def test_claims_and_marks_are_kept_as_long_as_a_queue_keeps_a_message() -> None:
    table("answered")
    ledger().claim(["a", "b"], "one", 60)
    ledger().done(["b"])

    items = asked("dynamodb").scan(TableName="answered")["Items"]

    assert sorted(item["state"]["S"] for item in items) == ["claimed", "done"]
    kept = [float(item["expires"]["N"]) - time.time() for item in items]
    assert kept == [pytest.approx(14 * 86400, abs=60)] * 2


def test_a_claim_holds_until_the_deadline_that_was_asked_for() -> None:
    table("answered")
    ledger().claim(["a"], "one", 60)

    (item,) = asked("dynamodb").scan(TableName="answered")["Items"]

    assert float(item["until"]["N"]) - time.time() == pytest.approx(60, abs=20)


def test_only_its_owner_gives_a_claim_up() -> None:
    table("answered")
    ledger().claim(["a", "b"], "one", 60)
    ledger().done(["b"])

    ledger().release(["a", "b"], "two")
    assert ledger().claim(["a"], "three", 60) == [Claim.ELSEWHERE]
    ledger().release(["a", "b"], "one")

    assert ledger().claim(["a", "b"], "three", 60) == [Claim.OURS, Claim.DONE]


def test_another_model_or_source_has_claims_of_its_own() -> None:
    table("answered")
    ledger().claim(["a"], "one", 60)
    ledger().done(["a"])

    assert ledger(digest="e").claim(["a"], "one", 60) == [Claim.OURS]
    assert ledger(source="sns").claim(["a"], "one", 60) == [Claim.OURS]


def test_a_table_that_does_not_answer_scores_nothing() -> None:
    assert ledger().claim(["a"], "one", 60) == [Claim.ELSEWHERE]
    ledger().done(["a"])
    ledger().release(["a"], "one")


def test_an_error_is_told_by_its_code() -> None:
    assert aws_clients.code(EndpointConnectionError(endpoint_url="x")) == "EndpointConnectionError"


def delivered(address: str, sent: Sequence[Any], **more: str) -> tuple[Any, Doubling]:
    model = Doubling()
    environ = {"PACKAGER_OUTPUT": address, **more}
    box = EventProcessor.read(["sqs"], scorer(model), environ)
    event = queue(*sent)
    source = box.find_source(event)
    assert source is not None
    return box.answer(source, event, Context())[0], model


def test_from_the_environment_to_the_services() -> None:
    table("answered")
    asked("s3").create_bucket(Bucket="answers")
    url = asked("sqs").create_queue(QueueName="failures")["QueueUrl"]
    settings = {"PACKAGER_FAILURES": url, "PACKAGER_ONCE_TABLE": "answered"}
    sent = [row(1.0), "\x00", row(POISON), row(4.0)]

    first, model = delivered("s3://answers/out", sent, **settings)
    second, again = delivered("s3://answers/out", sent, **settings)

    assert first == second == {"batchItemFailures": []}
    assert (model.calls, again.calls) == ([3, 1, 2, 1, 1], [])
    listed = asked("s3").list_objects_v2(Bucket="answers")["Contents"]
    assert [item["Key"] for item in listed] == ["out/sqs/0.json", "out/sqs/3.json"]
    told = {m["MessageAttributes"]["record"]["StringValue"]: m for m in received(url)}
    assert {
        name: m["MessageAttributes"]["encoding"]["StringValue"] for name, m in told.items()
    } == {
        "1": "base64",
        "2": "text",
    }
    assert json.loads(told["2"]["Body"]) == row(POISON)


def test_a_table_that_fails_is_named_and_nothing_is_taken_for_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is none of this name."""
    assert ledger().claim(["1", "2"], "one", 60) == [Claim.ELSEWHERE] * 2
    ledger().release(["1"], "one")

    told = [record.getMessage() for record in caplog.records]
    failed = (
        "The table of answered records failed, and records may come again: "
        "ResourceNotFoundException. Check PACKAGER_ONCE_TABLE and the role's permission to write "
        "to it."
    )
    assert told == [failed] * 3
