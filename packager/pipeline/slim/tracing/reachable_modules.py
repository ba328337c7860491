"""Modules that a function needs, foreseen from what uses what (packager/workers/watch.py).

A trial that moves everything says little where modules must be imported in one order: it does not
start. So the first trial moves what the uses say is not needed, and what is loaded keeps its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from packager.pipeline.slim.import_deferral import Name, Sinking

Uses: TypeAlias = Mapping[str, Sequence[Name]]
"""For each module what its import uses, and for `` what is used otherwise."""


def find_needed(
    uses: Uses, sinking: Sinking, movable: frozenset[Name], known: Iterable[str]
) -> frozenset[str]:
    """The modules among `known` that something needed uses, starting from what is used at last."""
    present = frozenset(known)
    found: set[str] = {""}
    todo = [""]
    bound: set[Name] = set()
    while todo:
        for module, name in uses.get(todo.pop(), ()):
            wanted = set(_with_packages(module))
            if f"{module}.{name}" in present:
                wanted.add(f"{module}.{name}")
            if (module, name) in movable and (module, name) not in bound:
                bound.add((module, name))
                wanted |= sinking.needs((module, name), movable)
            new = (wanted & present) - found
            found |= new
            todo += new
    return frozenset(found - {""})


def _with_packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[: at + 1]) for at in range(len(parts))]
