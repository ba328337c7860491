"""Policy of a reader for an artifact's statements: by whom they are, and how well it was proven."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packager.commands.artifact.attestations.envelopes import (
    ATTESTATIONS,
    BUNDLES,
    PAYLOAD_TYPE,
    Envelope,
    read_bundles,
    read_envelopes,
)
from packager.commands.artifact.attestations.keyless import Identity
from packager.commands.artifact.attestations.statements import (
    EQUIVALENCE,
    PROVENANCE,
    Statement,
    read_comparison,
    read_statement,
)
from packager.commands.artifact.description import EVIDENCE, DescribedArtifact, read_artifact
from packager.commands.artifact.report_values import read_amount, read_count
from packager.errors import AttestationError, ConfigurationError, ModelFormatError
from packager.types import ArtifactCheck, Json

if TYPE_CHECKING:
    from securesystemslib.signer import Key

BIT_EQUAL: Final = "bit-equal"
CHECK: Final = "attestations"


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Bound on how far answers may differ, and the rows that it must have been held over."""

    largest_difference: float | None
    """None asks for every bit."""
    least_rows: int = 1

    @classmethod
    def parse(cls, text: str, least_rows: int) -> Equivalence:
        """Raises ConfigurationError for what is neither `bit-equal` nor a difference."""
        if text == BIT_EQUAL:
            return cls(None, least_rows)
        try:
            largest = float(text)
        except ValueError:
            largest = math.nan
        if not (math.isfinite(largest) and largest >= 0):
            raise ConfigurationError(
                f"--require-equivalence {text!r} is neither {BIT_EQUAL} nor the largest difference "
                "that you allow, as 1e-6."
            )
        return cls(largest, least_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Keys by whose holders statements are believed, and what these must state."""

    trusted: Sequence[Key]
    """One of them must have signed, if any are given."""
    required: Sequence[Key] = ()
    """Each of them must have signed."""
    identity: Identity | None = None
    """Who must have signed keyless, if anybody."""
    equivalence: Equivalence | None = None


def check_attestations(folder: Path, policy: Policy) -> ArtifactCheck:
    """Hold the artifact's statements to the policy. Raises IntegrityError for a damaged report."""
    artifact = read_artifact(folder.absolute())
    try:
        problems = list(_list_problems(artifact, policy))
    except (AttestationError, ModelFormatError) as error:
        problems = [str(error)]
    return {"name": CHECK, "passed": not problems, "problems": problems}


def check_own_proof(folder: Path, wanted: Equivalence) -> ArtifactCheck:
    """Hold the evidence itself to a bound, for whoever has just proven it.

    Raises IntegrityError for a damaged report.
    """
    told = read_comparison(read_artifact(folder.absolute()))
    why = (
        f"{folder} is unproven, and --require-equivalence asks for a proof."
        if told is None
        else _explain_unequal(EVIDENCE, {"comparison": told}, wanted)
    )
    return {"name": CHECK, "passed": not why, "problems": [why] if why else []}


def note_unchecked(folder: Path) -> list[str]:
    """Tell of what was signed, where nobody says whom they believe: it may be anybody's."""
    home = folder.absolute()
    found = []
    for name, read, words in (
        (ATTESTATIONS, read_envelopes, "--key"),
        (BUNDLES, read_bundles, "--identity --issuer"),
    ):
        if not (home / name).exists() and not (home / name).is_symlink():
            continue
        try:
            envelopes = read(home)
            odd = [each for each in envelopes if each.payload_type != PAYLOAD_TYPE]
            if odd:
                fault = f"{odd[0].place} has the payloadType {odd[0].payload_type[:80]!r}"
            else:
                fault = "" if envelopes else f"{name} holds nothing"
        except AttestationError as error:
            fault = str(error).rstrip(".")
        if fault:
            found.append(f"Nothing that is signed can be read: {fault}. Sign it again.")
        else:
            found.append(
                f"{name} carries signatures that were not checked: `packager verify {words}` "
                "holds them to whom you believe."
            )
    return found


def note_signers(folder: Path, policy: Policy, names: Mapping[str, str]) -> list[str]:
    """Tell who signed an artifact whose statements hold; `names` are those of keys, by their ids.

    Raises AttestationError and IntegrityError where they do not.
    """
    artifact = read_artifact(folder.absolute())
    believed = _Believed({PROVENANCE: set(), EQUIVALENCE: set()}, [], [], [])
    keys = list({key.keyid: key for key in (*policy.trusted, *policy.required)}.values())
    problems = [*_read_signed(artifact, read_envelopes(artifact.home), keys, believed)]
    if policy.identity is not None:
        bundles = read_bundles(artifact.home)
        problems += _read_keyless(artifact, bundles, policy.identity, believed)
    if problems:
        raise AttestationError.of_problems(str(folder), problems)
    rows = max((_count_rows(each) for each in believed.proofs), default=0)
    found = []
    for signer in sorted(believed.signers[PROVENANCE]):
        kinds = [kind for kind, signers in believed.signers.items() if signer in signers]
        proof = f"{rows:,} rows" if EQUIVALENCE in kinds else "no proof"
        count = f"{len(kinds)} statement{'s' * (len(kinds) != 1)}"
        known = f" ({names[signer]})" if signer in names else ""
        found.append(f"Signed by {signer}{known}: {count}, {proof} held.")
    return found


def _count_rows(proof: Statement) -> int:
    try:
        return read_count(proof.predicate["comparison"]["rows"])
    except (LookupError, TypeError, ValueError):
        return 0


@dataclass(slots=True)
class _Believed:
    """Statements of those who are believed about this artifact, and who else signed."""

    signers: dict[str, set[str]]
    """By the kind of statement: ids of keys, and the label of an identity."""
    proofs: list[Statement]
    others: list[str]
    unknown: list[str]
    """Kinds of what they signed that are neither provenance nor equivalence."""

    def add(self, artifact: DescribedArtifact, envelope: Envelope, by: set[str]) -> Iterator[str]:
        """Take a statement whose signature was checked; yield how it is about another artifact."""
        statement = read_statement(envelope)
        if differences := list(statement.list_differences(artifact)):
            yield from differences
            return
        self.signers.setdefault(statement.kind, set()).update(by)
        if statement.kind not in (PROVENANCE, EQUIVALENCE):
            self.unknown.append(statement.kind)
        if statement.kind == EQUIVALENCE:
            self.proofs.append(statement)


def _list_problems(artifact: DescribedArtifact, policy: Policy) -> Iterator[str]:
    envelopes, bundles = read_envelopes(artifact.home), read_bundles(artifact.home)
    if not envelopes and not bundles:
        yield f"Nobody signed it: there is no {ATTESTATIONS}. `packager sign` makes one."
        return
    believed = _Believed({PROVENANCE: set(), EQUIVALENCE: set()}, [], [], [])
    keys = list({key.keyid: key for key in (*policy.trusted, *policy.required)}.values())
    yield from _read_signed(artifact, envelopes, keys, believed)
    if policy.identity is None:
        believed.others += ["keyless (see --identity and --issuer)"] * bool(bundles)
    else:
        yield from _read_keyless(artifact, bundles, policy.identity, believed)
    yield from _check_signers(believed, policy)
    if policy.equivalence is not None:
        yield from _check_equivalence(believed.proofs, policy.equivalence)


def _read_signed(
    artifact: DescribedArtifact,
    envelopes: Sequence[Envelope],
    keys: Sequence[Key],
    believed: _Believed,
) -> Iterator[str]:
    for envelope in envelopes:
        found = {key.keyid for key in envelope.find_signers(keys)}
        if broken := {key.keyid for key in keys} & {*envelope.list_key_ids()} - found:
            yield (
                f"{envelope.place} was changed since it was signed: the signature by the key "
                f"{', '.join(sorted(broken))} does not hold."
            )
        if found:
            yield from believed.add(artifact, envelope, found)
        else:
            believed.others += envelope.list_key_ids()


def _read_keyless(
    artifact: DescribedArtifact,
    bundles: Sequence[Envelope],
    identity: Identity,
    believed: _Believed,
) -> Iterator[str]:
    for bundle in bundles:
        fault = identity.find_fault(bundle)
        if fault is None:
            yield from believed.add(artifact, bundle, {identity.label})
        elif fault.broken:
            yield fault.broken
        else:
            believed.others.append(fault.other)


def _check_signers(believed: _Believed, policy: Policy) -> Iterator[str]:
    """Provenance is what makes a signer answer for an artifact; another statement does not."""
    found, others = believed.signers[PROVENANCE], sorted({*believed.others})
    who = "another key" if policy.identity is None else "somebody else"
    by = f" It is signed by {who}: {', '.join(others)[:300]}." if others else ""
    if believed.unknown:
        by += f" What was signed instead is no {PROVENANCE}: {', '.join(believed.unknown)[:300]}."
    trusted = {key.keyid for key in policy.trusted}
    if trusted and not trusted & found:
        yield f"No provenance is signed by a key of --key ({', '.join(sorted(trusted))}).{by}"
    for key in policy.required:
        if key.keyid not in found:
            yield f"No provenance is signed by the key {key.keyid} of --require-signed-by.{by}"
    if policy.identity is not None and policy.identity.label not in found:
        yield f"No provenance in {BUNDLES} is signed by {policy.identity.label}.{by}"


def _check_equivalence(proofs: Sequence[Statement], wanted: Equivalence) -> Iterator[str]:
    """One statement that satisfies is enough."""
    if not proofs:
        yield (
            "No model equivalence is stated by those whom you believe, which --require-equivalence "
            "asks for."
        )
        return
    failed: list[str] = []
    for proof in proofs:
        why = _explain_unequal(proof.place, proof.predicate, wanted)
        if not why:
            return
        failed.append(why)
    yield from failed


def _explain_unequal(place: str, predicate: Mapping[str, Json], wanted: Equivalence) -> str:
    """Say why the statement is not what is asked for; empty where it is."""
    try:
        told = predicate["comparison"]
        rows, mismatches = read_count(told["rows"]), read_count(told["mismatches"])
        largest, equal = _read_largest(told["largestDifference"]), told["bitEqual"] is True
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"{place} is no model equivalence as it is specified ({error!r})."
    if mismatches:
        return f"{place} states {mismatches} answers that differ."
    if rows < wanted.least_rows:
        return f"{place} states {rows} rows, fewer than the {wanted.least_rows} of --min-rows."
    if wanted.largest_difference is None:
        if not equal or largest or told.get("comparedByType"):
            return (
                f"{place} does not state that the answers are equal to the last bit: the "
                f"largest difference is {largest:g}, and {_count_random(told)} outputs were "
                "compared by type."
            )
    elif largest > wanted.largest_difference:
        return (
            f"{place} states a largest difference of {largest:g}, more than the "
            f"{wanted.largest_difference:g} of --require-equivalence."
        )
    return ""


def _read_largest(value: Json) -> float:
    if (largest := read_amount(value)) is None:
        raise TypeError("largestDifference is null")
    return largest


def _count_random(told: Mapping[str, object]) -> str:
    by_type = told.get("comparedByType")
    return str(len(by_type)) if isinstance(by_type, list) else "an unknown number of"
