"""A build reads a registry: whatever MLflow wrote it, its bytes and its folder stay as they are."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from packager.errors import ConfigurationError, RegistryUnavailableError
from packager.models import registry_stores, sqlite_copy
from packager.models.registry import MlflowRegistry
from tests import registries

OLD = "2.22.0"


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """Each file below a folder and its bytes; of a folder None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


@contextmanager
def _at_rest(path: Path) -> Iterator[None]:
    yield


@contextmanager
def _in_wal_mode(path: Path) -> Iterator[None]:
    _execute(path, "pragma journal_mode = wal")
    yield


@contextmanager
def _with_a_reader_and_a_log(path: Path) -> Iterator[None]:
    """What was written last is in the log alone."""
    _execute(path, "pragma journal_mode = wal")
    with closing(sqlite3.connect(path)) as db:
        db.execute("update registered_models set description = 'said last'")
        db.commit()
        assert path.with_name("mlflow.db-wal").stat().st_size > 0
        yield


@contextmanager
def _amid_a_transaction(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path)) as db:
        db.execute("begin immediate")
        db.execute("delete from registered_models")
        yield
        db.rollback()


@contextmanager
def _after_a_crash(path: Path) -> Iterator[None]:
    """A journal that nobody rolled back: the file holds half of a transaction."""
    code = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.execute('pragma cache_size = 1')\n"
        "db.execute('begin')\n"
        "for table in ('registered_models', 'model_versions', 'runs', 'experiments'):\n"
        "    db.execute(f'delete from {table}')\n"
        "db.execute('create table filler as with recursive n(i) as'\n"
        "           ' (select 1 union all select i + 1 from n where i < 20000)'\n"
        "           ' select i, hex(randomblob(50)) t from n')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert path.with_name("mlflow.db-journal").exists()
    yield


STATES: tuple[Callable[[Path], Any], ...] = (
    _at_rest,
    _in_wal_mode,
    _with_a_reader_and_a_log,
    _amid_a_transaction,
    _after_a_crash,
)


@pytest.fixture(autouse=True)
def _quietly(quiet: None) -> None:
    """MLflow warns."""


@pytest.mark.few(1)
@pytest.mark.parametrize("version", registries.VERSIONS)
def test_a_registry_of_any_version_is_read_and_stays_as_it_was(
    version: str, tmp_path: Path
) -> None:
    written = registries.unpack(version, tmp_path / "owner")
    before = read_tree(tmp_path / "owner")
    names = ["models:/churn/1", "models:/churn/latest", f"runs:/{written.run_id}/model"]
    if version != "1.30.0":
        names.append("models:/churn@champion")
    with registry_stores.open_privately(written.uri) as opened:
        for number, name in enumerate(names):
            registry = MlflowRegistry(tracking_uri=opened[written.uri])
            found = registry.fetch(name, tmp_path / str(number))
            assert (found.folder / "MLmodel").is_file()
            assert found.run_id == written.run_id
    assert read_tree(tmp_path / "owner") == before


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("version", "state"),
    [*((registries.VERSIONS[-1], state) for state in STATES), (OLD, _with_a_reader_and_a_log)],
)
def test_whatever_its_journal_is_like_it_stays_as_it_was(
    version: str, state: Callable[[Path], Any], tmp_path: Path
) -> None:
    written = registries.unpack(version, tmp_path / "owner")
    with state(written.path):
        before = read_tree(tmp_path / "owner")
        with registry_stores.open_privately(written.uri) as opened:
            copy = Path(opened[written.uri].removeprefix("sqlite:///"))
            with closing(sqlite3.connect(copy)) as db:
                found = db.execute("select name, description from registered_models").fetchall()
        assert read_tree(tmp_path / "owner") == before
    said = "said last" if state is _with_a_reader_and_a_log else None
    assert found == [("churn", said)]
    assert not copy.parent.exists()


def test_a_registry_that_is_written_to_all_the_time_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = registries.unpack(registries.VERSIONS[-1], tmp_path)
    copied = shutil.copyfile

    def copy_amid_writing(source: Path, target: Path) -> None:
        copied(source, target)
        if source == written.path:
            _execute(source, "update runs set name = hex(randomblob(4))")

    monkeypatch.setattr(shutil, "copyfile", copy_amid_writing)
    monkeypatch.setattr(sqlite_copy, "_WAITS", (0.0, 0.0))
    with pytest.raises(RegistryUnavailableError, match="written to all the time"):
        sqlite_copy.copy_database(written.path, tmp_path / "copy.db")


def test_a_file_that_is_written_to_is_waited_for_longer_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "store.db"
    source.write_bytes(b"0")
    monkeypatch.setattr(
        sqlite_copy, "_copy_files", lambda *_: source.write_bytes(source.read_bytes() + b"0")
    )
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)

    with pytest.raises(RegistryUnavailableError, match="written to all the time"):
        sqlite_copy.copy_database(source, tmp_path / "copy.db")

    assert waited == [0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]


@pytest.mark.parametrize(
    ("suffix", "place", "again"),
    [("", 99, True), ("", 100, False), ("-wal", 31, True), ("-wal", 32, False),
     ("-journal", 31, True), ("-journal", 32, False)],
)  # fmt: skip
def test_a_header_tells_whether_a_copy_is_of_two_commits(
    *,
    suffix: str,
    place: int,
    again: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = tmp_path / "store.db"
    source.write_bytes(bytes(200))
    beside = tmp_path / f"store.db{suffix}"
    beside.write_bytes(bytes(200))
    own, copies = sqlite_copy._copy_files, [0]
    waited: list[float] = []

    def copy_amid_writing(given: Path, target: Path) -> None:
        own(given, target)
        copies[0] += 1
        if copies[0] == 1:
            times = beside.stat().st_mtime_ns
            with beside.open("r+b") as file:
                file.seek(place)
                file.write(b"x")
            os.utime(beside, ns=(times, times))

    monkeypatch.setattr(sqlite_copy, "_copy_files", copy_amid_writing)
    monkeypatch.setattr(time, "sleep", waited.append)
    sqlite_copy.copy_database(source, tmp_path / "copy.db")

    assert (copies[0], len(waited)) == ((2, 1) if again else (1, 0))


@pytest.mark.skipif(os.getuid() == 0, reason="root writes to what is read-only")
def test_a_folder_that_cannot_be_written_is_enough(tmp_path: Path) -> None:
    written = registries.unpack(OLD, tmp_path / "owner")
    with _in_wal_mode(written.path):
        written.path.parent.chmod(0o500)
        with registry_stores.open_privately(written.uri) as opened:
            assert opened[written.uri] != written.uri


@pytest.mark.parametrize(
    "form",
    [
        "sqlite:///{path}",
        "sqlite:///{relative}",
        "sqlite+pysqlite:///{path}",
        "sqlite:///{path}?timeout=5",
        "sqlite:///file:{path}?uri=true",
        "sqlite:///file:{path}?mode=rw&uri=true",
        "sqlite+pysqlite:///file:{relative}?uri=true",
        "sqlite:///{quoted}",
        "sqlite:///{link}",
    ],
)
def test_each_form_of_its_address_is_of_the_same_file(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = registries.unpack(registries.VERSIONS[-1], tmp_path / "an owner")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(written.path)
    before = read_tree(tmp_path)
    uri = form.format(
        path=written.path,
        relative=written.path.relative_to(tmp_path),
        quoted=str(written.path).replace(" ", "%20"),
        link=tmp_path / "link.db",
    )
    with registry_stores.open_privately(uri) as opened:
        assert opened[uri].startswith("sqlite:///")
        assert opened[uri] != uri
    assert read_tree(tmp_path) == before


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:"])
def test_a_registry_in_memory_is_nobody_s(uri: str) -> None:
    with registry_stores.open_privately(uri) as opened:
        assert opened == {uri: uri}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update alembic_version set version_num = 'f'", "a newer MLflow: its schema is f,"),
        ("delete from alembic_version", "a newer MLflow: its schema is unnamed"),
    ],
)
def test_a_newer_registry_is_refused(statement: str, said: str, tmp_path: Path) -> None:
    written = registries.unpack(OLD, tmp_path)
    _execute(written.path, statement)
    with (
        pytest.raises(RegistryUnavailableError, match=said),
        registry_stores.open_privately(written.uri),
    ):
        pass


def test_a_copy_that_cannot_be_upgraded_is_said(tmp_path: Path) -> None:
    written = registries.unpack(OLD, tmp_path)
    _execute(written.path, "create table logged_models (x)")
    before = read_tree(tmp_path)
    with (
        pytest.raises(RegistryUnavailableError, match="could not be brought to the schema"),
        registry_stores.open_privately(written.uri),
    ):
        pass
    assert read_tree(tmp_path) == before


def _as_server(monkeypatch: pytest.MonkeyPatch, path: Path) -> str:
    """A server's address whose engine is that of a file: no server is at hand."""
    import sqlalchemy

    made = sqlalchemy.create_engine

    def create(uri: Any, **options: Any) -> Any:
        return made(f"sqlite:///{path}" if str(uri).startswith("postgresql") else uri, **options)

    monkeypatch.setattr(sqlalchemy, "create_engine", create)
    return "postgresql://me:secret@127.0.0.1/mlflow"


@pytest.mark.parametrize("version", [v for v in registries.VERSIONS if not v.startswith("3.17")])
def test_a_server_of_an_older_mlflow_is_refused_before_mlflow_opens_it(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = registries.unpack(version, tmp_path / "owner")
    uri = _as_server(monkeypatch, written.path)
    before = read_tree(tmp_path / "owner")
    with pytest.raises(RegistryUnavailableError, match="mlflow db upgrade") as caught:
        MlflowRegistry(tracking_uri=uri).fetch("models:/churn/1", tmp_path / "work")
    assert "secret" not in str(caught.value)
    assert read_tree(tmp_path / "owner") == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("select 1", None),
        ("update alembic_version set version_num = 'f'", "of a newer MLflow"),
        ("delete from experiments where experiment_id = 0", "no experiment 0"),
        ("drop table experiments", "holds no MLflow registry"),
    ],
)
def test_a_server_is_opened_only_as_it_is(
    statement: str, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = registries.unpack(registries.VERSIONS[-1], tmp_path)
    _execute(written.path, statement)
    uri = _as_server(monkeypatch, written.path)
    if said is None:
        with registry_stores.open_privately(uri) as opened:
            assert opened == {uri: uri}
        return
    with (
        pytest.raises(RegistryUnavailableError, match=said),
        registry_stores.open_privately(uri),
    ):
        pass


@pytest.mark.few(0)
def test_a_store_of_files_gets_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import models

    owner = tmp_path / "mlruns"
    with monkeypatch.context() as changed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        changed.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        import mlflow

        client = mlflow.MlflowClient(str(owner), str(owner))
        run = client.create_run("0")
        client.log_artifacts(run.info.run_id, str(models.folder(registries.MODEL)), "model")
        client.create_registered_model("filed")
        client.create_model_version("filed", f"{run.info.artifact_uri}/model", run.info.run_id)
    shutil.rmtree(owner / ".trash")
    before = read_tree(owner)
    for number, name in enumerate(["models:/filed/1", f"runs:/{run.info.run_id}/model"]):
        for uri in (str(owner), owner.as_uri()):
            work = tmp_path / f"{number}{len(uri)}"
            found = MlflowRegistry(tracking_uri=uri).fetch(name, work)
            assert (found.folder / "MLmodel").is_file()
    assert read_tree(owner) == before


@pytest.mark.few(0)
def test_the_default_registry_is_read_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = registries.unpack(OLD, tmp_path / "owner")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(written.path.parent)
    before = read_tree(tmp_path / "owner")
    assert MlflowRegistry().fetch("models:/churn/1", tmp_path / "work").version == "1"
    assert read_tree(tmp_path / "owner") == before


def _check(uri: str) -> None:
    with registry_stores.open_privately(uri):
        pass


def test_a_missing_sqlite_file_is_not_made_by_looking(tmp_path: Path) -> None:
    for path in (tmp_path / "none.db", tmp_path / "no" / "folder.db"):
        with pytest.raises(RegistryUnavailableError, match="no file"):
            _check(f"sqlite:///{path}")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailableError, match="no folder"):
        _check(str(tmp_path / "mlruns"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uri", ["databricks", "databricks-uc", "uc", "http://127.0.0.1:1"])
def test_what_is_elsewhere_is_looked_for_there(uri: str) -> None:
    _check(uri)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is no database, and long enough to be looked at" * 20, encoding="utf-8")
    with pytest.raises(RegistryUnavailableError, match="file is not a database"):
        _check(f"sqlite:///{path}")


def test_a_database_of_something_else_gets_no_tables(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    _execute(path, "create table t (x)")
    before = path.read_bytes()
    with pytest.raises(RegistryUnavailableError, match="holds no MLflow registry"):
        _check(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("version", "statement", "said"),
    [
        (registries.VERSIONS[-1], "update registered_models set name = 'wine'", None),
        (registries.VERSIONS[-1], "delete from registered_models", None),
        (registries.VERSIONS[-1], "select 1", "other models in it"),
        (OLD, "update registered_models set name = 'wine'", "another MLflow than"),
        (OLD, "drop table registered_models", "not an MLflow registry"),
    ],
)
def test_the_demo_writes_to_no_registry_but_its_own(
    version: str, statement: str, said: str | None, tmp_path: Path
) -> None:
    registry_stores.check_own(tmp_path / "none.db", "wine")
    written = registries.unpack(version, tmp_path / "owner")
    _execute(written.path, statement)
    before = read_tree(tmp_path)
    if said is None:
        registry_stores.check_own(written.path, "wine")
    else:
        with pytest.raises(ConfigurationError, match=said):
            registry_stores.check_own(written.path, "wine")
    assert read_tree(tmp_path) == before


def test_a_log_that_is_gone_is_gone_from_the_copy(tmp_path: Path) -> None:
    """An earlier attempt's log would have its rows written into the later attempt's copy."""
    source, copy = tmp_path / "mlflow.db", tmp_path / "copy.db"
    log, copied = tmp_path / "mlflow.db-wal", tmp_path / "copy.db-wal"
    source.write_bytes(b"pages")
    log.write_bytes(b"rows")
    sqlite_copy._copy_files(source, copy)
    assert copied.read_bytes() == b"rows"
    log.unlink()

    sqlite_copy._copy_files(source, copy)

    assert not copied.exists()


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "mlflow.db"
    source.write_bytes(b"pages")
    (tmp_path / "mlflow.db-wal").mkdir()

    with pytest.raises(RegistryUnavailableError, match=r"mlflow\.db-wal cannot be read: Is a dir"):
        sqlite_copy._read_state(source)
