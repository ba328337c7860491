"""A container that web pages call: preflights, answers and refusals, and origins that are none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from handlers.container import make_app
from handlers.container_server.settings import ServiceSettings, TokenSettings
from tests.handlers import serving

PAGE = "https://app.example.com"
ADMIN = "https://admin.example.com:8443"
ALLOWED = "access-control-allow-origin"
TOKENS = TokenSettings(issuer="https://login.example.org/", audiences=("a",), keys="https://k/")


class _Model:
    def predict(self, data: Any, params: dict[str, Any] | None) -> list[float]:
        return [1.0] * len(data)


class _Unloadable:
    """Stands for a model that is never loaded: it fails whoever asks it."""

    def predict(self, data: Any, params: dict[str, Any] | None) -> list[float]:
        raise AssertionError("the model was asked")


async def _preflight(
    client: httpx.AsyncClient, origin: str, method: str = "POST", headers: str = "content-type"
) -> httpx.Response:
    asked = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }
    return await client.options("/invocations", headers=asked)


async def _post(client: httpx.AsyncClient, origin: str, body: bytes | None = None) -> Any:
    given: dict[str, Any] = {"json": serving.EXAMPLE} if body is None else {"content": body}
    headers = {"origin": origin, "content-type": "application/json"}
    return await client.post("/invocations", headers=headers, **given)


def test_a_preflight_is_answered_before_the_model_is_loaded_and_without_a_token(
    tmp_path: Path,
) -> None:
    made = serving.service(
        _Unloadable(), tmp_path, cors_origins=(PAGE, ADMIN), tokens=TOKENS
    )  # never started

    async def ask() -> list[httpx.Response]:
        async with serving.client(made, tmp_path) as client:
            return [
                await _preflight(client, each, headers="authorization,content-type")
                for each in (PAGE, ADMIN)
            ]

    answers = asyncio.run(ask())
    assert len(answers) == 2
    for origin, answer in zip((PAGE, ADMIN), answers):
        assert answer.status_code == 200
        assert answer.headers[ALLOWED] == origin
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        assert "authorization" in answer.headers["access-control-allow-headers"]
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("https://app.example.com.evil.org", "POST", "content-type"),
        ("https://evil.org", "POST", "content-type"),
        ("http://app.example.com", "POST", "content-type"),
        ("https://app.example.com:444", "POST", "content-type"),
        ("null", "POST", "content-type"),
        (PAGE, "DELETE", "content-type"),
        (PAGE, "POST", "x-forwarded-for"),
    ],
)
def test_what_is_not_allowed_is_refused(
    tmp_path: Path, origin: str, method: str, headers: str
) -> None:
    made = serving.service(_Model(), tmp_path, cors_origins=(PAGE,))

    answer = serving.run(made, tmp_path, lambda c: _preflight(c, origin, method, headers))

    assert answer.status_code == 400
    assert origin == PAGE or ALLOWED not in answer.headers


def test_answers_and_refusals_may_be_read_by_the_page(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await _post(client, PAGE),
            await _post(client, PAGE, b"{"),
            await _post(client, PAGE, b"x" * 300_000),
            await client.get("/nowhere", headers={"origin": PAGE}),
            await _post(client, "https://evil.org"),
        ]

    made = serving.service(_Model(), tmp_path, cors_origins=(PAGE, ADMIN))
    answers = serving.run(made, tmp_path, ask)

    assert [each.status_code for each in answers] == [200, 400, 413, 404, 200]
    assert [each.headers.get(ALLOWED) for each in answers] == [PAGE] * 4 + [None]
    assert all("Origin" in each.headers["vary"] for each in answers[:-1])


def test_a_page_may_read_that_its_token_was_refused(tmp_path: Path) -> None:
    made = serving.service(_Model(), tmp_path, cors_origins=(PAGE,), tokens=TOKENS)

    answer = serving.run(made, tmp_path, lambda client: _post(client, PAGE))

    assert (answer.status_code, answer.headers[ALLOWED]) == (401, PAGE)
    assert "www-authenticate" in answer.headers["access-control-expose-headers"]


def test_a_fault_of_the_server_may_be_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = serving.service(_Model(), tmp_path, cors_origins=(PAGE,))

    async def fail(*_: object) -> None:
        raise RuntimeError("a fault of the server")

    async def ask(_: httpx.AsyncClient) -> Any:
        monkeypatch.setattr(made, "invocations", fail)
        transport = httpx.ASGITransport(make_app(made, tmp_path), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await _post(client, PAGE)

    answer = serving.run(made, tmp_path, ask)

    assert (answer.status_code, answer.headers[ALLOWED]) == (500, PAGE)


def test_every_page_may_call_without_credentials(tmp_path: Path) -> None:
    made = serving.service(_Model(), tmp_path, cors_origins=("*",))

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await _preflight(client, "https://any.org"), await _post(client, "https://any.org")]

    for answer in serving.run(made, tmp_path, ask):
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, "*")
        assert "access-control-allow-credentials" not in answer.headers


def test_without_origins_nothing_is_allowed(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await _preflight(client, PAGE), await _post(client, PAGE)]

    preflight, answer = serving.run(serving.service(_Model(), tmp_path), tmp_path, ask)

    assert (preflight.status_code, answer.status_code) == (405, 200)
    assert not [name for each in (preflight, answer) for name in each.headers if "access-" in name]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (" , ", ()),
        ("*", ("*",)),
        (f"{PAGE}, {ADMIN}", (PAGE, ADMIN)),
        ("http://localhost:3000,http://[::1]:80", ("http://localhost:3000", "http://[::1]:80")),
    ],
)
def test_origins_are_read(text: str, found: tuple[str, ...]) -> None:
    assert ServiceSettings.read({"PACKAGER_CORS_ORIGINS": text}).cors_origins == found


@pytest.mark.parametrize(
    "text",
    [
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "app.example.com",
        "null",
        "https://*.example.com",
        "https://user@app.example.com",
        "https://app.example.com:port",
        "ftp://app.example.com",
        "https://a.example https://b.example",
        f"*,{PAGE}",
    ],
)
def test_what_is_no_origin_stops_the_server(text: str) -> None:
    with pytest.raises(ValueError, match="PACKAGER_CORS_ORIGINS must have"):
        ServiceSettings.read({"PACKAGER_CORS_ORIGINS": text})
