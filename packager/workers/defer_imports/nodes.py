"""Syntax tree questions of both halves: nodes that importing evaluates, and names bound."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias, TypeGuard

FunctionNode: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (
    (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
    if sys.version_info >= (3, 10)
    else (ast.ExceptHandler,)
)
_REST_OF_MATCH = (ast.MatchMapping,) if sys.version_info >= (3, 10) else ()


def walk_executed(nodes: Sequence[ast.AST], *, classes: bool = True) -> Iterator[ast.AST]:
    """Every node that importing the module evaluates: all but the bodies of functions.

    Annotations count, and what a lambda's body says: neither has a place to put an import before.
    Without `classes`, the bodies of classes are left out: what is bound there is theirs.
    """
    todo = list(nodes)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, FUNCTIONS):
            todo += [*node.decorator_list, node.args]
            todo += [] if node.returns is None else [node.returns]
        elif classes or not isinstance(node, ast.ClassDef):
            todo += children(node)


def children(node: ast.AST) -> list[ast.AST]:
    """As ast.iter_child_nodes, in less time; without the contexts of names."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [each for each in value if isinstance(each, ast.AST)]
        elif isinstance(value, ast.AST) and field != "ctx":
            found.append(value)
    return found


def bound(node: ast.AST) -> Iterator[str]:
    """The names that a node itself binds or deletes in its scope."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, _NAMED) and node.name:
        yield node.name
    elif isinstance(node, _REST_OF_MATCH) and node.rest:
        yield node.rest


def list_loads(nodes: Iterator[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def is_load(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The plain imports of the module's top level."""
    for node in tree.body:
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom)
            and node.module != "__future__"
            and node.names[0].name != "*"
        ):
            yield node


def is_getattr(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__getattr__"
