"""Write to a model version what was signed of its artifact: `packager sign --tag`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packager.commands.artifact.attestations.keyless import Keyless
from packager.commands.artifact.attestations.statements import read_comparison
from packager.commands.artifact.description import DescribedArtifact, read_artifact
from packager.commands.cloud.signing.signers import sign_by
from packager.errors import ConfigurationError
from packager.models.registry_tags import AttestedVersion
from packager.system.atomic_output import MARKER
from packager.system.file_tree import sha256
from packager.types import SignedArtifact


def sign_and_tag(
    folder: Path,
    key: str | Keyless,
    *,
    builder_id: str,
    image: str | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> SignedArtifact:
    """Sign an artifact as `sign_by` does, and tag the model version that it was built from.

    The version is asked for before anything is signed. Raises ConfigurationError for an artifact
    of no registered version, or a registry that is no server, ModelNotFoundError,
    RegistryUnavailableError, and what `sign_by` raises.
    """
    artifact = read_artifact(folder.absolute())
    model = artifact.read(MARKER)["model"]
    version = _find_version(artifact, model, tracking_uri, registry_uri)
    version.check(str(model["run_id"]) if model.get("run_id") else None)
    made = sign_by(folder, key, builder_id=builder_id, image=image)
    version.write(_state(artifact, made))
    return {
        **made,
        "notes": [
            *made["notes"],
            f"models:/{version.name}/{version.version} has the tag {version.key}.",
        ],
    }


def _find_version(
    artifact: DescribedArtifact,
    model: Mapping[str, object],
    tracking_uri: str | None,
    registry_uri: str | None,
) -> AttestedVersion:
    name, version = model.get("name"), model.get("version")
    if not name or not version:
        raise ConfigurationError(
            f"{artifact.home} was built from {str(model.get('uri'))[:200]}, which is no version of "
            "a registered model: there is nothing that --tag could write to. Build it from "
            "models:/NAME/VERSION, or leave --tag out."
        )
    return AttestedVersion(
        name=str(name),
        version=str(version),
        target=str(artifact.read(MARKER)["target"]["name"]),
        tracking_uri=tracking_uri,
        registry_uri=registry_uri,
    )


def _state(artifact: DescribedArtifact, made: SignedArtifact) -> dict[str, str | int | float]:
    """The digests that were signed, the verdict of the proof, and whose key it was."""
    digests: dict[str, str | int | float] = {
        "artifact": artifact.sha256,
        "report": sha256(artifact.home / MARKER),
        "key": made["key"],
    }
    if (comparison := read_comparison(artifact)) is None:
        return {**digests, "verdict": "unproven"}
    equal = comparison["bitEqual"] is True
    return {
        **digests,
        "verdict": "bit-equal" if equal else "within-difference",
        "largestDifference": float(comparison["largestDifference"]),
        "rows": int(comparison["rows"]),
    }
