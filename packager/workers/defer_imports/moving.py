"""A module with some of its imports moved, or with every use of them told."""

from __future__ import annotations

import ast
import copy
import importlib.util
import marshal
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from .nodes import (
    FUNCTIONS,
    FunctionNode,
    bound,
    children,
    imports,
    is_getattr,
    list_loads,
    walk_executed,
)

_LINE_END = re.compile(r"\r\n|\r|\n")
_UNCHECKED = (1).to_bytes(4, "little")
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

_Guard: TypeAlias = "Callable[[str, ast.stmt], ast.stmt]"
_BRANCHES = (
    (ast.ExceptHandler, ast.match_case) if sys.version_info >= (3, 10) else (ast.ExceptHandler,)
)


def sunk(source: bytes, names: Sequence[str], served: Sequence[str]) -> ast.Module:
    """The module with the imports of `names` moved.

    `served` are submodules of this package that are imported when they are first asked for.
    """
    tree = ast.parse(source)
    wanted = set(names)
    branches: dict[str, list[ast.stmt]] = {}
    body: list[ast.stmt] = []
    movable = {id(node): node for node in imports(tree)}
    for statement in tree.body:
        node = movable.get(id(statement))
        if node is None:
            body.append(statement)
            continue
        for alias in node.names:
            # an `import a` that is moved has no dot, so this is an `import a.b`
            if (
                "." in alias.name
                and isinstance(node, ast.Import)
                and not alias.asname
                and alias.name in wanted
            ):
                alias.name = alias.name.partition(".")[0]
        staying = [alias for alias in node.names if next(bound(alias)) not in wanted]
        for alias in node.names:
            if alias not in staying:
                alone = copy.copy(node)
                alone.names = [alias]
                branches.setdefault(next(bound(alias)), []).append(alone)
        if staying:
            node.names = staying
            body.append(node)
    body = _guard_uses(body, wanted, source, _bind)
    tree.body = _with_getattr(body, branches, sorted(served))
    return tree


def watch_uses(source: bytes, module: str, names: Sequence[str]) -> ast.Module:
    """The module as it is, but that it tells of each use of `names` and of their imports."""
    tree = ast.parse(source)
    wanted = set(names)
    movable = {id(node): node for node in imports(tree)}
    begun, ended = ast.parse("__sink_moved__(1)\n__sink_moved__(-1)").body
    body: list[ast.stmt] = []
    for statement in tree.body:
        node = movable.get(id(statement))
        if node is None:
            body.append(statement)
            continue
        for alias in node.names:
            alone = copy.copy(node)
            alone.names = [alias]
            moved = next(bound(alias)) in wanted or (
                isinstance(node, ast.Import) and not alias.asname and alias.name in wanted
            )
            body += [begun, alone, ended] if moved else [alone]
    tree.body = _guard_uses(body, wanted, source, partial(_tell, module))
    return tree


def _with_getattr(
    body: list[ast.stmt], branches: dict[str, list[ast.stmt]], served: list[str]
) -> list[ast.stmt]:
    at = sum(1 for _ in takewhile(_stays_first, body))
    own = next((place for place, node in enumerate(body) if is_getattr(node)), None)
    missing = "raise AttributeError(f'module {__name__!r} has no attribute {_name!r}')"
    made = [_getattr(branches, served, missing)]
    if not any("__dir__" in bound(node) for node in body):
        known = sorted({*branches, *served})
        made += ast.parse(
            f"def __dir__():\n    return sorted({{*globals(), *{known!r}}} - "
            "{'__getattr__', '__dir__'})"
        ).body
    if own is not None:
        chained = ast.parse("_getattr_before = __getattr__").body
        chained += [_getattr(branches, served, "return _getattr_before(_name)")]
        body[own + 1 : own + 1] = chained
    body[at:at] = made
    return body


def _stays_first(node: ast.stmt) -> bool:
    """Docstrings, and imports from __future__."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _getattr(branches: dict[str, list[ast.stmt]], served: list[str], otherwise: str) -> ast.stmt:
    lines = ["def __getattr__(_name):"]
    # `from . import name` would ask this very function for the name
    named = sorted(set(branches) - set(served))
    if named:
        lines.append(f"    global {', '.join(named)}")
    for name in named:
        lines += [f"    if _name == {name!r}:", "        pass", f"        return {name}"]
    if served:
        lines += [
            f"    if _name in {tuple(served)!r}:",
            "        return __import__('importlib').import_module(f'{__name__}.{_name}')",
        ]
    made = ast.parse("\n".join([*lines, f"    {otherwise}"])).body[0]
    for node in ast.walk(made):
        for block in _blocks(node):
            if isinstance(block[0], ast.Pass) and isinstance(block[1], ast.Return):
                name = getattr(block[1].value, "id", "")
                block[:1] = copy.deepcopy(branches[name])
    return made


def _guard_uses(
    body: list[ast.stmt], wanted: set[str], source: bytes, guard: _Guard
) -> list[ast.stmt]:
    """The module's statements, those in functions with `guard` before each use of the names."""
    words = {name for name in wanted if "." not in name}
    if not words:
        return body
    text = _LINE_END.split(source.decode(errors="replace"))
    has_one = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b").search
    lines = {number for number, line in enumerate(text, 1) if has_one(line)}
    return _guard_statements(body, words, lines, guard, top=True)


def _guard_statements(
    statements: list[ast.stmt],
    names: set[str],
    lines: set[int],
    guard: _Guard,
    *,
    top: bool = False,
) -> list[ast.stmt]:
    """The statements with a look before each that uses one of `names`; at the top, none there.

    The names occur on `lines` alone.
    """
    done: list[ast.stmt] = []
    for node in statements:
        if lines.isdisjoint(_extent(node)):
            done.append(node)
            continue
        if not top:
            done += [guard(name, node) for name in sorted(_list_needs(node) & names)]
        inner = names
        if isinstance(node, FUNCTIONS):
            inner = names - _locals(node, lines)
        for block in _blocks(node):
            below = top and not isinstance(node, FUNCTIONS)
            block[:] = _guard_statements(block, inner, lines, guard, top=below)
        done.append(node)
    return done


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, _BRANCHES):
                    yield each.body


def _list_needs(node: ast.stmt) -> set[str]:
    """Names that the statement's own expressions load; of a class, all that its body does."""
    if isinstance(node, ast.ClassDef):
        return list_loads(walk_executed([node]))
    inside = {id(each) for block in _blocks(node) for each in block}
    todo: list[ast.AST] = [node]
    names: set[str] = set()
    while todo:
        each = todo.pop()
        if isinstance(each, ast.Name):
            names.add(each.id)
        todo += [child for child in children(each) if id(child) not in inside]
    return names


def _locals(function: FunctionNode, lines: set[int]) -> set[str]:
    """List what a function binds on some of the lines, where alone the names that matter are."""
    own = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt) and lines.isdisjoint(_extent(node)):
            continue
        own.update(bound(node))
        if isinstance(node, FUNCTIONS):
            todo += [*node.decorator_list, node.args]
            todo += [] if node.returns is None else [node.returns]
        elif not isinstance(node, ast.ClassDef):
            todo += children(node)
    return own


def _extent(node: ast.stmt) -> range:
    """Its lines, with its decorators'."""
    first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    return range(first, (node.end_lineno or node.lineno) + 1)


def _bind(name: str, before: ast.stmt) -> ast.stmt:
    """Has the module's `__getattr__` bind the name, where it is not bound yet."""
    at = _place(before)
    unbound = ast.ExceptHandler(
        type=ast.Name("NameError", ast.Load(), **at),
        name=None,
        body=[_call("__getattr__", [name], at)],
        **at,
    )
    look: ast.stmt = ast.Expr(ast.Name(name, ast.Load(), **at), **at)
    return ast.Try(body=[look], handlers=[unbound], orelse=[], finalbody=[], **at)


def _tell(module: str, name: str, before: ast.stmt) -> ast.stmt:
    return _call("__sink_used__", [module, name], _place(before))


def _call(function: str, arguments: Sequence[str], at: dict[str, Any]) -> ast.stmt:
    given: list[ast.expr] = [ast.Constant(each, **at) for each in arguments]
    call = ast.Call(ast.Name(function, ast.Load(), **at), args=given, keywords=[], **at)
    return ast.Expr(call, **at)


def _place(node: ast.stmt) -> dict[str, Any]:
    names = ("lineno", "col_offset", "end_lineno", "end_col_offset")
    return {name: getattr(node, name) for name in names}


def bytecode(tree: ast.Module, source: bytes, filename: str, optimize: int = 0) -> bytes:
    """Unchecked-hash bytecode (PEP 552)."""
    code = compile(tree, filename, "exec", dont_inherit=True, optimize=optimize)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
    return header + marshal.dumps(code)
