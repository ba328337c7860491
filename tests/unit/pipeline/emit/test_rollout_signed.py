"""`RolloutSignedBy`: a new version gets no traffic unless the key signed its code or its image.

The check is the emitted one, and verifies over the OpenSSL of this Python. KMS is moto's. It hashes
a digest once more, when it signs and when it verifies, which AWS does not: `digests` mends both.
"""

from __future__ import annotations

import base64
import json
import re
import zipfile
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

from packager.commands.artifact.attestations import policy
from packager.commands.artifact.attestations.sign import sign_artifact
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.commands.cloud.signing import signers
from packager.commands.cloud.signing.aws_keys import open_kms_signer
from packager.commands.cloud.signing.signers import sign_by
from packager.errors import IntegrityError
from packager.system.file_tree import sha256
from packager.types import InfrastructureTool
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
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'5' * 64}"


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


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

    def __init__(self, archive: Path | None) -> None:
        super().__init__(RIGHT)
        self.image = "" if archive else IMAGE
        digest = b"" if archive is None else bytes.fromhex(sha256(archive))
        self.code = base64.b64encode(digest).decode()

    def get_function_configuration(self, **given: Any) -> dict[str, str]:
        assert given == {"FunctionName": _VERSION}
        return {"CodeSha256": self.code, "PackageType": "Image" if self.image else "Zip"}

    def get_function(self, **given: Any) -> dict[str, Any]:
        assert given == {"FunctionName": _VERSION}
        return {"Code": {"ImageUri": "churn:v1", "ResolvedImageUri": self.image}}


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _emit(tmp_path)


@pytest.fixture
def check(artifact: Path, digests: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    return _make_check(artifact, _Lambda(artifact / "function.zip"), monkeypatch)


def _make_check(artifact: Path, deployed: _Lambda, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the check as CodeDeploy does, with what the stack requires."""
    real = boto3.client

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


@pytest.mark.few(1)
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


@pytest.mark.few(1)
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


def _read_public(path: Path) -> str:
    """As `packager sign` prints it, and as `grep -v -- -----` leaves it."""
    return "".join(path.read_text().splitlines()[1:-1])


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "p521", "rsa"])
def test_a_public_key_in_the_template_is_asked_for_without_kms(
    kind: str, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No network: KMS is not there at all."""
    private, public = make_key(tmp_path, kind)
    other = _read_public(make_key(make_folder(tmp_path / "other"), kind)[1])
    made = sign_by(artifact, str(private), builder_id="urn:x")
    deployed = _Lambda(artifact / "function.zip")
    check = _make_check(artifact, deployed, monkeypatch)

    assert made["parameters"] == {"RolloutSignedBy": _read_public(public)}
    found = check(_read_public(public), "bit-equal")
    assert found["passed"], found
    assert found["signed_by"] == _read_public(public)
    assert found["asked"] == 3

    another = check(other)
    assert not another["passed"]
    assert "of 0 statements signed by" in another["problem"]

    deployed.code = base64.b64encode(b"\0" * 32).decode()
    unsigned = check(_read_public(public))
    assert not unsigned["passed"]
    assert "no provenance is about the code 0000" in unsigned["problem"]


def test_a_version_that_nobody_signed_is_held_back_by_a_public_key(
    artifact: Path, tmp_path: Path, check: Any
) -> None:
    found = check(_read_public(make_key(tmp_path)[1]))
    assert not found["passed"]
    assert "run `packager sign` before you deploy" in found["problem"]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line | {"payload": base64.b64encode(b"{}").decode()},
        lambda line: line | {"payloadType": "application/json"},
        lambda line: line | {"signatures": []},
        lambda line: line | {"signatures": [{"sig": ""}]},
        lambda line: line | {"signatures": [{"sig": base64.b64encode(b"x" * 64).decode()}]},
    ],
    ids=["payload", "type", "none", "empty", "forged"],
)
@pytest.mark.parametrize("kind", ["ed25519", "p256", "rsa"])
def test_an_envelope_that_was_changed_does_not_count_for_a_public_key(
    kind: str, change: Any, artifact: Path, tmp_path: Path, check: Any
) -> None:
    private, public = make_key(tmp_path, kind)
    sign_by(artifact, str(private), builder_id="urn:x")
    lines = [json.dumps(change(each)) + "\n" for each in read_lines(artifact)]
    (artifact / "rollout" / FILE).write_text("".join(lines))

    found = check(_read_public(public))
    assert not found["passed"]
    assert "of 0 statements" in found["problem"]


def test_one_of_several_signatures_is_enough(artifact: Path, tmp_path: Path, check: Any) -> None:
    first, second = make_key(tmp_path, "p256"), make_key(tmp_path, "ed25519")
    for private, _ in (first, second):
        sign_by(artifact, str(private), builder_id="urn:x")

    assert check(_read_public(first[1]))["passed"]
    assert check(_read_public(second[1]))["passed"]


@pytest.mark.parametrize("kind", ["rsa-1024", "secp256k1", "x25519", "dsa"])
def test_a_key_that_signs_nothing_here_is_told(
    kind: str, artifact: Path, tmp_path: Path, check: Any
) -> None:
    sign_by(artifact, str(make_key(tmp_path)[0]), builder_id="urn:x")

    found = check(_read_public(make_key(tmp_path, kind)[1]))
    assert not found["passed"]
    assert "RolloutSignedBy is no public key of Ed25519" in found["problem"]


@pytest.mark.parametrize("text", ["MCow", "M" * 60, "M", "MCowBQYDK2VwAyEA"])
def test_what_is_no_key_is_told(text: str, artifact: Path, tmp_path: Path, check: Any) -> None:
    sign_by(artifact, str(make_key(tmp_path)[0]), builder_id="urn:x")

    found = check(text)
    assert not found["passed"]
    assert found["problem"].startswith("KeyUnusableError: RolloutSignedBy")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return _emit(make_folder(tmp_path / "image"), name="aws-lambda-image")


def _sign_image(image: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """As if the registry had the image: test_deployed_image.py compares images."""
    monkeypatch.setattr(signers, "compare_image", lambda *_: _compared([]))
    return sign_by(image, key, builder_id="urn:x", image=IMAGE)


def _compared(problems: list[str]) -> dict[str, Any]:
    return {"name": "image", "passed": not problems, "problems": problems}


def test_an_image_whose_digest_was_signed_gets_traffic(
    image: Path, tmp_path: Path, digests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_key(tmp_path)
    made = _sign_image(image, str(private), monkeypatch)
    arn = _make_key()
    _sign_image(image, f"awskms:{arn}", monkeypatch)
    deployed = _Lambda(None)
    check = _make_check(image, deployed, monkeypatch)

    for signer in (made["parameters"]["RolloutSignedBy"], arn):
        found = check(signer, "bit-equal")
        assert found["passed"], found
    deployed.image = IMAGE.replace("5" * 64, "6" * 64)
    other = check(_read_public(public))
    assert not other["passed"]
    assert "no provenance is about the image 6666" in other["problem"]
    assert policy.check_attestations(image, signers.make_policy([str(public)], []))["passed"]  # type: ignore[arg-type]


def test_an_image_whose_folder_alone_was_signed_is_held_back(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = make_key(tmp_path)
    sign_by(image, str(private), builder_id="urn:x")

    found = _make_check(image, _Lambda(None), monkeypatch)(_read_public(public))
    assert not found["passed"]
    assert "`packager sign --image` states one" in found["problem"]


def test_an_image_of_something_else_is_not_signed(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _compared([f"{IMAGE}: /var/task/x differs"])
    monkeypatch.setattr(signers, "compare_image", lambda *_: found)

    with pytest.raises(IntegrityError, match="/var/task/x differs"):
        sign_by(image, str(make_key(tmp_path)[0]), builder_id="urn:x", image=IMAGE)
    assert not (image / FILE).exists()


def test_a_zip_has_no_image_to_sign(artifact: Path, tmp_path: Path) -> None:
    from tests.unit.commands.artifact.test_attestations import run

    code, said = run("sign", artifact, "--key", make_key(tmp_path)[0], "--image", IMAGE)
    assert code == 2
    assert "is deployed as a zip" in said


@pytest.mark.parametrize("name", ["aws-lambda", "aws-lambda-image"])
def test_terraform_deploys_the_check_with_what_was_signed(name: str, tmp_path: Path) -> None:
    artifact = _emit(tmp_path, name=name, emit=(InfrastructureTool.TERRAFORM,))
    text = (artifact / "terraform" / "main.tf").read_text()
    sign_by(artifact, str(make_key(tmp_path)[0]), builder_id="urn:x")
    packed = artifact / "terraform" / "rollout.signed.zip"

    assert 'fileexists("${path.module}/rollout.signed.zip")' in text
    assert "rollout_signed_by" in (artifact / "terraform" / "variables.tf").read_text()
    with zipfile.ZipFile(packed) as archive:
        assert archive.read(FILE) == (artifact / FILE).read_bytes()
    sign_by(artifact, str(make_key(tmp_path, "p256")[0]), builder_id="urn:x")
    with zipfile.ZipFile(packed) as archive:
        assert archive.read(FILE) == (artifact / FILE).read_bytes()
    assert verify_artifact(artifact)["verified"]
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("boto3.py", "")
    (problem,) = list_problems(verify_artifact(artifact))
    assert problem == "boto3.py is in terraform/rollout.signed.zip, and not in rollout/."
    packed.write_bytes(b"no zip")
    assert "cannot be read" in list_problems(verify_artifact(artifact))[0]
    packed.unlink()
    packed.symlink_to("/etc/passwd")
    assert "is a link" in list_problems(verify_artifact(artifact))[0]


def test_a_file_that_would_be_deployed_with_the_check_is_found(artifact: Path) -> None:
    (artifact / "rollout" / "boto3.py").write_text("")

    found = verify_artifact(artifact)
    assert list_problems(found) == ["rollout/boto3.py would be deployed, and no build wrote it."]


@pytest.mark.parametrize("name", ["aws-lambda", "aws-lambda-image"])
def test_the_check_may_ask_kms_by_the_parameter_alone(name: str, tmp_path: Path) -> None:
    text = (_emit(make_folder(tmp_path / name), name=name) / "template.yaml").read_text()
    template = sam.parse(text)

    role = template["Resources"]["RolloutCheckRole"]["Properties"]["Policies"]
    found = {each["Fn::If"][0]: each["Fn::If"][1:] for each in role if "Fn::If" in each}
    statements = found["RolloutIsSignedByKms"][0]["PolicyDocument"]["Statement"]
    assert [each["Resource"] for each in statements] == [{"Ref": "RolloutSignedBy"}]
    assert statements[0]["Action"] == ["kms:GetPublicKey", "kms:Verify"]
    (read,) = found["RolloutIsSigned"][0]["PolicyDocument"]["Statement"]
    more = ["lambda:GetFunction"] if name == "aws-lambda-image" else []
    assert read["Action"] == ["lambda:GetFunctionConfiguration", *more]
    assert read["Resource"] == {"Fn::Sub": "${Function.Arn}:*"}
    assert found["RolloutIsSignedByKms"][1] == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("", True),
        ("arn:aws:kms:eu-west-1:123456789012:key/0a-b", True),
        ("arn:aws:kms:eu-west-1:123456789012:alias/releases", False),
        ("release.pub", False),
        ("-----BEGIN PUBLIC KEY-----", False),
    ],
)
def test_the_parameter_takes_what_the_check_can_use(
    value: str,
    taken: bool,  # noqa: FBT001 - a column of the table
    artifact: Path,
) -> None:
    template = sam.parse((artifact / "template.yaml").read_text())

    pattern = template["Parameters"]["RolloutSignedBy"]["AllowedPattern"]
    assert (re.fullmatch(pattern, value) is not None) is taken


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "p521", "rsa"])
def test_the_parameter_takes_each_kind_of_key(kind: str, artifact: Path, tmp_path: Path) -> None:
    template = sam.parse((artifact / "template.yaml").read_text())

    pattern = template["Parameters"]["RolloutSignedBy"]["AllowedPattern"]
    assert re.fullmatch(pattern, _read_public(make_key(tmp_path, kind)[1]))
