"""Keys that statements are signed with, and held to: PEM files, over securesystemslib.

The algorithm is the key's own, always. What an envelope says of itself chooses nothing.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from securesystemslib.signer import Key, Signer

PASSPHRASE_VARIABLE: Final = "PACKAGER_KEY_PASSPHRASE"  # noqa: S105 - a variable's name
_MOST_KEY: Final = 64 * 1024
_LEAST_RSA_BITS: Final = 2048
_ED25519_PREFIX: Final = bytes.fromhex("302a300506032b6570032100")
"""Of a SubjectPublicKeyInfo, by RFC 8410."""
_KINDS: Final = "RSA (2048 bits or more), ECDSA (P-256, P-384, P-521) and Ed25519"


def check_extra() -> None:
    """Raises ConfigurationError where the extra `sign` is not installed."""
    try:
        import securesystemslib.signer  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"Signatures need securesystemslib: `{name_install(extra='sign')}`."
        ) from error


def load_signer(path: Path) -> Signer:
    """The private key of a PEM file. Raises ConfigurationError for what cannot sign."""
    check_extra()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
    )
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415

    body = _read_key(path)
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        try:
            private = load_pem_private_key(body, None)
        except TypeError:  # it is encrypted
            if not passphrase:
                raise ConfigurationError(
                    f"{path} is encrypted. Set {PASSPHRASE_VARIABLE} to its passphrase."
                ) from None
            private = load_pem_private_key(body, os.fsencode(passphrase))
        signer: Signer = CryptoSigner(private)
    except UnsupportedAlgorithm as error:
        raise _refuse_kind(path) from error
    except ValueError as error:
        if b"BEGIN PUBLIC KEY" in body:
            raise ConfigurationError(
                f"{path} is a public key, which signs nothing. Name the private key."
            ) from error
        if b"BEGIN CERTIFICATE" in body:
            raise ConfigurationError(
                f"{path} is a certificate, which signs nothing. Name the private key."
            ) from error
        if b"ENCRYPTED" in body:
            raise ConfigurationError(
                f"{path} does not open with the passphrase in {PASSPHRASE_VARIABLE}."
            ) from error
        if str(error).startswith("unsupported"):
            raise _refuse_kind(path) from error
        raise ConfigurationError(
            f"{path} holds no private key in PEM. `openssl genpkey -algorithm ed25519 -out "
            "key.pem` makes one."
        ) from error
    _check_strength(path, private)
    return signer


def load_key(path: Path) -> Key:
    """The public key of a PEM file. Raises ConfigurationError."""
    check_extra()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - an extra

    body = _read_key(path)
    if b"PRIVATE KEY" in body:
        raise ConfigurationError(
            f"{path} is a private key. Signatures are checked by the public one: "
            f"openssl pkey -in {path.name} -pubout."
        )
    if b"BEGIN CERTIFICATE" in body:
        raise ConfigurationError(
            f"{path} is a certificate, whose validity is not checked here. Name its public key: "
            f"openssl x509 -in {path.name} -pubkey -noout."
        )
    try:
        key = parse_key(body)
    except UnsupportedAlgorithm as error:
        raise _refuse_kind(path) from error
    except ValueError as error:
        if str(error).startswith("unsupported"):
            raise _refuse_kind(path) from error
        raise ConfigurationError(
            f"{path} holds no public key in PEM. `openssl pkey -in key.pem -pubout` writes a "
            "private key's public half."
        ) from error
    if key.keytype == "rsa":
        _check_strength(path, _parse_public(body))
    return key


def parse_key(body: bytes) -> Key:
    """The public key in a PEM text. Raises ValueError or UnsupportedAlgorithm."""
    from securesystemslib.signer import SSlibKey  # noqa: PLC0415 - an extra

    key: Key = SSlibKey.from_crypto(_parse_public(body))
    return key


def write_key(key: Key) -> str:
    """The base64 of the key's DER: its PEM without the first and the last line."""
    text = str(key.keyval["public"])
    if key.keytype == "ed25519":  # which securesystemslib keeps as the 32 bytes in hexadecimal
        return base64.b64encode(_ED25519_PREFIX + bytes.fromhex(text)).decode()
    return "".join(line for line in text.splitlines() if not line.startswith("-----"))


def _parse_public(body: bytes) -> PublicKeyTypes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - an extra
        load_pem_public_key,
    )

    return load_pem_public_key(body)


def _read_key(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(_MOST_KEY + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"The key {path} cannot be read: {why}.") from error
    if len(body) > _MOST_KEY:
        raise ConfigurationError(f"{path} has more than {_MOST_KEY:,} bytes, which no key has.")
    return body


def _refuse_kind(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} holds a key of another kind than {_KINDS}.")


def _check_strength(path: Path, key: object) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - an extra

    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        raise ConfigurationError(
            f"{path} holds an RSA key of {key.key_size} bits, which can be broken. Take one of "
            f"{_LEAST_RSA_BITS} bits or more."
        )
