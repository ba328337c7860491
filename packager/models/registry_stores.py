"""Addresses under which MLflow opens a registry without changing it.

To open a store is a write in MLflow: it migrates the tables of an older version, makes an
experiment where there is none, and folders `models` and `.trash` in a store of files; SQLite makes
or removes files beside one with a write-ahead log. So MLflow is given a private copy of a SQLite
file, and a folder of links to a store of files. A database server is asked for its revision first.
"""

from __future__ import annotations

import functools
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from packager.environments.machine.installation import name_upgrade
from packager.errors import ConfigurationError, RegistryUnavailableError
from packager.models import model_uri, sqlite_copy
from packager.models.mlflow_errors import without_password
from packager.system.scratch import make_scratch

_LOG = logging.getLogger(__name__)
_ELSEWHERE: Final = frozenset({"databricks", "databricks-uc", "uc"})
"""Addresses without a scheme that name no folder: mlflow/tracking/_tracking_service/utils.py."""
_SERVERS: Final = ("mssql", "mysql", "postgresql")
"""mlflow/store/db/db_types.py, less sqlite"""
_HINT: Final = "Say where the registry is: --tracking-uri, or MLFLOW_TRACKING_URI."
_MARKS: Final = {"alembic_version", "experiments"}
"""Tables by which a database is known as MLflow's, of any version since 1.0."""
_BULK: Final = (
    *("metrics", "latest_metrics", "assessments"),
    *("spans", "trace_info", "trace_tags", "trace_request_metadata"),
)
"""Tables that a build reads nothing of, and whose rows would make an upgrade long."""
# what MLflow makes in the folder of a store of files where it is not there
_MADE: Final = (".trash", "models")


@contextmanager
def open_privately(*uris: str) -> Iterator[Mapping[str, str]]:
    """Yield, for each of `uris`, the address that MLflow may open; copies go away at the end.

    Raises RegistryUnavailableError where there is no registry, where it cannot be read, and where
    its database is of another version than MLflow here and no copy of it can be made.
    """
    with make_scratch("registry") as root:
        opened: dict[str, str] = {}
        for number, uri in enumerate(dict.fromkeys(uris)):
            (folder := root / str(number)).mkdir()
            opened[uri] = _open(uri, folder)
        yield opened


def check_own(path: Path, model: str) -> None:
    """Check that a registry may be written to: where it is there, it holds `model` and no other.

    Raises ConfigurationError where it holds others, or is of another MLflow, which writing to it
    would change for good; RegistryUnavailableError where it cannot be read.
    """
    if not path.exists():
        return
    with make_scratch("registry") as root:
        try:
            sqlite_copy.copy_database(path, copy := root / "copy.db")
            with closing(sqlite3.connect(copy)) as db:
                revision = _first(db.execute("select version_num from alembic_version").fetchone())
                names = {row[0] for row in db.execute("select name from registered_models")}
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"{path} exists and is not an MLflow registry ({error}). Name another folder."
            ) from error
    if names - {model} or revision != _head():
        raise ConfigurationError(
            f"{path} is a registry with other models in it, or another MLflow than {_version()} "
            "made it. Nothing was written to it. Name another folder."
        )


def _open(uri: str, folder: Path) -> str:
    dialect = re.split(r"[+:]", uri, maxsplit=1)[0]
    if dialect == "sqlite":
        path = _sqlite_path(uri)
        return uri if path is None else _copy_database(uri, path, folder)
    if dialect in _SERVERS:
        _check_server(uri)
        return uri
    path = model_uri.local_path(uri)
    if path is None or str(path) in _ELSEWHERE:
        return uri
    return _link_files(uri, path, folder)


def _sqlite_path(uri: str) -> Path | None:
    """The file that SQLAlchemy would open; None for one in memory."""
    import sqlalchemy  # noqa: PLC0415 - costs more than a folder or a server's address needs

    url = sqlalchemy.make_url(uri)
    (name, *_), options = url.get_dialect()().create_connect_args(url)
    query = url.query.get("mode", "")
    if name == ":memory:" or query == "memory":
        return None
    if options.get("uri"):
        parts = urlsplit(str(name))
        name = unquote(parts.path)
    return Path(name).absolute()


def _copy_database(uri: str, path: Path, folder: Path) -> str:
    if not path.is_file():
        raise RegistryUnavailableError(
            f"There is no registry at {without_password(uri)}: no file {path}.\n{_HINT}"
        )
    copy = folder / "copy.db"
    sqlite_copy.copy_database(path, copy)
    try:
        with closing(sqlite3.connect(copy)) as db:
            names = {row[0] for row in db.execute("select name from sqlite_master")}
            if not names >= _MARKS:
                raise RegistryUnavailableError(f"{path} holds no MLflow registry.\n{_HINT}")
            revision = _first(db.execute("select version_num from alembic_version").fetchone())
            if not _is_current(revision, without_password(uri)):
                _LOG.info("The registry is of an older MLflow: an upgraded copy of it is read")
                for table in names.intersection(_BULK):
                    db.execute(f'delete from "{table}"')  # noqa: S608 - one of our own names
                db.commit()
    except sqlite3.Error as error:
        raise RegistryUnavailableError(
            f"{path} cannot be read as an SQLite file: {error}.\n{_HINT}"
        ) from error
    address = f"sqlite:///{copy}"
    if revision != _head():
        _upgrade(address, path)
    return address


def _upgrade(address: str, source: Path) -> None:
    import sqlalchemy  # noqa: PLC0415 - see _sqlite_path
    from alembic import command  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    config = _migrations()
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("pragma synchronous = off")
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")
    except (sqlalchemy.exc.SQLAlchemyError, CommandError) as error:
        words = str(error).splitlines()[0]
        raise RegistryUnavailableError(
            f"A copy of {source} could not be brought to the schema of MLflow {_version()}: "
            f"{words}.\nThe file itself is as it was. Read it through a tracking server of its own "
            "version: `mlflow server`, and --tracking-uri http://..."
        ) from error
    finally:
        engine.dispose()


def _check_server(uri: str) -> None:
    """Raises RegistryUnavailableError where MLflow would change the database by opening it."""
    import sqlalchemy  # noqa: PLC0415 - see _sqlite_path

    shown = without_password(uri)
    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool)
    try:
        with engine.connect() as connection:
            if not {*sqlalchemy.inspect(connection).get_table_names()} >= _MARKS:
                raise RegistryUnavailableError(f"{shown} holds no MLflow registry.\n{_HINT}")
            ask = sqlalchemy.text
            revision = _first(connection.execute(ask("select version_num from alembic_version")))
            first = connection.execute(ask("select 1 from experiments where experiment_id = 0"))
            complete = first.first() is not None
    finally:
        engine.dispose()
    if not _is_current(revision, shown):
        raise RegistryUnavailableError(
            f"The registry at {shown} is of an older MLflow (its schema is {revision}, that of "
            f"MLflow {_version()} is {_head()}). A build changes no registry.\n"
            "Either upgrade it, after a backup: `mlflow db upgrade URI`; or read it through a "
            "tracking server of its own version: --tracking-uri http://..."
        )
    if not complete:
        raise RegistryUnavailableError(
            f"The registry at {shown} has no experiment 0, which MLflow makes when it opens one. A "
            "build changes no registry.\nRead it through a tracking server: --tracking-uri http://..."
        )


def _first(row: Any) -> str:
    """The revision, of a row or a result of one; empty where there is none."""
    found = row if row is None or isinstance(row, tuple) else row.first()
    return "" if found is None else str(found[0])


def _is_current(revision: str, shown: str) -> bool:
    """Tell whether a schema is that of MLflow here.

    Raises RegistryUnavailableError for a newer one.
    """
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see _sqlite_path

    if revision == _head():
        return True
    known = {
        script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()
    }
    if revision not in known:
        raise RegistryUnavailableError(
            f"The registry at {shown} is of a newer MLflow: its schema is {revision or 'unnamed'}, "
            f"which MLflow {_version()} does not know.\nInstall that MLflow beside this program "
            f"(`{name_upgrade('mlflow-skinny')}`), or read the registry through a tracking server: "
            "--tracking-uri http://..."
        )
    return False


@functools.cache
def _head() -> str:
    """The schema of MLflow here: to read all of its migrations for that takes 0.1 s."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see _sqlite_path

    return str(ScriptDirectory.from_config(_migrations()).get_current_head())


def _migrations() -> Any:
    import mlflow  # noqa: PLC0415 - see _sqlite_path
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    folder = Path(mlflow.__file__).parent / "store" / "db_migrations"
    # a percent sign is the parser's own
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _version() -> str:
    import mlflow  # noqa: PLC0415 - see _sqlite_path

    return str(mlflow.__version__)


def _link_files(uri: str, path: Path, folder: Path) -> str:
    """A folder of links to what a store of files holds: what MLflow makes, it makes beside them."""
    if not path.is_dir():
        raise RegistryUnavailableError(f"There is no registry at {uri}: no folder {path}.\n{_HINT}")
    try:
        for entry in path.resolve().iterdir():
            (folder / entry.name).symlink_to(entry)
    except PermissionError as error:
        raise RegistryUnavailableError(f"{path} cannot be read: {error.strerror}.") from error
    for name in _MADE:
        if not (folder / name).exists():
            (folder / name).mkdir()
    return folder.as_uri()
