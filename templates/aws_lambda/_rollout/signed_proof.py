"""Hold a new version to what was signed of it, before it gets any traffic.

`packager sign` puts the envelopes beside this file. Each signature is verified by the public key
that the stack names, or by KMS. What is signed must be about the code or the image that Lambda has
of the version.

Environment: SIGNED_BY (base64 of a public key, or ARN of a key in KMS; empty asks for nothing),
EQUIVALENCE (`bit-equal`, or the largest difference of two numbers), MIN_ROWS.
"""

import base64
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from public_key import PublicKey

ATTESTATIONS: Final = Path(__file__).with_name("attestations.intoto.jsonl")
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
_EQUIVALENCE: Final = "urn:x-serverless-model-packager:model-equivalence:v1"
_CODE: Final = "function.zip"
_IMAGE: Final = "image"
"""Names of the subject that is deployed."""
_MOST_ENVELOPES: Final = 100
_ALGORITHMS: Final = {
    "ECDSA_SHA_256": hashlib.sha256,
    "ECDSA_SHA_384": hashlib.sha384,
    "RSASSA_PSS_SHA_256": hashlib.sha256,
}
"""Those of KMS that `packager sign` signs by, in its order: a key of RSA has several."""
_KINDS: Final = {_CODE: "code", _IMAGE: "image"}


class UnsignedError(Exception):
    """The version is not signed as the stack requires."""


def check_signatures(version: str, functions: Any, keys: Any) -> dict[str, Any]:
    """Check what the stack requires; say who signed, and what the signed proof states.

    `keys` makes a client of KMS for a region. Raises UnsignedError, and what AWS raises.
    """
    signer, equivalence = os.environ["SIGNED_BY"], os.environ["EQUIVALENCE"]
    if not signer:
        if equivalence:
            raise UnsignedError("RolloutEquivalence needs RolloutSignedBy: anybody can state one")
        return {}
    name, digest = _read_deployed(version, functions)
    statements = list(_read_signed(_make_verifier(signer, keys)))
    about = [each for each in statements if _names_subject(each, name, digest)]
    if not any(each["predicateType"] == _PROVENANCE for each in about):
        signed = "`packager sign --image` states one" if name == _IMAGE else "Sign what you deploy"
        raise UnsignedError(
            f"of {len(statements)} statements signed by {signer}, no provenance is about the "
            f"{_KINDS[name]} {digest} of this version. {signed}"
        )
    found: dict[str, Any] = {"signed_by": signer}
    if equivalence:
        proofs = [each for each in about if each["predicateType"] == _EQUIVALENCE]
        found["proof"] = _find_proof(proofs, equivalence, int(os.environ["MIN_ROWS"]))
    return found


def _read_deployed(version: str, functions: Any) -> tuple[str, str]:
    """(name of the subject, its sha256) of what Lambda runs as this version."""
    told = functions.get_function_configuration(FunctionName=version)
    if told.get("PackageType") != "Image":
        return _CODE, base64.b64decode(told["CodeSha256"]).hex()
    reference = functions.get_function(FunctionName=version)["Code"]["ResolvedImageUri"]
    return _IMAGE, reference.rpartition("@sha256:")[2]


def _make_verifier(signer: str, keys: Any) -> Callable[[bytes, bytes], bool]:
    """Return what tells whether a message has a signature by the stack's key."""
    if not signer.startswith("arn:"):
        return PublicKey(signer).verify
    client = keys(signer.split(":")[3])
    offered = client.get_public_key(KeyId=signer)["SigningAlgorithms"]
    algorithm = next((each for each in _ALGORITHMS if each in offered), None)
    if algorithm is None:
        raise UnsignedError(f"{signer} signs by no algorithm of `packager sign`: {offered}")

    def verify(message: bytes, signature: bytes) -> bool:
        digest = _ALGORITHMS[algorithm](message).digest()
        return _ask_kms(client, signer, algorithm, digest, signature)

    return verify


def _read_signed(verify: Callable[[bytes, bytes], bool]) -> Iterator[Mapping[str, Any]]:
    """Yield the statements that this key signed. Nothing of another envelope is believed."""
    if not ATTESTATIONS.exists():
        raise UnsignedError(
            f"{ATTESTATIONS.name} is not beside the check: run `packager sign` before you deploy"
        )
    lines = [each for each in ATTESTATIONS.read_text(encoding="utf-8").split("\n") if each.strip()]
    if len(lines) > _MOST_ENVELOPES:
        raise UnsignedError(f"{ATTESTATIONS.name} has more than {_MOST_ENVELOPES} envelopes")
    for line in lines:
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"].encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        signatures = [base64.b64decode(each["sig"]) for each in envelope["signatures"]]
        if not any(verify(signed, each) for each in signatures):
            continue
        statement = json.loads(payload)
        if envelope["payloadType"] == _PAYLOAD_TYPE and statement["_type"] == _STATEMENT:
            yield statement


def _ask_kms(keys: Any, signer: str, algorithm: str, digest: bytes, signature: bytes) -> bool:
    try:
        told = keys.verify(
            KeyId=signer,
            Message=digest,
            MessageType="DIGEST",
            Signature=signature,
            SigningAlgorithm=algorithm,
        )
    except keys.exceptions.KMSInvalidSignatureException:
        return False
    return told["SignatureValid"] is True


def _names_subject(statement: Mapping[str, Any], name: str, digest: str) -> bool:
    digests = [each["digest"] for each in statement["subject"] if each["name"] == name]
    return digests == [{"sha256": digest}]


def _find_proof(
    proofs: list[Mapping[str, Any]], equivalence: str, least_rows: int
) -> dict[str, Any]:
    """One proof that satisfies is enough."""
    if not proofs:
        raise UnsignedError("no model equivalence is signed, which RolloutEquivalence asks for")
    told: dict[str, Any] = {}
    for proof in proofs:
        comparison = proof["predicate"]["comparison"]
        names = ("rows", "mismatches", "largestDifference", "bitEqual")
        told = {name: comparison[name] for name in names}
        told |= {name: comparison[name] for name in ("comparedByType",) if comparison.get(name)}
        if _satisfies(told, equivalence, least_rows):
            return told
    raise UnsignedError(
        f"the signed proof states {json.dumps(told)}, and the stack requires {equivalence} over "
        f"{least_rows} rows"
    )


def _satisfies(told: Mapping[str, Any], equivalence: str, least_rows: int) -> bool:
    largest = told["largestDifference"]
    if told["mismatches"] != 0 or not told["rows"] >= least_rows or not 0 <= largest < math.inf:
        return False
    if equivalence == "bit-equal":
        return told["bitEqual"] is True and largest == 0 and not told.get("comparedByType")
    return bool(largest <= float(equivalence))
