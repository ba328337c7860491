"""`packager sign --key azurekms://...`, against a stand-in of Azure Key Vault over TLS.

The SDK is Azure's own, with the challenge of a vault and the token of a managed identity:
https://learn.microsoft.com/en-us/rest/api/keyvault/keys/sign/sign.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from packager.environments.machine.installation import name_install
from tests.attestations import FILE, make_key, read_lines
from tests.unit.commands.artifact.test_attestations import run
from tests.unit.commands.artifact.test_integrity import _build

VERSION = "a" * 32
HOST = "churn.vault.stand-in"
CURVES: dict[str, tuple[ec.EllipticCurve, str]] = {
    "P-256": (ec.SECP256R1(), "ES256"),
    "P-384": (ec.SECP384R1(), "ES384"),
    "P-521": (ec.SECP521R1(), "ES512"),
}
HASHES = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}
Answer = tuple[int, dict[str, Any], dict[str, str]]


def _url(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def _number(value: int, curve: ec.EllipticCurve) -> bytes:
    return value.to_bytes((curve.key_size + 7) // 8, "big")


@dataclass
class Vault:
    """Keys of one vault, by their curve's name in lower case."""

    port: int = 0
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    operations: list[str] = field(default_factory=lambda: ["sign", "verify"])
    asked: list[str] = field(default_factory=list)
    spoil: bool = False

    @property
    def address(self) -> str:
        return f"azurekms://{HOST}:{self.port}/keys"

    def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        self.asked.append(f"{method} {path.partition('?')[0]}")
        if path.startswith("/token"):
            return 200, {"access_token": "t", "expires_on": "4102444800", "token_type": "B"}, {}
        if token != "Bearer t":
            where = f'authorization="https://login/tenant", resource="https://stand-in:{self.port}"'
            return 401, {}, {"WWW-Authenticate": f"Bearer {where}"}
        _, _, name, *rest = path.partition("?")[0].split("/")
        if name == "rsa":
            told = {"kty": "RSA", "n": _url(b"\1" * 256), "e": "AQAB"}
            return 200, self._describe(name, told), {}
        if name not in self.keys:
            return 404, {"error": {"code": "KeyNotFound", "message": f"{name} was not found"}}, {}
        if rest[1:] == ["sign"]:
            return 200, self._sign(name, json.loads(body)), {}
        numbers = self.keys[name].public_key().public_numbers()
        x, y = (_url(_number(each, numbers.curve)) for each in (numbers.x, numbers.y))
        told = {"kty": "EC", "crv": name.upper(), "x": x, "y": y}
        return 200, self._describe(name, told), {}

    def _describe(self, name: str, told: dict[str, str]) -> dict[str, Any]:
        kid = f"https://{HOST}:{self.port}/keys/{name}/{VERSION}"
        return {"key": {"kid": kid, "key_ops": self.operations, **told}, "attributes": {}}

    def _sign(self, name: str, asked: dict[str, str]) -> dict[str, str]:
        key, kind = self.keys[name], HASHES[asked["alg"]]
        digest = base64.urlsafe_b64decode(asked["value"] + "==")
        made = key.sign(b"\0" * len(digest) if self.spoil else digest, ec.ECDSA(Prehashed(kind)))
        raw = b"".join(_number(each, key.curve) for each in decode_dss_signature(made))
        return {"kid": f"https://{HOST}:{self.port}/keys/{name}/{VERSION}", "value": _url(raw)}


def _make_certificate(folder: Path) -> tuple[Path, Path]:
    private, _ = make_key(folder, "p256")
    key = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return private, path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return _make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def vault(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    found = Vault(
        keys={name.lower(): ec.generate_private_key(one) for name, (one, _) in CURVES.items()}
    )

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "")
            status, told, headers = found.answer(self.command, self.path, token, body)
            content = json.dumps(told).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    servers[0].socket = context.wrap_socket(servers[0].socket, server_side=True)
    for server in servers:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    found.port = servers[0].server_port
    find = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: find("127.0.0.1" if host == HOST else host, *rest, **more),
    )
    for name in ("CLIENT_ID", "TENANT_ID", "CLIENT_SECRET", "FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(f"AZURE_{name}", raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{servers[1].server_port}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[1]))
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


@pytest.mark.few(1)
@pytest.mark.parametrize("curve", CURVES)
def test_what_a_vault_signed_verifies_by_it_and_by_the_public_key_s_file(
    curve: str, vault: Vault, artifact: Path, tmp_path: Path
) -> None:
    key = f"{vault.address}/{curve.lower()}"
    public = tmp_path / "vault.pub"
    public.write_bytes(
        vault.keys[curve.lower()]
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    assert run("sign", artifact, "--key", key) == (0, "")
    for each in (key, f"{key}/{VERSION}", public):
        assert run("verify", artifact, "--key", each, "--require-equivalence", "0") == (0, "")
    _, other = make_key(tmp_path)
    assert run("verify", artifact, "--key", other)[0] == 14
    assert f"POST /keys/{curve.lower()}/{VERSION}/sign" in vault.asked


def test_signing_again_by_a_vault_replaces_its_statements(vault: Vault, artifact: Path) -> None:
    for _ in range(2):
        assert run("sign", artifact, "--key", f"{vault.address}/p-256") == (0, "")
    assert len(read_lines(artifact)) == 2


def test_a_signature_that_does_not_hold_is_not_written(vault: Vault, artifact: Path) -> None:
    vault.spoil = True
    code, said = run("sign", artifact, "--key", f"{vault.address}/p-256")
    assert code == 14
    assert "does not verify by the key's own public half" in said
    assert not (artifact / FILE).exists()


def test_a_key_that_is_not_there_is_named(vault: Vault, artifact: Path) -> None:
    for command in ("sign", "verify"):
        code, said = run(command, artifact, "--key", f"{vault.address}/gone")
        assert code == 11
        assert "gone was not found" in said
    assert not (artifact / FILE).exists()


def test_a_key_of_another_kind_is_named(vault: Vault, artifact: Path) -> None:
    code, said = run("sign", artifact, "--key", f"{vault.address}/rsa")
    assert code == 2
    assert "by no algorithm that is known here (RSA" in said


def test_a_key_that_may_not_sign_is_named(vault: Vault, artifact: Path) -> None:
    vault.operations = ["encrypt"]
    code, said = run("sign", artifact, "--key", f"{vault.address}/p-256")
    assert code == 2
    assert "is for no signatures" in said


def test_no_login_is_told(vault: Vault, artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    code, said = run("sign", artifact, "--key", f"{vault.address}/p-256")
    assert code == 11
    assert "Check the address, your login" in said


@pytest.mark.parametrize(
    "key", ["azurekms:", "azurekms:churn", "azurekms://x/secrets/y", "azurekms://a@b/keys/c"]
)
def test_an_address_that_names_no_key_is_refused(key: str, artifact: Path) -> None:
    for command in ("sign", "verify"):
        code, said = run(command, artifact, "--key", key)
        assert code == 2
        assert "names no key of Azure Key Vault" in said


def test_without_the_extra_the_command_says_what_to_install(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "azure.keyvault.keys", None)

    code, said = run("sign", artifact, "--key", f"azurekms://{HOST}/keys/churn")
    assert code == 2
    assert name_install(extra="azure-keys") in said
