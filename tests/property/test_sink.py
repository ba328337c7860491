"""A module whose imports were moved gives what it gave before, whatever is asked of it first."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from packager.workers.defer_imports import moving, surveying

BASES = ("alpha", "beta", "gamma")
IMPORTS = (
    "import {0}",
    "import {0} as other_{0}",
    "from {0} import value as value_{0}",
    "from {0} import Thing as Thing_{0}, value as again_{0}",
    "import {0}.inner",
    "from {0} import inner as inner_{0}",
)
USES = (
    "return {n}",
    "if x:\n        return repr({n})\n    return None",
    "return [each for each in (1, 2) if {n} is not None]",
    "return (lambda: {n})()",
    "for {n} in (1, 2):\n        pass\n    return {n}",
    "def inner():\n        return {n}\n    return inner()",
    "class C:\n        kept = {n}\n    return C.kept is not None",
    "try:\n        raise KeyError\n    except KeyError:\n        return {n}",
    "while x:\n        return isinstance(x, type({n}))\n    return {n}",
    "match x:\n        case 1:\n            return {n}\n    return not {n}",
)


@contextmanager
def packages() -> Iterator[list[str]]:
    """Three packages with a submodule each; what was loaded of them, in order."""
    loaded: list[str] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            from importlib.machinery import ModuleSpec

            if name.partition(".")[0] in BASES:
                is_package = "." not in name
                return ModuleSpec(name, Finder, is_package=is_package)  # type: ignore[arg-type]
            return None

        @staticmethod
        def create_module(spec: Any) -> None:
            return None

        @staticmethod
        def exec_module(module: types.ModuleType) -> None:
            loaded.append(module.__name__)
            vars(module)["value"] = f"the value of {module.__name__}"
            vars(module)["Thing"] = type("Thing", (), {})

    sys.meta_path.insert(0, Finder)
    try:
        yield loaded
    finally:
        sys.meta_path.remove(Finder)
        for name in [name for name in sys.modules if name.partition(".")[0] in BASES]:
            del sys.modules[name]


def names_of(line: str) -> list[str]:
    return [
        alias.split(" as ")[-1].strip().partition(".")[0]
        for alias in line.split("import ")[1].split(",")
    ]


@st.composite
def sources(draw: st.DrawFn) -> tuple[str, list[str]]:
    every = [text.format(base) for text in IMPORTS for base in BASES]
    lines = draw(st.lists(st.sampled_from(every), max_size=5, unique=True))
    names = sorted({name for line in lines for name in names_of(line)})
    body = ["'''A docstring.'''", *lines]
    functions = []
    for number in range(draw(st.integers(0, 4))):
        if names:
            use = draw(st.sampled_from(USES)).format(n=draw(st.sampled_from(names)))
            body.append(f"def f{number}(x=1):\n    {use}")
            functions.append(f"f{number}")
    keeps: bool = draw(st.booleans())
    if names and keeps:
        body.append(f"kept = {draw(st.sampled_from(names))}")
    if draw(st.booleans()):
        body.append(
            "def __getattr__(name):\n    if name == 'made_up':\n        return 7\n"
            "    raise AttributeError(name)"
        )
    return "\n".join(body) + "\n", [*functions, *names, "kept", "made_up", "absent", "__doc__"]


def outcome(take: Callable[[], Any]) -> str:
    try:
        value = take()
    except Exception as error:  # noqa: BLE001 - errors are results too
        return f"{type(error).__name__}"
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"


def asked(source: str, order: list[str], *, moved: bool) -> tuple[list[str], list[str]]:
    """What each of `order` gives, called where it can be; and what was loaded at the import."""
    with packages() as loaded:
        tree: Any = source
        if moved:
            found = surveying.survey(source.encode(), "m", package=False)
            tree = moving.sunk(source.encode(), list(found["moved"]), [])
        module = types.ModuleType("m")
        sys.modules["m"] = module
        try:
            exec(compile(tree, "m.py", "exec"), module.__dict__)  # noqa: S102 - made above
            at_import = list(loaded)
            results = []
            for name in order:
                results.append(outcome(lambda name=name: getattr(module, name)))  # type: ignore[misc]
                if name.startswith("f"):
                    results.append(outcome(getattr(module, name)))
                    results.append(outcome(lambda name=name: getattr(module, name)(0)))  # type: ignore[misc]
        finally:
            del sys.modules["m"]
        return results, at_import


@given(sources(), st.randoms(use_true_random=False))
def test_the_same_answers_in_any_order(made: tuple[str, list[str]], rng: Any) -> None:
    source, names = made
    order = names * 2
    rng.shuffle(order)
    before, _ = asked(source, order, moved=False)
    after, _ = asked(source, order, moved=True)
    assert after == before


@given(sources())
def test_what_the_body_does_not_use_is_not_loaded(made: tuple[str, list[str]]) -> None:
    source, _ = made
    _, eager = asked(source, [], moved=False)
    _, lazy = asked(source, [], moved=True)
    assert set(lazy) <= set(eager)
    if "kept" not in source:
        found = surveying.survey(source.encode(), "m", package=False)["moved"]
        plain = {line.split()[1] for line in source.splitlines() if line.startswith("import ")}
        left = {name.partition(".")[0] for name in plain if name not in found}
        assert {name.partition(".")[0] for name in lazy} <= left | {
            name.partition(".")[0] for name in found if "." in name
        }
