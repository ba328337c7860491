"""Keys, an artifact that is signed, and the published schema of model equivalence."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

FILE: Final = "attestations.intoto.jsonl"
SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "docs" / "model-equivalence.schema.json").read_text(
        encoding="utf-8"
    )
)
KINDS: Final[dict[str, Callable[[], Any]]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - to be refused
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "x25519": x25519.X25519PrivateKey.generate,
    "dsa": lambda: dsa.generate_private_key(2048),
}


def make_key(folder: Path, kind: str = "ed25519", passphrase: str = "") -> tuple[Path, Path]:
    """(the private key's file, the public key's)."""
    private = KINDS[kind]()
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    one, other = folder / f"{kind}.pem", folder / f"{kind}.pub"
    one.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
    other.write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return one, other


def read_lines(artifact: Path) -> list[dict[str, Any]]:
    return [json.loads(each) for each in (artifact / FILE).read_text().splitlines()]


def read_statements(artifact: Path) -> list[dict[str, Any]]:
    return [json.loads(base64.b64decode(each["payload"])) for each in read_lines(artifact)]


def write_lines(artifact: Path, lines: list[dict[str, Any]]) -> None:
    (artifact / FILE).write_text("".join(json.dumps(each) + "\n" for each in lines))
