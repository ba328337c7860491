"""Imports of a start as a tree, by the CPU that each takes under the recorder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from packager.types import ImportedModule, Trace

MOST_MODULES: Final = 150
_SHARE: Final = 0.002
"""Of the whole, below which a module is left to the one that imported it."""
_DEEPEST: Final = 30


def list_modules(trace: Trace) -> tuple[ImportedModule, ...]:
    """List the modules that take most, each before those that it imports, the longest first."""
    inside = _group_by_importer(trace.importers)
    own = {name: trace.own_cpu_ms.get(name, 0.0) for name in trace.importers}
    order = list(_walk(inside, ""))
    whole: dict[str, float] = {}
    for name, _ in reversed(order):
        whole[name] = own[name] + sum(whole[each] for each in inside[name])
    least = _SHARE * sum(whole[name] for name in inside[""])
    ranked = sorted(whole.values(), reverse=True)[:MOST_MODULES]
    least = max([least, *ranked[MOST_MODULES - 1 :]])
    ordered = {
        name: sorted(each, key=lambda one: (-whole[one], one)) for name, each in inside.items()
    }
    return tuple(
        ImportedModule(name, depth, round(whole[name], 3))
        for name, depth in _walk(ordered, "")
        if 0 < least <= whole[name] and depth < _DEEPEST
    )


def _group_by_importer(importers: Mapping[str, str]) -> dict[str, dict[str, None]]:
    """The modules that each imported; under "" those that no import leads to."""
    inside: dict[str, dict[str, None]] = {"": {}, **{name: {} for name in importers}}
    for name, importer in importers.items():
        inside[importer if importer in importers else ""][name] = None
    reached = {name for name, _ in _walk(inside, "")}
    for name, importer in importers.items():
        if name not in reached:
            # it was imported again, inside of what it had imported
            del inside[importer][name]
            inside[""][name] = None
            reached |= {name, *(each for each, _ in _walk(inside, name))}
    return inside


def _walk(inside: Mapping[str, Iterable[str]], top: str) -> Iterator[tuple[str, int]]:
    """Yield each module that was imported inside of `top`, and its depth, before those in it."""
    waiting = [(name, 0) for name in reversed([*inside[top]])]
    while waiting:
        name, depth = waiting.pop()
        yield name, depth
        waiting += [(each, depth + 1) for each in reversed([*inside[name]])]
