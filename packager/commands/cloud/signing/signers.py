"""Whoever signs, and whoever is believed: each by a key file, a key of a cloud, or a login."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.keyless import Identity, Keyless, sign_keyless
from packager.commands.artifact.attestations.keys import load_key, load_signer
from packager.commands.artifact.attestations.policy import Equivalence, Policy
from packager.commands.artifact.attestations.sign import sign_artifact
from packager.commands.artifact.integrity import add_check, list_problems, verify_artifact
from packager.commands.cloud.deployed_image import compare_image
from packager.commands.cloud.signing import aws_keys, azure_keys
from packager.errors import ConfigurationError, IntegrityError
from packager.types import SignedArtifact

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

_OTHER_SCHEMES: Final = ("gcpkms:", "hsm:", "hv:", "gnupg:", "sigstore:", "file2:")


def sign_by(
    folder: Path, key: str | Keyless, *, builder_id: str, image: str | None = None
) -> SignedArtifact:
    """Sign an artifact by a key file, `awskms:ID`, `azurekms://VAULT/keys/NAME`, or by a login.

    `image` is the reference of an image, by its digest, that is compared first and signed too.
    Raises ConfigurationError for a key that cannot sign, CloudError where a cloud refuses,
    IntegrityError for an image that is not of the artifact, and what `sign_artifact` and
    `sign_keyless` raise.
    """
    digest = None if image is None else _compare_image(folder, image)
    if isinstance(key, Keyless):
        return sign_keyless(folder, key, builder_id=builder_id, image=digest)
    with _explain_cloud(key):
        return sign_artifact(folder, _open_signer(key), builder_id=builder_id, image=digest)


def check_signer(key: str) -> None:
    """Raises ConfigurationError for a key that cannot sign, CloudError where a cloud refuses."""
    with _explain_cloud(key):
        _open_signer(key)


def open_key(key: str) -> Key:
    """The public key in a file, or of a cloud. Raises as `sign_by` does."""
    with _explain_cloud(key):
        if key.startswith(aws_keys.SCHEME):
            return aws_keys.import_kms_key(key)
        if key.startswith(azure_keys.SCHEME):
            return azure_keys.import_vault_key(key)
        return load_key(_find_file(key))


def make_policy(
    trusted: Sequence[str],
    required: Sequence[str],
    equivalence: str | None = None,
    least_rows: int | None = None,
    *,
    identity: Identity | None = None,
) -> Policy | None:
    """Return the policy of these keys, each as `open_key` takes it; None where nobody is named.

    Raises ConfigurationError for a key that cannot be read, and for a proof that is required of
    nobody: anybody can state one.
    """
    if least_rows and not equivalence:
        raise ConfigurationError("--min-rows has no effect without --require-equivalence.")
    if not (trusted or required or identity):
        if equivalence:
            raise ConfigurationError(
                "Anybody can state what --require-equivalence asks for: give the public key of "
                "whom you believe with --require-signed-by."
            )
        return None
    return Policy(
        trusted=[*map(open_key, trusted)],
        required=[*map(open_key, required)],
        identity=identity,
        equivalence=Equivalence.parse(equivalence, least_rows or 1) if equivalence else None,
    )


def _compare_image(folder: Path, reference: str) -> str:
    """The sha256 of an image that is of the artifact, which verifies. Raises IntegrityError."""
    found = verify_artifact(folder)
    if found["verified"]:
        found = add_check(found, compare_image(folder, reference))
    if not found["verified"]:
        raise IntegrityError.of_problems(found["folder"], list_problems(found))
    return reference.rpartition("@sha256:")[2]


def _open_signer(key: str) -> Signer:
    if key.startswith(aws_keys.SCHEME):
        return aws_keys.open_kms_signer(key)
    if key.startswith(azure_keys.SCHEME):
        return azure_keys.open_vault_signer(key)
    return load_signer(_find_file(key))


def _find_file(key: str) -> Path:
    if key.startswith(_OTHER_SCHEMES):
        raise ConfigurationError(
            f"--key {key!r} names a place that packager signs nothing in. Give a PEM file, "
            "awskms:ID for AWS KMS, or azurekms://VAULT.vault.azure.net/keys/NAME."
        )
    return Path(key)


@contextmanager
def _explain_cloud(key: str) -> Iterator[None]:
    """The errors of the cloud that the key lies in, as our own."""
    if key.startswith(aws_keys.SCHEME):
        with aws_keys.explain_kms(key):
            yield
    elif key.startswith(azure_keys.SCHEME):
        with azure_keys.explain_vault(key):
            yield
    else:
        yield
