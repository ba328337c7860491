"""A slice of tests/fuzz/run.py, and what the long runs found."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.scoring.scorer import Scorer
from tests.conformance.asking import ours
from tests.fuzz import run
from tests.fuzz.bodies import HUGE, PARQUET, parquet_bombs
from tests.fuzz.growing import DOUBLES

FOUND = ["ragged records", "ragged rows", "one row, many labels", "short csv rows",
         "same csv names", "dicts of dicts"]  # fmt: skip


@pytest.fixture
def _memory_limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def answers(signature: dict[str, Any] | None, body: bytes, media: str) -> set[int]:
    scorers: list[Scorer] = [
        ours(signature, run.Quiet(), frame=frame) for frame in ("numpy", "pandas")
    ]
    return {scorer.invocations(body, media).status for scorer in scorers}


@pytest.mark.slow
@pytest.mark.usefixtures("_memory_limit")
def test_ten_seconds_find_nothing(tmp_path: Path) -> None:
    options = ["--minutes", "0.17", "--skip-huge", "--megabytes", "4096", "--keep", str(tmp_path)]
    assert run.main(options) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOUND)
def test_a_few_megabytes_do_not_become_a_table_of_terabytes(kind: str) -> None:
    media = "text/csv" if "csv" in kind else "application/json"

    assert answers(None, HUGE[kind](), media) <= {400, 413}


@pytest.mark.slow
def test_a_small_file_does_not_fill_the_memory() -> None:
    bombs = parquet_bombs()
    if not bombs:
        pytest.skip("Parquet is read with pyarrow, which is in the group `fuzz`")
    statuses = {kind: answers(DOUBLES, body, PARQUET) for kind, body in bombs.items()}
    # without pandas, Parquet is refused whatever it holds
    expected = {kind: {400} if "nothing" in kind else {400, 413} for kind in bombs}
    assert statuses == expected


def test_what_pandas_refuses_in_its_own_way_is_the_clients_fault() -> None:
    split = {"columns": ["a", {"b": 1}], "data": {"a": [1]}}

    assert answers(None, json.dumps({"dataframe_split": split}).encode(), "application/json") == {
        400
    }


def test_a_crash_is_kept_and_can_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "limit_memory", lambda _: None)
    monkeypatch.setattr(run.Quiet, "predict", lambda *_, **__: {1, 2})  # no JSON, and so a 500
    kept = tmp_path / "crash"

    assert run.main(["--minutes", "0.1", "--skip-huge", "--keep", str(kept)]) == 1

    assert run.main(["--minutes", "0.1", "--replay", str(kept), "--keep", str(kept)]) == 1
    monkeypatch.undo()
    monkeypatch.setattr(run, "limit_memory", lambda _: None)
    assert run.main(["--minutes", "0.1", "--replay", str(kept)]) == 0
