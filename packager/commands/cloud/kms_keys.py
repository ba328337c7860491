"""Keys that lie in AWS KMS: it signs digests, and tells the public half, over securesystemslib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.keys import (
    check_extra,
    load_key,
    load_signer,
    parse_key,
)
from packager.commands.artifact.attestations.policy import Equivalence, Policy
from packager.commands.artifact.attestations.sign import sign_artifact
from packager.commands.cloud.stacks import explain_sdk_errors
from packager.environments.machine.installation import name_install
from packager.errors import ConfigurationError
from packager.types import SignedArtifact

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

SCHEME: Final = "awskms:"
_ANOTHER: Final = "Make one for SIGN_VERIFY with ECC_NIST_P256 or RSA_2048."
_OTHER_SCHEMES: Final = ("azurekms:", "gcpkms:", "hsm:", "hv:", "gnupg:", "sigstore:", "file2:")


def sign_by(folder: Path, key: str, *, builder_id: str) -> SignedArtifact:
    """Sign an artifact by a key file, or by `awskms:ID`.

    Raises ConfigurationError for a key that cannot sign, CloudError where AWS refuses, and what
    `sign_artifact` raises.
    """
    with _explain_kms(key):
        return sign_artifact(folder, _open_signer(key), builder_id=builder_id)


def open_key(key: str) -> Key:
    """The public key in a file, or of `awskms:ID`. Raises as `sign_by` does."""
    if not key.startswith(SCHEME):
        return load_key(_find_file(key))
    with _explain_kms(key):
        return _import_key(key)


def make_policy(
    trusted: Sequence[str],
    required: Sequence[str],
    equivalence: str | None = None,
    least_rows: int | None = None,
) -> Policy | None:
    """Return the policy of these keys, each as `open_key` takes it; None where none is given.

    Raises ConfigurationError for a key that cannot be read, and for a proof that is required of
    nobody: anybody can state one.
    """
    if least_rows and not equivalence:
        raise ConfigurationError("--min-rows has no effect without --require-equivalence.")
    if not (trusted or required):
        if equivalence:
            raise ConfigurationError(
                "Anybody can state what --require-equivalence asks for: give the public key of "
                "whom you believe with --require-signed-by."
            )
        return None
    return Policy(
        trusted=[*map(open_key, trusted)],
        required=[*map(open_key, required)],
        equivalence=Equivalence.parse(equivalence, least_rows or 1) if equivalence else None,
    )


def _open_signer(key: str) -> Signer:
    if not key.startswith(SCHEME):
        return load_signer(_find_file(key))
    public = _import_key(key)
    from securesystemslib.signer import AWSSigner  # noqa: PLC0415 - an extra

    signer: Signer = AWSSigner(key.removeprefix(SCHEME), public)
    return signer


def _import_key(key: str) -> Key:
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


def _find_file(key: str) -> Path:
    if key.startswith(_OTHER_SCHEMES):
        raise ConfigurationError(
            f"--key {key!r} names a place that packager signs nothing in. Give a PEM file, or "
            "awskms:ID for AWS KMS."
        )
    return Path(key)


@contextmanager
def _explain_kms(key: str) -> Iterator[None]:
    """ConfigurationError for a key of KMS that cannot sign, CloudError for what AWS refuses."""
    if not key.startswith(SCHEME):
        yield
        return
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
