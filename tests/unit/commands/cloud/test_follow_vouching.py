"""A follower deploys nothing that is not as it was built, signed and proven as it is required."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager.commands.artifact.attestations.policy import check_attestations
from packager.commands.cloud.follow.vouching import make_vouching
from packager.commands.cloud.signing.signers import make_policy
from packager.errors import AttestationError, ConfigurationError, IntegrityError
from packager.types import Following
from tests.attestations import FILE, make_key
from tests.unit.commands.artifact.test_integrity import _build


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _build(tmp_path / "built")


def _vouch(artifact: Path, **asked: Any) -> None:
    make_vouching(Following(**asked)).vouch(artifact)


def test_an_artifact_as_it_was_built_is_enough_where_nothing_is_required(artifact: Path) -> None:
    _vouch(artifact)
    assert not (artifact / FILE).exists()


def test_one_that_was_changed_is_named(artifact: Path) -> None:
    with (artifact / "template.yaml").open("a") as file:
        file.write("# more")
    with pytest.raises(IntegrityError, match=r"template\.yaml was changed"):
        _vouch(artifact)


def test_it_is_signed_and_held_to_the_keys(artifact: Path, tmp_path: Path) -> None:
    private, public = make_key(tmp_path)
    _vouch(
        artifact,
        sign_key=str(private),
        required=(str(public),),
        equivalence="bit-equal",
        least_rows=100,
    )
    policy = make_policy([str(public)], [])
    assert policy is not None
    assert check_attestations(artifact, policy)["passed"]


def test_another_key_than_the_one_that_signs_is_not_enough(artifact: Path, tmp_path: Path) -> None:
    private, _ = make_key(tmp_path)
    _, other = make_key(tmp_path, "p256")
    with pytest.raises(AttestationError, match="No provenance is signed by the key"):
        _vouch(artifact, sign_key=str(private), required=(str(other),))


@pytest.mark.parametrize(
    ("equivalence", "rows", "said"),
    [
        ("bit-equal", 10**9, "fewer than the 1000000000 of --min-rows"),
        ("1e-6", 10**9, "fewer than the 1000000000 of --min-rows"),
    ],
)
def test_a_proof_of_less_is_not_enough(
    equivalence: str, rows: int, said: str, artifact: Path
) -> None:
    _vouch(artifact, equivalence=equivalence, least_rows=1)
    with pytest.raises(AttestationError, match=said):
        _vouch(artifact, equivalence=equivalence, least_rows=rows)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"required": ("a.pub",)}, "--sign-key"),
        ({"least_rows": 3}, "--require-equivalence"),
        ({"equivalence": "close"}, "neither bit-equal nor"),
        ({"sign_key": "none.pem"}, r"none\.pem cannot be read"),
        ({"sign_key": "hsm:1"}, "signs nothing in"),
    ],
)
def test_what_cannot_be_required_is_refused_before_anything(
    asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make_vouching(Following(**asked))
