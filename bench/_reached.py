"""Which lines of the modules each test runs."""

from __future__ import annotations

import ast
import copy
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

REACHED: Final = "__reached__"
MUCH: Final = 4.0
"""Seconds of CPU after which the tests that do not reach a line are left out."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one test did while nothing was changed."""

    seconds: float
    """CPU, of its child processes too."""
    lines: Mapping[str, Sequence[int]]
    """By the module's path from the project's root; those of this process alone."""
    passed: bool = True


class _Marker(ast.NodeTransformer):
    """Puts `REACHED.add((FIRST, LAST))`, of its lines, before each statement of a tree."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Module | ast.ClassDef):
            return node  # only functions are given the code
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list) and statements:
                first = _first_line(node) if name == "body" and _is_branch(node) else None
                setattr(node, name, [*_mark_all(statements, first)])
        return node


def _is_branch(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler | ast.match_case)


def _first_line(node: Any) -> int:
    line: int = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
    return line


def _mark_all(statements: Iterable[ast.stmt], first: int | None) -> Iterator[ast.stmt]:
    for each in statements:
        begin = each.lineno if first is None else first
        inner = getattr(each, "body", None) or getattr(each, "cases", None)
        # of what holds other statements, the lines above these
        end = (_line_of(inner[0]) - 1) if inner else (each.end_lineno or each.lineno)
        call = f"{REACHED}.add(({begin}, {max(begin, end)}))"
        mark = ast.parse(call).body[0]
        for node in ast.walk(mark):
            ast.copy_location(node, each)
        yield mark
        yield each
        first = None


def _line_of(node: Any) -> int:
    return _first_line(node) if isinstance(node, ast.match_case) else int(node.lineno)


def mark_lines(tree: ast.Module) -> ast.Module:
    """A copy of a module's tree that adds to the set REACHED which lines of functions run.

    Much quicker than a trace function, which every call in every module would go through.
    """
    marked: ast.Module = _Marker().visit(copy.deepcopy(tree))
    return marked


def list_lines(spans: Iterable[tuple[int, int]]) -> list[int]:
    return sorted({line for first, last in spans for line in range(first, last + 1)})


def read_cpu_seconds() -> float:
    """Of this process and of those children that have ended."""
    return sum(os.times()[:4])


def order_tests(
    runs: Mapping[str, Run], module: str, lines: range, *, everywhere: bool
) -> list[str]:
    """Node ids of the tests for a change: those that reach it first, the quickest of them first.

    The others follow, as what a test reaches in another process, or by a fixture that is shared, is
    not known: as many as take MUCH, and all where no test is known to reach it. Where `everywhere`
    is true the change is not in a function: whatever runs any line of the module reaches it. Tests
    that fail unchanged are left out.
    """
    near: list[str] = []
    far: list[str] = []
    for name, run in sorted(runs.items(), key=lambda each: each[1].seconds):
        if not run.passed:
            continue
        ran = run.lines.get(module, ())
        reaches = bool(ran) if everywhere else any(line in lines for line in ran)
        (near if reaches else far).append(name)
    if not near:
        return far
    spent = itertools.accumulate(runs[name].seconds for name in far)
    return near + [name for name, seconds in zip(far, spent, strict=True) if seconds < MUCH]
