"""Load what was deferred and tell what that did beside loading it.

    python deferred.py FOLDER HANDLER ASKED ANSWERED

ASKED has a JSON list of groups: each is a list of [module, name], names that the module binds when
they are first asked for. All are loaded one after the other in a fork of the started function, and
in another in the opposite order, so that one that needs another loaded first fails in one of them.
ANSWERED has for each order and each group, in the groups' order: `names`, what each turned out to
be, or `error`; and `effects`: what else has changed.
"""

from __future__ import annotations

import importlib
import json
import logging
import operator
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

_PLAIN = (str, bytes, int, float, bool, type(None))
_CONTAINERS = (dict, list, set)


def describe_value(value: object) -> str:
    """The same text in two processes for the same thing."""
    kind = type(value)
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if kind in _PLAIN:
        return repr(value)[:200]
    own = [
        each
        for each in (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
        if isinstance(each, str)
    ]
    return " ".join([f"{kind.__module__}.{kind.__qualname__}", *own])


class State:
    """Everything that a module, a class or the interpreter binds, by identity; sizes of tables."""

    def __init__(self) -> None:
        self._spaces: list[tuple[str, Any, tuple[str, ...], tuple[Any, ...]]] = []
        self._tables: list[tuple[str, Any, list[Any]]] = []
        for name, module in sorted(sys.modules.items()):
            space = getattr(module, "__dict__", None)
            if name == "__main__" or type(space) is not dict:
                continue
            self._add(name, space)
            for label, value in list(space.items()):
                if isinstance(value, type) and value.__dict__.get("__module__") == name:
                    self._add(f"{name}:{label}", value.__dict__)
        self._modules = frozenset(sys.modules)
        self._globals = self._of_process()

    def _add(self, label: str, space: Any) -> None:
        self._spaces.append((label, space, tuple(space), tuple(space.values())))
        for name, value in space.items():
            if type(value) in _CONTAINERS:
                self._tables.append((f"{label}.{name}", value, [*value]))

    @staticmethod
    def _of_process() -> dict[str, object]:
        return {
            "environment": dict(os.environ),
            "signals": [str(signal.getsignal(each)) for each in signal.valid_signals()],
            "threads": len(os.listdir("/proc/self/task")),  # noqa: PTH208
            "log handlers": [str(each) for each in logging.root.handlers],
            "log level": logging.root.level,
            "folder": str(Path.cwd()),
        }

    def changes(self) -> Iterator[str]:
        """Places whose value is another one now; a submodule in its package is none."""
        for label, space, names, values in self._spaces:
            now = tuple(space.values())
            if len(now) == len(values) and all(map(operator.is_, now, values)):
                continue
            before = dict(zip(names, values))
            yield from (f"{label}.{name}" for name in self._list_changed(label, space, before))
        for label, table, items in self._tables:
            if len(table) != len(items) and not self._has_only_gained(table, items):
                yield label
        now_global = self._of_process()
        yield from (key for key, value in self._globals.items() if now_global[key] != value)

    def _list_changed(
        self, label: str, space: Mapping[str, object], before: Mapping[str, object]
    ) -> Iterator[str]:
        """Names in a module or class whose value is another one now."""
        for name in [*space, *(each for each in before if each not in space)]:
            value = space.get(name)
            if before.get(name, self) is value and name in space:
                continue
            if not isinstance(value, ModuleType) or value.__name__ != f"{label}.{name}":
                yield name

    def _has_only_gained(self, table: Any, items: list[Any]) -> bool:
        """Tell whether a table has only gained entries for what later modules define."""
        had = {id(item) for item in items}
        gained = [item for item in table if id(item) not in had]
        return len(table) == len(items) + len(gained) and all(map(self._is_later, gained))

    def _is_later(self, item: object) -> bool:
        if type(item) is tuple:
            return any(map(self._is_later, item))
        name = getattr(item, "__module__", None)
        return isinstance(name, str) and name not in self._modules


def load(groups: list[list[list[str]]], order: list[int]) -> list[dict[str, Any]]:
    own = {f"{module}.{name}" for group in groups for module, name in group}
    before = State()
    known: set[str] = set()
    answers: list[dict[str, Any]] = [{} for _ in groups]
    for at in order:
        count = len(sys.modules)
        try:
            names = [
                describe_value(getattr(importlib.import_module(module), name))
                for module, name in groups[at]
            ]
        except Exception as error:  # noqa: BLE001 - whatever stops an import
            answers[at] = {"error": f"{type(error).__name__}: {error}"}
            continue
        effects = set() if len(sys.modules) == count else set(before.changes()) - own - known
        known |= effects
        answers[at] = {"names": names, "effects": sorted(effects)}
    return answers


def fork_loader(groups: list[list[list[str]]], order: list[int]) -> tuple[int, int]:
    """The process that loads them, and what it writes its answers to."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writer, "w", encoding="utf-8") as pipe:
            json.dump(load(groups, order), pipe)
        os._exit(0)
    os.close(writer)
    return child, reader


def read_answers(child: int, reader: int, count: int) -> list[dict[str, Any]]:
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    found: list[dict[str, Any]] = json.loads(text) if text else []
    return found or [{"error": "the process ended"} for _ in range(count)]


def main(folder: str, entry: str, asked: str, answered: str) -> None:  # noqa: ARG001
    groups = json.loads(Path(asked).read_text(encoding="utf-8"))
    importlib.import_module(entry.rpartition(".")[0])
    order = list(range(len(groups)))
    children = [fork_loader(groups, each) for each in (order, order[::-1])]
    answers = [read_answers(*each, len(groups)) for each in children]
    Path(answered).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    # this folder: its files are not for the function to import
    del sys.path[0]
    main(*sys.argv[1:5])
