"""Keys that lie in Azure Key Vault: it signs digests, and tells the public half.

Signing is securesystemslib's. Its own import of a key knows the vaults of one cloud alone, and no
version of a key, so that the public half is read here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.keys import check_extra, parse_key
from packager.environments.machine.installation import name_install
from packager.errors import CloudError, ConfigurationError

if TYPE_CHECKING:
    from azure.keyvault.keys import JsonWebKey
    from securesystemslib.signer import Key, Signer

SCHEME: Final = "azurekms:"
_ADDRESS: Final = re.compile(
    r"azurekms://(?P<vault>[A-Za-z0-9.-]+(?::\d{1,5})?)"
    r"/keys/(?P<name>[A-Za-z0-9-]{1,127})(?:/(?P<version>[A-Za-z0-9]{1,64}))?"
)
_ANOTHER: Final = "Make an EC key on the curve P-256, P-384 or P-521, which may sign."
_SHOWN: Final = 300


def open_vault_signer(key: str) -> Signer:
    public, address = _read_vault(key)
    from securesystemslib.signer import AzureSigner  # noqa: PLC0415 - an extra

    signer: Signer = AzureSigner(address, public)
    return signer


def import_vault_key(key: str) -> Key:
    """The public half of `azurekms://VAULT/keys/NAME`. Raises as `explain_vault` says."""
    return _read_vault(key)[0]


@contextmanager
def explain_vault(key: str) -> Iterator[None]:
    """ConfigurationError for a key that cannot sign, CloudError for what Azure refuses."""
    check_extra()
    try:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - an extra
        from azure.identity import DefaultAzureCredential  # noqa: F401, PLC0415
        from azure.keyvault.keys import KeyClient  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "Asking Azure Key Vault needs azure-identity and azure-keyvault-keys: "
            f"`{name_install(extra='azure-keys')}`."
        ) from error
    # it warns of each way to a login that there is not, before its error says so
    logging.getLogger("azure").addHandler(logging.NullHandler())
    try:
        yield
    except AzureError as error:
        told = " ".join(str(error).split())
        raise CloudError(
            f"Azure Key Vault did not do what it was asked with {key}: {told[:_SHOWN]}\n"
            "Check the address, your login (az login, a managed identity, or AZURE_CLIENT_ID), and "
            "the role: `Key Vault Crypto User` signs and reads keys."
        ) from error


def _read_vault(key: str) -> tuple[Key, str]:
    """(the public half, the address of its version). What the vault tells is checked."""
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
    from azure.keyvault.keys import KeyClient  # noqa: PLC0415

    if (given := _ADDRESS.fullmatch(key)) is None:
        raise ConfigurationError(
            f"--key {key!r} names no key of Azure Key Vault. Give its address with the scheme "
            "azurekms: azurekms://VAULT.vault.azure.net/keys/NAME, and /VERSION where you mean one."
        )
    with (
        DefaultAzureCredential() as credential,
        KeyClient(vault_url=f"https://{given['vault']}", credential=credential) as client,
    ):
        found = client.get_key(given["name"], given["version"])
    if not found.id or "sign" not in (found.key_operations or ()):
        raise ConfigurationError(f"The key {key} is for no signatures. {_ANOTHER}")
    return _make_key(key, found.key), found.id


def _make_key(key: str, told: JsonWebKey) -> Key:
    """Raises ConfigurationError for another kind of key than securesystemslib signs with."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
    )

    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    kind, name = _read_field(told, "kty"), _read_field(told, "crv")
    if (curve := curves.get(name)) is None:
        raise ConfigurationError(
            f"The key {key} signs by no algorithm that is known here ({kind} {name}). {_ANOTHER}"
        )
    try:
        x, y = (int.from_bytes(getattr(told, each), "big") for each in ("x", "y"))
        public = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except (TypeError, ValueError) as error:
        raise CloudError(
            f"What Azure Key Vault tells of {key} is no public key ({error}). Check the address."
        ) from error
    return parse_key(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _read_field(told: JsonWebKey, name: str) -> str:
    """A name out of an enum of the SDK, or the text that it does not know."""
    value = getattr(told, name, None)
    return str(getattr(value, "value", value) or "")
