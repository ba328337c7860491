"""Deliveries of MLflow's webhooks: what is taken, what is refused, and what is ignored.

The deliveries are signed by MLflow's own code.
"""

from __future__ import annotations

import hmac
import http.client
import json
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from packager.commands.cloud.follow import webhook_server
from packager.commands.cloud.follow.webhook_server import (
    WebhookServer,
    listen_for_webhooks,
    parse_address,
)
from packager.commands.cloud.follow.webhook_signature import DeliveryCheck
from packager.errors import ConfigurationError
from packager.models.model_uri import Registered

MODEL = Registered(name="churn", alias="champion")
SECRET = "a secret of MLflow's"
NOW = 1_800_000_000
Address: TypeAlias = tuple[str, int]


def make_body(name: str = "churn", alias: str = "champion", **more: Any) -> bytes:
    told = {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2027-01-15T08:00:00+00:00",
        "data": {"name": name, "alias": alias, "version": "7"},
        **more,
    }
    return json.dumps(told).encode()


def sign(
    body: bytes, *, secret: str = SECRET, at: int = NOW, delivery: str | None = None
) -> dict[str, str]:
    delivery = delivery or str(uuid.uuid4())
    signature = _generate_hmac_signature(secret, delivery, str(at), body.decode())
    return {
        "X-MLflow-Signature": signature,
        "X-MLflow-Timestamp": str(at),
        "X-MLflow-Delivery-Id": delivery,
    }


@pytest.fixture
def check(tmp_path: Path) -> DeliveryCheck:
    return DeliveryCheck(SECRET, MODEL, tmp_path / "deliveries.json")


def test_what_mlflow_signed_is_taken(check: DeliveryCheck) -> None:
    verdict = check.check(sign(make_body()), make_body(), NOW)

    assert (verdict.status, verdict.wakes) == (202, True)


def test_names_of_headers_come_in_any_case(served: tuple[Address, list[str]]) -> None:
    for change in (str.lower, str.upper, str.title):
        headers = {change(key): value for key, value in sign(make_body()).items()}
        assert post(served[0], headers, make_body())[0] == 202


def test_a_delivery_that_comes_again_is_ignored(check: DeliveryCheck, tmp_path: Path) -> None:
    """MLflow sends it again, with the same id, where it got no answer; an attacker, too."""
    headers = sign(make_body())
    assert check.check(headers, make_body(), NOW).wakes

    restarted = DeliveryCheck(SECRET, MODEL, tmp_path / "deliveries.json")
    for each in (check, restarted):
        verdict = each.check(headers, make_body(), NOW + 299)
        assert (verdict.status, verdict.wakes) == (200, False)
    assert restarted.check(headers, make_body(), NOW + 301).status == 401


def test_what_was_remembered_is_forgotten_once_it_is_too_old_anyway(
    check: DeliveryCheck, tmp_path: Path
) -> None:
    for minute in range(20):
        at = NOW + 60 * minute
        assert check.check(sign(make_body(), at=at), make_body(), at).wakes

    assert len(json.loads((tmp_path / "deliveries.json").read_text())) == 6


@pytest.mark.parametrize("late", [-301, 301, -NOW, 10**9])
def test_a_delivery_of_another_time_is_refused(late: int, check: DeliveryCheck) -> None:
    verdict = check.check(sign(make_body(), at=NOW + late), make_body(), NOW)
    assert (verdict.status, verdict.wakes) == (401, False)


def _drop(name: str, headers: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key != name}


GOOD = sign(make_body(), delivery="d")
FORGED: dict[str, tuple[dict[str, str], bytes, int]] = {
    "another secret": (sign(make_body(), secret="guess"), make_body(), 401),
    "no signature": (_drop("X-MLflow-Signature", GOOD), make_body(), 401),
    "an empty signature": ({**GOOD, "X-MLflow-Signature": ""}, make_body(), 401),
    "another version": (
        {**GOOD, "X-MLflow-Signature": GOOD["X-MLflow-Signature"].replace("v1,", "v2,")},
        make_body(),
        401,
    ),
    "letters of Latin-1": ({**GOOD, "X-MLflow-Signature": "v1,\xff\xfe"}, make_body(), 401),
    "another body": (GOOD, make_body(alias="challenger"), 401),
    "another id": ({**GOOD, "X-MLflow-Delivery-Id": "e"}, make_body(), 401),
    "another time": ({**GOOD, "X-MLflow-Timestamp": str(NOW + 1)}, make_body(), 401),
    "a dot moved from the id to the time": (
        {**sign(make_body(), delivery=f"d.{NOW}"), "X-MLflow-Delivery-Id": "d"},
        make_body(),
        401,
    ),
    "no id": (_drop("X-MLflow-Delivery-Id", GOOD), make_body(), 400),
    "no time": (_drop("X-MLflow-Timestamp", GOOD), make_body(), 400),
    "a time in words": ({**GOOD, "X-MLflow-Timestamp": "now"}, make_body(), 400),
    "digits of another script": ({**GOOD, "X-MLflow-Timestamp": "١٢٣"}, make_body(), 400),
    "a huge time": ({**GOOD, "X-MLflow-Timestamp": "9" * 5000}, make_body(), 400),
    "an id of lines": ({**GOOD, "X-MLflow-Delivery-Id": "a\r\nb"}, make_body(), 400),
    "a long id": ({**GOOD, "X-MLflow-Delivery-Id": "d" * 201}, make_body(), 400),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_mlflow_did_not_sign_is_refused(
    name: str, check: DeliveryCheck, tmp_path: Path
) -> None:
    headers, body, status = FORGED[name]
    verdict = check.check(headers, body, NOW)

    assert (verdict.status, verdict.wakes) == (status, False)
    assert SECRET not in verdict.why
    assert not (tmp_path / "deliveries.json").exists()


@pytest.mark.parametrize(
    "body",
    [
        make_body(name="fraud"),
        make_body(alias="challenger"),
        make_body(entity="registered_model"),
        make_body(entity="prompt_alias"),
        make_body(name=["churn"]),  # type: ignore[arg-type]
    ],
)
def test_a_delivery_about_something_else_is_ignored(body: bytes, check: DeliveryCheck) -> None:
    verdict = check.check(sign(body), body, NOW)
    assert (verdict.status, verdict.wakes) == (200, False)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": 1}', b"{", b"[" * 60_000, b"null"])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes, check: DeliveryCheck) -> None:
    verdict = check.check(sign(body), body, NOW)
    assert (verdict.status, verdict.wakes) == (400, False)


def test_the_signature_is_compared_in_constant_time(
    check: DeliveryCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    headers = sign(make_body())
    assert check.check(headers, make_body(), NOW).wakes
    assert [one.decode() for one, _ in compared] == [headers["X-MLflow-Signature"]]


def test_a_file_of_deliveries_that_nobody_wrote_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "deliveries.json").write_text("[1, 2")
    check = DeliveryCheck(SECRET, MODEL, tmp_path / "deliveries.json")
    assert check.check(sign(make_body()), make_body(), NOW).wakes


def test_a_delivery_that_cannot_be_remembered_is_taken_when_it_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: tuple[Address, list[str]]
) -> None:
    server, accepted = served
    headers, body = sign(make_body(), at=NOW), make_body()
    folder = tmp_path / "served"
    folder.rename(tmp_path / "away")
    assert post(server, headers, body)[0] == 503
    (tmp_path / "away").rename(folder)
    assert post(server, headers, body)[0] == 202
    assert accepted == ["127.0.0.1"]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Address, list[str]]]:
    (folder := tmp_path / "served").mkdir()
    accepted: list[str] = []
    check = DeliveryCheck(SECRET, MODEL, folder / "deliveries.json")
    monkeypatch.setattr(time, "time", lambda: float(NOW))
    with listen_for_webhooks(("127.0.0.1", 0), check, accepted.append) as address:
        assert address.startswith("http://127.0.0.1:")
        yield ("127.0.0.1", int(address.rstrip("/").rpartition(":")[2])), accepted


def post(server: Address, headers: dict[str, str], body: bytes, path: str = "/") -> tuple[int, str]:
    connection = http.client.HTTPConnection(*server, timeout=5)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_delivery_wakes_the_follower(served: tuple[Address, list[str]]) -> None:
    server, accepted = served
    assert post(server, sign(make_body()), make_body())[0] == 202
    assert post(server, sign(make_body(), secret="guess"), make_body())[0] == 401
    assert accepted == ["127.0.0.1"]


@pytest.mark.parametrize("path", ["/hooks/churn", "/../../etc/passwd", "/?a=b", "//", "/%00"])
def test_the_signature_decides_and_not_the_path(
    path: str, served: tuple[Address, list[str]]
) -> None:
    server, accepted = served
    assert post(server, sign(make_body(), secret="guess"), make_body(), path)[0] == 401
    assert accepted == []
    assert post(server, sign(make_body()), make_body(), path)[0] == 202


def test_a_refused_delivery_is_in_the_log_without_the_secret_and_not_each_time(
    served: tuple[Address, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        post(served[0], sign(make_body(), secret="guess"), make_body())

    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line == "A delivery from 127.0.0.1 was refused: the signature is not of this secret"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 65537\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", 411),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \xb2\r\n\r\n", 411),
        (b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        (b"DELETE / HTTP/1.1\r\nhost: a\r\n\r\n", 501),
    ],
)
def test_other_requests_are_answered_and_read_no_further(
    head: bytes, status: int, served: tuple[Address, list[str]]
) -> None:
    with socket.create_connection(served[0], 5) as made:
        made.sendall(head)
        assert made.recv(1000).split(b" ")[1] == str(status).encode()
    assert served[1] == []


def test_whoever_says_nothing_keeps_nobody_waiting_and_gets_no_more_than_a_place(
    served: tuple[Address, list[str]],
) -> None:
    silent = [socket.create_connection(served[0], 5) for _ in range(20)]
    try:
        assert post(served[0], sign(make_body()), make_body())[0] == 202
        silent += [socket.create_connection(served[0], 5) for _ in range(30)]
        assert all(each.recv(1) == b"" for each in silent[:10])
        # whoever asks now is answered, however many are silent
        with socket.create_connection(served[0], 5) as made:
            made.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            assert made.recv(1000).split(b" ")[1] == b"200"
    finally:
        for each in silent:
            each.close()


@pytest.mark.parametrize(
    "said", [b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9999\r\n\r\n", b"POST /"]
)
def test_a_byte_now_and_then_holds_a_connection_no_longer_than_silence(
    said: bytes, served: tuple[Address, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_server, "_PATIENCE_SECONDS", 0.5)
    with socket.create_connection(served[0], 5) as slow:
        slow.sendall(said)
        slow.settimeout(0.05)
        ended = time.monotonic() + 5
        while time.monotonic() < ended:
            try:
                if slow.recv(1000) == b"":
                    return
            except TimeoutError:
                with suppress(OSError):
                    slow.sendall(b"x")
            except ConnectionError:
                return
    raise AssertionError("it was held for 5 seconds")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104
        ("[::1]:8080", ("::1", 8080)),
        ("follower.internal:80", ("follower.internal", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "host", "host:", "host:70000", "host:-1", "[]:1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write HOST:PORT"):
        parse_address(text)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    check = DeliveryCheck(SECRET, MODEL, tmp_path / "deliveries.json")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Nothing can listen on 127.0.0.1:{port}"):
            WebhookServer("127.0.0.1", port, check, print)
