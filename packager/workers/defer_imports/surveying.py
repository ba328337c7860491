"""Survey of a module's imports: those that could be moved, and what keeps the others."""

from __future__ import annotations

import ast
import builtins
import re
import symtable
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypedDict

from .nodes import bound, imports, is_getattr, is_load, walk_executed

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
_ATTRIBUTE = re.compile(r"(?<![\w.])(\w+)\s*\.\s*(\w+)")


class Survey(TypedDict):
    """Imports of one module, as `survey` finds them."""

    moved: dict[str, list[tuple[str, str | None]]]
    served: bool
    stars: list[str]
    open: bool
    borrowed: list[str]


def survey(source: bytes, module: str, *, package: bool) -> Survey:
    """Survey what could be moved out of one module.

    `moved`: for each name the [module, attribute or None] that it is imported from, names made
    absolute, and for each `import a.b` the name `a.b`: what it loads can be left to `a`, where that
    serves its submodules. `served`: whether this module can be made to. `stars`: modules that it
    takes all names from. `open`: whether it has no `__all__`. `borrowed`: what it takes as
    `module.attribute` from modules that it imports, and does not import itself.
    """
    tree = ast.parse(source)
    text = source.decode(errors="replace")
    at_import = list(walk_executed(tree.body))
    scope = list(walk_executed(tree.body, classes=False))
    bindings = _read_bindings(tree, text, module, package=package)
    found, plain, staying = bindings.origins, bindings.plain, bindings.staying
    count = Counter(name for node in scope for name in bound(node))
    used = {each.id for each in at_import if is_load(each)}
    rebound, used_below = _below(symtable.symtable(text, "module", "exec"), found.keys())
    moved = {
        name: sorted(set(origins))
        for name, origins in found.items()
        if name not in used | rebound | staying
        and not name.startswith("__")
        and not hasattr(builtins, name)
        and count[name] == len(origins)
        and (len(origins) == 1 or name in plain)
        # a plain import that nothing here uses is there for what it does
        and (name not in plain or name in used_below)
    }
    closed = _allows_no_move(tree, text, at_import, count["__getattr__"])
    return {
        "moved": {**({} if closed else moved), **bindings.dotted},
        "served": not closed,
        "stars": [
            _absolute(node, module, package=package)
            for node in at_import
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        ],
        "open": not count["__all__"],
        "borrowed": _list_borrowed(tree, text, found),
    }


@dataclass(frozen=True)
class _Bindings:
    """Names that imports bind in a module."""

    origins: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    """Bound by `import a` or `import a.b`."""
    dotted: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    staying: set[str] = field(default_factory=set)
    """Bound by an `import a.b` that is there for what it does."""


def _read_bindings(tree: ast.Module, text: str, module: str, *, package: bool) -> _Bindings:
    found = _Bindings()
    for node in imports(tree):
        for alias in node.names:
            name = next(bound(alias))
            if isinstance(node, ast.ImportFrom):
                base = _absolute(node, module, package=package)
                found.origins.setdefault(name, []).append((base, alias.name))
                continue
            is_dotted = "." in alias.name and not alias.asname
            if not alias.asname:
                found.plain.add(name)
            found.origins.setdefault(name, []).append((name if is_dotted else alias.name, None))
            if is_dotted and _is_used(alias.name, text):
                found.dotted[alias.name] = [(alias.name, None)]
            elif is_dotted:
                found.staying.add(name)
    return found


def _is_used(dotted: str, text: str) -> bool:
    """Tell whether `a.b` is more than imported.

    One that is not is there for what its import does.

    By the text alone, comments too: what is taken for a use is tried.
    """
    name = rf"{re.escape(dotted)}(?!\w)"
    named = re.findall(rf"(?<![\w.]){name}", text)
    imported = re.findall(rf"^[ \t]*(?:import|from)[ \t]+{name}", text, re.MULTILINE)
    return len(named) > len(imported)


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The scopes below one, of functions and classes."""
    for child in table.get_children():
        yield child
        yield from _scopes(child)


def _below(module: symtable.SymbolTable, names: AbstractSet[str]) -> tuple[set[str], set[str]]:
    """Split the module's `names`: those that scopes below declare global, those they load."""
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


def _allows_no_move(
    tree: ast.Module, text: str, at_import: Sequence[ast.AST], bound_times: int
) -> bool:
    """Tell whether the module does what no import may be moved out from under."""
    if _SUSPICIOUS.search(text) and any(map(_looks_at_itself, ast.walk(tree))):
        return True
    calls = (node.func for node in at_import if isinstance(node, ast.Call))
    if any(isinstance(each, ast.Name) and each.id in _LOOKS_AT_SCOPE for each in calls):
        return True
    own = sum(map(is_getattr, tree.body))
    return own > 1 or own != bound_times


def _looks_at_itself(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        # the module itself, taken out of sys.modules
        return getattr(node.slice, "id", "") == "__name__"
    if isinstance(node, ast.ImportFrom) and node.module == "builtins":
        return any(alias.name in _LOOKS_AT_ITSELF for alias in node.names)
    if isinstance(node, ast.alias):
        # another module's function of such a name is none of these
        named = node.name.partition(".")[0]
        return named in _COMPILES or (named in _LOOKS_AT_ITSELF and not hasattr(builtins, named))
    word = getattr(node, "id", None) or getattr(node, "attr", None)
    return word in _LOOKS_AT_ITSELF or word in _COMPILES


def _list_borrowed(
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


def _absolute(node: ast.ImportFrom, module: str, *, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + (1 if package else 0)]
    return ".".join([*kept, node.module] if node.module else kept)
