"""Move imports that a module does not need while it is imported to where their names are used.

    python sink.py survey ASKED ANSWERED      which imports of each module could be moved
    python sink.py write ASKED ANSWERED       bytecode of each module with some of them moved
    python sink.py watch ASKED ANSWERED       bytecode that tells watch.py of their uses instead

Run by the target's Python, whose syntax and bytecode it must be; the sources stay as they are.

A moved import becomes a branch of the module's `__getattr__` (PEP 562), which binds the name in the
module as the import would have done. So another module that takes the name gets it, and each
statement of a function that uses it is preceded by a look whether it is bound yet. After the first
use there is no difference left between this module and the one as it was written.
"""

from __future__ import annotations

import ast
import builtins
import copy
import importlib.util
import json
import marshal
import re
import symtable
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

_UNCHECKED = (1).to_bytes(4, "little")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_LOOKS_AT_ITSELF = {"globals", "eval", "exec", "_getframe", "currentframe", "__builtins__"}
"""Names with which code reads a namespace by other ways than a plain look-up."""
_LOOKS_AT_SCOPE = {"vars", "dir", "locals"}
"""The same, where they are called in the module's own scope."""
_COMPILES = {"jit", "njit", "numba"}
"""Compilers that read a function's globals when they compile it."""
_SUSPICIOUS = re.compile(
    rf"\b({'|'.join(sorted(_LOOKS_AT_ITSELF | _COMPILES))})\b|\[\s*__name__\s*\]"
)
"""What a text has where it may have one of these: only then is every node looked at."""
_LINE_END = re.compile(r"\r\n|\r|\n")
_ATTRIBUTE = re.compile(r"(?<![\w.])(\w+)\s*\.\s*(\w+)")
_Guard: TypeAlias = Callable[[str, ast.stmt], ast.stmt]


def executed(nodes: Sequence[ast.AST], *, classes: bool = True) -> Iterator[ast.AST]:
    """Every node that importing the module evaluates: all but the bodies of functions.

    Annotations count, and what a lambda's body says: neither has a place to put an import before.
    Without `classes`, the bodies of classes are left out: what is bound there is theirs.
    """
    todo = list(nodes)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, _Function):
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
    elif isinstance(node, _Function | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest


def loaded(nodes: Iterator[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The plain imports of the module's top level."""
    for node in tree.body:
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom)
            and node.module != "__future__"
            and node.names[0].name != "*"
        ):
            yield node


def survey(source: bytes, module: str, *, package: bool) -> dict[str, Any]:
    """What could be moved out of one module.

    `moved`: for each name the [module, attribute or None] that it is imported from, names made
    absolute, and for each `import a.b` the name `a.b`: what it loads can be left to `a`, where that
    serves its submodules. `served`: whether this module can be made to. `stars`: modules that it
    takes all names from. `open`: whether it has no `__all__`. `borrowed`: what it takes as
    `module.attribute` from modules that it imports, and does not import itself.
    """
    tree = ast.parse(source)
    text = source.decode(errors="replace")
    at_import = list(executed(tree.body))
    scope = list(executed(tree.body, classes=False))
    found: dict[str, list[tuple[str, str | None]]] = {}
    plain: set[str] = set()
    dotted: dict[str, list[tuple[str, None]]] = {}
    for node in imports(tree):
        for alias in node.names:
            name = next(bound(alias))
            if isinstance(node, ast.ImportFrom):
                base = _absolute(node, module, package=package)
                found.setdefault(name, []).append((base, alias.name))
                continue
            plain |= set() if alias.asname else {name}
            is_dotted = "." in alias.name and not alias.asname
            found.setdefault(name, []).append((name if is_dotted else alias.name, None))
            if is_dotted:
                dotted[alias.name] = [(alias.name, None)]
    count = Counter(name for node in scope for name in bound(node))
    used = {each.id for each in at_import if _is_load(each)}
    rebound, used_below = _below(symtable.symtable(text, "module", "exec"), found.keys())
    moved = {
        name: sorted(set(origins))
        for name, origins in found.items()
        if name not in used | rebound
        and not name.startswith("__")
        and not hasattr(builtins, name)
        and count[name] == len(origins)
        and (len(origins) == 1 or name in plain)
        # a plain import that nothing here uses is there for what it does
        and (name not in plain or name in used_below)
    }
    closed = _closed(tree, text, at_import, count["__getattr__"])
    return {
        "moved": {**({} if closed else moved), **dotted},
        "served": not closed,
        "stars": [
            _absolute(node, module, package=package)
            for node in at_import
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        ],
        "open": not count["__all__"],
        "borrowed": _borrowed(tree, text, found),
    }


def _is_load(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The scopes below one, of functions and classes."""
    for child in table.get_children():
        yield child
        yield from _scopes(child)


def _below(module: symtable.SymbolTable, names: AbstractSet[str]) -> tuple[set[str], set[str]]:
    """Of the module's `names`, those that scopes below it declare global, and those they load."""
    declared: set[str] = set()
    used: set[str] = set()
    for scope in _scopes(module):
        for name in names & set(scope.get_identifiers()):
            symbol = scope.lookup(name)
            if symbol.is_declared_global():
                declared.add(name)
            if symbol.is_global() and symbol.is_referenced():
                used.add(name)
    return declared, used


def _closed(tree: ast.Module, text: str, at_import: Sequence[ast.AST], bound_times: int) -> bool:
    """Whether the module does what no import may be moved out from under."""
    if _SUSPICIOUS.search(text) and any(map(_looks_at_itself, ast.walk(tree))):
        return True
    calls = (node.func for node in at_import if isinstance(node, ast.Call))
    if any(isinstance(each, ast.Name) and each.id in _LOOKS_AT_SCOPE for each in calls):
        return True
    own = sum(map(_is_getattr, tree.body))
    return own > 1 or own != bound_times


def _looks_at_itself(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        # the module itself, taken out of sys.modules
        return getattr(node.slice, "id", "") == "__name__"
    word = getattr(node, "id", None) or getattr(node, "attr", None)
    if isinstance(node, ast.alias):
        word = node.name.partition(".")[0]
    return word in _LOOKS_AT_ITSELF or word in _COMPILES


def _borrowed(
    tree: ast.Module, text: str, found: dict[str, list[tuple[str, str | None]]]
) -> list[str]:
    """By the text alone, comments too: to find too many is harmless."""
    own = {alias.name for node in imports(tree) for alias in node.names}
    own |= {str(node.module) for node in imports(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name: origin[0][0] for name, origin in found.items() if origin[0][1] is None}
    taken = {
        f"{roots[name]}.{attribute}"
        for name, attribute in _ATTRIBUTE.findall(text)
        if name in roots
    }
    return sorted(taken - own)


def _is_getattr(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__getattr__"


def _absolute(node: ast.ImportFrom, module: str, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + (1 if package else 0)]
    return ".".join([*kept, node.module] if node.module else kept)


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
    body = _preceded(body, wanted, source, _bind)
    tree.body = _with_getattr(body, branches, sorted(served))
    return tree


def watched(source: bytes, module: str, names: Sequence[str]) -> ast.Module:
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
    tree.body = _preceded(body, wanted, source, partial(_tell, module))
    return tree


def _with_getattr(
    body: list[ast.stmt], branches: dict[str, list[ast.stmt]], served: list[str]
) -> list[ast.stmt]:
    at = sum(1 for _ in takewhile(_stays_first, body))
    own = next((place for place, node in enumerate(body) if _is_getattr(node)), None)
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


def _preceded(
    body: list[ast.stmt], wanted: set[str], source: bytes, guard: _Guard
) -> list[ast.stmt]:
    """The module's statements, those in functions with `guard` before each use of the names."""
    words = {name for name in wanted if "." not in name}
    if not words:
        return body
    text = _LINE_END.split(source.decode(errors="replace"))
    has_one = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b").search
    lines = {number for number, line in enumerate(text, 1) if has_one(line)}
    return _guarded(body, words, lines, guard, top=True)


def _guarded(
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
            done += [guard(name, node) for name in sorted(_needed(node) & names)]
        inner = names
        if isinstance(node, _Function):
            inner = names - _locals(node, lines)
        for block in _blocks(node):
            below = top and not isinstance(node, _Function)
            block[:] = _guarded(block, inner, lines, guard, top=below)
        done.append(node)
    return done


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value
        elif isinstance(value, list):
            for each in value:
                if isinstance(each, ast.ExceptHandler | ast.match_case):
                    yield each.body


def _needed(node: ast.stmt) -> set[str]:
    """Names that the statement's own expressions load; of a class, all that its body does."""
    if isinstance(node, ast.ClassDef):
        return loaded(executed([node]))
    inside = {id(each) for block in _blocks(node) for each in block}
    todo: list[ast.AST] = [node]
    names: set[str] = set()
    while todo:
        each = todo.pop()
        if isinstance(each, ast.Name):
            names.add(each.id)
        todo += [child for child in children(each) if id(child) not in inside]
    return names


def _locals(function: _Function, lines: set[int]) -> set[str]:
    """What a function binds on some of the lines, where alone the names that matter are."""
    own = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.stmt) and lines.isdisjoint(_extent(node)):
            continue
        own.update(bound(node))
        if isinstance(node, _Function):
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


def main(command: str, asked: str, answered: str) -> None:
    modules: list[dict[str, Any]] = json.loads(Path(asked).read_text(encoding="utf-8"))
    answers: dict[str, Any] = {}
    for each in modules:
        source = Path(each["path"]).read_bytes()
        if command == "survey":
            try:
                answers[each["name"]] = survey(source, each["name"], package=each["package"])
            except (SyntaxError, ValueError, RecursionError):
                continue
        else:
            tree = (
                sunk(source, each["sink"], each["serve"])
                if command == "write"
                else watched(source, each["name"], each["sink"])
            )
            made = bytecode(tree, source, each["filename"], each["optimize"])
            Path(each["bytecode"]).write_bytes(made)
    Path(answered).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4])
