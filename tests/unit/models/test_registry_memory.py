"""Answers of registries in SQLite files, which need not be asked twice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from packager.models import registry_memory
from packager.models.registry_memory import identify_question, keep_answer, recall_answer

URI: Final = "models:/churn@champion"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    (work := tmp_path / "work").mkdir()
    monkeypatch.chdir(work)
    _write(work / "mlflow.db", "create table versions (number)")
    (work / "model").mkdir()
    (work / "model" / "MLmodel").touch()
    return work


def _write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)


def _answer(here: Path) -> dict[str, object]:
    return {
        "name": "churn", "version": "7", "aliases": ("champion",), "run_id": "r", "model_id": None,
        "source": here / "model", "notes": ("a note",),
    }  # fmt: skip


def test_an_answer_is_recalled_as_it_was(here: Path) -> None:
    question = identify_question(f"sqlite:///{here}/mlflow.db", None, URI)
    assert question is not None
    assert recall_answer(question) is None
    keep_answer(question, _answer(here))

    again = identify_question(f"sqlite:///{here}/mlflow.db", None, URI)

    assert again == question
    assert recall_answer(question) == {**_answer(here), "notes": ["a note"]}


def test_whatever_is_written_to_the_registry_asks_anew(here: Path) -> None:
    before = identify_question("sqlite:///mlflow.db", None, URI)
    _write(here / "mlflow.db", "insert into versions values (8)")

    assert identify_question("sqlite:///mlflow.db", None, URI) != before


def test_what_a_write_ahead_log_holds_counts(here: Path) -> None:
    with closing(sqlite3.connect(here / "mlflow.db")) as db:
        db.execute("pragma journal_mode = wal")
        before = identify_question("sqlite:///mlflow.db", None, URI)
        with db:
            db.execute("insert into versions values (8)")

        assert identify_question("sqlite:///mlflow.db", None, URI) != before


@pytest.mark.parametrize(
    ("tracking", "registry", "uri"),
    [
        ("sqlite:///mlflow.db", None, "models:/churn/7"),
        ("sqlite:///other.db", None, URI),
        ("sqlite:///mlflow.db", "sqlite:///other.db", URI),
    ],
)
def test_another_question_is_another(
    here: Path, tracking: str, registry: str | None, uri: str
) -> None:
    (here / "other.db").write_bytes((here / "mlflow.db").read_bytes())
    found = identify_question(tracking, registry, uri)

    assert found is not None
    assert found != identify_question("sqlite:///mlflow.db", None, URI)


def test_settings_of_mlflow_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify_question("sqlite:///mlflow.db", None, URI)
    monkeypatch.setenv("MLFLOW_WORKSPACE", "another")

    assert identify_question("sqlite:///mlflow.db", None, URI) != before


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.0.0.1:5000", "postgresql://host/db", "databricks", "mlruns", "file:///x"),
        *("sqlite:///missing.db", "sqlite://", "sqlite:///:memory:"),
        *("sqlite:///mlflow.db?mode=ro", "sqlite+pysqlite:///mlflow.db"),
    ],
)
def test_other_registries_are_always_asked(address: str) -> None:
    assert identify_question(address, None, URI) is None
    assert identify_question("sqlite:///mlflow.db", address, URI) is None


def test_without_an_address_the_file_in_this_folder_is_meant(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = identify_question(None, None, URI)
    assert found is not None
    assert found.asked == (f"sqlite:///{here}/mlflow.db",)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert identify_question(None, None, URI) is None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (here / "mlruns").mkdir()  # MLflow looks into it then
    assert identify_question(None, None, URI) is None


@pytest.mark.parametrize("source", ["model", "../work/model", "gone", "model/../model"])
def test_a_model_that_no_longer_lies_there_is_asked_for(here: Path, source: str) -> None:
    question = identify_question("sqlite:///mlflow.db", None, URI)
    assert question is not None
    (here / "model" / "MLmodel").unlink()
    keep_answer(question, {**_answer(here), "source": f"{here}/{source}"})

    assert recall_answer(question) is None


def test_a_damaged_answer_is_asked_for(here: Path, tmp_path: Path) -> None:
    question = identify_question("sqlite:///mlflow.db", None, URI)
    assert question is not None
    keep_answer(question, _answer(here))
    content = next((tmp_path / "cache" / registry_memory._KIND).rglob("content"))
    content.write_text(json.dumps({"name": "another"}))

    assert recall_answer(question) is None


def test_a_cache_that_cannot_be_written_keeps_nothing(here: Path, tmp_path: Path) -> None:
    question = identify_question("sqlite:///mlflow.db", None, URI)
    assert question is not None
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "letter.txt").touch()
    keep_answer(question, _answer(here))

    assert not (tmp_path / "cache" / registry_memory._KIND).exists()
