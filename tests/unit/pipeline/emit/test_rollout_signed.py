"""`RolloutSignedBy`: a new version gets no traffic unless KMS verifies what was signed of its code.

The check is the emitted one, KMS is moto's. moto hashes a digest once more, when it signs and when
it verifies, which AWS does not: `digests` mends both.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from moto import mock_aws
from moto.kms import utils

from packager.commands.artifact.attestations.sign import sign_artifact
from packager.commands.cloud.signing.aws_keys import open_kms_signer
from packager.commands.cloud.signing.signers import sign_by
from packager.system.file_tree import sha256
from tests import sam
from tests.attestations import FILE, make_key, read_lines
from tests.unit.pipeline.emit.test_emit_rollout import (
    _EVENT,
    _VERSION,
    _answer,
    _Cloud,
    _Context,
    _emit,
    _load,
)

RIGHT = _answer(lambda x: x / 8)


@pytest.fixture
def digests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    hashes = {each.name[3:]: each for each in (SHA256(), SHA384())}

    def sign(self: Any, message: bytes, signing_algorithm: str) -> Any:
        kind = hashes[signing_algorithm[-3:]]
        given = Prehashed(kind)
        if signing_algorithm.startswith("ECDSA"):
            return self.private_key.sign(message, ECDSA(given))
        return self.private_key.sign(message, PSS(MGF1(kind), PSS.DIGEST_LENGTH), given)

    def verify(self: Any, message: bytes, signature: bytes, signing_algorithm: str) -> bool:
        kind = hashes[signing_algorithm[-3:]]
        given, public = Prehashed(kind), self.private_key.public_key()
        try:
            if signing_algorithm.startswith("ECDSA"):
                public.verify(signature, message, ECDSA(given))
            else:
                public.verify(signature, message, PSS(MGF1(kind), PSS.DIGEST_LENGTH), given)
        except InvalidSignature:
            return False
        return True

    for each in (utils.ECDSAPrivateKey, utils.RSAPrivateKey):
        monkeypatch.setattr(each, "sign", sign)
        monkeypatch.setattr(each, "verify", verify)
    with mock_aws():
        yield


def _make_key(spec: str = "ECC_NIST_P256") -> str:
    made = boto3.client("kms").create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    return str(made["Arn"])


class _Lambda(_Cloud):
    """With the code that was deployed of an artifact."""

    def __init__(self, archive: Path) -> None:
        super().__init__(RIGHT)
        self.code = base64.b64encode(bytes.fromhex(sha256(archive))).decode()

    def get_function_configuration(self, **given: Any) -> dict[str, str]:
        assert given == {"FunctionName": _VERSION}
        return {"CodeSha256": self.code}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _emit(tmp_path)


@pytest.fixture
def check(artifact: Path, digests: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the check as CodeDeploy does, with what the stack requires."""
    real, deployed = boto3.client, _Lambda(artifact / "function.zip")

    def ask(signed_by: str, equivalence: str = "", rows: int = 1) -> dict[str, Any]:
        module = _load(artifact, monkeypatch, deployed)
        monkeypatch.setattr(
            boto3,
            "client",
            lambda service, **given: real("kms", **given) if service == "kms" else deployed,
        )
        monkeypatch.setenv("SIGNED_BY", signed_by)
        monkeypatch.setenv("EQUIVALENCE", equivalence)
        monkeypatch.setenv("MIN_ROWS", str(rows))
        deployed.status.clear()
        found: dict[str, Any] = module.check_version(_EVENT, _Context())
        assert deployed.status == ["Succeeded" if found["passed"] else "Failed"]
        monkeypatch.setattr(boto3, "client", real)
        return found

    ask.deployed = deployed  # type: ignore[attr-defined]
    return ask


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "RSA_2048"])
def test_a_version_that_is_signed_by_the_key_gets_traffic(
    spec: str, artifact: Path, check: Any
) -> None:
    arn = _make_key(spec)
    sign_by(artifact, f"awskms:{arn}", builder_id="urn:x")

    found = check(arn, "bit-equal")
    assert found["passed"], found
    assert found["signed_by"] == arn
    assert found["proof"]["mismatches"] == 0
    assert found["asked"] == 3


def test_nothing_is_asked_for_where_the_stack_requires_nothing(check: Any) -> None:
    found = check("")
    assert found["passed"]
    assert "signed_by" not in found


def test_a_version_that_nobody_signed_is_held_back(check: Any) -> None:
    found = check(_make_key())
    assert not found["passed"]
    assert "run `packager sign` before you deploy" in found["problem"]
    assert "asked" not in found


def test_another_key_s_signature_does_not_count(artifact: Path, check: Any, tmp_path: Path) -> None:
    sign_by(artifact, f"awskms:{_make_key()}", builder_id="urn:x")
    sign_by(artifact, str(make_key(tmp_path, "p256")[0]), builder_id="urn:x")

    found = check(_make_key())
    assert not found["passed"]
    assert "of 0 statements signed by" in found["problem"]


def test_other_code_than_what_was_signed_is_held_back(artifact: Path, check: Any) -> None:
    arn = _make_key()
    sign_by(artifact, f"awskms:{arn}", builder_id="urn:x")
    check.deployed.code = base64.b64encode(b"\0" * 32).decode()

    found = check(arn)
    assert not found["passed"]
    assert "no provenance is about the code 0000" in found["problem"]


def test_a_payload_that_was_changed_does_not_count(artifact: Path, check: Any) -> None:
    arn = _make_key()
    sign_by(artifact, f"awskms:{arn}", builder_id="urn:x")
    lines = read_lines(artifact)
    for line in lines:
        text = base64.b64decode(line["payload"]).replace(b'"mismatches":0', b'"mismatches":1')
        line["payload"] = base64.b64encode(text + b" ").decode()
    (artifact / "rollout" / FILE).write_text("".join(json.dumps(each) + "\n" for each in lines))

    found = check(arn)
    assert not found["passed"]
    assert "of 0 statements" in found["problem"]


@pytest.mark.parametrize(
    ("equivalence", "rows"), [("0", 1), ("1e-6", 1), ("bit-equal", 10**9), ("0.5", 10**9)]
)
def test_the_signed_proof_must_state_what_the_stack_requires(
    equivalence: str, rows: int, artifact: Path, check: Any
) -> None:
    arn = _make_key()
    sign_by(artifact, f"awskms:{arn}", builder_id="urn:x")

    found = check(arn, equivalence, rows)
    assert found["passed"] is (rows == 1)
    assert rows == 1 or f"requires {equivalence} over {rows} rows" in found["problem"]


def test_a_proof_by_another_key_is_none(artifact: Path, check: Any) -> None:
    arn = _make_key()
    sign_artifact(artifact, open_kms_signer(f"awskms:{arn}"))
    path = artifact / "rollout" / FILE
    path.write_text(path.read_text().splitlines()[0] + "\n")

    found = check(arn, "bit-equal")
    assert not found["passed"]
    assert "no model equivalence is signed" in found["problem"]


def test_a_proof_of_nobody_is_not_asked_for(check: Any) -> None:
    found = check("", "bit-equal")
    assert not found["passed"]
    assert "needs RolloutSignedBy" in found["problem"]


@pytest.mark.parametrize("text", ["{", "[]", '{"payload": 3}', "\n" * 5])
def test_a_file_that_is_no_envelope_is_held_back(text: str, artifact: Path, check: Any) -> None:
    (artifact / "rollout" / FILE).write_text(text)

    assert not check(_make_key())["passed"]


def test_signing_gives_the_check_its_copy_and_the_artifact_still_verifies(
    artifact: Path, tmp_path: Path
) -> None:
    from tests.unit.commands.artifact.test_attestations import run

    private, public = make_key(tmp_path)
    assert run("sign", artifact, "--key", private) == (0, "")
    assert (artifact / "rollout" / FILE).read_bytes() == (artifact / FILE).read_bytes()
    assert run("verify", artifact, "--key", public) == (0, "")


def test_the_check_may_ask_kms_by_the_parameter_alone(artifact: Path) -> None:
    template = sam.parse((artifact / "template.yaml").read_text())

    role = template["Resources"]["RolloutCheckRole"]["Properties"]["Policies"]
    found = [each["Fn::If"] for each in role if "Fn::If" in each]
    (ours,) = (each for each in found if each[0] == "RolloutIsSigned")
    statements = ours[1]["PolicyDocument"]["Statement"]
    assert statements[0]["Resource"] == {"Ref": "RolloutSignedBy"}
    assert statements[0]["Action"] == ["kms:GetPublicKey", "kms:Verify"]
    assert ours[2] == {"Ref": "AWS::NoValue"}


def test_an_image_has_no_such_parameter(tmp_path: Path) -> None:
    """Lambda knows the digest of an image, and what is signed is the digest of a folder."""
    text = (_emit(tmp_path, name="aws-lambda-image") / "template.yaml").read_text()

    assert "RolloutSignedBy" not in text
    assert "SIGNED_BY" not in text
