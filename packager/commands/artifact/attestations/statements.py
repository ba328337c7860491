"""In-toto statements about an artifact: SLSA provenance, and that it answers as its model does.

Both are made of report.json and evidence.json, which the caller has verified, and of nothing else:
the same artifact always has the same statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from packager import __version__
from packager.commands.artifact.attestations.envelopes import PAYLOAD_TYPE, Envelope, parse_object
from packager.commands.artifact.description import EVIDENCE, LOCK, SBOM, DescribedArtifact
from packager.commands.artifact.report_values import (
    read_amount,
    read_count,
    read_text,
    read_texts,
)
from packager.errors import AttestationError
from packager.system.atomic_output import MARKER
from packager.system.file_tree import sha256
from packager.system.redaction import redact
from packager.types import Json

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
EQUIVALENCE: Final = "urn:x-serverless-model-packager:model-equivalence:v1"
BUILD_TYPE: Final = "urn:x-serverless-model-packager:build:v1"
UNNAMED_BUILDER: Final = "urn:x-serverless-model-packager:builder:unnamed"
IMAGE: Final = "image"
"""Name of the subject that is an image in a registry, built of the artifact's folder."""
TREE_DIGEST: Final = "packagerTree"
"""The digest of a folder: sha256 over its sorted file records."""
_MOST_SUBJECTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature was checked."""

    place: str
    kind: str
    subjects: Mapping[str, Mapping[str, str]]
    predicate: Mapping[str, Json]

    def list_differences(self, artifact: DescribedArtifact) -> Iterator[str]:
        """Say how the artifact is another than the one that is stated of."""
        own = {each["name"]: each["digest"] for each in _list_subjects(artifact)}
        if MARKER not in self.subjects:
            yield f"{self.place} is about another artifact: it does not name {MARKER}."
        for name, told in self.subjects.items():
            if name == IMAGE and artifact.archive is None:
                continue  # whoever signed it has compared it; --image compares another one
            if name not in own:
                yield f"{self.place} is about another artifact: this one has no {name[:80]!r}."
                continue
            # others say nothing of it that could be checked here, as in-toto's DigestSet has it
            ((kind, found),) = own[name].items()
            if kind not in told:
                yield f"{self.place} has no {kind} of {name}, by which it is known here."
            elif told[kind] != found:
                yield (
                    f"{self.place} is about another artifact: {name} has {found}, and "
                    f"{told[kind][:80]} was signed."
                )


def make_statements(
    artifact: DescribedArtifact, *, builder_id: str, image: str | None = None
) -> list[dict[str, Json]]:
    """Provenance, and model equivalence where it was proven. Raises as report_values does.

    `image` is the sha256 of an image that was compared with the artifact: a subject more.
    """
    made = [_state(artifact, PROVENANCE, _describe_build(artifact, builder_id))]
    if artifact.read(EVIDENCE)["evidence"]["proven"] is True:
        made.append(_state(artifact, EQUIVALENCE, _describe_proof(artifact)))
    if image is not None:
        more = {"name": IMAGE, "digest": {"sha256": image}}
        made = [{**each, "subject": [*each["subject"], more]} for each in made]
    return made


def keep_common_digests(statement: Mapping[str, Json]) -> dict[str, Json]:
    """The statement without subjects whose digest is our own; sigstore takes no such digest.

    report.json stays a subject, and it has the digest of the tree.
    """
    subjects = [each for each in statement["subject"] if TREE_DIGEST not in each["digest"]]
    return {**statement, "subject": subjects}


def read_comparison(artifact: DescribedArtifact) -> Mapping[str, Json] | None:
    """The comparison as a statement has it; None for an artifact that is unproven."""
    if artifact.read(EVIDENCE)["evidence"]["proven"] is not True:
        return None
    return _read_object(_describe_proof(artifact)["comparison"])


def read_statement(envelope: Envelope) -> Statement:
    """Raises AttestationError for another payload than an in-toto statement."""
    place = envelope.place
    if envelope.payload_type != PAYLOAD_TYPE:
        raise AttestationError(
            f"{place} has the payloadType {envelope.payload_type[:80]!r}, not {PAYLOAD_TYPE}: what "
            "was signed is no statement."
        )
    try:
        text = envelope.payload.decode()
    except UnicodeDecodeError as error:
        raise AttestationError(f"The payload of {place} is not UTF-8 ({error}).") from error
    value = parse_object(text, f"The payload of {place}")
    if value.get("_type") != STATEMENT:
        raise AttestationError(f"The payload of {place} is no statement of the type {STATEMENT}.")
    try:
        return Statement(
            place=place,
            kind=read_text(value["predicateType"]),
            subjects=_read_subjects(value["subject"]),
            predicate=_read_object(value.get("predicate")),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise AttestationError(
            f"The payload of {place} is no in-toto statement ({error!r})."
        ) from error


def _state(
    artifact: DescribedArtifact, kind: str, predicate: Mapping[str, Json]
) -> dict[str, Json]:
    return {
        "_type": STATEMENT,
        "subject": _list_subjects(artifact),
        "predicateType": kind,
        "predicate": predicate,
    }


def _list_subjects(artifact: DescribedArtifact) -> list[dict[str, Json]]:
    """The zip or folder that is deployed, and the report, by which every other file is known."""
    archive = artifact.archive
    what, how = (TREE_DIGEST, artifact.folder) if archive is None else ("sha256", archive)
    return [
        {"name": how.name, "digest": {what: artifact.sha256}},
        {"name": MARKER, "digest": {"sha256": sha256(artifact.home / MARKER)}},
    ]


def _describe_build(artifact: DescribedArtifact, builder_id: str) -> dict[str, Json]:
    """The predicate of SLSA's provenance, version 1."""
    report = artifact.read(MARKER)
    plan, target = report["plan"], report["target"]
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "model": read_text(report["model"]["uri"]),
                "target": read_text(target["name"]),
                "architecture": read_text(target["architecture"]),
            },
            "internalParameters": {
                "runtime": read_text(target["runtime"]),
                "python": read_text(target["python"]),
                "engine": read_text(plan["engine"]),
                "passes": read_texts(plan["passes"]),
                "rows": read_count(plan["rows"]),
                "seed": read_count(plan["seed"]),
            },
            "resolvedDependencies": [
                _describe_model(artifact),
                {"name": LOCK, "digest": {"sha256": artifact.emitted[LOCK]}},
            ],
        },
        "runDetails": {
            "builder": {
                "id": redact(builder_id),
                "version": {"packager": read_text(report["packager"])},
            },
            "metadata": {},
            "byproducts": [
                {"name": name, "digest": {"sha256": artifact.emitted[name]}}
                for name in (EVIDENCE, SBOM)
            ],
        },
    }


def _describe_model(artifact: DescribedArtifact) -> dict[str, Json]:
    """The registered model, as the registry knew it when the artifact was built."""
    model = artifact.read(MARKER)["model"]
    known = {"name": "name", "version": "version", "runId": "run_id", "modelId": "model_id"}
    return {
        "uri": read_text(model["uri"]),
        "digest": {"sha256": artifact.model_digest},
        "annotations": {
            ours: read_text(str(model[theirs]))
            for ours, theirs in known.items()
            if model.get(theirs) is not None
        },
    }


def _describe_proof(artifact: DescribedArtifact) -> dict[str, Json]:
    """The predicate of model equivalence, which docs/reference/attestations.md specifies."""
    evidence = artifact.read(EVIDENCE)
    proof = evidence["evidence"]
    error = read_amount(proof["max_abs_error"]) or 0.0
    random = proof.get("random")
    sandbox = proof.get("sandbox", {})
    comparison: dict[str, Json] = {
        "rows": read_count(proof["rows_compared"]),
        "requests": read_count(proof["requests_compared"]),
        "mismatches": read_count(proof["mismatches"]),
        "refusalsAgreed": read_count(proof.get("refusals_agreed", 0)),
        "heldOutRows": read_count(proof.get("unseen_rows", 0)),
        "heldOutRequests": read_count(proof.get("unseen_requests", 0)),
        "largestDifference": error,
        # an earlier build did not write what is random, so nothing is known of it
        "bitEqual": error == 0 and random == [],
        "seed": read_count(proof["seed"]),
    }
    if random is not None:
        comparison["comparedByType"] = read_texts(random)
    return {
        "model": {
            "uri": read_text(evidence["model"]["uri"]),
            "digest": {"sha256": artifact.model_digest},
        },
        "comparison": comparison,
        "oracle": {
            "environment": read_text(proof.get("oracle", "")),
            "protections": read_texts(sandbox.get("oracle", [])),
        },
        "subjectRun": {
            "engine": read_text(evidence["attempt"]["engine"]),
            "environment": read_text(proof["checks"].get("host", "")),
            "protections": read_texts(sandbox.get("boot", [])),
        },
        "remarks": read_texts(proof["notes"]),
        "prover": {"name": "packager", "version": read_text(artifact.read(MARKER)["packager"])},
        "signedWith": {"name": "packager", "version": __version__},
        "evidence": {"name": EVIDENCE, "digest": {"sha256": artifact.emitted[EVIDENCE]}},
    }


def _read_subjects(value: Json) -> dict[str, dict[str, str]]:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_SUBJECTS:
        raise TypeError("subject is no list of things")
    found = {read_text(each["name"]): _read_digests(each["digest"]) for each in value}
    if len(found) < len(value):
        raise ValueError("two subjects have one name")
    return found


def _read_digests(value: Json) -> dict[str, str]:
    found = {read_text(name): read_text(each) for name, each in _read_object(value).items()}
    if not found:
        raise ValueError("a subject has no digest")
    return found


def _read_object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise TypeError("what should be an object is none")
    return value
