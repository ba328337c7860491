"""Hold a new version to what was signed of it, before it gets any traffic.

`packager sign` puts the envelopes beside this file. KMS verifies each signature: the runtime has no
library that could. What is signed must be about the code that Lambda has of the version.

Environment: SIGNED_BY (ARN of a key in KMS; empty asks for nothing), EQUIVALENCE (`bit-equal`, or
the largest difference of two numbers), MIN_ROWS.
"""

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ATTESTATIONS: Final = Path(__file__).with_name("attestations.intoto.jsonl")
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT: Final = "https://in-toto.io/Statement/v1"
_PROVENANCE: Final = "https://slsa.dev/provenance/v1"
_EQUIVALENCE: Final = "urn:x-serverless-model-packager:model-equivalence:v1"
_CODE: Final = "function.zip"
_MOST_ENVELOPES: Final = 100
_ALGORITHMS: Final = {
    "ECDSA_SHA_256": hashlib.sha256,
    "ECDSA_SHA_384": hashlib.sha384,
    "RSASSA_PSS_SHA_256": hashlib.sha256,
}
"""Those that `packager sign` signs by, in its order: a key of RSA has several."""


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
    told = functions.get_function_configuration(FunctionName=version)["CodeSha256"]
    code = base64.b64decode(told).hex()
    statements = list(_read_signed(signer, keys(signer.split(":")[3])))
    about = [each for each in statements if _names_code(each, code)]
    if not any(each["predicateType"] == _PROVENANCE for each in about):
        raise UnsignedError(
            f"of {len(statements)} statements signed by {signer}, no provenance is about the code "
            f"{code} of this version"
        )
    found: dict[str, Any] = {"signed_by": signer}
    if equivalence:
        proofs = [each for each in about if each["predicateType"] == _EQUIVALENCE]
        found["proof"] = _find_proof(proofs, equivalence, int(os.environ["MIN_ROWS"]))
    return found


def _read_signed(signer: str, keys: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the statements that this key signed. Nothing of another envelope is believed."""
    if not ATTESTATIONS.exists():
        raise UnsignedError(
            f"{ATTESTATIONS.name} is not beside the check: run `packager sign` before you deploy"
        )
    lines = [each for each in ATTESTATIONS.read_text(encoding="utf-8").split("\n") if each.strip()]
    if len(lines) > _MOST_ENVELOPES:
        raise UnsignedError(f"{ATTESTATIONS.name} has more than {_MOST_ENVELOPES} envelopes")
    offered = keys.get_public_key(KeyId=signer)["SigningAlgorithms"]
    algorithm = next((each for each in _ALGORITHMS if each in offered), None)
    if algorithm is None:
        raise UnsignedError(f"{signer} signs by no algorithm of `packager sign`: {offered}")
    for line in lines:
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        kind = envelope["payloadType"].encode()
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        digest = _ALGORITHMS[algorithm](signed).digest()
        signatures = [base64.b64decode(each["sig"]) for each in envelope["signatures"]]
        if not any(_verify(keys, signer, algorithm, digest, each) for each in signatures):
            continue
        statement = json.loads(payload)
        if envelope["payloadType"] == _PAYLOAD_TYPE and statement["_type"] == _STATEMENT:
            yield statement


def _verify(keys: Any, signer: str, algorithm: str, digest: bytes, signature: bytes) -> bool:
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


def _names_code(statement: Mapping[str, Any], code: str) -> bool:
    digests = [each["digest"] for each in statement["subject"] if each["name"] == _CODE]
    return digests == [{"sha256": code}]


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
        return told["bitEqual"] is True and largest == 0
    return bool(largest <= float(equivalence))
