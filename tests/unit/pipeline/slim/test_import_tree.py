"""Imports of a start as a tree: what is inside of what, what it takes, and how much is kept."""

from __future__ import annotations

import pytest

from packager.pipeline.slim.tracing.import_tree import MOST_MODULES, list_modules
from packager.types import ImportedModule, Trace
from tests import fake_plan


def trace(importers: dict[str, str], own: dict[str, float]) -> Trace:
    return fake_plan.trace(importers=importers, own_cpu_ms=own)


def test_a_module_takes_what_it_imports_too_and_the_longest_comes_first() -> None:
    importers = {"app": "", "json": "app", "numpy": "app", "numpy.core": "numpy"}

    found = list_modules(trace(importers, {"app": 5.0, "json": 2.0, "numpy": 3, "numpy.core": 40}))

    assert found == (
        ImportedModule("app", 0, 50.0),
        ImportedModule("numpy", 1, 43.0),
        ImportedModule("numpy.core", 2, 40.0),
        ImportedModule("json", 1, 2.0),
    )


def test_what_a_request_imported_is_no_part_of_a_start() -> None:
    assert list_modules(trace({"app": ""}, {"app": 5.0, "late": 90.0})) == (
        ImportedModule("app", 0, 5.0),
    )


def test_small_modules_are_left_to_their_importer() -> None:
    found = list_modules(trace({"app": "", "tiny": "app"}, {"app": 99.9, "tiny": 0.1}))

    assert found == (ImportedModule("app", 0, 100.0),)


def test_no_more_than_the_largest_are_kept() -> None:
    names = [f"m{number}" for number in range(300)]
    own = {name: 1000.0 + number for number, name in enumerate(names)}

    found = list_modules(trace({"app": "", **dict.fromkeys(names, "app")}, {"app": 1.0, **own}))

    assert len(found) <= MOST_MODULES
    assert [each.name for each in found[:3]] == ["app", "m299", "m298"]


@pytest.mark.parametrize(
    "importers",
    [
        {"a": "a"},
        {"a": "b", "b": "a"},
        {"a": "gone"},
        {"a": "b", "b": "c", "c": "b"},
    ],
)
def test_each_is_listed_once_whatever_imported_what(importers: dict[str, str]) -> None:
    found = list_modules(trace(importers, dict.fromkeys(importers, 1.0)))

    assert sorted(each.name for each in found) == sorted(importers)
    assert sum(each.cpu_ms for each in found if not each.depth) == len(importers)


@pytest.mark.parametrize("count", [20_000])
def test_a_long_circle_is_taken_apart_in_no_time(count: int) -> None:
    circle = {f"m{at}": f"m{(at + 1) % count}" for at in range(count)}
    pairs = {f"p{at}": f"p{at ^ 1}" for at in range(count)}

    assert list_modules(trace(circle | pairs, {"m0": 5.0}))


def test_nothing_that_took_time_is_no_tree() -> None:
    assert list_modules(trace({}, {})) == ()
    assert list_modules(trace({"app": ""}, {})) == ()
