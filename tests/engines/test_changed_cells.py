"""Rows with one cell changed: alone in tables of usual width, in one table where there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from packager.engines.proof import changed_cells, parity
from packager.engines.proof.inputs import Column, Inputs
from packager.engines.proof.parity import Batch
from packager.engines.proof.test_rows import Table

WIDE = 300
LAST = f"c{WIDE - 1}"
WORDS = [f"word {at}" for at in range(2000)]


class Model:
    """Adds up its columns, and counts how often it is asked."""

    def __init__(self, refuses: Callable[[Table], bool] = lambda _table: False) -> None:
        self._refuses = refuses
        self.asked: list[int] = []

    def predict(self, table: Table) -> Any:
        self.asked.append(len(next(iter(table.values()))))
        if self._refuses(table):
            raise ValueError("refused")
        with np.errstate(all="ignore"):
            return sum(column for column in table.values() if column.dtype.kind == "f")


def ask(model: Model, columns: int, words: list[str] | None = None) -> tuple[list[Batch], int, int]:
    kinds = [Column(f"c{at}", "double") for at in range(columns)]
    row: Table = {each.name: np.array([1.0, 2.0]) for each in kinds}
    if words:
        kinds.append(Column("text", "string"))
        row["text"] = np.array(["word 0", "word 1"], object)
    seen = frozenset(words or ())
    changes = changed_cells.list_changes(row, Inputs(columns=tuple(kinds)), seen)
    rng = np.random.default_rng(0)
    return changed_cells.ask_changes(row, changes, {"text": words or []}, model.predict, rng)


def list_rows(batches: list[Batch]) -> set[str]:
    return {name for each in batches for name in each.changes or (each.name,)}


@pytest.mark.parametrize("columns", [3, 100])
def test_each_change_of_a_table_of_usual_width_is_asked_alone(columns: int) -> None:
    model = Model()
    batches, asked, total = ask(model, columns)
    assert asked == total == len(batches) == 13 * columns
    assert model.asked == [2] * total
    assert not any(each.changes for each in batches)


def test_every_change_of_a_wide_table_is_asked_in_few_requests() -> None:
    model = Model()
    batches, asked, total = ask(model, WIDE)
    assert asked == total == 13 * WIDE
    assert len(model.asked) == 13 * 17
    assert {f"c{at} is nan" for at in range(WIDE)} <= list_rows(batches)


def test_what_a_wide_model_refuses_in_every_column_is_asked_of_some() -> None:
    model = Model(lambda table: any(np.isinf(column).any() for column in table.values()))
    batches, asked, total = ask(model, WIDE)
    refused = [each for each in batches if each.expected is None]
    assert len(refused) == 2 * 16 * 2  # each is of two rows, and asked by halves
    assert all(" is inf" in each.name or " is -inf" in each.name for each in refused)
    assert total - asked == 2 * (WIDE - 16)
    assert len(model.asked) == 13 * 17 + 2 * 16 * 2


def test_a_column_that_alone_is_refused_is_found() -> None:
    model = Model(lambda table: LAST in table and bool(np.isnan(table[LAST]).any()))
    batches, asked, total = ask(model, WIDE)
    assert asked == total
    assert {each.changes for each in batches if each.expected is None} == {(f"{LAST} is nan",)}


def test_a_column_that_is_answered_otherwise_is_named() -> None:
    batches, _, _ = ask(Model(), WIDE)

    def predict(table: Table) -> Any:
        return Model().predict(table) + np.where(table[LAST] == 1e6, 1.0, 0.0)

    done = parity.compare_batches(batches, predict, rtol=0.0, atol=0.0, labels=False)
    assert done.wrong == 1
    assert done.shown[0].startswith(f"{LAST} is 1000000.0: ")


def test_thousands_of_words_are_asked_in_tables() -> None:
    model = Model()
    batches, asked, total = ask(model, 2, WORDS)
    assert asked == total == 2 * 13 + len(WORDS) + 5
    assert len(model.asked) < 200
    assert {f"text is {word!r}" for word in WORDS} <= list_rows(batches)


def test_words_that_another_column_knows_are_asked_apart_from_its_own() -> None:
    model = Model(lambda table: any(not str(word).startswith("word 1") for word in table["text"]))
    own = [word for word in WORDS if word.startswith("word 1")]
    row = {"text": np.array(["word 1"], object)}
    inputs = Inputs(columns=(Column("text", "string"),))
    changes = changed_cells.list_changes(row, inputs, frozenset(WORDS))
    batches, asked, total = changed_cells.ask_changes(
        row, changes, {"text": own}, model.predict, np.random.default_rng(0)
    )
    answered = list_rows([each for each in batches if each.expected is not None])
    assert {name for name in answered if "missing" not in name} == {
        f"text is {word!r}" for word in own
    }
    assert len(own) < asked < total
    assert len(model.asked) < 200
