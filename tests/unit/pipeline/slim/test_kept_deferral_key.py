"""What can be deferred is kept for another version of a model, and for no other tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest

from handlers.manifest import FILENAME
from packager.pipeline.slim.tracing.kept_deferral import (
    Deferral,
    keep_deferral,
    make_key,
    recall_deferral,
)
from packager.types import Bundle, FileRecord, LoaderSpec, Trace
from tests import fake_plan

BEFORE: Final = fake_plan.trace(
    init=("a", "b"),
    answering=("c",),
    files={"a": PurePosixPath("a.py")},
    own_cpu_ms={"a": 1.0},
    answers=("1",),
)
FOUND: Final = Deferral(
    moved=frozenset({("a", "b"), ("a", "x.y")}),
    banned=frozenset({("c", "d")}),
    loaded=frozenset({"a"}),
    why={"c": "it changes os.environ"},
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))


def _bundle(**digests: str) -> Bundle:
    names = {
        "a.py": "1", FILENAME: "2", "model/model.skops": "3", "model/code/own.py": "4",
        "lib/libx.so": "5", **digests,
    }  # fmt: skip
    files = (FileRecord(PurePosixPath(name), digest, 1) for name, digest in names.items())
    return Bundle(root=Path("tree"), files=tuple(files))


def _key(bundle: Bundle | None = None, before: Trace = BEFORE, **changes: Any) -> str:
    return make_key(bundle or _bundle(), fake_plan.plan(**changes), before)


@pytest.mark.parametrize("name", [FILENAME, "model/model.skops", "drift.json"])
def test_the_weights_and_what_tells_of_the_version_do_not_count(name: str) -> None:
    assert _key(_bundle(**{name: "one"})) == _key(_bundle(**{name: "other"}))


@pytest.mark.parametrize(
    "name", ["a.py", "model/code/own.py", "lib/libx.so", "model/more.bin", "b.py"]
)
def test_code_libraries_and_the_names_of_files_count(name: str) -> None:
    assert _key(_bundle(**{name: "another"})) != _key()


@pytest.mark.parametrize(
    "change",
    [
        lambda before: replace(before, init=("a",)),
        lambda before: replace(before, answering=()),
        lambda before: replace(before, refusing=("d",)),
        lambda before: replace(before, files={}),
        lambda before: replace(before, absent_modules=("e",)),
        lambda before: replace(before, answers=("1", "2")),
    ],
    ids=["init", "answering", "refusing", "files", "absent", "requests"],
)
def test_what_was_loaded_counts(change: Callable[[Trace], Trace]) -> None:
    assert _key(before=change(BEFORE)) != _key()


def test_times_and_answers_do_not_count() -> None:
    assert _key(before=replace(BEFORE, own_cpu_ms={}, answers=("2",))) == _key()


@pytest.mark.parametrize(
    "changes",
    [
        {"keep": ("a/*",)},
        {"threads": 1},
        {"loader": LoaderSpec(loader="xgboost", options={})},
        {"request": fake_plan.request(optimize=1)},
        {"request": fake_plan.request(events=("sqs",))},
    ],
    ids=["keep", "threads", "loader", "optimize", "events"],
)
def test_settings_that_reach_the_function_count(changes: dict[str, Any]) -> None:
    assert _key(**changes) != _key()


def test_what_was_found_is_recalled_and_taken_the_place_of() -> None:
    assert recall_deferral("0" * 64) is None
    for found in (FOUND, replace(FOUND, moved=frozenset(), loaded=None)):
        keep_deferral("0" * 64, found)
        assert recall_deferral("0" * 64) == found
