"""Tags that say which version runs where; MLflow's own store behind them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from packager.errors import ConfigurationError, ModelNotFoundError, RegistryUnavailableError
from packager.models.model_uri import Registered
from packager.models.registry import MlflowRegistry
from packager.models.registry_tags import DeployedTag, DeploymentTags
from tests import registries

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "it's churn"
KEY = "packager.deployed.prod"
DEPLOYING = '{"at": 1, "settings": "s", "sha256": "s", "deploying": "../../etc"}'


@pytest.fixture(autouse=True)
def _quietly(quiet: None) -> None:
    """MLflow warns."""


def make_tag(version: str, at: float) -> DeployedTag:
    return DeployedTag(version=version, settings="0123", sha256="abc", at=at)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry with three versions, and an alias on the second."""
    from mlflow import MlflowClient

    uri = registries.unpack(registries.VERSIONS[-1], tmp_path_factory.mktemp("registry")).uri
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = MlflowClient(uri, uri)
        client.create_registered_model(NAME)
        for _ in range(3):
            client.create_model_version(NAME, "s3://bucket/model", await_creation_for=0)
        client.set_registered_model_alias(NAME, "champion", "2")
    return uri


@pytest.fixture
def client(address: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(address, address)


@pytest.fixture
def tags(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> DeploymentTags:
    """The tags of a server, whose store is asked without one."""

    @contextmanager
    def open_client(_: DeploymentTags) -> Iterator[tuple[MlflowClient, str]]:
        yield client, "http://server"

    for version in client.search_model_versions(f'name="{NAME}"'):
        for key in version.tags:
            client.delete_model_version_tag(NAME, version.version, key)
    monkeypatch.setattr(DeploymentTags, "_open_client", open_client)
    return DeploymentTags(NAME, "prod")


def test_an_alias_is_read(address: str) -> None:
    registry = MlflowRegistry(tracking_uri=address)
    assert registry.read_alias(Registered(name=NAME, alias="champion")) == "2"
    with pytest.raises(ModelNotFoundError, match=r"has no alias 'nobody'(.|\n)*champion"):
        registry.read_alias(Registered(name=NAME, alias="nobody"))
    with pytest.raises(ModelNotFoundError, match="No registered model 'nobody'"):
        registry.read_alias(Registered(name="nobody", alias="champion"))


def test_the_version_that_was_written_last_is_found_and_no_other_has_the_tag(
    tags: DeploymentTags, client: MlflowClient
) -> None:
    assert tags.find() is None
    for version, at in (("1", 5.0), ("3", 6.0), ("2", 7.5)):
        tags.write(make_tag(version, at))

    assert tags.find() == make_tag("2", 7.5)
    tagged = {each.version for each in client.search_model_versions("") if KEY in each.tags}
    assert tagged == {2}


def test_a_writer_that_was_killed_leaves_the_newer_one_to_be_found(
    tags: DeploymentTags, client: MlflowClient
) -> None:
    tags.write(make_tag("1", 5.0))
    value = client.get_model_version(NAME, "1").tags[KEY]
    tags.write(make_tag("3", 6.0))
    client.set_model_version_tag(NAME, "1", KEY, value)

    assert tags.find() == make_tag("3", 6.0)
    tags.write(make_tag("3", 6.0))
    assert KEY not in client.get_model_version(NAME, "1").tags


def test_other_places_and_tags_stay(tags: DeploymentTags, client: MlflowClient) -> None:
    client.set_model_version_tag(NAME, "1", "owner", "me")
    DeploymentTags(NAME, "test").write(make_tag("1", 1.0))
    tags.write(make_tag("2", 2.0))

    assert set(client.get_model_version(NAME, "1").tags) == {"owner", "packager.deployed.test"}


@pytest.mark.parametrize("value", ["", "yes", "{}", "[1]", '{"at": "x", "settings": 1}', DEPLOYING])
def test_a_tag_that_nobody_here_wrote_says_nothing(
    value: str, tags: DeploymentTags, client: MlflowClient
) -> None:
    client.set_model_version_tag(NAME, "1", KEY, value)
    assert tags.find() is None


@pytest.mark.parametrize("place", ["", "a b", "a/b", "x" * 65, "prod\n", "é"])
def test_a_place_has_a_plain_name(place: str, tags: DeploymentTags) -> None:
    with pytest.raises(ConfigurationError, match="is no name of a place"):
        DeploymentTags(NAME, place).check()


def test_a_database_is_never_written_to(address: str) -> None:
    path = Path(address.removeprefix("sqlite:///"))
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="writes through an MLflow server"):
        DeploymentTags(NAME, "prod", address).check()
    assert path.read_bytes() == before


def test_a_database_that_is_not_there_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for address in (f"sqlite:///{tmp_path}/old.db", None):
        with pytest.raises(ConfigurationError, match="writes through an MLflow server"):
            DeploymentTags(NAME, "prod", address).check()
    assert [*tmp_path.iterdir()] == []


def test_a_tag_says_which_version_is_being_deployed(
    tags: DeploymentTags, client: MlflowClient
) -> None:
    begun = replace(make_tag("1", 5.0), deploying="2")
    tags.write(begun)
    assert tags.find() == begun
    tags.write(make_tag("2", 6.0))
    assert tags.find() == make_tag("2", 6.0)


def test_a_server_that_refuses_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("403 for http://me:secret@server/api", error_code=1)

    monkeypatch.setattr(
        mlflow, "MlflowClient", lambda *_: SimpleNamespace(set_model_version_tag=refuse)
    )
    tags = DeploymentTags(NAME, "prod", "http://me:secret@server")
    with pytest.raises(RegistryUnavailableError, match="lets you write tags") as said:
        tags.write(make_tag("1", 1.0))
    assert "secret" not in str(said.value)
