"""Tags of model versions that say what is deployed where: all that is ever written to a registry.

They are written by `packager follow --tag` alone, and only through a server: MLflow itself would
change a database that it opens.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from packager.errors import ConfigurationError, RegistryUnavailableError
from packager.models import mlflow_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_PREFIX: Final = "packager.deployed."
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
        _, registry = self._find_addresses()
        if not registry.startswith(_SERVERS):
            raise ConfigurationError(
                f"--tag writes through an MLflow server, and the registry is "
                f"{mlflow_errors.without_password(registry)}. Name the server with "
                "--tracking-uri http://..., or leave --tag out."
            )

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

    @contextmanager
    def _open_client(self) -> Iterator[tuple[MlflowClient, str]]:
        """Yield a client of MLflow's, and the registry's address."""
        import mlflow  # noqa: PLC0415 - costs seconds

        with mlflow_errors.quiet():
            for name in mlflow_errors.NOISY:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            tracking, registry = self._find_addresses()
            try:
                yield mlflow.MlflowClient(tracking, registry), registry
            except mlflow_errors.client_errors() as error:
                words = mlflow_errors.without_password(" ".join(str(error).split())[:600])
                raise RegistryUnavailableError(
                    f"The tag {self.key} of models:/{self.name} could not be read or written at "
                    f"{mlflow_errors.without_password(registry)}: {words}\nCheck that the server "
                    "is up and lets you write tags; it is tried again."
                ) from error

    def _find_addresses(self) -> tuple[str, str]:
        """Find MLflow's tracking server and registry; a client that opens one may change it."""
        import mlflow  # noqa: PLC0415 - costs seconds

        with mlflow_errors.quiet():
            tracking = self.tracking_uri or mlflow.get_tracking_uri()
        return tracking, self.registry_uri or os.environ.get("MLFLOW_REGISTRY_URI") or tracking

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
