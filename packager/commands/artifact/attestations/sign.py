"""Sign an artifact: state what its report and its evidence say, and put the envelopes beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packager.commands.artifact.attestations.envelopes import (
    Envelope,
    read_envelopes,
    sign_statement,
    write_envelopes,
)
from packager.commands.artifact.attestations.statements import (
    EQUIVALENCE,
    UNNAMED_BUILDER,
    make_statements,
)
from packager.commands.artifact.description import read_artifact
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.errors import IntegrityError
from packager.types import SignedArtifact

if TYPE_CHECKING:
    from securesystemslib.signer import Signer


def sign_artifact(
    folder: Path, signer: Signer, *, builder_id: str = UNNAMED_BUILDER
) -> SignedArtifact:
    """Sign an artifact that verifies. What other keys signed of it stays.

    Raises IntegrityError where it is not as it was built, AttestationError where what others signed
    cannot be read, StorageError where nothing can be written.
    """
    found = verify_artifact(folder)
    if not found["verified"]:
        raise IntegrityError.of_problems(found["folder"], list_problems(found))
    artifact = read_artifact(folder.absolute())
    try:
        statements = make_statements(artifact, builder_id=builder_id)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"{folder} does not have what a build writes ({error!r}). Build it again."
        ) from error
    kept = _list_kept(read_envelopes(artifact.home), signer)
    made = [sign_statement(each, signer) for each in statements]
    path = write_envelopes(artifact.home, [*kept, *made])
    kinds = [str(each["predicateType"]) for each in statements]
    notes = [] if EQUIVALENCE in kinds else ["It is unproven: no model equivalence is stated."]
    return {
        "folder": found["folder"],
        "file": path.name,
        "key": signer.public_key.keyid,
        "scheme": signer.public_key.scheme,
        "statements": kinds,
        "notes": [*notes, *found["notes"]],
    }


def _list_kept(envelopes: Sequence[Envelope], signer: Signer) -> list[str]:
    """Envelopes of others. Those that this key signed are made anew."""
    key = signer.public_key
    return [
        each.line
        for each in envelopes
        if not (each.find_signers([key]) or each.list_key_ids() == [key.keyid])
    ]
