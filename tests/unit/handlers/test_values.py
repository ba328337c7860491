"""A dataclass of ours is one of dataclasses', but for the code that it does without."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from handlers import values


def _make(dataclass: Any, field: Any) -> tuple[type[Any], type[Any]]:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list)

    @dataclass(kw_only=True)
    class Named:
        name: str
        more: dict[str, int] = field(default_factory=dict)

    return Point, Named


Ours, OursNamed = _make(values.dataclass, values.field)
Theirs, TheirsNamed = _make(dataclasses.dataclass, dataclasses.field)

# each is asked of both classes, which must give the same, or raise the same
ASKED: dict[str, Callable[[Any, Any], object]] = {
    "positional": lambda point, _: vars_of(point(1, 3)),
    "named": lambda point, named: [vars_of(point(y=4, x=1)), vars_of(named(name="n"))],
    "missing": lambda point, _: point(y=1),
    "unknown": lambda point, _: point(1, z=1),
    "twice": lambda point, _: point(1, x=1),
    "too many": lambda point, _: point(1, 2, [], 4),
    "only named": lambda _, named: named("n"),
    "made anew": lambda point, _: point(1).tags is point(1).tags,
    "equal": lambda point, named: [point(1) == point(1), point(1) == point(2), named(name="") == 1],
    "hash": lambda point, _: hash(point(1, 2, ())) == hash(point(1, 2, ())),
    "no hash": lambda _, named: hash(named(name="n")),
    "shown": lambda point, _: repr(point(1, 3)).rpartition(".")[2],
    "frozen": lambda point, _: setattr(point(1), "x", 2),
    "kept": lambda point, _: delattr(point(1), "x"),
    "set": lambda _, named: setattr(named(name="n"), "name", "m"),
    "replaced": lambda point, _: vars_of(dataclasses.replace(point(1), y=5)),
    "as a dict": lambda point, named: [dataclasses.asdict(e) for e in (point(1), named(name="n"))],
    "fields": lambda point, _: [
        (each.name, each.default, each.default_factory, each.kw_only)
        for each in dataclasses.fields(point)
    ],
    "is one": lambda point, _: [dataclasses.is_dataclass(each) for each in (point, point(1))],
    "matched": lambda point, named: [point.__match_args__, named.__match_args__],
    "copied": lambda point, _: vars_of(copy.copy(point(1, 9))),
}  # fmt: skip


def vars_of(value: Any) -> dict[str, object]:
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}


def _ask(question: Callable[[Any, Any], object], point: type, named: type) -> object:
    try:
        return question(point, named)
    except Exception as error:  # noqa: BLE001 - whatever it is, both raise it
        return type(error)


@pytest.mark.parametrize("name", ASKED)
def test_it_does_what_a_dataclass_does(name: str) -> None:
    assert _ask(ASKED[name], Ours, OursNamed) == _ask(ASKED[name], Theirs, TheirsNamed)


def test_a_representation_of_its_own_is_kept() -> None:
    @values.dataclass(frozen=True)
    class Shown:
        x: int

        def __repr__(self) -> str:
            return "shown"

    assert repr(Shown(1)) == "shown"


@values.dataclass(frozen=True)
class Kept:
    x: int


def test_a_value_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(3))) == Kept(3)  # noqa: S301 - our own


def test_nothing_is_imported_for_it() -> None:
    code = (
        "import sys; from handlers.values import dataclass\n"
        "@dataclass(frozen=True)\nclass A:\n    x: int\n"
        "A.__annotations__ = {'x': 'int'}; A(1) == A(2); print('dataclasses' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
