"""A container that asks for tokens: of its issuer, for it, in time, by a key that is published."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from handlers import container
from handlers.container_server.settings import ServiceSettings, TokenSettings
from handlers.http import bearer_tokens
from handlers.http.asgi import run_in_thread
from tests.handlers import serving
from tests.hostile_server import SIZED, dribble, speaking

ISSUER = "https://login.example.org/"
AUDIENCE = "churn"
KEYS = "https://login.example.org/keys"
SETTINGS = TokenSettings(issuer=ISSUER, audiences=(AUDIENCE, "other"), keys=KEYS)
VARIABLES = {
    "PACKAGER_AUTH": "jwt",
    "PACKAGER_JWT_ISSUER": ISSUER,
    "PACKAGER_JWT_AUDIENCE": AUDIENCE,
    "PACKAGER_JWT_KEYS": KEYS,
}
NOT_VALID = 'Bearer error="invalid_token", error_description="The token is not valid here"'


@lru_cache(maxsize=None)
def _private(name: str) -> Any:
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(name: str, **more: str) -> Mapping[str, Any]:
    algorithms = jwt.algorithms
    kind = algorithms.ECAlgorithm if name.startswith("ec") else algorithms.RSAAlgorithm
    return {**kind.to_jwk(_private(name).public_key(), as_dict=True), "kid": name, **more}


def _encode(payload: Mapping[str, Any], key: Any, algorithm: str, **more: Any) -> str:
    made: str = jwt.encode(dict(payload), key, algorithm, **more)
    return made


def _make_token(
    name: str = "first",
    algorithm: str = "RS256",
    head: Mapping[str, Any] | None = None,
    key: Any = None,
    **claims: Any,
) -> str:
    now = time.time()
    given = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "sub": "secret subject", **claims}
    payload = {key: value for key, value in given.items() if value is not None}
    return _encode(
        payload, key or _private(name), algorithm, headers={"kid": name} if head is None else head
    )


@dataclass
class _Issuer:
    keys: list[Mapping[str, Any]] = field(default_factory=lambda: [_public("first")])
    asked: int = 0
    error: Exception | None = None

    def read(self, address: str) -> list[Mapping[str, Any]]:
        assert address == KEYS
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.keys


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> _Issuer:
    made = _Issuer()
    monkeypatch.setattr(bearer_tokens, "read_keys", made.read)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made = _Clock()
    monkeypatch.setattr(bearer_tokens, "time", made)
    return made


class _Constant:
    def predict(self, data: Any, params: dict[str, Any] | None) -> list[float]:
        return [1.0] * len(data)


def _ask(folder: Path, ask: Callable[[httpx.AsyncClient], Awaitable[Any]], **changes: Any) -> Any:
    settings = TokenSettings(**{**SETTINGS.__dict__, **changes})
    return serving.run(serving.service(_Constant(), folder, tokens=settings), folder, ask)


async def _post(client: httpx.AsyncClient, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return await client.post("/invocations", json=serving.EXAMPLE, headers=headers)


def _post_once(folder: Path, token: str | None, **changes: Any) -> httpx.Response:
    found: httpx.Response = _ask(folder, lambda client: _post(client, token), **changes)
    return found


def test_a_valid_token_is_answered(issuer: _Issuer, tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [await _post(client, _make_token(aud=aud)) for aud in (AUDIENCE, ["x", "other"])]

    answers = _ask(tmp_path, ask)

    assert [each.status_code for each in answers] == [200, 200]
    assert answers[0].json() == {"predictions": [1.0, 1.0]}
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: _make_token(iss="https://login.example.org.evil/"),
        lambda: _make_token(iss=None),
        lambda: _make_token(iss=ISSUER.rstrip("/")),
        lambda: _make_token(iss=ISSUER.upper()),
        lambda: _make_token(aud=["x", "y"]),
        lambda: _make_token(aud=[]),
        lambda: _make_token(aud="CHURN"),
        lambda: _make_token(exp="soon"),
        lambda: _make_token(head={"kid": "first", "crit": ["b64"], "b64": True}),
        lambda: _make_token("second", head={"kid": "first", "jwk": dict(_public("second"))}),
        lambda: _make_token("second", head={"kid": "first", "jku": "https://evil.org/keys"}),
        lambda: _make_token("second", head={"kid": "../../keys"}),
        lambda: _make_token(aud="churn2"),
        lambda: _make_token(aud=None),
        lambda: _make_token(exp=None),
        lambda: _make_token(nbf=time.time() + 3600),
        lambda: _make_token("second"),
        lambda: _make_token("second", head={"kid": "first"}),
        lambda: _make_token("ec", "ES256"),
        lambda: _make_token(algorithm="RS512"),
        lambda: _make_token(algorithm="HS256", key="k" * 64),
        lambda: jwt.encode(
            {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 300}, None, "none"
        ),
        lambda: _make_token()[:-8] + "AAAAAAAA",
        lambda: "x",
        lambda: "a.b.c",
        lambda: "..",
        lambda: "x" * 20_000,
    ],
    ids=[
        *("another issuer", "no issuer", "an issuer without its slash", "an issuer in capitals"),
        *("other audiences", "no audience in the list"),
        *("an audience in capitals", "an end that is no time", "a header that must be known"),
        *("a key of its own", "an address of its own", "a path for a name"),
        *("another audience", "no audience", "no end"),
        *("not yet", "an unknown key", "a wrong key by a known name", "another kind of key"),
        *("an algorithm that is not set", "a shared secret", "no signature", "a wrong signature"),
        *("no token", "no parts", "empty parts", "too long"),
    ],
)
def test_what_is_no_token_of_the_issuer_for_us_is_refused(
    issuer: _Issuer, tmp_path: Path, make: Callable[[], str]
) -> None:
    # what was made where tests are collected has expired before the last of them run
    answer = _post_once(tmp_path, make())

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == NOT_VALID
    assert answer.json() == {
        "error_code": "UNAUTHENTICATED",
        "message": "The token is not valid here.",
    }
    for word in (ISSUER, AUDIENCE, "RS256", "secret subject", "login"):
        assert word not in answer.text + str(answer.headers)


def test_the_public_key_is_no_shared_secret(issuer: _Issuer, tmp_path: Path) -> None:
    """The well-known attack: whoever reads the key signs with it, as if it were a secret."""
    pem = (
        _private("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in (
            {"alg": "HS256", "kid": "first"},
            {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 300},
        )
    ]
    signed = hmac.new(pem, b".".join(parts), hashlib.sha256).digest()
    token = b".".join([*parts, base64.urlsafe_b64encode(signed).rstrip(b"=")]).decode()

    assert _post_once(tmp_path, token).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic abc"},
        [("authorization", "Bearer VALID"), ("authorization", "Bearer x")],
    ],
)
def test_a_request_without_one_token_is_told_to_bring_one(
    issuer: _Issuer, tmp_path: Path, headers: Any
) -> None:
    if isinstance(headers, list):
        headers = [(name, value.replace("VALID", _make_token())) for name, value in headers]
    answer = _ask(tmp_path, lambda client: client.post("/invocations", json={}, headers=headers))

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert issuer.asked == 0


@pytest.mark.parametrize(("late", "leeway", "status"), [(30, 60, 200), (90, 60, 401), (1, 0, 401)])
def test_clocks_may_differ_by_the_leeway(
    issuer: _Issuer, tmp_path: Path, late: int, leeway: int, status: int
) -> None:
    answer = _post_once(tmp_path, _make_token(exp=time.time() - late), leeway_seconds=leeway)

    assert answer.status_code == status
    if status == 401:
        assert "The token has expired" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 200),
        ("GET", "/health", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/version", 401),
        ("GET", "/metrics", 401),
        ("GET", "/docs", 401),
        ("GET", "/openapi.json", 401),
        ("GET", "/v2", 401),
        ("POST", "/events", 401),
        ("POST", "/v2/models/churn/infer", 401),
        ("POST", "/invocations/", 401),
        ("POST", "//invocations", 401),
        ("GET", "/ping/../metrics", 401),
        ("GET", "/nowhere", 401),
    ],
)
def test_probes_need_no_token_and_all_else_does(
    issuer: _Issuer, tmp_path: Path, method: str, path: str, status: int
) -> None:
    answer = _ask(tmp_path, lambda client: client.request(method, f"http://server{path}"))

    assert answer.status_code == status


def test_a_key_that_comes_later_is_read_and_unknown_ones_make_no_traffic(
    issuer: _Issuer, clock: _Clock, tmp_path: Path
) -> None:
    async def ask(client: httpx.AsyncClient) -> list[tuple[int, int]]:
        seen = []

        async def post(name: str) -> None:
            seen.append(((await _post(client, _make_token(name))).status_code, issuer.asked))

        await post("first")
        await post("second")
        clock.now += 31
        issuer.keys = [_public("first"), _public("second")]
        for _ in range(3):
            await post("second")
        for _ in range(3):
            await post("unknown 0")
        clock.now += 31
        await post("unknown 0")
        await post("unknown 0")
        return seen

    assert _ask(tmp_path, ask) == [
        (200, 1),
        (401, 1),
        *[(200, 2)] * 3,
        *[(401, 2)] * 3,
        *[(401, 3)] * 2,
    ]


def test_a_key_that_was_withdrawn_is_not_taken_after_an_hour(
    issuer: _Issuer, clock: _Clock, tmp_path: Path
) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        seen = [(await _post(client, _make_token())).status_code]
        issuer.keys = [_public("second")]
        clock.now += 3601
        return [*seen, (await _post(client, _make_token())).status_code]

    assert _ask(tmp_path, ask) == [200, 401]


def test_keys_are_kept_for_a_day_where_the_issuer_is_silent(
    issuer: _Issuer, clock: _Clock, tmp_path: Path
) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        seen = [(await _post(client, _make_token())).status_code]
        issuer.error = OSError("no route")
        for seconds in (7200, 70_000, 10_000):
            clock.now += seconds
            seen.append((await _post(client, _make_token())).status_code)
        return seen

    assert _ask(tmp_path, ask) == [200, 200, 200, 503]


@pytest.mark.parametrize("error", [OSError("no route"), ValueError("no JSON")])
def test_without_keys_nothing_is_said_of_a_token(
    issuer: _Issuer, clock: _Clock, tmp_path: Path, error: Exception
) -> None:
    issuer.error = error

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        made = [await _post(client, _make_token()), await _post(client, _make_token())]
        issuer.error = None
        clock.now += 31
        return [*made, await _post(client, _make_token())]

    first, second, third = _ask(tmp_path, ask)

    assert [each.status_code for each in (first, second, third)] == [503, 503, 200]
    assert first.headers["retry-after"] == "30"
    assert "no " not in first.text
    assert issuer.asked == 2


@pytest.mark.parametrize(
    ("name", "algorithm", "more"), [("ec", "ES256", {}), ("first", "PS256", {"alg": "PS256"})]
)
def test_other_algorithms_are_the_deployers_choice(
    issuer: _Issuer, tmp_path: Path, name: str, algorithm: str, more: dict[str, str]
) -> None:
    issuer.keys = [_public(name, **more)]

    answer = _post_once(tmp_path, _make_token(name, algorithm), algorithms=("RS256", algorithm))

    assert answer.status_code == 200


def test_a_key_is_for_its_own_algorithm(issuer: _Issuer, tmp_path: Path) -> None:
    issuer.keys = [_public("first", alg="RS256")]

    token = _make_token(algorithm="PS256")
    assert _post_once(tmp_path, token, algorithms=("RS256", "PS256")).status_code == 401


def test_a_refused_token_is_counted_and_its_body_not_read(issuer: _Issuer, tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient) -> str:
        async def body() -> Any:
            yield b"{}"
            pytest.fail("the body was read on")

        await client.post("/invocations", content=body(), headers={"authorization": "Bearer x"})
        headers = {"authorization": f"Bearer {_make_token()}"}
        return (await client.get("/metrics", headers=headers)).text

    text = _ask(tmp_path, ask)
    assert 'requests_total{route="token",status="401"} 1.0' in text
    # what anybody may send is none of the latencies that alerts and scaling go by
    assert [
        line for line in text.splitlines() if "token" in line and "request_seconds" in line
    ] == []


def test_settings_are_read() -> None:
    more = {
        "PACKAGER_JWT_AUDIENCE": "churn, other",
        "PACKAGER_JWT_ALGORITHMS": "ES256, RS256",
        "PACKAGER_JWT_LEEWAY_SECONDS": "5",
    }

    assert ServiceSettings.read({}).tokens is None
    assert ServiceSettings.read(VARIABLES).tokens == TokenSettings(
        issuer=ISSUER, audiences=(AUDIENCE,), keys=KEYS
    )
    assert ServiceSettings.read({**VARIABLES, **more}).tokens == TokenSettings(
        issuer=ISSUER,
        audiences=("churn", "other"),
        keys=KEYS,
        algorithms=("ES256", "RS256"),
        leeway_seconds=5.0,
    )


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PACKAGER_AUTH", "jtw", "none, jwt, and it is 'jtw'. Did you mean"),
        ("PACKAGER_JWT_ISSUER", "", "needs PACKAGER_JWT_ISSUER"),
        ("PACKAGER_JWT_AUDIENCE", " ", "needs PACKAGER_JWT_AUDIENCE"),
        ("PACKAGER_JWT_AUDIENCE", ",", "needs PACKAGER_JWT_AUDIENCE"),
        ("PACKAGER_JWT_KEYS", "", "needs PACKAGER_JWT_KEYS"),
        ("PACKAGER_JWT_KEYS", "http://login.example.org/keys", "begins with https://"),
        ("PACKAGER_JWT_KEYS", "file:///etc/passwd", "begins with https://"),
        ("PACKAGER_JWT_KEYS", "https://[", "begins with https://"),
        ("PACKAGER_JWT_ALGORITHMS", "HS256", "must be of RS256"),
        ("PACKAGER_JWT_ALGORITHMS", "RS256,none", "it has 'none'"),
        ("PACKAGER_JWT_LEEWAY_SECONDS", "301", "must be 0 to 300"),
        ("PACKAGER_JWT_LEEWAY_SECONDS", "-1", "at least 0"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_server(variable: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("[", r"\[")) as raised:
        ServiceSettings.read({**VARIABLES, variable: value})

    assert variable in str(raised.value)


def test_an_image_that_checks_no_tokens_does_not_serve_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "handlers.http.bearer_tokens", None)
    service = serving.service(_Constant(), tmp_path, tokens=SETTINGS)

    with pytest.raises(ValueError, match="Build the artifact with --auth jwt"):
        container.make_app(service, tmp_path)


def test_a_server_without_tokens_imports_nothing_of_them() -> None:
    asked = "import sys, handlers.container; print({'jwt', 'cryptography'} & {*sys.modules})"

    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


@contextmanager
def _publishing(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/keys"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_keys_are_read_that_sign() -> None:
    keys = [
        _public("first", use="sig"),
        _public("second", use="enc"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"},
        {"kid": "of another kind"},
        {"kty": ["RSA"], "kid": "of an odd kind"},
        {"kty": "RSA", "use": ["sig"], "kid": "for an odd use"},
        "no entry",
        1,
        _public("ec"),
    ]
    with _publishing(json.dumps({"keys": keys}).encode()) as address:
        found = bearer_tokens.read_keys(address)

    assert [each["kid"] for each in found] == ["first", "ec"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"{}", 200),
        (b"[]", 200),
        (b'{"keys": {"kty": "RSA"}}', 200),
        (b'{"keys": "RSA"}', 200),
        (b"[" * 100_000, 200),
        (b"x" * 1_000_001, 200),
        (b"", 302),
        (b"", 404),
    ],
)
def test_what_has_no_keys_is_refused(body: bytes, status: int) -> None:
    with _publishing(body, status) as address, pytest.raises((OSError, ValueError)):
        bearer_tokens.read_keys(address)


def test_a_refusal_s_connection_is_closed() -> None:
    with _publishing(b"no such page", 404) as address, pytest.raises(HTTPError) as refused:
        bearer_tokens.read_keys(address)
    assert refused.value.closed


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200,
        b"",
    ],
    ids=["no HTTP", "a body cut short", "chunks cut short", "too many headers", "nothing"],
)
def test_who_does_not_answer_as_http_does_has_no_keys(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            found, _ = server.accept()
            with found:
                found.recv(4096)
                found.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises((OSError, ValueError)):
            bearer_tokens.read_keys(f"http://127.0.0.1:{server.getsockname()[1]}/keys")
        thread.join()


@pytest.mark.parametrize("named", [ISSUER[:-1], "https", "", ISSUER + "x"])
def test_the_issuer_is_compared_whatever_the_library_does(
    issuer: _Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """As PyJWT 2.10.0, which takes each part of the issuer's address."""
    decode = jwt.decode

    def decode_laxly(token: str, key: Any, **given: Any) -> Any:
        return decode(token, key, **{**given, "issuer": None})

    monkeypatch.setattr(jwt, "decode", decode_laxly)

    assert _post_once(tmp_path, _make_token(iss=named)).status_code == 401
    assert _post_once(tmp_path, _make_token()).status_code == 200


@dataclass
class _Silent:
    """An issuer that answers its first question, and others once it is told to."""

    go_on: Event = field(default_factory=Event)
    is_asked: Event = field(default_factory=Event)
    asked: int = 0

    def read(self, _: str) -> list[Mapping[str, Any]]:
        self.asked += 1
        if self.asked > 1:
            self.is_asked.set()
            assert self.go_on.wait(10)
        return [_public("first"), *([_public("second")] if self.asked > 1 else [])]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Silent]:
    made = _Silent()
    monkeypatch.setattr(bearer_tokens, "read_keys", made.read)
    yield made
    made.go_on.set()


@pytest.mark.parametrize("seconds", [31, 3601], ids=["fresh keys", "old keys"])
def test_an_unknown_key_holds_up_nobody_else(
    silent: _Silent, clock: _Clock, tmp_path: Path, seconds: int
) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        seen = [(await _post(client, _make_token())).status_code]
        clock.now += seconds
        unknown = asyncio.create_task(_post(client, _make_token("second")))
        assert await run_in_thread(silent.is_asked.wait, 2)
        known = [_post(client, _make_token()), _post(client, _make_token())]
        seen += [each.status_code for each in await asyncio.wait_for(asyncio.gather(*known), 2)]
        assert not unknown.done()
        silent.go_on.set()
        return [*seen, (await unknown).status_code]

    assert _ask(tmp_path, ask) == [200, 200, 200, 200]


def test_a_slow_issuer_is_waited_for_in_all_and_asked_once(
    silent: _Silent, clock: _Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(client: httpx.AsyncClient) -> list[int]:
        seen = [(await _post(client, _make_token())).status_code]
        with monkeypatch.context() as impatient:
            impatient.setattr(bearer_tokens, "_WAIT_SECONDS", 0.05)
            for _ in range(2):
                clock.now += 3601
                seen.append((await _post(client, _make_token())).status_code)
                assert await run_in_thread(silent.is_asked.wait, 10)
        assert silent.asked == 2
        silent.go_on.set()
        clock.now += 31
        seen.append((await _post(client, _make_token("second"))).status_code)
        assert silent.asked == 2
        return seen

    assert _ask(tmp_path, ask) == [200, 200, 200, 200]


@pytest.mark.parametrize("piece", [b"x", b" "])
def test_a_reading_of_keys_ends_though_a_byte_comes_now_and_then(
    monkeypatch: pytest.MonkeyPatch, piece: bytes
) -> None:
    monkeypatch.setattr(bearer_tokens, "_READING_SECONDS", 0.2)

    with speaking(dribble(SIZED, piece)) as url, pytest.raises(TimeoutError):
        bearer_tokens.read_keys(url)


@pytest.mark.parametrize(
    "path",
    [
        *("/invocations?access_token={}", "/invocations?authorization=Bearer%20{}"),
        "/invocations?jwt={}",
    ],
)
def test_a_token_in_an_address_is_none(issuer: _Issuer, tmp_path: Path, path: str) -> None:
    """Addresses are logged and shared: RFC 6750, section 2.3, advises against them."""

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(path.format(_make_token()), json=serving.EXAMPLE)

    answer = _ask(tmp_path, ask)

    assert (answer.status_code, issuer.asked) == (401, 0)
