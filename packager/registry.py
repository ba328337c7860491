"""The one door to MLflow: fetch a model into a folder of our own, and say what it is."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from packager import _mlflow_edge, _model_uri
from packager._model_uri import Folder, Logged, OfRun, Registered, Stored
from packager.errors import ConfigurationError, ModelNotFoundError, RegistryUnavailableError

_LOG = logging.getLogger(__name__)
_SHOWN: Final = 20
_Found: TypeAlias = Registered | Logged | OfRun | Stored
TABLES: Final = (".csv", ".parquet", ".jsonl", ".ndjson")
"""Files that a training set is read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A copy of a model's folder, and what the registry knows of it."""

    name: str
    version: str | None = None
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    model_id: str | None = None
    folder: Path
    training: Path | None = None
    """The training set that was logged with its run, where that is a file that can be read."""


def _address(source: str) -> str:
    """Of a logged dataset's source, which is JSON; empty where it names no address."""
    try:
        told = json.loads(source)
    except ValueError:
        return ""
    return str(told.get("uri") or told.get("url") or "") if isinstance(told, dict) else ""


class ModelRegistry(Protocol):
    def fetch(self, model_uri: str, into: Path) -> Fetched:
        """Put the model's files under `into`; what they come from is only read.

        Raises ModelNotFoundError, RegistryUnavailableError, StorageError, ModelFormatError, or
        ConfigurationError for a URI of no known form.
        """
        ...


@dataclass(frozen=True, slots=True)
class MlflowRegistry:
    """Registry and artifact stores as MLflow reads them.

    Without addresses, MLflow's own settings hold: MLFLOW_TRACKING_URI, MLFLOW_REGISTRY_URI, else
    mlflow.db in the current folder.
    """

    tracking_uri: str | None = None
    registry_uri: str | None = None

    def fetch(self, model_uri: str, into: Path) -> Fetched:
        found = _model_uri.parse(model_uri)
        if isinstance(found, Folder):
            return _fetch_folder(found.path, into)
        with _mlflow_edge.quiet(self.tracking_uri, self.registry_uri):
            told = self.registry_uri or self.tracking_uri or "MLflow's own address"
            where = _mlflow_edge.without_password(told)
            try:
                session = _Session.open(self.tracking_uri, self.registry_uri, found)
                where = session.where
                fetched = session.fetch(found, into)
                return replace(fetched, training=session.training(fetched.run_id, into))
            except _mlflow_edge.client_errors() as error:
                raise _mlflow_edge.explained(error, model_uri, where, into) from error
            except ValueError as error:
                # MLflow's words for an address that only looks like one of a store
                raise ConfigurationError(
                    f"MLflow cannot read {_mlflow_edge.without_password(model_uri)}: {error}.\n"
                    f"A model is named by {_model_uri.FORMS}."
                ) from error


def _fetch_folder(path: Path, into: Path) -> Fetched:
    if not path.is_dir():
        raise ModelNotFoundError(
            f"There is no folder {path}.\nA model is named by {_model_uri.FORMS}."
        )
    folder = into / "model"
    _model_uri.copy_folder(path, folder)
    return Fetched(name=path.resolve().name, folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    client: Any
    """None where neither a registry nor a tracking server is asked."""
    tracking_uri: str
    registry_uri: str
    where: str
    """Who is asked, as a message may say it."""

    @classmethod
    def open(cls, tracking_uri: str | None, registry_uri: str | None, model: _Found) -> _Session:
        import mlflow  # noqa: PLC0415 - costs seconds, and a local folder needs none of it

        for name in _mlflow_edge.NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        tracking = tracking_uri or mlflow.get_tracking_uri()
        registry = registry_uri or os.environ.get("MLFLOW_REGISTRY_URI") or tracking
        client, where = None, registry
        if isinstance(model, Stored):
            # a client would make the file of a registry that is not there
            where = model.uri
        else:
            for uri in dict.fromkeys((tracking, registry)):
                _mlflow_edge.check_there(uri)
            client = mlflow.MlflowClient(tracking_uri=tracking, registry_uri=registry)
        return cls(
            client=client,
            tracking_uri=tracking,
            registry_uri=registry,
            where=_mlflow_edge.without_password(where),
        )

    def training(self, run_id: str | None, into: Path) -> Path | None:
        """The table that was logged as a run's training input, or as any; None where none is read.

        https://mlflow.org/docs/latest/ml/dataset/: a dataset's source is JSON with its address.
        """
        if run_id is None:
            return None
        run = self._or_none(self.client.get_run, run_id)
        found = list(run.inputs.dataset_inputs) if run is not None and run.inputs else []
        found.sort(key=lambda each: not any(tag.value == "training" for tag in each.tags))
        for each in found:
            address = _address(each.dataset.source)
            if address.lower().endswith(TABLES):
                return self._table(address, into)
        return None

    def _table(self, address: str, into: Path) -> Path | None:
        local = _model_uri.local_path(address) or Path(address)
        if local.is_file():
            return local
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - see open()

        folder = into / "training"
        folder.mkdir(exist_ok=True)
        failures: tuple[type[Exception], ...] = (*_mlflow_edge.client_errors(), OSError)
        try:
            found = Path(download_artifacts(artifact_uri=address, dst_path=str(folder)))
        except failures:
            _LOG.info("The training set at %s cannot be read", address)
            return None
        return found if found.is_file() else None

    def fetch(self, model: _Found, into: Path) -> Fetched:
        match model:
            case Registered():
                return self._registered(model, into)
            case Logged():
                return self._logged(model, into)
            case OfRun():
                return self._of_run(model, into)
            case Stored():
                folder = self._download(model.uri, into)
                return Fetched(name=model.uri.rstrip("/").rsplit("/", 1)[-1], folder=folder)

    def _registered(self, model: Registered, into: Path) -> Fetched:
        chosen = self._version(model)
        status = str(getattr(chosen, "status", "READY"))
        if status != "READY":
            raise ModelNotFoundError(
                f"models:/{chosen.name}/{chosen.version} is not ready: its status is {status}."
            )
        _LOG.info("Fetching %s, version %s", chosen.name, chosen.version)
        if self.registry_uri.startswith("databricks"):
            # its stores are reached through the registry alone
            source = f"models:/{chosen.name}/{chosen.version}"
        else:
            source = self.client.get_model_version_download_uri(chosen.name, chosen.version)
        return Fetched(
            name=chosen.name,
            version=str(chosen.version),
            aliases=tuple(sorted(chosen.aliases)),
            run_id=chosen.run_id or None,
            model_id=getattr(chosen, "model_id", None) or None,
            folder=self._download(source, into),
        )

    def _version(self, model: Registered) -> Any:
        registered = self._or_none(self.client.get_registered_model, model.name)
        if registered is None:
            raise ModelNotFoundError(self._no_model(model.name))
        version = model.version
        if model.alias is not None:
            version = dict(registered.aliases).get(model.alias)
        elif model.stage is not None:
            staged = self._or_none(self.client.get_latest_versions, model.name, [model.stage])
            version = str(max(int(v.version) for v in staged)) if staged else None
        elif model.latest:
            known = self._versions(model.name)
            version = str(max(known)) if known else None
        found = None
        if version is not None:
            found = self._or_none(self.client.get_model_version, model.name, str(version))
        if found is None:
            raise ModelNotFoundError(self._no_version(model, dict(registered.aliases)))
        return found

    def _logged(self, model: Logged, into: Path) -> Fetched:
        found = self._or_none(self.client.get_logged_model, model.model_id)
        if found is None:
            raise ModelNotFoundError(f"No model {model.model_id} in {self.where}.")
        return Fetched(
            name=found.name or model.model_id,
            run_id=found.source_run_id or None,
            model_id=model.model_id,
            folder=self._download(found.artifact_location, into),
        )

    def _of_run(self, model: OfRun, into: Path) -> Fetched:
        if self._or_none(self.client.get_run, model.run_id) is None:
            raise ModelNotFoundError(f"No run {model.run_id} in {self.where}.")
        source = f"runs:/{model.run_id}/{model.path}"
        try:
            folder = self._download(source, into)
        except _mlflow_edge.client_errors() as error:
            if not _mlflow_edge.MISSING.search(str(error)):
                raise
            known = [entry.path for entry in self.client.list_artifacts(model.run_id)]
            raise ModelNotFoundError(
                f"Run {model.run_id} has no {model.path!r}. At its top there is: {_listed(known)}."
            ) from error
        return Fetched(name=model.path.rsplit("/", 1)[-1], run_id=model.run_id, folder=folder)

    def _download(self, source: str, into: Path) -> Path:
        folder = into / "model"
        path = _model_uri.local_path(source)
        if path is not None:
            if not path.is_dir():
                raise ModelNotFoundError(
                    f"The registry says that the model lies in {path}, and there is no such folder."
                )
            _model_uri.copy_folder(path, folder)
            return folder
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - see open()

        folder.mkdir(parents=True, exist_ok=True)
        given = download_artifacts(
            artifact_uri=source,
            dst_path=str(folder),
            tracking_uri=self.tracking_uri,
            registry_uri=self.registry_uri,
        )
        # never the store's own folder
        found = Path(given).resolve()
        if not found.is_relative_to(into.resolve()):
            raise RegistryUnavailableError(f"{source} was not copied; the store gave {given}.")
        if not found.is_dir() or not any(found.iterdir()):
            raise ModelNotFoundError(
                f"There is no model folder at {_mlflow_edge.without_password(source)}."
            )
        return found

    def _or_none(self, ask: Any, *args: Any) -> Any:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see open()

        try:
            return ask(*args)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    def _versions(self, name: str) -> list[int]:
        quote = '"' if "'" in name else "'"
        found = self.client.search_model_versions(f"name={quote}{name}{quote}")
        return sorted(int(version.version) for version in found)

    def _no_model(self, name: str) -> str:
        known = [model.name for model in self.client.search_registered_models(max_results=_SHOWN)]
        return f"No registered model {name!r} in {self.where}. There are: {_listed(known)}."

    def _no_version(self, model: Registered, aliases: dict[str, str]) -> str:
        if model.alias is not None:
            what = f"has no alias {model.alias!r}"
        elif model.version is not None:
            what = f"has no version {model.version}"
        elif model.stage is not None:
            what = f"has no version in a stage {model.stage!r}"
        elif model.latest:
            what = "has no version"
        else:
            what = "is there, but a version must be named too (models:/name/2, models:/name@alias)"
        versions = [str(version) for version in self._versions(model.name)]
        named = [f"{alias} (version {version})" for alias, version in sorted(aliases.items())]
        return (
            f"Model {model.name!r} {what}.\n"
            f"Versions: {_listed(versions)}. Aliases: {_listed(named)}."
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"
