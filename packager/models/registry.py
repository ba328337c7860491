"""The one door to MLflow: fetch a model into a folder of our own, and say what it is."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from packager.errors import (
    ConfigurationError,
    ModelFormatError,
    ModelNotFoundError,
    RegistryUnavailableError,
    suggest_name,
)
from packager.models import (
    mlflow_errors,
    model_documents,
    registry_memory,
    registry_sources,
    registry_stores,
)
from packager.models import (
    model_uri as _model_uri,
)
from packager.models.model_uri import Folder, Logged, OfRun, Registered, Stored
from packager.system.redaction import is_secret_name, redact
from packager.types import TrainingData, TrainingRecord

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

_LOG = logging.getLogger(__name__)
_SHOWN: Final = 20
_KEPT: Final = ("name", "version", "aliases", "run_id", "model_id", "source", "notes")
"""What is kept of a fetched model, where the registry need not be asked again."""
_MOST_ENTRIES: Final = 200
"""Of each kind that is kept of a run."""
_LONGEST: Final = 500
"""Letters of a value that is kept; longer ones are cut there."""
_MLFLOW_TAGS: Final = "mlflow."
_REMOTE: Final = "://"
_Found: TypeAlias = Registered | Logged | OfRun | Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A copy of a model's folder, and what the registry knows of it."""

    name: str
    version: str | None = None
    aliases: tuple[str, ...] = ()
    run_id: str | None = None
    model_id: str | None = None
    folder: Path
    source: Path | None = None
    """The folder on this machine that the files were copied from; None where they came from
    elsewhere."""
    record: TrainingRecord | None = None
    """What is known of the run that logged it."""
    training: Path | None = None
    """The training set that was logged with its run, where it lies in the run's own store."""
    notes: tuple[str, ...] = ()


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
        # who has imported it may have set another address, and to ask it again costs nothing
        question = None if "mlflow" in sys.modules else self._identify(model_uri)
        if question is not None:
            answer = registry_memory.recall_answer(question)
            if answer is not None:
                _LOG.info("Fetching %s, version %s", answer["name"], answer["version"])
                return _fetch_again(answer, into)
        fetched = self._ask(found, model_uri, into)
        if question is not None:
            self._keep(question, model_uri, fetched)
        return fetched

    def read_alias(self, model: Registered) -> str:
        """Read the number of the version that `model.alias` names now.

        Raises ModelNotFoundError, RegistryUnavailableError, StorageError or ConfigurationError.
        """
        model_uri = f"models:/{model.name}@{model.alias}"
        with self._explain_errors(model, model_uri, Path()) as session:
            return session.read_alias(model)

    def _identify(self, model_uri: str) -> registry_memory.Question | None:
        return registry_memory.identify_question(self.tracking_uri, self.registry_uri, model_uri)

    def _keep(self, question: registry_memory.Question, model_uri: str, fetched: Fetched) -> None:
        """Keep an answer that hangs on nothing but what the question names."""
        if fetched.source is None or fetched.training is not None:
            return
        if (
            self._identify(model_uri) == question
        ):  # somebody may have registered another version meanwhile
            answer = {name: getattr(fetched, name) for name in _KEPT}
            record = None if fetched.record is None else asdict(fetched.record)
            registry_memory.keep_answer(question, {**answer, "record": record})

    def _ask(self, found: _Found, model_uri: str, into: Path) -> Fetched:
        """Ask MLflow. Raises as `fetch` does."""
        with self._explain_errors(found, model_uri, into) as session:
            fetched = session.fetch(found, into)
            run = session.read_run(fetched.run_id)
            training, notes = session.training(run, into)
            record = None if run is None else read_record(run)
            return replace(fetched, training=training, notes=notes, record=record)

    @contextmanager
    def _explain_errors(self, found: _Found, model_uri: str, into: Path) -> Iterator[_Session]:
        """Yield a session with the registry. Raises as `fetch` does."""
        with mlflow_errors.quiet():
            settings = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
            given = (self.registry_uri, self.tracking_uri, *map(os.environ.get, settings))
            told = next(filter(None, given), "MLflow's own address")
            where = mlflow_errors.without_password(told)
            try:
                with _open_session(self.tracking_uri, self.registry_uri, found) as session:
                    where = session.where
                    yield session
            except mlflow_errors.client_errors() as error:
                raise mlflow_errors.explain_error(error, model_uri, where, into) from error
            except ValueError as error:
                # MLflow's words for an address that only looks like one of a store
                raise ConfigurationError(
                    f"MLflow cannot read {mlflow_errors.without_password(model_uri)}: {error}.\n"
                    f"A model is named by {_model_uri.FORMS}."
                ) from error


def _fetch_again(answer: Mapping[str, Any], into: Path) -> Fetched:
    folder = into / "model"
    _model_uri.copy_folder(answer["source"], folder)
    kept = answer["record"]
    if kept is not None:
        datasets = tuple(TrainingData(**each) for each in kept["datasets"])
        kept = TrainingRecord(**{**kept, "datasets": datasets})
    return Fetched(
        **{**answer, "notes": tuple(answer["notes"]), "record": kept},
        folder=folder,
    )


def read_record(run: Run) -> TrainingRecord:
    """Read what a run of MLflow's says that is no secret, bounded, as a bill of materials has it.

    Shapes are those of https://mlflow.org/docs/latest/api_reference/python_api/mlflow.entities.html.
    """
    metrics = {str(name): float(value) for name, value in run.data.metrics.items()}
    own = {
        str(name): str(value)
        for name, value in run.data.tags.items()
        if not str(name).startswith(_MLFLOW_TAGS)
    }
    params = {str(name): str(value) for name, value in run.data.params.items()}
    inputs = list(run.inputs.dataset_inputs) if run.inputs else []
    kept = [_bound_entries(each) for each in (params, own)]
    measured = dict(sorted(metrics.items())[:_MOST_ENTRIES])
    datasets = tuple(_read_dataset(each) for each in inputs[:_MOST_ENTRIES])
    whole = len(metrics) + len(params) + len(own) + len(inputs)
    shown = len(measured) + sum(map(len, kept)) + len(datasets)
    return TrainingRecord(
        metrics={_cut(name): value for name, value in measured.items()},
        params=kept[0],
        tags=kept[1],
        datasets=datasets,
        left_out=whole - shown,
    )


def _bound_entries(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries whose names are not those of secrets, their values without credentials."""
    shown = sorted((name, value) for name, value in entries.items() if not is_secret_name(name))
    return {_cut(redact(name)): _cut(redact(value)) for name, value in shown[:_MOST_ENTRIES]}


def _read_dataset(given: DatasetInput) -> TrainingData:
    data = given.dataset
    tags = {tag.key: tag.value for tag in given.tags}
    source = registry_sources.read_address(data.source)
    return TrainingData(
        name=_cut(str(data.name)),
        digest=_cut(str(data.digest)),
        context=_cut(str(tags.get("mlflow.data.context", ""))),
        source=_cut(redact(source.partition("?")[0])) if _is_remote(source) else "",
        rows=_count_rows(data.profile),
    )


def _count_rows(profile: object) -> int | None:
    """Read the rows that a data set's profile states; it is JSON of whoever logged it."""
    if not isinstance(profile, str) or len(profile) > model_documents.MOST_TEXT:
        return None
    try:
        told = model_documents.parse_json(profile, "a data set's profile")
    except ModelFormatError:
        return None
    rows = told.get("num_rows") if isinstance(told, dict) else None
    return rows if isinstance(rows, int) and not isinstance(rows, bool) else None


def _is_remote(address: str) -> bool:
    """False for one that cannot be read, too: it is left out."""
    try:
        return _REMOTE in address and _model_uri.local_path(address) is None
    except ConfigurationError:
        return False


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


_BUILDS: Final = (
    "\n`packager build` and `packager follow` also take the name of a build in a packager.toml of "
    "your folder, or of one above it in the same repository."
)


def _fetch_folder(path: Path, into: Path) -> Fetched:
    if not model_documents.is_folder(path):
        raise ModelNotFoundError(
            f"There is no folder {_model_uri.escape_name(str(path))}.\n"
            f"A model is named by {_model_uri.FORMS}.{_BUILDS if len(path.parts) == 1 else ''}"
        )
    _model_uri.check_names([path.resolve().name], str(path.parent))
    folder = into / "model"
    _model_uri.copy_folder(path, folder)
    return Fetched(name=path.resolve().name, folder=folder)


@contextmanager
def _open_session(
    tracking_uri: str | None, registry_uri: str | None, model: _Found
) -> Iterator[_Session]:
    import mlflow  # noqa: PLC0415 - costs seconds, and a local folder needs none of it

    for name in mlflow_errors.NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    tracking = tracking_uri or mlflow.get_tracking_uri()
    registry = registry_uri or os.environ.get("MLFLOW_REGISTRY_URI") or tracking
    asked = tuple(dict.fromkeys((tracking, registry)))
    # a store's own address asks no registry: none need be there
    stored = isinstance(model, Stored)
    with registry_stores.open_privately(*(() if stored else asked)) as opened:
        tracking, registry = opened.get(tracking, tracking), opened.get(registry, registry)
        # parts of MLflow ask the environment, whatever address they were given
        addresses = {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_REGISTRY_URI": registry}
        with mlflow_errors.set_environment(addresses):
            yield _Session(
                client=None if stored else mlflow.MlflowClient(tracking, registry),
                tracking_uri=tracking,
                registry_uri=registry,
                asked=asked,
                where=mlflow_errors.without_password(
                    model.uri if isinstance(model, Stored) else asked[-1]
                ),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    client: Any
    """None where neither a registry nor a tracking server is asked."""
    tracking_uri: str
    registry_uri: str
    asked: tuple[str, ...]
    """The addresses that the user knows; those above may be of copies."""
    where: str
    """Who is asked, as a message may say it."""

    def read_run(self, run_id: str | None) -> Run | None:
        """Ask for the run that logged the model; None where there is none."""
        return None if run_id is None else self._or_none(self.client.get_run, run_id)

    def training(self, run: Run | None, into: Path) -> tuple[Path | None, tuple[str, ...]]:
        """The run's training set, where it is read, else a note that says why it is not.

        Only the store that the run's artifacts are in is asked for it: whoever writes to the
        registry chooses the address.
        """
        address = registry_sources.read_table_address(run)
        if run is None or not address:
            return None, ()
        table = None
        if registry_sources.is_in_store(address, str(run.info.artifact_uri)):
            table = self._table(address, into)
            why = "it cannot be read there"
        else:
            why = "it does not lie in the remote store of the run's artifacts"
        if table is not None:
            return table, ()
        note = (
            f"The run's training set is logged as {mlflow_errors.without_password(address)}, and "
            f"was not opened: {why}. To measure drift from it, name the file with --baseline."
        )
        return None, (note,)

    def _table(self, address: str, into: Path) -> Path | None:
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - see _open_session

        folder = into / "training"
        folder.mkdir(exist_ok=True)
        failures: tuple[type[Exception], ...] = (*mlflow_errors.client_errors(), OSError)
        try:
            found = Path(
                download_artifacts(
                    artifact_uri=address,
                    dst_path=str(folder),
                    tracking_uri=self.tracking_uri,
                    registry_uri=self.registry_uri,
                )
            )
        except failures:
            return None
        return found if found.is_file() else None

    def fetch(self, model: _Found, into: Path) -> Fetched:
        match model:
            case Registered():
                return self._fetch_registered(model, into)
            case Logged():
                return self._fetch_logged(model, into)
            case OfRun():
                return self._of_run(model, into)
            case Stored():
                folder, _ = self._download(model.uri, into)
                return Fetched(name=model.uri.rstrip("/").rsplit("/", 1)[-1], folder=folder)

    def _fetch_registered(self, model: Registered, into: Path) -> Fetched:
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
        folder, place = self._download(source, into)
        return Fetched(
            name=chosen.name,
            version=str(chosen.version),
            aliases=tuple(sorted(chosen.aliases)),
            run_id=chosen.run_id or None,
            model_id=getattr(chosen, "model_id", None) or None,
            folder=folder,
            source=place,
        )

    def read_alias(self, model: Registered) -> str:
        """Ask for the aliases alone: a follower asks again and again."""
        registered = self._or_none(self.client.get_registered_model, model.name)
        if registered is None:
            raise ModelNotFoundError(self._no_model(model.name))
        aliases = dict(registered.aliases)
        if model.alias not in aliases:
            raise ModelNotFoundError(self._no_version(model, aliases))
        return str(aliases[model.alias])

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

    def _fetch_logged(self, model: Logged, into: Path) -> Fetched:
        found = self._or_none(self.client.get_logged_model, model.model_id)
        if found is None:
            raise ModelNotFoundError(f"No model {model.model_id} in {self.where}.")
        folder, place = self._download(found.artifact_location, into)
        return Fetched(
            name=found.name or model.model_id,
            run_id=found.source_run_id or None,
            model_id=model.model_id,
            folder=folder,
            source=place,
        )

    def _of_run(self, model: OfRun, into: Path) -> Fetched:
        run = self._or_none(self.client.get_run, model.run_id)
        if run is None:
            raise ModelNotFoundError(f"No run {model.run_id} in {self.where}.")
        try:
            folder, place = self._download(self._source_of_run(run, model.path), into)
        except mlflow_errors.client_errors() as error:
            if not mlflow_errors.MISSING.search(str(error)):
                raise
            raise ModelNotFoundError(self._not_in_run(model)) from error
        name = model.path.rsplit("/", 1)[-1]
        return Fetched(name=name, run_id=model.run_id, folder=folder, source=place)

    def _source_of_run(self, run: Any, path: str) -> str:
        """Find where a run's model lies; a local one's folder: MLflow's copy follows links."""
        artifacts = str(run.info.artifact_uri)
        root = _model_uri.local_path(artifacts)
        if root is None:
            registry_sources.check_source(artifacts, self.asked)
            return f"runs:/{run.info.run_id}/{path}"
        if (root / path / "MLmodel").is_file():
            return str(root / path)
        # as MLflow 3 keeps it: beside the run, under the model's own id
        if "'" not in path:
            found = self.client.search_logged_models(
                experiment_ids=[run.info.experiment_id], filter_string=f"name = '{path}'"
            )
            for each in found:
                if each.source_run_id == run.info.run_id:
                    return str(each.artifact_location)
        raise ModelNotFoundError(self._not_in_run(OfRun(run.info.run_id, path)))

    def _not_in_run(self, model: OfRun) -> str:
        known = _format_names([each.path for each in self.client.list_artifacts(model.run_id)])
        return f"Run {model.run_id} has no {model.path!r}. At its top there is: {known}."

    def _download(self, source: str, into: Path) -> tuple[Path, Path | None]:
        """Return the copy, and the folder that it was made of where that lies on this machine."""
        folder = into / "model"
        if self.client is not None:
            registry_sources.check_source(source, self.asked)
        path = _model_uri.local_path(source)
        if path is not None:
            _model_uri.copy_folder(path, folder)
            return folder, path
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415 - see _open_session

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
                f"There is no model folder at {mlflow_errors.without_password(source)}."
            )
        return found, None

    def _or_none(self, ask: Any, *args: Any) -> Any:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see _open_session

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
        if not known:
            return (
                f"No registered model {name!r} in {self.where}: it has none. Log one with "
                f"registered_model_name={name!r}, or say where yours is: --tracking-uri, or "
                "MLFLOW_TRACKING_URI."
            )
        return (
            f"No registered model {name!r} in {self.where}.{suggest_name(name, known)} "
            f"There are: {_format_names(known)}."
        )

    def _no_version(self, model: Registered, aliases: dict[str, str]) -> str:
        asked = ""
        if model.alias is not None:
            what, asked = f"has no alias {model.alias!r}", suggest_name(model.alias, aliases)
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
            f"Model {model.name!r} {what}.{asked}\n"
            f"Versions: {_format_names(versions)}. Aliases: {_format_names(named)}."
        )


def _format_names(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"
