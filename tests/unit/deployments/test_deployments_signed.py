"""`-C require_signed_by`: an artifact that is not signed as it is demanded is never uploaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from sigstore.models import ClientTrustConfig

from packager.commands.artifact.attestations.keyless import Keyless, sign_keyless
from packager.commands.artifact.attestations.keys import load_signer
from packager.commands.artifact.attestations.sign import sign_artifact
from packager.deployments import AwsLambdaDeploymentClient, _aws
from tests.attestations import FILE, make_key
from tests.sigstore import make_token, serving_sigstore
from tests.unit.deployments import deploying


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = deploying.cloud()
    monkeypatch.setattr(_aws, "connect", lambda _: made[0])
    return made


@pytest.fixture
def client() -> AwsLambdaDeploymentClient:
    return AwsLambdaDeploymentClient("aws-lambda")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_key(tmp_path_factory.mktemp("other"))


@pytest.fixture
def folder(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    made = deploying.artifact(tmp_path)
    sign_artifact(made, load_signer(keys[0]))
    return made


def _refused(client: AwsLambdaDeploymentClient, folder: object, **config: object) -> Any:
    with pytest.raises(MlflowException) as caught:
        client.create_deployment("churn", str(folder), config={"bucket": "b", **config})
    return caught.value


def test_what_is_signed_as_demanded_is_deployed(
    client: AwsLambdaDeploymentClient, world: Any, folder: Path, keys: tuple[Path, Path]
) -> None:
    config = {
        "bucket": "b",
        "require_signed_by": [keys[1]],
        "require_equivalence": "bit-equal",
        "min_rows": 1000,
    }

    client.create_deployment("churn", str(folder), config=config)

    assert len(world[2].uploaded) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / FILE).unlink(), "Nobody signed it"),
        (lambda folder: (folder / FILE).write_text(""), "Nobody signed it"),
        (lambda folder: (folder / FILE).write_text('{"payload": "'), "line 1"),
        (
            lambda folder: (folder / FILE).write_text(
                (folder / FILE).read_text().replace('"payload":"', '"payload":"AAAA')
            ),
            "was changed since it was signed",
        ),
    ],
    ids=["none", "empty", "truncated", "changed"],
)
def test_what_is_not_is_never_uploaded(
    client: AwsLambdaDeploymentClient,
    world: Any,
    folder: Path,
    keys: tuple[Path, Path],
    change: Callable[[Path], object],
    words: str,
) -> None:
    change(folder)

    error = _refused(client, folder, require_signed_by=keys[1])

    assert (error.error_code, error.exit_code) == ("PERMISSION_DENIED", 14)
    assert words in str(error)
    assert not world[2].uploaded


def test_each_key_that_is_named_must_have_signed(
    client: AwsLambdaDeploymentClient,
    world: Any,
    folder: Path,
    keys: tuple[Path, Path],
    other: tuple[Path, Path],
) -> None:
    error = _refused(client, folder, require_signed_by=f"{keys[1]},{other[1]}")

    assert "--require-signed-by" in str(error)
    assert error.exit_code == 14
    assert not world[2].uploaded


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"min_rows": 1_000_000}, 14, "fewer than the 1000000"),
        ({"require_equivalence": "much"}, 2, "neither bit-equal"),
        ({"require_equivalence": ""}, 2, "demands nothing"),
        ({"min_rows": 0}, 2, "whole number"),
        ({"require_signed_by": ""}, 2, "names no key"),
        ({"require_signed_by": "missing.pub"}, 2, "cannot be read"),
        ({"require_signed_by": "/"}, 2, "cannot be read"),
    ],
)
def test_what_else_is_demanded(
    client: AwsLambdaDeploymentClient,
    world: Any,
    folder: Path,
    keys: tuple[Path, Path],
    config: dict[str, object],
    code: int,
    words: str,
) -> None:
    whole = {"require_signed_by": keys[1], "require_equivalence": "bit-equal", **config}

    error = _refused(client, folder, **whole)

    assert words in str(error)
    assert error.exit_code == code
    assert not world[2].uploaded


@pytest.mark.parametrize("config", [{"require_equivalence": "1e-6"}, {"min_rows": 5}])
def test_a_proof_of_nobody_is_no_demand(
    client: AwsLambdaDeploymentClient, world: Any, folder: Path, config: dict[str, object]
) -> None:
    assert _refused(client, folder, **config).exit_code == 2
    assert not world[2].uploaded


def test_a_model_that_is_yet_to_be_built_is_signed_by_nobody(
    client: AwsLambdaDeploymentClient, world: Any, keys: tuple[Path, Path]
) -> None:
    error = _refused(client, "models:/churn/1", require_signed_by=keys[1])

    assert "yet to be built" in str(error)
    assert error.exit_code == 2


def test_an_update_is_refused_too(
    client: AwsLambdaDeploymentClient,
    world: Any,
    folder: Path,
    keys: tuple[Path, Path],
    other: tuple[Path, Path],
) -> None:
    client.create_deployment("churn", str(folder), config={"bucket": "b"})
    before = len(world[1].asked)

    with pytest.raises(MlflowException) as caught:
        client.update_deployment("churn", str(folder), config={"require_signed_by": other[1]})
    assert caught.value.error_code == "PERMISSION_DENIED"
    with pytest.raises(MlflowException, match="require_signed_by takes effect when code"):
        client.update_deployment("churn", config={"require_signed_by": keys[1]})
    changes = [name for name, _ in world[1].asked[before:] if "change_set" in name]
    assert changes == []


def test_an_identity_is_demanded_by_the_word_of_its_issuer(
    client: AwsLambdaDeploymentClient, world: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_sigstore() as instance:
        config = ClientTrustConfig.from_json(json.dumps(instance.describe()))
        monkeypatch.setattr(ClientTrustConfig, "production", lambda offline: config)
        monkeypatch.setenv("SIGSTORE_IDENTITY_TOKEN", make_token("ann@example.org", "https://a"))
        sign_keyless(folder, Keyless(), builder_id="urn:x")
    who = {"require_identity": "ann@example.org", "require_issuer": "https://a"}

    error = _refused(client, folder, **{**who, "require_issuer": "https://b"})
    assert (error.error_code, error.exit_code) == ("PERMISSION_DENIED", 14)
    assert "ann@example.org (issuer https://a)" in str(error)
    assert "set require_identity and" in str(_refused(client, folder, require_issuer="https://a"))
    assert "would demand nothing" in str(_refused(client, folder, **{**who, "require_issuer": ""}))
    assert not world[2].uploaded

    client.create_deployment("churn", str(folder), config={"bucket": "b", **who})
    assert len(world[2].uploaded) == 1
