"""Requests of a destination: what one carries, what of it failed, and how often it is tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from handlers import aws_clients
from handlers.events import destinations
from handlers.events.destinations import Message, s3

KB, MB = 1024, 1024 * 1024


class Service:
    """Takes requests and keeps what each carried; every one, or but the first, is answered."""

    def __init__(self, answer: Callable[[list[Any]], Any]) -> None:
        self.requests: list[int] = []
        self.fails_first = False
        self._answer = answer

    def __call__(self, **given: Any) -> Any:
        carried = given.get("Entries") or given.get("Records") or given["RequestItems"]["t"]
        self.requests.append(len(carried))
        if self.fails_first and len(self.requests) == 1:
            raise EndpointConnectionError(endpoint_url="https://example.org")
        return self._answer(carried)


KINDS: dict[str, tuple[str, int, int, Callable[[list[Any]], Any]]] = {
    "sqs:https://sqs/q": ("_client", 10, 240 * KB, lambda _: {}),
    "eventbridge:b": ("_put", 10, 240 * KB, lambda sent: {"Entries": [{} for _ in sent]}),
    "firehose:s": ("_put", 500, 3 * MB, lambda sent: {"RequestResponses": [{} for _ in sent]}),
    "dynamodb:t": ("_write", 25, 8 * MB, lambda _: {}),
}
"""Address -> where its client is, records and bytes of a request, and an answer to it."""


def open_at(address: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Service]:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    attribute, _, _, answer = KINDS[address]
    output: Any = destinations.load(address)
    service = Service(answer)
    if attribute == "_client":
        monkeypatch.setattr(output._client, "send_message_batch", service, raising=False)
    else:
        monkeypatch.setattr(output, attribute, service)
    return output, service


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    aws_clients.client.cache_clear()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("address", KINDS)
def test_a_request_carries_what_its_service_takes_and_no_more(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, service = open_at(address, monkeypatch)
    _, count, size, _ = KINDS[address]
    small = [Message(id=f"{n}", body=b"1") for n in range(count + 1)]
    half = Message(id="a", body=b"1" * (size // 2))
    fits = Message(id="b", body=b"1" * (size - size // 2))
    not_quite = Message(id="b", body=b"1" * (size - size // 2 + 1))

    assert output.send(small) == frozenset()
    assert output.send([half, fits]) == frozenset()
    assert output.send([half, not_quite]) == frozenset()

    assert service.requests == [count, 1, 2, 1, 1]


@pytest.mark.parametrize("address", KINDS)
def test_a_request_that_fails_takes_no_other_with_it(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, service = open_at(address, monkeypatch)
    count = KINDS[address][1]
    service.fails_first = True

    failed = output.send([Message(id=f"{n}", body=b"1") for n in range(count + 2)])

    assert failed == frozenset(range(count))
    assert service.requests == [count, 2]


def test_a_queue_names_the_messages_that_it_did_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    output, service = open_at("sqs:https://sqs/q", monkeypatch)
    service._answer = lambda _: {"Failed": [{"Id": "1"}]}

    assert output.send([Message(id=f"{n}", body=b"1") for n in range(3)]) == {1}


@pytest.mark.parametrize(
    ("refusals", "failed", "tries"), [(0, set(), 1), (4, set(), 5), (9, {0, 1}, 5)]
)
def test_a_table_is_asked_again_a_few_times_ever_later(
    refusals: int,
    failed: set[int],
    tries: int,
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
) -> None:
    output, service = open_at("dynamodb:t", monkeypatch)
    service._answer = lambda sent: (
        {"UnprocessedItems": {"t": sent}} if len(service.requests) <= refusals else {}
    )

    assert output.send([Message(id=f"{n}", body=b"1") for n in range(2)]) == failed

    assert service.requests == [2] * tries
    assert waits[:4] == [0.05, 0.1, 0.2, 0.4][: min(refusals, 4)]


def test_one_object_needs_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(s3, "ThreadPoolExecutor", None)
    bucket: Any = destinations.load("s3://answers")
    monkeypatch.setattr(bucket, "_written", lambda message: message.id == "a")

    assert bucket.send([Message(id="a", body=b"1")]) == frozenset()
    assert bucket.send([Message(id="b", body=b"1")]) == {0}
