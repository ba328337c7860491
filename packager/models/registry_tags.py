"""Tags of model versions: what is deployed where, and what was signed of an artifact.

This is all that is ever written to a registry, by `packager follow --tag` and `packager sign --tag`
alone, and only through a server: MLflow itself would change a database that it opens.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from packager.errors import ConfigurationError, ModelNotFoundError, RegistryUnavailableError
from packager.models import mlflow_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_PREFIX: Final = "packager.deployed."
_ATTESTED: Final = "packager.attested."
_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"
_PLACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VERSION: Final = re.compile(r"[0-9]{1,20}")
_SERVERS: Final = ("http://", "https://", "databricks")
_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedTag:
    """Statement of a tag about the version that it is on."""

    version: str
    settings: str
    sha256: str
    at: float
    """Seconds since 1970."""
    deploying: str | None = None
    """Version whose deployment was begun since: a part of that may run, whatever became of it."""


@dataclass(frozen=True, slots=True)
class DeploymentTags:
    """Tags of a registered model's versions for one place that it is deployed to."""

    name: str
    place: str
    tracking_uri: str | None = None
    registry_uri: str | None = None

    @property
    def key(self) -> str:
        return f"{_PREFIX}{self.place}"

    def check(self) -> None:
        """Raises ConfigurationError for a place that cannot be named, or a registry of files."""
        if not _PLACE.fullmatch(self.place):
            raise ConfigurationError(
                f"--tag {self.place!r} is no name of a place: use 1 to 64 letters, digits and "
                "_.-, for example --tag production."
            )
        _check_server(self.tracking_uri, self.registry_uri)

    def find(self) -> DeployedTag | None:
        """Find what runs there: the tag that was written last, if several versions have one.

        Raises RegistryUnavailableError.
        """
        with self._open_client() as (client, _):
            found = [*filter(None, map(self._read, self._list_versions(client)))]
        return max(found, key=lambda each: each.at, default=None)

    def write(self, tag: DeployedTag) -> None:
        """Tag the version that runs there now, and then no other. Raises as `find` does."""
        told = asdict(tag)
        stated = ("at", "settings", "sha256", *(("deploying",) if tag.deploying else ()))
        value = json.dumps({key: told[key] for key in stated})
        with self._open_client() as (client, _):
            client.set_model_version_tag(self.name, tag.version, self.key, value)
            for each in self._list_versions(client):
                if self.key in each.tags and str(each.version) != tag.version:
                    client.delete_model_version_tag(self.name, str(each.version), self.key)

    def _open_client(self) -> AbstractContextManager[tuple[MlflowClient, str]]:
        """Yield a client of MLflow's, and the registry's address."""
        about = f"The tag {self.key} of models:/{self.name}"
        return _open_registry(
            about, self.tracking_uri, self.registry_uri, then="; it is tried again"
        )

    def _list_versions(self, client: MlflowClient) -> Iterable[ModelVersion]:
        quote = '"' if "'" in self.name else "'"
        token = None
        while True:
            page = client.search_model_versions(
                f"name={quote}{self.name}{quote}", max_results=_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _read(self, version: ModelVersion) -> DeployedTag | None:
        """Read a version's tag; None where it has none, or one that nobody here wrote."""
        try:
            told = json.loads(version.tags[self.key])
            deploying = told.get("deploying")
            if deploying is not None and not _VERSION.fullmatch(deploying):
                return None
            return DeployedTag(
                version=str(version.version),
                settings=str(told["settings"]),
                sha256=str(told["sha256"]),
                at=float(told["at"]),
                deploying=deploying,
            )
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestedVersion:
    """Version of a registered model, whose tag says what was signed of its artifact."""

    name: str
    version: str
    target: str
    tracking_uri: str | None = None
    registry_uri: str | None = None

    @property
    def key(self) -> str:
        return f"{_ATTESTED}{self.target}"

    def check(self, run_id: str | None) -> None:
        """Raises ConfigurationError for a registry of files, or a version of another run.

        Raises ModelNotFoundError without such a version, RegistryUnavailableError where it cannot
        be asked: all before anything is signed.
        """
        _check_server(self.tracking_uri, self.registry_uri)
        with self._open() as (client, registry):
            found = client.get_model_version(self.name, self.version)
        if run_id and found.run_id and found.run_id != run_id:
            raise ConfigurationError(
                f"models:/{self.name}/{self.version} at {mlflow_errors.without_password(registry)} "
                f"is of the run {found.run_id}, and the artifact's model is of {run_id}: it is "
                "another registry's. Name the one that it was built from with --tracking-uri, or "
                "leave --tag out."
            )

    def write(self, statement: Mapping[str, str | int | float]) -> None:
        """Tag the version, in place of what was signed of it before for this target.

        Raises RegistryUnavailableError, ModelNotFoundError.
        """
        with self._open() as (client, _):
            client.set_model_version_tag(
                self.name, self.version, self.key, json.dumps(statement, sort_keys=True)
            )

    @contextmanager
    def _open(self) -> Iterator[tuple[MlflowClient, str]]:
        about = f"The tag {self.key} of models:/{self.name}/{self.version}"
        try:
            with _open_registry(about, self.tracking_uri, self.registry_uri) as opened:
                yield opened
        except RegistryUnavailableError as error:
            if getattr(error.__cause__, "error_code", "") == _ABSENT:
                raise ModelNotFoundError(
                    f"{error.__cause__} ({about} cannot be written.) Name the registry that the "
                    "model was built from with --tracking-uri, or leave --tag out."
                ) from error
            raise


@contextmanager
def _open_registry(
    about: str, tracking_uri: str | None, registry_uri: str | None, *, then: str = ""
) -> Iterator[tuple[MlflowClient, str]]:
    """Yield a client of MLflow's, and the registry's address; a message begins with `about`."""
    import mlflow  # noqa: PLC0415 - costs seconds

    with mlflow_errors.quiet():
        for name in mlflow_errors.NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        tracking, registry = _find_addresses(tracking_uri, registry_uri)
        try:
            yield mlflow.MlflowClient(tracking, registry), registry
        except mlflow_errors.client_errors() as error:
            words = mlflow_errors.without_password(" ".join(str(error).split())[:600])
            raise RegistryUnavailableError(
                f"{about} could not be read or written at "
                f"{mlflow_errors.without_password(registry)}: {words}\nCheck that the server "
                f"is up and lets you write tags{then}."
            ) from error


def _find_addresses(tracking_uri: str | None, registry_uri: str | None) -> tuple[str, str]:
    """Find MLflow's tracking server and registry; a client that opens one may change it."""
    import mlflow  # noqa: PLC0415 - costs seconds

    with mlflow_errors.quiet():
        tracking = tracking_uri or mlflow.get_tracking_uri()
    return tracking, registry_uri or os.environ.get("MLFLOW_REGISTRY_URI") or tracking


def _check_server(tracking_uri: str | None, registry_uri: str | None) -> None:
    """Raises ConfigurationError for a registry that MLflow would open itself."""
    _, registry = _find_addresses(tracking_uri, registry_uri)
    if not registry.startswith(_SERVERS):
        raise ConfigurationError(
            f"--tag writes through an MLflow server, and the registry is "
            f"{mlflow_errors.without_password(registry)}. Name the server with "
            "--tracking-uri http://..., or leave --tag out."
        )
