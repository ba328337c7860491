"""Columns that tell where answers differ, and columns that only seem to."""

from __future__ import annotations

import random

import pytest

from packager.commands.difference.columns import explain_by_columns, group_values


def test_numbers_are_cut_at_their_quartiles_and_missing_ones_stand_alone() -> None:
    groups = group_values([*range(1, 12), None])

    assert groups == [
        *["to 3"] * 3,
        *["3 to 6"] * 3,
        *["6 to 9"] * 3,
        *["above 9"] * 2,
        "missing",
    ]


def test_few_numbers_and_words_are_their_own_groups() -> None:
    assert group_values([1, 2, 1, True, None]) == ["1", "2", "1", "true", "missing"]
    assert group_values(["a", "x" * 50]) == ["a", "x" * 40 + "..."]


def test_rare_words_are_one_group() -> None:
    words = [*"abcdefgh" * 2, "i", "j"]

    assert group_values(words)[-2:] == ["other values"] * 2


@pytest.mark.parametrize("seed", range(5))
def test_chance_alone_explains_nothing(seed: int) -> None:
    rng = random.Random(seed)
    rows = [{"noise": rng.random(), "word": rng.choice("abcd")} for _ in range(400)]
    measures = [float(rng.random() < 0.1) for _ in rows]

    assert all(column["explains"] < 0.05 for column in explain_by_columns(rows, measures))


def test_nothing_differs_nothing_is_explained() -> None:
    assert explain_by_columns([{"x": 1}, {"x": 2}], [0.0, 0.0]) == []
    assert explain_by_columns([], []) == []


def test_a_column_that_not_every_row_has_is_missing_there() -> None:
    rows = [{"x": "a"} if at % 2 else {} for at in range(40)]

    (column,) = explain_by_columns(rows, [float(at % 2) for at in range(40)])

    assert (column["name"], column["explains"]) == ("x", 1.0)
    assert [group["values"] for group in column["groups"]] == ["a", "missing"]
