"""Every source: told apart by shape, its records read, its answer in its own terms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.events import aws_sources
from handlers.events.destinations import Message
from handlers.events.event_processor import EventProcessor, NoOutputError
from handlers.events.records import Claim, Outcome, Record, RecordsFailedError, read_records
from handlers.http import api_gateway_events
from handlers.scoring.errors import InvalidInputError, ScoringError
from handlers.values import zip_equal
from tests.handlers.invoking import event
from tests.handlers.scorers import scorer
from tests.handlers.scoring.test_together import POISON, Doubling

# event, its source, the items that a partial answer would name
SAMPLES: tuple[tuple[str, str, int], ...] = (
    ("sqs", "sqs", 2),
    ("sqs_fifo", "sqs", 2),
    ("sns", "sns", 1),
    ("kinesis", "kinesis", 2),
    ("dynamodb", "dynamodb", 2),
    ("eventbridge", "eventbridge", 1),
    ("kafka_msk", "kafka", 2),
    ("kafka_self_managed", "kafka", 2),
    ("stepfunctions_batch", "stepfunctions", 2),
    ("stepfunctions_item", "stepfunctions", 1),
    ("schedule", "schedule", 1),
)
ALL = aws_sources.load(aws_sources.SOURCES)
OTHERS = ("direct", "alb", "apigateway_http", "apigateway_rest", "function_url")
FOLDER = Path(aws_sources.__file__).parent


class Box:
    """A destination in memory: what came, and which positions it refuses."""

    def __init__(self, refuses: Iterable[str] = ()) -> None:
        self.messages: list[Message] = []
        self._refuses = set(refuses)

    def send(self, messages: Sequence[Message]) -> frozenset[int]:
        taken = [m for m in messages if m.id.rpartition("/")[2] not in self._refuses]
        self.messages.extend(taken)
        return frozenset(i for i, message in enumerate(messages) if message not in taken)

    @property
    def ids(self) -> list[str]:
        return [message.id.partition("/")[2] for message in self.messages]


class Book:
    """A ledger in memory."""

    def __init__(self, states: dict[str, Claim] | None = None) -> None:
        self.states = states or {}
        self.released: list[str] = []

    def claim(self, ids: Sequence[str], owner: str, seconds: float) -> list[Claim]:
        return [self.states.get(name, Claim.OURS) for name in ids]

    def done(self, ids: Sequence[str]) -> None:
        self.states.update(dict.fromkeys(ids, Claim.DONE))

    def release(self, ids: Sequence[str], owner: str) -> None:
        self.released.extend(ids)


class Context:
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 3000


def queue(*bodies: Any, fifo: Sequence[str] = ()) -> dict[str, Any]:
    arn = f"arn:aws:sqs:us-east-1:123456789012:q{'.fifo' if fifo else ''}"
    return {
        "Records": [
            {
                "messageId": str(place),
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"MessageGroupId": fifo[place]} if fifo else {},
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
            }
            for place, body in enumerate(bodies)
        ]
    }


def row(value: float) -> dict[str, Any]:
    return {"x": value, "kind": "a"}


def inbox(
    *, output: Any = None, failures: Any = None, model: Any = None, book: Any = None, **values: Any
) -> EventProcessor:
    return EventProcessor(
        aws_sources.SOURCES,
        scorer(model or Doubling()),
        output=output or Box(),
        failures=failures,
        table=None if book is None else lambda _: book,
        **values,
    )


def answered(box: EventProcessor, sent: Any) -> tuple[Any, Any]:
    source = box.find_source(sent)
    assert source is not None
    return box.answer(source, sent, Context())


def test_folder_and_index_do_not_drift() -> None:
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert files == set(aws_sources.SOURCES)
    assert [source.NAME for source in ALL] == list(aws_sources.SOURCES)


def test_an_unknown_source_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no event source ftp; there are files, s3, sqs"):
        aws_sources.load(["ftp"])
    with pytest.raises(ValueError, match=r"Did you mean 'kinesis'\?$"):
        aws_sources.load(["kinesys"])


@pytest.mark.parametrize(("name", "source", "count"), SAMPLES)
def test_each_event_is_one_source_s(name: str, source: str, count: int) -> None:
    sent = event(name)
    assert [each.NAME for each in ALL if each.claims_event(sent)] == [source]
    assert not api_gateway_events.is_http(sent)
    (found,) = aws_sources.load([source])
    assert len(read_records(found, sent)) == count


@pytest.mark.parametrize("name", OTHERS)
def test_other_events_are_nobody_s(name: str) -> None:
    assert [each.NAME for each in ALL if each.claims_event(event(name))] == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "records", "detail", "eventSource", "Items", "Item", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(sent=JSON_VALUES)
def test_any_json_can_be_looked_at(sent: Any) -> None:
    assert sum(each.claims_event(sent) for each in ALL) <= 1


@pytest.mark.parametrize(("name", "source", "count"), SAMPLES)
def test_ids_are_the_same_at_each_delivery_and_differ(name: str, source: str, count: int) -> None:
    (found,) = aws_sources.load([source])
    first, second = (
        read_records(found, event(name)),
        read_records(found, event(name)),
    )
    assert [record.id for record in first] == [record.id for record in second]
    assert len({record.id for record in first}) == count


def outcomes(source: Any, sent: Any, retry: Sequence[bool]) -> list[Outcome]:
    return [
        Outcome(record=record, answer=b"{}", retry=again)
        for record, again in zip_equal(read_records(source, sent), retry)
    ]


@pytest.mark.parametrize(
    ("name", "retry", "items"),
    [
        ("sqs", [False, False], []),
        ("sqs", [True, False], ["059f36b4-87a3-44ab-83d2-661970c6f4f5"]),
        (
            "sqs_fifo",
            [True, True],
            ["059f36b4-87a3-44ab-83d2-661970c6f4f5", "059f36b4-87a3-44ab-83d2-661971c6f4f5"],
        ),
        ("kinesis", [True, True], ["49590338271490256608559692538356525858464522054694400"]),
        ("dynamodb", [False, True], ["102"]),
    ],
)
def test_partial_answers_name_what_must_come_again(
    name: str, retry: list[bool], items: list[str]
) -> None:
    sent = event(name)
    (source,) = [each for each in ALL if each.claims_event(sent)]

    answer = source.make_reply(sent, outcomes(source, sent, retry))

    assert answer == {"batchItemFailures": [{"itemIdentifier": item} for item in items]}


@pytest.mark.parametrize("name", ["sns", "eventbridge", "schedule", "kafka_msk"])
def test_other_sources_come_again_whole(name: str) -> None:
    sent = event(name)
    (source,) = [each for each in ALL if each.claims_event(sent)]
    count = len(read_records(source, sent))
    assert source.make_reply(sent, outcomes(source, sent, [False] * count)) is None
    with pytest.raises(RecordsFailedError, match=f"1 of {count} records"):
        source.make_reply(sent, outcomes(source, sent, [False] * (count - 1) + [True]))


def test_dynamodb_values_are_plain() -> None:
    sent = event("dynamodb")
    image = {
        "n": {"N": "-7"},
        "f": {"N": "1.5"},
        "s": {"S": "a"},
        "t": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"S": "b"}]},
        "m": {"M": {"k": {"N": "2"}}},
        "ns": {"NS": ["1", "2.5"]},
        "ss": {"SS": ["a"]},
        "b": {"B": "YQ=="},
    }
    sent["Records"][0]["dynamodb"]["NewImage"] = image
    (source,) = aws_sources.load(["dynamodb"])

    assert read_records(source, sent)[0].body == {
        "n": -7,
        "f": 1.5,
        "s": "a",
        "t": True,
        "z": None,
        "l": [1, "b"],
        "m": {"k": 2},
        "ns": [1, 2.5],
        "ss": ["a"],
        "b": "YQ==",
    }


def test_answers_go_to_their_place_with_their_record_s_name() -> None:
    output, model = Box(), Doubling()

    answer, counts = answered(
        inbox(output=output, model=model), queue(row(1.0), {"dataframe_records": [row(2.0)]})
    )

    assert answer == {"batchItemFailures": []}
    assert model.calls == [2]
    assert [json.loads(message.body) for message in output.messages] == [
        {"id": "0", "source": "sqs", "model": "m", "version": None, "predictions": [2.0]},
        {"id": "1", "source": "sqs", "model": "m", "version": None, "predictions": [4.0]},
    ]
    assert (counts.records, counts.rows, counts.refused, counts.again) == (2, 2, 0, 0)


BODIES: tuple[str, ...] = ("", "{", "[]", "7", "null", "{}", "\x00", "\ud800", "[" * 100_000)


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_what_cannot_be_read_goes_to_its_queue_with_the_reason(body: str) -> None:
    output, failures = Box(), Box()

    answer, counts = answered(
        inbox(output=output, failures=failures), queue(row(1.0), body, row(POISON))
    )

    assert answer == {"batchItemFailures": []}
    assert output.ids == ["0"]
    assert failures.ids == ["1", "2"]
    told = [message.attributes for message in failures.messages]
    assert [each["error_code"] for each in told] == ["BAD_REQUEST", "BAD_REQUEST"]
    assert all(each["error_message"] for each in told)
    assert all(message.body for message in failures.messages)
    assert counts.refused == 2


def test_without_that_queue_it_fails_at_its_source() -> None:
    answer, _ = answered(inbox(), queue(row(1.0), "{", row(2.0)))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def test_what_a_destination_refuses_comes_again() -> None:
    answer, counts = answered(inbox(output=Box({"1"})), queue(row(1.0), row(2.0), row(3.0)))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert counts.again == 1


class Exhausted(Doubling):
    """Runs out of memory where it sees POISON: not the record's fault."""

    def predict(self, data: Any, params: Any) -> Any:
        try:
            return super().predict(data, params)
        except ValueError:
            raise MemoryError from None


def test_what_is_not_the_record_s_fault_comes_again() -> None:
    failures = Box()

    answer, _ = answered(
        inbox(model=Exhausted(), failures=failures), queue(row(1.0), row(POISON), row(3.0))
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert failures.messages == []


def test_in_a_group_nothing_overtakes_what_comes_again() -> None:
    output = Box()
    sent = queue(row(1.0), row(POISON), row(3.0), row(4.0), fifo=["a", "a", "b", "a"])

    answer, _ = answered(inbox(model=Exhausted(), output=output), sent)

    assert output.ids == ["0", "2"]
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["1", "3"]


def test_a_poison_record_does_not_hold_its_group_back() -> None:
    output = Box()
    sent = queue(row(1.0), row(POISON), row(3.0), fifo=["a", "a", "a"])

    answer, _ = answered(inbox(output=output, failures=Box()), sent)

    assert output.ids == ["0", "2"]
    assert answer == {"batchItemFailures": []}


def test_a_record_that_is_there_twice_is_scored_once() -> None:
    model, output = Doubling(), Box()
    sent = queue(row(1.0))
    sent["Records"] *= 2

    answered(inbox(model=model, output=output), sent)

    assert model.calls == [1]
    assert output.ids == ["0"]


def test_what_was_answered_is_not_scored_again() -> None:
    model, output, book = Doubling(), Box(), Book()
    box = inbox(model=model, output=output, book=book)

    answered(box, queue(row(1.0), row(2.0)))
    answer, counts = answered(box, queue(row(1.0), row(2.0), row(3.0)))

    assert model.calls == [2, 1]
    assert output.ids == ["0", "1", "2"]
    assert answer == {"batchItemFailures": []}
    assert counts.known == 2


def test_what_another_invocation_has_comes_again() -> None:
    book = Book({"1": Claim.ELSEWHERE})
    output = Box()

    answer, _ = answered(inbox(output=output, book=book), queue(row(1.0), row(2.0)))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert output.ids == ["0"]
    assert (book.states["1"], book.released) == (Claim.ELSEWHERE, [])


def test_a_claim_is_given_up_where_delivery_failed() -> None:
    book = Book()

    answered(inbox(output=Box({"1"}), book=book), queue(row(1.0), row(2.0)))

    assert (book.states, book.released) == ({"0": Claim.DONE}, ["1"])


@pytest.mark.parametrize(
    ("path", "detail", "ids"),
    [
        ("order.features", {"order": {"features": row(1.0)}}, 1),
        ("order.features", {"order": {}}, 0),
        ("order.features", {"order": [row(1.0)]}, 0),
        ("", row(1.0), 1),
    ],
)
def test_a_request_may_lie_inside_its_record(path: str, detail: Any, ids: int) -> None:
    output, failures = Box(), Box()
    sent = {**event("eventbridge"), "detail": detail}
    box = inbox(output=output, failures=failures, path=[n for n in path.split(".") if n])

    answered(box, sent)

    assert (len(output.ids), len(failures.ids)) == (ids, 1 - ids)


def test_answers_that_nobody_would_get_are_not_made() -> None:
    model = Doubling()
    box = EventProcessor.read(["stepfunctions", "sqs"], scorer(model), {})

    with pytest.raises(NoOutputError, match="answers to sqs would be lost"):
        answered(box, queue(row(1.0)))

    assert model.calls == []
    assert answered(box, {"Item": row(1.0)})[0] == {"predictions": [2.0]}


def test_an_output_must_be_of_a_kind() -> None:
    with pytest.raises(ValueError, match="PACKAGER_OUTPUT must be KIND:ADDRESS"):
        EventProcessor.read(["sqs"], scorer(Doubling()), {"PACKAGER_OUTPUT": "ftp://somewhere"})


def test_items_of_a_map_are_answered_in_order() -> None:
    items = [row(1.0), {"x": "one", "kind": "a"}, 7, row(POISON), {"dataframe_records": [row(2.0)]}]

    answer, counts = answered(inbox(), {"BatchInput": {}, "Items": items})

    assert answer[0] == {"predictions": [2.0]}
    assert [sorted(each) for each in answer[1:4]] == [["error_code", "message"]] * 3
    assert answer[4] == {"predictions": [4.0]}
    assert counts.refused == 3


def test_a_single_item_that_cannot_be_scored_fails_its_task() -> None:
    assert answered(inbox(), {"Item": row(1.0)})[0] == {"predictions": [2.0]}
    with pytest.raises(ScoringError):
        answered(inbox(), {"Item": {"x": 1.0}})
    with pytest.raises(RecordsFailedError):
        answered(inbox(model=Exhausted()), {"Items": [row(POISON)]})


KINDS = st.sampled_from(["good", "unreadable", "poison", "exhausting", "refused", "done", "held"])


@given(kinds=st.lists(st.tuples(KINDS, st.sampled_from("ab")), max_size=14), ordered=st.booleans())
def test_every_record_ends_in_one_place(kinds: list[tuple[str, str]], *, ordered: bool) -> None:
    """Answered, buried, known, or to come again; and in a group nothing overtakes."""

    class Model(Doubling):
        def predict(self, data: Any, params: Any) -> Any:
            if (data["x"] == -POISON).any():
                raise MemoryError
            return super().predict(data, params)

    values = {"poison": POISON, "exhausting": -POISON}
    bodies = [
        "{" if kind == "unreadable" else row(values.get(kind, place))
        for place, (kind, _) in enumerate(kinds)
    ]
    sent = queue(
        *bodies,
        fifo=[group for _, group in kinds] if ordered else (),
    )
    named = {kind: [str(i) for i, (k, _) in enumerate(kinds) if k == kind] for kind, _ in kinds}
    claims = dict.fromkeys(named.get("done", ()), Claim.DONE)
    claims.update(dict.fromkeys(named.get("held", ()), Claim.ELSEWHERE))
    output, failures = Box(named.get("refused", ())), Box()
    box = inbox(output=output, failures=failures, model=Model(), book=Book(claims))

    if not kinds:
        assert box.find_source(sent) is None
        return
    answer, counts = answered(box, sent)

    again = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    ends = [*output.ids, *failures.ids, *again, *named.get("done", ())]
    assert sorted(ends, key=int) == [str(i) for i in range(len(kinds))]
    assert counts.again == len(again)
    for message in output.messages:
        place = int(message.id.partition("/")[2])
        assert json.loads(message.body)["predictions"] == [2.0 * place]
    if ordered:
        waits = {"exhausting", "held"}
        for place, (kind, group) in enumerate(kinds):
            earlier = {k for k, g in kinds[:place] if g == group}
            if kind in {"good", "poison", "unreadable"} and earlier & waits:
                assert str(place) in again


def test_records_are_values() -> None:
    record = Record(id="1", item="1", body=b"")
    assert replace(Outcome(record=record, error=InvalidInputError("x")), retry=True).retry
