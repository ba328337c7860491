"""Sign an artifact: state what its report and its evidence say, and put the envelopes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.added_files import HOOK, SIGNED_HOOK
from packager.commands.artifact.attestations.envelopes import (
    Envelope,
    read_envelopes,
    sign_statement,
    write_envelopes,
)
from packager.commands.artifact.attestations.keys import write_key
from packager.commands.artifact.attestations.statements import (
    EQUIVALENCE,
    UNNAMED_BUILDER,
    make_statements,
)
from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.errors import IntegrityError, StorageError
from packager.system.zip_file import write_zip
from packager.types import Json, SignedArtifact

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


PARAMETER: Final = "RolloutSignedBy"
"""Of the template: the key that must have signed a new version."""


def sign_artifact(
    folder: Path,
    signer: Signer,
    *,
    builder_id: str = UNNAMED_BUILDER,
    image: str | None = None,
) -> SignedArtifact:
    """Sign an artifact that verifies. What other keys signed of it stays.

    The function that asks a new version before traffic moves gets a copy. `image` is the sha256 of
    an image that was compared with the artifact. Raises IntegrityError where the artifact is not as
    it was built, AttestationError where what others signed cannot be read, StorageError where
    nothing can be written.
    """
    subject = state_artifact(folder, builder_id=builder_id, image=image)
    kept = _list_kept(read_envelopes(subject.home), signer)
    made = [sign_statement(each, signer) for each in subject.statements]
    path = write_envelopes(subject.home, [*kept, *made])
    described = subject.describe(path, signer.public_key.keyid, signer.public_key.scheme)
    if (hook := subject.home / HOOK).is_dir() and not hook.is_symlink():
        (subject.home / SIGNED_HOOK).unlink(missing_ok=True)  # never older than what it packs
        write_envelopes(hook, [*kept, *made])
        _pack_hook(hook, subject.home / SIGNED_HOOK)
        described["parameters"] = {PARAMETER: write_key(signer.public_key)}
    return described


@dataclass(frozen=True, slots=True)
class StatedArtifact:
    """Statements to sign of an artifact that verifies."""

    folder: str
    home: Path
    statements: Sequence[dict[str, Json]]
    notes: Sequence[str]
    is_builder_named: bool = True

    def describe(self, path: Path, key: str, scheme: str) -> SignedArtifact:
        kinds = [str(each["predicateType"]) for each in self.statements]
        notes = [] if EQUIVALENCE in kinds else ["It is unproven: no model equivalence is stated."]
        if not self.is_builder_named:
            notes.append("The builder is unnamed in the provenance. Name it with --builder-id.")
        return {
            "folder": self.folder,
            "file": path.name,
            "key": key,
            "scheme": scheme,
            "statements": kinds,
            "parameters": {},
            "notes": [*notes, *self.notes],
        }


def state_artifact(folder: Path, *, builder_id: str, image: str | None = None) -> StatedArtifact:
    """Make the statements of an artifact that verifies. Raises IntegrityError."""
    found = verify_artifact(folder)
    if not found["verified"]:
        raise IntegrityError.of_problems(found["folder"], list_problems(found))
    artifact = read_artifact(folder.absolute())
    try:
        statements = make_statements(artifact, builder_id=builder_id, image=image)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"{folder} does not have what a build writes ({error!r}). Build it again."
        ) from error
    return StatedArtifact(
        found["folder"],
        artifact.home,
        statements,
        found["notes"],
        is_builder_named=builder_id != UNNAMED_BUILDER,
    )


def _pack_hook(hook: Path, packed: Path) -> None:
    """Pack the function with what was signed where Terraform deploys it. Raises StorageError."""
    if not packed.parent.is_dir() or packed.parent.is_symlink():
        return
    partial = packed.with_name(f".{packed.name}.partial")
    try:
        write_zip(hook, partial)
        partial.replace(packed)
    except OSError as error:
        raise StorageError(f"{packed} cannot be written: {error.strerror}.") from error


def _list_kept(envelopes: Sequence[Envelope], signer: Signer) -> list[str]:
    """Envelopes of others. Those that this key signed are made anew."""
    key = signer.public_key
    return [
        each.line
        for each in envelopes
        if not (each.find_signers([key]) or each.list_key_ids() == [key.keyid])
    ]
