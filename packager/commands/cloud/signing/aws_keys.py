"""Keys that lie in AWS KMS: it signs digests, and tells the public half, over securesystemslib."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.keys import check_extra, parse_key
from packager.commands.cloud.stacks import explain_sdk_errors
from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

SCHEME: Final = "awskms:"
_ANOTHER: Final = "Make one for SIGN_VERIFY with ECC_NIST_P256 or RSA_2048."


def open_kms_signer(key: str) -> Signer:
    public = import_kms_key(key)
    from securesystemslib.signer import AWSSigner  # noqa: PLC0415 - an extra

    signer: Signer = AWSSigner(key.removeprefix(SCHEME), public)
    return signer


def import_kms_key(key: str) -> Key:
    """The public half of `awskms:ID`. Raises ConfigurationError for a key that cannot sign."""
    check_extra()
    from securesystemslib.exceptions import UnsupportedAlgorithmError  # noqa: PLC0415 - an extra
    from securesystemslib.signer import AWSSigner  # noqa: PLC0415

    if not (name := key.removeprefix(SCHEME)):
        raise ConfigurationError(
            "--key awskms: names no key. Give a key's id, its ARN, or an alias: "
            "awskms:alias/releases."
        )
    try:
        found: Key = AWSSigner.import_(name)[1]
        # a curve of another kind is told by the same algorithm's name
        if parse_key(found.keyval["public"].encode()).scheme != found.scheme:
            raise UnsupportedAlgorithmError(found.scheme)
    except ValueError as error:
        raise UnsupportedAlgorithmError(str(error)) from error
    except KeyError as error:
        raise ConfigurationError(
            f"The key {key} is for no signatures (KMS tells no {error}). {_ANOTHER}"
        ) from error
    return found


@contextmanager
def explain_kms(key: str) -> Iterator[None]:
    """ConfigurationError for a key of KMS that cannot sign, CloudError for what AWS refuses."""
    check_extra()
    from securesystemslib.exceptions import (  # noqa: PLC0415 - an extra
        UnsupportedAlgorithmError,
        UnsupportedLibraryError,
    )

    try:
        with explain_sdk_errors():
            yield
    except UnsupportedLibraryError as error:
        raise ConfigurationError(
            f"Asking AWS needs boto3: `{name_install(extra='aws')}`."
        ) from error
    except UnsupportedAlgorithmError as error:
        raise ConfigurationError(
            f"The key {key} signs by no algorithm that is known here ({error}). {_ANOTHER}"
        ) from error
