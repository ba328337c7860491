"""`packager sign --key awskms:ID`, against moto's KMS.

moto hashes what it signs, a digest too, which AWS signs as it is: `digests` mends that.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from moto.kms import utils

from tests.attestations import FILE, make_key, read_lines
from tests.unit.commands.artifact.test_attestations import run
from tests.unit.commands.artifact.test_integrity import _build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


def _make_kms_key(spec: str, usage: str = "SIGN_VERIFY") -> str:
    made = boto3.client("kms").create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    return str(made["Arn"])


@pytest.fixture
def digests(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {each.name[3:]: each for each in (SHA256(), SHA384(), SHA512())}

    def sign(self: Any, message: bytes, signing_algorithm: str) -> Any:
        kind = hashes[signing_algorithm[-3:]]
        given = Prehashed(kind)
        if signing_algorithm.startswith("ECDSA"):
            return self.private_key.sign(message, ECDSA(given))
        return self.private_key.sign(message, PSS(MGF1(kind), PSS.DIGEST_LENGTH), given)

    for each in (utils.ECDSAPrivateKey, utils.RSAPrivateKey):
        monkeypatch.setattr(each, "sign", sign)


@pytest.mark.few(1)
@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "RSA_2048"])
def test_what_kms_signed_verifies_by_kms_and_by_the_public_key_s_file(
    spec: str, digests: None, artifact: Path, tmp_path: Path
) -> None:
    arn = _make_kms_key(spec)
    boto3.client("kms").create_alias(AliasName="alias/releases", TargetKeyId=arn)
    told = boto3.client("kms").get_public_key(KeyId=arn)["PublicKey"]
    public = tmp_path / "kms.pub"
    public.write_bytes(
        load_der_public_key(told).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )

    assert run("sign", artifact, "--key", "awskms:alias/releases") == (0, "")
    for key in (f"awskms:{arn}", "awskms:alias/releases", public):
        assert run("verify", artifact, "--key", key, "--require-equivalence", "0") == (0, "")
    _, other = make_key(tmp_path)
    assert run("verify", artifact, "--key", other)[0] == 14


def test_signing_again_by_kms_replaces_its_statements(digests: None, artifact: Path) -> None:
    key = f"awskms:{_make_kms_key('ECC_NIST_P256')}"
    run("sign", artifact, "--key", key)
    run("sign", artifact, "--key", key)
    assert len(read_lines(artifact)) == 2


def test_a_key_that_is_not_there_is_named(aws: None, artifact: Path) -> None:
    for command in ("sign", "verify"):
        code, said = run(command, artifact, "--key", "awskms:alias/gone")
        assert code == 11
        assert "alias/gone" in said
    assert not (artifact / FILE).exists()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("awskms:", "names no key"),
        ("RSA_2048 ENCRYPT_DECRYPT", "is for no signatures"),
        ("ECC_SECG_P256K1 SIGN_VERIFY", "signs by no algorithm that is known here"),
    ],
)
def test_a_key_that_cannot_sign_is_named(key: str, said: str, aws: None, artifact: Path) -> None:
    spec, _, usage = key.partition(" ")
    given = f"awskms:{_make_kms_key(spec, usage)}" if usage else key
    code, message = run("sign", artifact, "--key", given)
    assert code == 2
    assert said in message


def test_a_signature_that_does_not_hold_is_not_written(aws: None, artifact: Path) -> None:
    """Moto's own, over the digest of a digest."""
    code, said = run("sign", artifact, "--key", f"awskms:{_make_kms_key('ECC_NIST_P256')}")
    assert code == 14
    assert "does not verify by the key's own public half" in said
    assert not (artifact / FILE).exists()
