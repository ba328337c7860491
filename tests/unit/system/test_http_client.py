"""A request ends within its time and its bytes, and is led to nobody else with what it carries."""

from __future__ import annotations

import socket
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPMessage, IncompleteRead
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from packager.system.http_client import (
    RequestLimits,
    TooLargeError,
    is_late,
    limit_connection,
    make_request,
    open_answer,
    read_answer,
    word_fault,
)
from tests.hostile_server import HEAD, MIB, SIZED, dribble, flood, speaking
from tests.osv import Service, serving

_LIMITS = RequestLimits(seconds=20, silence_seconds=20, most_bytes=1000)
_SHORT = replace(_LIMITS, seconds=0.4, silence_seconds=0.3)


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"", b"H"),
        (HEAD, b"A: b\r\n"),
        (HEAD + b"A: ", b"b"),
        (SIZED, b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", b"x"),
    ],
    ids=["status", "headers", "header", "body", "chunks", "redirect"],
)
def test_a_byte_now_and_then_is_late_all_the_same(before: bytes, piece: bytes) -> None:
    with speaking(dribble(before, piece)) as url:
        begun = time.monotonic()
        with pytest.raises(OSError) as raised:  # noqa: PT011 - judged below
            read_answer(make_request(url, {}), replace(_SHORT, redirects=1))
        waited = time.monotonic() - begun

    assert is_late(raised.value)
    assert waited < 8


def test_silence_is_given_up_before_all_time_is_over() -> None:
    with speaking(lambda _: time.sleep(1)) as url:
        begun = time.monotonic()
        with pytest.raises(OSError) as raised:  # noqa: PT011 - judged below
            read_answer(make_request(url, {}), replace(_LIMITS, seconds=60, silence_seconds=0.1))
        waited = time.monotonic() - begun

    assert is_late(raised.value)
    assert waited < 1


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (HEAD + b"\r\n", MIB),
        (HEAD + b"Content-Length: 1001\r\n\r\n", b"x" * 1001),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + MIB + b"\r\n"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", MIB),
    ],
    ids=["endless", "a byte too many", "chunks", "redirect"],
)
def test_more_bytes_than_are_wanted_are_not_read(before: bytes, piece: bytes) -> None:
    limits = replace(_LIMITS, redirects=1)
    with (
        speaking(flood(before, piece)) as url,
        pytest.raises(TooLargeError, match="more than 1,000 bytes"),
    ):
        read_answer(make_request(url, {}), limits)


def test_an_answer_that_is_cut_short_is_none() -> None:
    with (
        speaking(lambda connection: connection.sendall(SIZED + b"x" * 150)) as url,
        pytest.raises(IncompleteRead) as raised,
    ):
        read_answer(make_request(url, {}), _LIMITS)

    assert word_fault(raised.value) == "50 bytes are missing"


def test_the_time_of_a_large_answer_grows_with_what_came() -> None:
    def speak(connection: socket.socket) -> None:
        connection.sendall(SIZED)
        for _ in range(4):
            connection.sendall(b"x" * 50)
            time.sleep(0.2)

    with speaking(speak) as url:
        with pytest.raises(OSError):  # noqa: PT011 - the time
            read_answer(make_request(url, {}), replace(_LIMITS, seconds=0.5))
        limits = replace(_LIMITS, seconds=0.5, least_bytes_per_second=10)
        _, body = read_answer(make_request(url, {}), limits)

    assert len(body) == 200


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_are_read_once_and_again_where_they_change(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = []

    def create() -> SimpleNamespace:
        made.append(SimpleNamespace(load_verify_locations=read.append))
        return made[-1]

    read: list[Path] = []
    monkeypatch.setattr("ssl.create_default_context", create)
    for each in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(each, raising=False)
    first, second = tmp_path / "first.pem", tmp_path / "second.pem"
    for path in (first, second):
        path.write_text("some", encoding="utf-8")

    def ask() -> None:
        with serving(lambda *_: (200, {}, b"there")) as service:
            assert read_answer(make_request(service.url, {}), _LIMITS)[1] == b"there"

    before = len(made)
    for path, text in ((first, "some"), (first, "others"), (second, "others")):
        monkeypatch.setenv(name, str(path))
        path.write_text(text, encoding="utf-8")
        ask()
        ask()

    assert len(made) - before == 3
    assert read == ([] if name == "SSL_CERT_FILE" else [first, first, second])


@contextmanager
def _leading(where: Callable[[str], str]) -> Iterator[Service]:
    """A server of which `/` leads to `where(its address)`, and all else is an answer."""
    with serving(
        lambda _method, path, _headers, _body: (
            (302, {"Location": where(service.url)}, b"") if path == "/" else (200, {}, b"there")
        )
    ) as service:
        yield service


def test_a_redirect_is_followed_so_often_and_no_oftener() -> None:
    with _leading(lambda url: f"{url}/") as service:
        for most in (0, 1, 3):
            asked = len(service.headers)
            with pytest.raises(urllib.error.HTTPError) as raised:
                read_answer(make_request(f"{service.url}/", {}), replace(_LIMITS, redirects=most))
            raised.value.close()
            assert len(service.headers) - asked == most + 1


def test_credentials_go_to_the_host_that_was_named_alone() -> None:
    secrets = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z", "Accept": "a/b"}
    with serving(lambda *_: (200, {}, b"there")) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        with _leading(lambda _: f"{elsewhere}/x") as service:
            _, body = read_answer(
                make_request(f"{service.url}/", secrets), replace(_LIMITS, redirects=1)
            )
        assert body == b"there"
        assert not {"Authorization", "X-Api-Key", "X-api-key", "Cookie"} & set(other.headers[0])
        assert other.headers[0]["Accept"] == "a/b"
    with _leading(lambda url: f"{url}/x") as service:
        read_answer(make_request(f"{service.url}/", secrets), replace(_LIMITS, redirects=1))
        assert service.headers[1]["Authorization"] == "Bearer x"


@pytest.mark.parametrize("where", ["ftp://127.0.0.1/x", "file:///etc/passwd", "javascript:1"])
def test_a_redirect_to_what_is_no_http_is_not_followed(where: str) -> None:
    with _leading(lambda _: where) as service, pytest.raises(urllib.error.HTTPError) as raised:
        read_answer(make_request(f"{service.url}/", {}), replace(_LIMITS, redirects=5))

    raised.value.close()


def test_a_redirect_out_of_tls_is_not_followed() -> None:
    from packager.system.http_client import _Redirects

    request = make_request("https://one.example/a", {})
    found = [
        _Redirects(5).redirect_request(
            request,
            BytesIO(),
            302,
            "",
            HTTPMessage(),
            where,
        )
        for where in ("http://one.example/a", "https://two.example/a")
    ]

    assert found[0] is None
    assert found[1] is not None


def test_a_login_of_an_address_is_sent_as_a_header() -> None:
    request = make_request("https://me:a%40b@osv.example/v1/query?x=1", {})

    assert request.full_url == "https://osv.example/v1/query?x=1"
    assert request.get_header("Authorization") == "Basic bWU6YUBi"


@pytest.mark.parametrize(
    "url", ["", "x", "file:///etc/passwd", "ftp://x/", "https://", "http://[x"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urllib's words too
        make_request(url, {})


def test_the_answer_of_a_connection_is_bound_too() -> None:
    with speaking(dribble(SIZED, b"x")) as url:
        connection = HTTPConnection("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))
        limit_connection(connection, _SHORT)
        connection.request("GET", "/")
        with pytest.raises(TimeoutError):
            connection.getresponse().read()
        connection.close()


def test_an_answer_is_read_in_its_block() -> None:
    with (
        serving(lambda *_: (200, {}, b"there")) as service,
        open_answer(make_request(service.url, {}), _LIMITS) as answer,
    ):
        assert (answer.read(2), answer.read()) == (b"th", b"ere")
