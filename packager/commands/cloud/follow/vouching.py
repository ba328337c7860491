"""Check of a version before it is deployed: as it was built, signed, and equal enough."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packager.commands.artifact.attestations.policy import (
    Equivalence,
    Policy,
    check_attestations,
    check_own_proof,
)
from packager.commands.artifact.attestations.statements import UNNAMED_BUILDER
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.cloud.signing.signers import check_signer, make_policy, sign_by
from packager.errors import AttestationError, ConfigurationError, IntegrityError
from packager.types import Following


@dataclass(frozen=True, slots=True)
class Vouching:
    """Demands on a version, and who signs it first."""

    sign_key: str | None = None
    policy: Policy | None = None
    equivalence: Equivalence | None = None
    """Of the proof that this follower has made itself."""

    def vouch(self, artifact: Path) -> None:
        """Sign the artifact where a key is named, and hold it to all that is required.

        Raises IntegrityError where it is not as it was built, AttestationError where it is not what
        is required, and what signing raises.
        """
        found = verify_artifact(artifact)
        if not found["verified"]:
            raise IntegrityError.of_problems(found["folder"], list_problems(found))
        if self.sign_key is not None:
            sign_by(artifact, self.sign_key, builder_id=UNNAMED_BUILDER)
        problems = []
        if self.policy is not None:
            problems += check_attestations(artifact, self.policy)["problems"]
        if self.equivalence is not None:
            problems += check_own_proof(artifact, self.equivalence)["problems"]
        if problems:
            raise AttestationError.of_problems(found["folder"], problems)


def make_vouching(following: Following) -> Vouching:
    """Read what is asked for. Raises ConfigurationError, CloudError for a key of a cloud."""
    if following.required and following.sign_key is None:
        raise ConfigurationError(
            "--require-signed-by: nobody has a version before it is deployed but who builds it, "
            "and nobody is to sign. Name the private key with --sign-key."
        )
    if following.least_rows and not following.equivalence:
        raise ConfigurationError("--min-rows has no effect without --require-equivalence.")
    if following.sign_key is not None:
        check_signer(following.sign_key)
    wanted = following.equivalence
    return Vouching(
        sign_key=following.sign_key,
        policy=make_policy((), following.required),
        equivalence=Equivalence.parse(wanted, following.least_rows or 1) if wanted else None,
    )
