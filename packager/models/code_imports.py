"""Imports of a file of Python: where, and whether it fails without; nothing of it is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

NOT_RUN: Final = frozenset({"TYPE_CHECKING", "__name__"})
"""What guards code that serving never reaches: `if __name__ == "__main__"`."""
_EXPECTED: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_IMPORTERS: Final = frozenset({"import_module", "__import__", "find_spec", "importorskip"})
FINDERS: Final = frozenset(
    {"entry_points", "iter_entry_points", "iter_modules", "packages_distributions"}
    | {"walk_packages"}
)
"""Functions that find modules which no name in the code tells of."""
_GROUPED: Final = frozenset({"entry_points", "iter_entry_points"})
"""Those of them that take a group of entry points."""
_RESOLVERS: Final = frozenset(
    {"import_string", "locate", "resolve_name", "run_module", "run_path"}
    | {"files", "get_data", "resource_filename", "resource_stream", "resource_string"}
)
"""Functions that find by a name in a text: objects, scripts, and files that lie beside modules."""
RUNNERS: Final = frozenset({"Popen", "check_call", "check_output", "popen", "system"})
"""Functions that run a command, which may be Python."""
_STARTERS: Final = frozenset({"runpy", "subprocess"})
EVALUATORS: Final = frozenset({"compile", "eval", "exec"})
_STATEMENT: Final = re.compile(
    r"\b(?:from|import)\s+([A-Za-z_][\w.]*(?:\s*,\s*[A-Za-z_][\w.]*)*)"
    r"|__import__\(\s*['\"]([\w.]+)|-m\s+([\w.]+)|^([\w.]+):[\w.]+$"
)
"""Modules in a text that is code, a command, or an object's place: `package.module:name`."""
_METADATA: Final = ("importlib.metadata", "importlib_metadata", "pkg_resources")
_CHOICES: Final = frozenset({"backend", "dtype_backend", "engine"})
"""Arguments that pandas and others take a module's name by."""
_OWN_PACKAGE: Final = frozenset({"__package__", "__name__"})
_MOST_BYTES: Final = 20_000_000
"""Of a source that is read: no parser takes more in a reasonable time."""
_LATER_NODES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Need(StrEnum):
    """Moment at which a module that is not there is noticed."""

    LOAD = "load"
    """When the model is loaded."""
    LATER = "later"
    """When a branch is taken that needs it."""
    OPTIONAL = "optional"
    """Never: the code expects that it may be missing."""


@dataclass(frozen=True, slots=True, order=True)
class CodeImport:
    """A module that a file imports; a relative one is told by its dots."""

    name: str
    line: int
    need: Need
    is_guess: bool = False
    """The last part may be a module, or a name in one: `from NAME import part`."""


@dataclass(slots=True)
class CodeImports:
    """Names that one file asks for."""

    modules: set[CodeImport] = field(default_factory=set)
    attributes: dict[str, int] = field(default_factory=dict)
    """Names of attributes and methods -> the first line."""
    texts: dict[str, int] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)
    """Packages any module of which may be imported -> the first line: `f"churn.plugins.{name}"`."""
    groups: dict[str, int] = field(default_factory=dict)
    """Groups of entry points that it asks for -> the first line."""
    grouped: set[int] = field(default_factory=set)
    """Calls for all entry points, of which one group is taken at once, by their nodes' id."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that it gives to functions of others -> theirs: `import_module as load`."""
    imports_by_text: bool = False
    """Texts may name modules, or be code that imports them."""
    asks_metadata: bool = False
    open_line: int = 0
    """Where it imports what only running it tells; 0 for nowhere."""


def parse_source(text: bytes) -> ast.Module | None:
    """Parse a source; None for what is no Python, or is nested too deep for its parser."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # the parser raises MemoryError where its own stack ends


def parse_file(path: Path) -> ast.Module | None:
    """Parse as `parse_source` does; None also for what cannot be read, or is no one's writing."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError:
        return None
    return parse_source(text) if len(text) <= _MOST_BYTES else None


def list_modules(folders: Iterable[Path]) -> dict[str, Path]:
    """List the Python files in folders that are on the path, by dotted name."""
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    }


def resolve_relative(name: str, package: str) -> str:
    """Resolve `.sibling` by the package of its module; "" where it leaves that."""
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], name.lstrip(".")]).strip(".")


def read_imports(path: Path) -> CodeImports:
    """Empty for what is no Python: whoever imports that finds out."""
    found = CodeImports()
    tree = parse_file(path)
    if tree is None:
        return found
    _note_references(tree, found)
    waiting: list[tuple[ast.AST, Need]] = [(tree, Need.LOAD)]
    while waiting:
        node, need = waiting.pop()
        _note(node, need, found)
        waiting.extend(_children(node, need))
    if any(each.name.partition(".")[0] in _STARTERS for each in found.modules):
        found.imports_by_text = True
    found.asks_metadata = any(
        f"{each.name}.".startswith(f"{name}.") for each in found.modules for name in _METADATA
    )
    return found


def _note_references(tree: ast.Module, found: CodeImports) -> None:
    """Note other names of functions, and importers that are handed on: who calls those, and how."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.aliases |= {each.asname: each.name for each in node.names if each.asname}
        elif isinstance(node, ast.Call | ast.Subscript) and (taken := _take_group(node)):
            call, group = taken
            found.groups.setdefault(group, node.lineno)
            found.grouped.add(id(call))
        elif id(node) not in called and _name_reference(node) in _IMPORTERS - {"find_spec"}:
            found.open_line = getattr(node, "lineno", 0)
            found.imports_by_text = True


def _name_reference(node: ast.AST) -> str:
    """Name what a node refers to, by `getattr(importlib, "import_module")` too; "" for nothing."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return name_last(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def _children(node: ast.AST, need: Need) -> Iterator[tuple[ast.AST, Need]]:
    """Each with its need: less below a condition, in a function, or where a failure is expected."""
    later = max(need, Need.LATER, key=_rank)
    parts: list[tuple[Iterable[ast.AST], Need]]
    if isinstance(node, ast.If):
        run = node.body if NOT_RUN.isdisjoint(list_identifiers(node.test)) else []
        parts = [([node.test], need), (run, later), (node.orelse, later)]
    elif isinstance(node, ast.Try):
        expected = any(_expects(handler.type) for handler in node.handlers)
        inside = Need.OPTIONAL if expected else need
        # what stands in for a missing module is not needed where that is there
        parts = [(node.body, inside), ([*node.handlers, *node.orelse], later)]
        parts.append((node.finalbody, need))
    elif isinstance(node, ast.With | ast.AsyncWith) and _suppresses(node):
        parts = [(node.body, Need.OPTIONAL)]
    else:
        inside = later if isinstance(node, _LATER_NODES) else need
        parts = [(ast.iter_child_nodes(node), inside)]
    for nodes, own in parts:
        yield from ((each, own) for each in nodes)


def _suppresses(node: ast.With | ast.AsyncWith) -> bool:
    calls = (item.context_expr for item in node.items)
    return any(isinstance(each, ast.Call) and name_last(each.func) == "suppress" for each in calls)


def name_last(node: ast.expr) -> str:
    """Name the last part of `a.b`, however deep it is; "" for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _rank(need: Need) -> int:
    return (Need.LOAD, Need.LATER, Need.OPTIONAL).index(need)


def list_identifiers(test: ast.expr) -> set[str]:
    """List the names and the attributes in an expression."""
    names = {node.id for node in ast.walk(test) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}


def _expects(caught: ast.expr | None) -> bool:
    """True for a handler that takes a missing module; a bare `except` takes all."""
    return caught is None or not _EXPECTED.isdisjoint(list_identifiers(caught))


def _note(node: ast.AST, need: Need, found: CodeImports) -> None:
    if isinstance(node, ast.Import):
        found.modules |= {CodeImport(alias.name, node.lineno, need) for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        _note_import_from(node, need, found)
    elif isinstance(node, ast.Attribute):
        found.attributes.setdefault(node.attr, node.lineno)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        found.texts.setdefault(node.value, node.lineno)
    elif isinstance(node, ast.Call):
        _note_call(node, need, found)


def _note_import_from(node: ast.ImportFrom, need: Need, found: CodeImports) -> None:
    base = "." * node.level + (node.module or "")
    if node.module:
        found.modules.add(CodeImport(base, node.lineno, need))
    dot = "" if base.endswith(".") else "."
    found.modules |= {
        CodeImport(f"{base}{dot}{alias.name}", node.lineno, need, is_guess=True)
        for alias in node.names
    }


def _note_import_call(node: ast.Call, found: CodeImports) -> None:
    """Note `import_module(...)`, or what does as much."""
    found.imports_by_text = True
    if not node.args or isinstance(node.args[0], ast.Constant):
        return
    if family := _read_family(node):
        found.families.setdefault(family, node.lineno)
    else:
        found.open_line = node.lineno


def _note_call(node: ast.Call, need: Need, found: CodeImports) -> None:
    later = max(need, Need.LATER, key=_rank)
    function = name_last(node.func)
    function = found.aliases.get(function, function)
    if function in _IMPORTERS:
        _note_import_call(node, found)
    elif function in _GROUPED and (group := _read_group(node)):
        found.groups.setdefault(group, node.lineno)
    elif function in FINDERS and id(node) not in found.grouped:
        found.open_line = node.lineno
    elif function in _RESOLVERS | RUNNERS or getattr(node.func, "id", "") in EVALUATORS:
        # `eval(...)`, and not `model.eval()`
        found.imports_by_text = True
    for keyword in node.keywords:
        value = keyword.value
        if keyword.arg in _CHOICES and isinstance(value, ast.Constant) and value.value:
            found.modules.add(CodeImport(str(value.value), node.lineno, later, is_guess=True))


def _read_group(node: ast.Call) -> str:
    """The group of entry points that a call names; "" for none, or one that is computed."""
    named = [each.value for each in node.keywords if each.arg == "group"]
    first = next(iter([*named, *node.args]), None)
    return _read_text(first)


def _take_group(node: ast.Call | ast.Subscript) -> tuple[ast.expr, str] | None:
    """The call for all entry points, and the group that `.select`, `.get` or `[]` takes of them."""
    if isinstance(node, ast.Subscript):
        whole, group = node.value, _read_text(node.slice)
    elif isinstance(node.func, ast.Attribute) and node.func.attr in {"select", "get"}:
        whole, group = node.func.value, _read_group(node)
    else:
        return None
    if not group or not isinstance(whole, ast.Call) or whole.args or whole.keywords:
        return None
    return (whole, group) if name_last(whole.func) in _GROUPED else None


def _read_text(node: ast.expr | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _read_family(node: ast.Call) -> str:
    """The package that a computed name begins with, relative ones with dots; "" for none."""
    prefix = _read_prefix(node.args[0])
    stem = prefix.lstrip(".")
    family = prefix[: len(prefix) - len(stem)] + stem.rpartition(".")[0]
    anchors = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "package")]
    if not family.startswith(".") or not anchors or name_last(anchors[0]) in _OWN_PACKAGE:
        return family
    anchor = anchors[0].value if isinstance(anchors[0], ast.Constant) else ""
    return resolve_relative(family, str(anchor or ""))


def _read_prefix(node: ast.expr) -> str:
    """The text that a computed one begins with, as far as the code has it."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return _read_parts(node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _read_parts([node.left, node.right])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _read_prefix(node.left).partition("%")[0]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        text = _read_prefix(node.func.value) if node.func.attr == "format" else ""
        return text.partition("{")[0]
    return ""


def _read_parts(parts: list[ast.expr]) -> str:
    """The first part's text; what follows `__package__` is relative, and begins with a dot."""
    first = parts[0] if parts else None
    own = first.value if isinstance(first, ast.FormattedValue) else first
    if isinstance(own, ast.Name) and own.id == "__package__":
        rest = _read_prefix(parts[1]) if len(parts) > 1 else ""
        return rest if rest.startswith(".") else ""
    return _read_prefix(first) if first is not None else ""


def list_imports_of_text(text: str) -> set[str]:
    """List the modules that a text imports if it is code, or a command that runs Python."""
    found = (next(filter(None, match), "") for match in _STATEMENT.findall(text))
    return {name.strip(" \t.") for names in found for name in names.split(",")} - {""}
