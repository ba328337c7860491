"""Files in S3 to files of answers: whole or not at all, once a version, never of itself."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import boto3
import numpy as np
import pandas as pd
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from handlers import aws_clients
from handlers.events import aws_sources
from handlers.events.event_processor import Counts, EventProcessor
from handlers.events.records import RecordsFailedError
from handlers.files import readers, storage
from handlers.scoring.errors import ScoringError
from tests.handlers.events.test_events import Book, Box, Context
from tests.handlers.scorers import TWO_COLUMNS, scorer
from tests.handlers.scoring.test_together import POISON, Doubling, Summing

KEYS = ("in/plain.csv", "in/a b+c.csv", "in/größe 100%.csv", "in/価格/x.csv")
ENVIRON = {"PACKAGER_CHUNK_BYTES": "64", "AWS_LAMBDA_FUNCTION_NAME": "churn"}
NOTICES = "arn:aws:sqs:us-east-1:123456789012:objects"
ROWS = 40


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("PACKAGER_NOTICES", NOTICES)
    with mock_aws():
        aws_clients.client.cache_clear()
        aws_clients._session.cache_clear()
        for name in ("data", "versioned"):
            s3().create_bucket(Bucket=name)
        s3().put_bucket_versioning(
            Bucket="versioned", VersioningConfiguration={"Status": "Enabled"}
        )
        yield
    aws_clients.client.cache_clear()


def s3() -> Any:
    return boto3.client("s3", region_name="us-east-1")


def box(model: Any = None, to: str = "s3://data/out/", **environ: str) -> EventProcessor:
    made = scorer(model or Doubling())
    told = {**ENVIRON, "PACKAGER_OUTPUT": f"s3:{to.removeprefix('s3:')}", **environ}
    return EventProcessor.read(aws_sources.OF_FILES, made, told)


def ask(inbox: EventProcessor, event: Any) -> tuple[Any, Counts]:
    source = inbox.find_source(event)
    assert source is not None
    return inbox.answer(source, event, Context())


def told(inbox: EventProcessor, event: Any) -> Any:
    return ask(inbox, event)[0]


def counted(inbox: EventProcessor, event: Any) -> Counts:
    return ask(inbox, event)[1]


def table(rows: int = ROWS) -> str:
    return "x,kind\n" + "".join(f'{n}.5,"a, ""{n}""\nb"\n' for n in range(rows))


def put(key: str, body: str | bytes, bucket: str = "data") -> dict[str, Any]:
    return dict(s3().put_object(Bucket=bucket, Key=key, Body=body))


def got(key: str, bucket: str = "data") -> str:
    return str(s3().get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def keys(bucket: str = "data") -> set[str]:
    return {item["Key"] for item in s3().list_objects_v2(Bucket=bucket).get("Contents", ())}


def invoke(source: str, target: str, **more: str) -> dict[str, str]:
    return {"input": f"s3://data/{source}", "output": f"s3://data/{target}", **more}


def notification(key: str, bucket: str = "data", name: str = "Put", **thing: str) -> dict[str, Any]:
    record = {
        "eventSource": "aws:s3",
        "eventName": f"ObjectCreated:{name}",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), **thing}},
    }
    return {"Records": [record]}


def queued(*notifications: Any) -> dict[str, Any]:
    bodies = [n if isinstance(n, str) else json.dumps(n) for n in notifications]
    return {
        "Records": [
            {"messageId": str(i), "body": b, "eventSource": "aws:sqs", "eventSourceARN": NOTICES}
            for i, b in enumerate(bodies)
        ]
    }


def bus(key: str, bucket: str = "data", kind: str = "Object Created") -> dict[str, Any]:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "0A"}}
    return {"source": "aws.s3", "detail-type": kind, "id": "1", "detail": detail}


DOUBLED = [2 * (n + 0.5) for n in range(ROWS)]
ROUTES = (notification, lambda key: queued(notification(key)), bus)


@pytest.mark.few(3)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("route", ROUTES)
def test_an_object_is_answered_by_an_object(route: Any, key: str) -> None:
    put(key, table())

    counts = counted(box(), route(key))

    assert [json.loads(line) for line in got(f"out/{key}.jsonl").splitlines()] == DOUBLED
    assert (counts.records, counts.rows, counts.bad_rows) == (1, ROWS, 0)


FORMS: dict[str, bytes] = {
    "a.csv": table().encode(),
    "bom.CSV": b"\xef\xbb\xbf" + table().replace("\n", "\r\n").encode(),
    "a.jsonl": "".join(f'{{"x": {n}.5, "kind": "a"}}\n' for n in range(ROWS)).encode(),
    "mixed.ndjson": "\n".join(
        json.dumps({"x": n + 0.5, "kind": "a"} if n % 3 else {"kind": "a", "x": n + 0.5})
        for n in range(ROWS)
    ).encode(),
    "list.json": json.dumps([{"x": n + 0.5, "kind": "a"} for n in range(ROWS)], indent=1).encode(),
    "request.json": json.dumps(
        {"dataframe_split": {"columns": ["x", "kind"], "data": [[n + 0.5, "a"] for n in range(40)]}}
    ).encode(),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_input_gives_the_same_answers(name: str) -> None:
    put(name, FORMS[name])
    large = {"PACKAGER_CHUNK_BYTES": "4096"} if name == "request.json" else {}

    answer = told(box(**large), invoke(name, "answers.jsonl"))

    assert [json.loads(line) for line in got("answers.jsonl").splitlines()] == DOUBLED
    assert (answer["rows"], answer["refused"]) == (ROWS, 0)


def test_parquet_is_read_where_the_artifact_holds_pyarrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = io.BytesIO()
    pd.DataFrame({"x": np.arange(ROWS) + 0.5, "kind": "a"}).to_parquet(made, row_group_size=16)
    put("a.parquet", made.getvalue())
    framed = EventProcessor.read(
        ["files"], scorer(Doubling(), frame="pandas"), {**ENVIRON, "PACKAGER_CHUNK_BYTES": "200"}
    )

    told(framed, invoke("a.parquet", "answers.jsonl"))

    assert [json.loads(line) for line in got("answers.jsonl").splitlines()] == DOUBLED
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ScoringError, match="holds no pyarrow"):
        told(framed, invoke("a.parquet", "other.jsonl"))


def test_answers_are_written_in_each_form() -> None:
    put("a.csv", "x,kind\n1,a\noops,a\n3,a\n")
    fault = {"error_code": "BAD_REQUEST"}

    for name in ("o.jsonl", "o.json", "o.csv"):
        assert told(box(), invoke("a.csv", name))["refused"] == 1

    first, second, third = map(json.loads, got("o.jsonl").splitlines())
    assert (first, third) == (2.0, 6.0)
    assert second["error_code"] == fault["error_code"]
    document = json.loads(got("o.json"))
    assert document["predictions"] == [2.0, None, 6.0]
    assert [error["row"] for error in document["errors"]] == [1]
    lines = got("o.csv").splitlines()
    assert lines[0] == "prediction,error"
    assert (lines[1], lines[3]) == ("2.0,", "6.0,")
    assert lines[2].startswith(",")
    assert "BAD_REQUEST: " in lines[2]


def test_a_row_that_the_model_refuses_spoils_no_other() -> None:
    bad = {3, 17, 18}
    put("a.csv", "x,kind\n" + "".join(f"{POISON if n in bad else n},a\n" for n in range(ROWS)))

    answer = told(box(), invoke("a.csv", "o.jsonl"))

    lines = [json.loads(line) for line in got("o.jsonl").splitlines()]
    assert [n for n, line in enumerate(lines) if isinstance(line, dict)] == sorted(bad)
    assert [line for n, line in enumerate(lines) if n not in bad] == [
        2.0 * n for n in range(ROWS) if n not in bad
    ]
    assert (answer["rows"], answer["refused"]) == (ROWS, len(bad))


def test_a_file_of_bad_rows_fails_whole() -> None:
    put("a.csv", "x\n" + "1\n" * 30)

    with pytest.raises(ScoringError, match="More than 20 rows"):
        told(box(PACKAGER_BAD_ROWS="20"), invoke("a.csv", "o.jsonl"))

    assert keys() == {"a.csv"}


REFUSED: tuple[tuple[str, bytes, str], ...] = (
    ("a.xlsx", b"x", "must end with one of .csv"),
    ("a.json", b'[{"x": 1}', "not a JSON list"),
    ("a.json", b'[{"x": 1, "kind": "a"}] more', "goes on after"),
    ("a.json", b'{"inputs": "' + b"x" * 100 + b'"}', "of more than 64 bytes"),
    ("a.json", b"[\xff\xfe]", "not UTF-8"),
    ("a.parquet", b"none", "not Parquet"),
    ("a.csv", b'x,kind\n"' + b"y" * 2000, "more than 1024 bytes"),
)


@pytest.mark.few(3)
@pytest.mark.parametrize(("name", "body", "said"), REFUSED)
def test_what_is_no_such_file_is_refused(name: str, body: bytes, said: str) -> None:
    put(name, body)

    with pytest.raises(ScoringError, match=r".") as refused:
        told(box(), invoke(name, "o.jsonl"))

    assert said in refused.value.message
    assert keys() == {name}


def test_a_model_without_an_answer_a_row_scores_no_file() -> None:
    put("a.csv", table())
    with pytest.raises(ScoringError, match="row by row"):
        told(box(Summing()), invoke("a.csv", "o.jsonl"))


def test_the_same_version_is_not_scored_again() -> None:
    model = Doubling()
    put("a.csv", table())
    told(box(model), invoke("a.csv", "o.jsonl"))
    calls = len(model.calls)

    assert told(box(model), invoke("a.csv", "o.jsonl"))["skipped"] == "known"
    assert len(model.calls) == calls

    put("a.csv", table(1))
    assert told(box(model), invoke("a.csv", "o.jsonl"))["rows"] == 1


def test_a_version_that_is_named_is_the_one_that_is_read() -> None:
    first = put("in/a.csv", "x,kind\n1,a\n", "versioned")["VersionId"]
    put("in/a.csv", "x,kind\n2,a\n", "versioned")

    counted(box(), notification("in/a.csv", "versioned", versionId=first, sequencer="01"))

    assert got("out/in/a.csv.jsonl") == "2.0\n"


def test_a_version_that_was_overwritten_since_is_not_answered_by_the_next() -> None:
    first = put("in/a.csv", "x,kind\n1,a\n")["ETag"].strip('"')
    put("in/a.csv", "x,kind\n2,a\n")
    failures, inbox = Box(), box()
    inbox._failures = failures

    told(inbox, notification("in/a.csv", eTag=first, sequencer="01"))

    (message,) = failures.messages
    assert "not there any more" in message.attributes["error_message"]
    assert "out/in/a.csv.jsonl" not in keys()


def test_a_late_event_does_not_undo_a_later_one() -> None:
    first = put("in/a.csv", "x,kind\n1,a\n", "versioned")["VersionId"]
    second = put("in/a.csv", "x,kind\n2,a\n", "versioned")["VersionId"]

    counted(box(), notification("in/a.csv", "versioned", versionId=second, sequencer="0B1"))
    counted(box(), notification("in/a.csv", "versioned", versionId=first, sequencer="0AFF"))

    assert got("out/in/a.csv.jsonl") == "4.0\n"


def test_an_object_that_is_gone_is_poison_with_a_reason() -> None:
    failures = Box()
    inbox = box()
    inbox._failures = failures

    assert told(inbox, queued(notification("in/none.csv"), "not S3's")) == {"batchItemFailures": []}

    reasons = [message.attributes["error_message"] for message in failures.messages]
    assert "not there any more" in reasons[0]
    assert len(reasons) == 2


def test_what_the_function_wrote_never_triggers_it() -> None:
    model = Doubling()
    put("in/a.csv", table(2))
    counted(box(model), notification("in/a.csv"))
    calls = list(model.calls)

    # its own folder, whatever lies there
    put("out/other.csv", table(2))
    assert counted(box(model), notification("out/other.csv")).rows == 0
    # its own object under another setting, or copied to where it listens
    everywhere = box(model, to="s3://data")
    assert counted(everywhere, notification("out/in/a.csv.jsonl")).rows == 0
    s3().copy_object(Bucket="data", Key="in/b.jsonl", CopySource="data/out/in/a.csv.jsonl")
    assert counted(everywhere, notification("in/b.jsonl")).rows == 0
    put("in/e.csv", "x,kind\n1,a\n")
    s3().copy_object(
        Bucket="data", Key="in/f.csv", CopySource="data/in/e.csv", MetadataDirective="REPLACE",
        Metadata={storage.THROUGH: "other,churn"},
    )  # fmt: skip
    assert counted(box(model), notification("in/f.csv")).rows == 0
    assert model.calls == calls
    # another function's answers are another's
    other = box(model, to="s3://data/second/", AWS_LAMBDA_FUNCTION_NAME="other")
    put("in/c.csv", "x,kind\n1,a\n")
    s3().copy_object(
        Bucket="data", Key="in/d.csv", CopySource="data/in/c.csv", MetadataDirective="REPLACE",
        Metadata={storage.THROUGH: "churn"},
    )  # fmt: skip
    assert counted(other, notification("in/d.csv")).rows == 1
    assert s3().head_object(Bucket="data", Key="second/in/d.csv.jsonl")["Metadata"][
        storage.THROUGH
    ] == ("churn,other")


@pytest.mark.parametrize(
    "event",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"},
        queued({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}),
        bus("in/a.csv", kind="Object Deleted"),
        {"Records": [{**notification("a.csv")["Records"][0], "eventName": "ObjectRemoved:Delete"}]},
    ],
)
def test_what_creates_nothing_is_passed_over(event: Any) -> None:
    assert counted(box(), event).records == 0


def test_nothing_is_left_of_an_upload_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.csv", table(600))
    monkeypatch.setattr(storage, "_PART_BYTES", 2048)
    calls = iter(range(1_000_000))

    class Failing(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            if next(calls) > 200:
                raise MemoryError
            return super().predict(data, params)

    with pytest.raises(RecordsFailedError):
        told(box(Failing()), invoke("a.csv", "o.jsonl"))

    assert keys() == {"a.csv"}
    assert s3().list_multipart_uploads(Bucket="data").get("Uploads", []) == []


def test_a_long_answer_goes_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 3000
    put("a.csv", "x,kind\n" + "".join(f"{n}.25,a\n" for n in range(rows)))
    size = 5 * 1024 * 1024
    monkeypatch.setattr(storage, "_PART_BYTES", size)
    pad = "z" * 4000

    class Wide(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            return [f"{value}{pad}" for value in super().predict(data, params)]

    told(box(Wide(), PACKAGER_CHUNK_BYTES="4096"), invoke("a.csv", "o.jsonl"))

    lines = got("o.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [f"{2 * (n + 0.25)}{pad}" for n in range(rows)]
    assert s3().head_object(Bucket="data", Key="o.jsonl")["ETag"].strip('"').endswith("-3")


def test_a_file_that_takes_too_long_is_told_so_in_time() -> None:
    put("a.csv", table())

    class Late(Context):
        left = 6000

        def get_remaining_time_in_millis(self) -> int:
            self.left -= 2500
            return self.left

    inbox = box()
    event = invoke("a.csv", "o.jsonl")
    source = inbox.find_source(event)
    assert source is not None
    with pytest.raises(ScoringError, match="longer than the function has"):
        inbox.answer(source, event, Late())
    assert keys() == {"a.csv"}


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put("a.csv", table())
    monkeypatch.setattr(storage, "_BLOCK_BYTES", 50)
    whole, opened = storage.Source._open, []

    class Breaking:
        def __init__(self, inner: Any) -> None:
            self._inner, self._reads = inner, 0

        def read(self, *size: int) -> bytes:
            self._reads += 1
            if self._reads == 4:
                raise ReadTimeoutError(endpoint_url="s3")
            return bytes(self._inner.read(*size))

    def breaking(self: Any, start: int, stop: int) -> Any:
        opened.append(start)
        body = whole(self, start, stop)
        return Breaking(body) if len(opened) < 4 else body

    monkeypatch.setattr(storage.Source, "_open", breaking)

    told(box(), invoke("a.csv", "o.jsonl"))

    assert opened == [0, 150, 300, 450]
    assert [json.loads(line) for line in got("o.jsonl").splitlines()] == DOUBLED


def test_a_service_that_fails_makes_the_event_come_again_and_is_named_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put("in/a.csv", table())

    def failing(*_: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "GetObject")

    monkeypatch.setattr(storage.Source, "_open", failing)
    failures = Box()
    inbox = box()
    inbox._failures = failures

    answer = told(inbox, queued(notification("in/a.csv")))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert failures.messages == []
    (line,) = caplog.records
    assert line.getMessage() == (
        "A file was not read or its answers not written, and it comes again: S3 answered SlowDown. "
        "Check the role's permissions for both."
    )


def test_with_a_table_an_object_is_scored_once() -> None:
    model, book = Doubling(), Book()
    put("in/a.csv", table(2))
    inbox = box(model)
    inbox._open_table = lambda _: book  # type: ignore[assignment, return-value]

    tag = s3().head_object(Bucket="data", Key="in/a.csv")["ETag"].strip('"')
    assert counted(inbox, notification("in/a.csv", eTag=tag)).rows == 2
    again = counted(inbox, notification("in/a.csv", eTag=tag))

    assert (again.rows, again.known) == (0, 1)
    assert list(book.states) == [f"data/in/a.csv@{tag}"]


def test_the_forms_that_are_read_are_all_named() -> None:
    assert {f".{name.rpartition('.')[2].lower()}" for name in FORMS} | {".parquet"} == set(
        readers.FORMATS
    )
    assert TWO_COLUMNS["inputs"][0]["name"] == "x"
