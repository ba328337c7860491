"""XGBoost 1 writes its trees another way, and marks how many of them count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from packager.engines.machine_code.extraction.estimators import boosters


class Before16:
    """As XGBoost 1.5.2: no format to ask `save_raw` for."""

    def save_raw(self) -> bytearray:
        return bytearray(b"binf")

    def save_model(self, path: str) -> None:
        Path(path).write_text('{"learner": 1}', encoding="utf-8")


class Since16(Before16):
    def save_raw(self, raw_format: str = "ubj") -> bytearray:
        return bytearray(json.dumps({"learner": raw_format}).encode())


@pytest.mark.parametrize(("booster", "found"), [(Before16(), 1), (Since16(), "json")])
def test_json_is_read_of_every_version(booster: Before16, found: object) -> None:
    assert boosters._write_json(booster) == {"learner": found}


@pytest.mark.parametrize(
    ("inner", "attributes", "count"),
    [
        ({"iteration_indptr": [0, 3, 6, 9]}, {}, 6),
        # two parallel trees a round and three classes
        ({}, {"best_ntree_limit": "4"}, 12),
    ],
)
def test_trees_behind_the_best_round_do_not_count(
    inner: dict[str, list[int]], attributes: dict[str, str], count: int
) -> None:
    assert boosters._count_trees(inner, 2, attributes, 3) == count
