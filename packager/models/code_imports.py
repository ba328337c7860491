"""Imports of a file of Python: where, and whether it fails without; nothing of it is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

_TYPES_ALONE: Final = "TYPE_CHECKING"
_SCRIPT_ALONE: Final = ("__name__", "__main__")
_EXPECTED: Final = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_IMPORTERS: Final = frozenset({"import_module", "__import__", "find_spec", "importorskip"})
FINDERS: Final = frozenset(
    {"entry_points", "iter_entry_points", "iter_modules", "packages_distributions"}
    | {"walk_packages"}
)
"""Functions that find modules which no name in the code tells of."""
_WALKERS: Final = frozenset({"iter_modules", "walk_packages"})
"""Those of them that take a package's folders."""
_GROUPED: Final = frozenset({"entry_points", "iter_entry_points"})
"""Those of them that take a group of entry points."""
RESOLVERS: Final = frozenset(
    {"import_string", "locate", "resolve_name", "run_module", "run_path"}
    | {"dictConfig", "get_class", "get_object", "import_from_string", "import_object"}
    | {"instantiate", "load_class", "load_object"}
    | {"files", "get_data", "resource_filename", "resource_stream", "resource_string"}
)
"""Functions that find by a name in a text: objects, scripts, and files that lie beside modules."""
FILE_LOADERS: Final = frozenset(
    {"SourceFileLoader", "execfile", "load_source", "run_path", "spec_from_file_location"}
)
"""Functions that load a file of Python by its path."""
GETTERS: Final = frozenset({"attrgetter", "getattr", "methodcaller"})
_LAZY: Final = frozenset({"attach", "attach_stub"})
"""Functions by which a package imports its modules when they are used (lazy_loader)."""
RUNNERS: Final = frozenset({"Popen", "check_call", "check_output", "popen", "system"})
"""Functions that run a command, which may be Python."""
_STARTERS: Final = frozenset({"runpy", "subprocess"})
EVALUATORS: Final = frozenset({"compile", "eval", "exec"})
_STATEMENT: Final = re.compile(
    r"\b(?:from|import)\s+([A-Za-z_][\w.]*(?:\s*,\s*[A-Za-z_][\w.]*)*)"
    r"|__import__\(\s*['\"]([\w.]+)|-m\s+([\w.]+)|^([\w.]+):[\w.]+$"
)
"""Modules in a text that is code, a command, or an object's place: `package.module:name`."""
COMPUTED: Final = re.compile(
    r"(?:(?:^|[\n;])[ \t]*(?:from|import)[ \t]+|\b(?:__import__|import_module)\(\s*['\"]?)"
    r"(?:$|%|\{)"
)
"""The end of a text that a module's name is put behind: `exec(f"import {name}")`."""
_METADATA: Final = ("importlib.metadata", "importlib_metadata", "pkg_resources")
_CHOICES: Final = frozenset({"backend", "dtype_backend", "engine"})
"""Arguments that pandas and others take a module's name by."""
ENGINES: Final = frozenset(
    {"calamine", "fastparquet", "h5netcdf", "html5lib", "lxml", "netcdf4", "numba", "numexpr"}
    | {"odf", "openpyxl", "polars", "pyarrow", "pyogrio", "pyxlsb", "xlrd", "xlsxwriter"}
)
"""Texts that libraries choose another by, however they reach it."""
_OWN_PACKAGE: Final = frozenset({"__package__", "__name__"})
_MOST_BYTES: Final = 20_000_000
"""Of a source that is read: no parser takes more in a reasonable time."""
_LIBRARY_WORD: Final = re.compile(rb"(?<![\w.])([A-Za-z_][A-Za-z0-9_.]{1,80})\0")
_BYTECODE_WORD: Final = re.compile(
    rb"[zZ\xda\xfa]([\x02-\x50])(?=([A-Za-z_][A-Za-z0-9_.]{1,80}))", re.DOTALL
)
"""https://docs.python.org/3/library/marshal.html: a short text, its length before it."""
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
    walked: dict[str, int] = field(default_factory=dict)
    """Packages whose modules it lists -> the first line."""
    groups: dict[str, int] = field(default_factory=dict)
    """Groups of entry points that it asks for -> the first line."""
    grouped: set[int] = field(default_factory=set)
    """Calls for all entry points, of which one group is taken at once, by their nodes' id."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Names that it gives to functions of others -> theirs: `import_module as load`."""
    imports_by_text: bool = False
    """Texts may name modules, or be code that imports them."""
    asks_metadata: bool = False
    gets_by_text: bool = False
    """Texts may name attributes."""
    loads_files: bool = False
    """It runs files of Python, which may be any that the model has."""
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


def read_words(path: Path) -> set[str]:
    """Read the names in compiled code: of a library's strings, and of Python's bytecode."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError:
        return set()
    words = {match[1] for match in _LIBRARY_WORD.finditer(content)}
    for match in _BYTECODE_WORD.finditer(content):
        length = match[1][0]
        words |= {match[2][:length]} if len(match[2]) >= length else set()
    return {word.decode("ascii") for word in words}


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
    if path.stem == "__init__":
        _note_package(tree, found)
    waiting: list[tuple[ast.AST, Need]] = [(tree, Need.LOAD)]
    while waiting:
        node, need = waiting.pop()
        _note(node, need, found)
        waiting.extend(_children(node, need))
    if any(each.name.partition(".")[0] in _STARTERS for each in found.modules):
        found.imports_by_text = True
    if found.imports_by_text:
        _note_computed_texts(found)
    if found.gets_by_text:
        for text, line in found.texts.items():
            found.attributes.setdefault(text, line)
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


def _note_package(tree: ast.Module, found: CodeImports) -> None:
    """Note modules of a package that `from package import *`, or its `__getattr__`, imports."""
    for line in tree.body:
        if isinstance(line, ast.FunctionDef) and line.name == "__getattr__":
            found.families.setdefault(".", line.lineno)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_last(node.func) in _LAZY:
            found.families.setdefault(".", node.lineno)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and _is_all(node):
            found.modules |= {
                CodeImport(f".{text}", node.lineno, Need.LATER, is_guess=True)
                for each in ast.walk(node)
                if isinstance(each, ast.Constant) and (text := _read_text(each)).isidentifier()
            }


def _is_all(node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> bool:
    """True for what is put into `__all__`."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(name_last(each) == "__all__" for each in targets)


def _note_computed_texts(found: CodeImports) -> None:
    """Note texts that are code with a name left out, and those that name files of Python."""
    for text, line in found.texts.items():
        if COMPUTED.search(text):
            found.open_line = line
        if text.endswith(".py"):
            found.loads_files = True


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
        parts = [([node.test], need), *((run, later) for run in list_run(node))]
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


def list_run(node: ast.If) -> tuple[list[ast.stmt], ...]:
    """The branches of a condition that serving may reach: none that is for type checkers alone."""
    if is_never(node.test):
        return (node.orelse,)
    match node.test:
        case ast.UnaryOp(op=ast.Not(), operand=test) if is_never(test):
            return (node.body,)
    return node.body, node.orelse


def is_never(test: ast.expr) -> bool:
    """True for a condition that never holds in serving: `__name__ == "__main__"`."""
    if isinstance(test, ast.BoolOp):
        each = map(is_never, test.values)
        return any(each) if isinstance(test.op, ast.And) else all(each)
    if isinstance(test, ast.Compare):
        sides = {name_last(each) or _read_text(each) for each in (test.left, *test.comparators)}
        return isinstance(test.ops[0], ast.Eq) and sides == {*_SCRIPT_ALONE}
    return name_last(test) == _TYPES_ALONE


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
        if node.value in ENGINES:
            later = max(need, Need.LATER, key=_rank)
            found.modules.add(CodeImport(node.value, node.lineno, later, is_guess=True))
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
    for alias in node.names:
        found.attributes.setdefault(alias.name, node.lineno)


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
    function = name_last(node.func)
    function = found.aliases.get(function, function)
    _note_choices(function, node, max(need, Need.LATER, key=_rank), found)
    if function in _IMPORTERS:
        _note_import_call(node, found)
    elif function in _GROUPED and (group := _read_group(node)):
        found.groups.setdefault(group, node.lineno)
    elif function in FINDERS and id(node) not in found.grouped:
        if (family := _read_walked(node)) and function in _WALKERS:
            found.walked.setdefault(family, node.lineno)
        else:
            found.open_line = node.lineno
    elif function in GETTERS:
        _note_getter(node, found)
    else:
        _note_runner(function, node, found)


def _note_choices(function: str, node: ast.Call, need: Need, found: CodeImports) -> None:
    """Note modules that a call names in a text: `spacy.load("en_core_web_sm")`."""
    named = [each.value for each in node.keywords if each.arg in _CHOICES]
    if function == "load":
        named += [each for each in node.args[:1] if _read_text(each).isidentifier()]
    for value in named:
        if isinstance(value, ast.Constant) and value.value:
            found.modules.add(CodeImport(str(value.value), node.lineno, need, is_guess=True))


def _note_runner(function: str, node: ast.Call, found: CodeImports) -> None:
    """Note a call that runs code of a text, or of a file."""
    is_evaluator = getattr(node.func, "id", "") in EVALUATORS  # and not `model.eval()`
    found.imports_by_text |= is_evaluator or function in RESOLVERS | RUNNERS
    is_read = is_evaluator and function != "eval" and not _read_text(next(iter(node.args), None))
    found.loads_files |= is_read or function in FILE_LOADERS


def _note_getter(node: ast.Call, found: CodeImports) -> None:
    """Note attributes that are got by a text; what a computed one begins with ends in a star."""
    for each in node.args[name_last(node.func) == "getattr" :][:1]:
        if prefix := _read_prefix(each):
            star = "" if isinstance(each, ast.Constant) else "*"
            found.attributes.setdefault(f"{prefix}{star}", node.lineno)
        elif not isinstance(each, ast.Constant):
            found.gets_by_text = True


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


def _read_walked(node: ast.Call) -> str:
    """The package that `iter_modules(package.__path__)` lists, "." for its own; "" for others."""
    named = [each.value for each in node.keywords if each.arg == "path"]
    first = next(iter([*named, *node.args]), None)
    if first is None:
        return ""
    if "__file__" in list_identifiers(first) or name_last(first) == "__path__":
        return _read_dotted(first).rpartition(".")[0] or "."
    return ""


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
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return _read_parts(parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _read_parts([left, right])
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            values = right.elts if isinstance(right, ast.Tuple) else [right]
            return _fill(_read_prefix(left), "%", "%s", values)
        case ast.Call(func=ast.Attribute(value=of, attr="format"), args=values):
            return _fill(_read_prefix(of), "{", r"\{0?\}", values)
        case _:
            return ""


def _fill(text: str, mark: str, pattern: str, values: list[ast.expr]) -> str:
    """The text up to the first value that is put into it; that one where the text begins so."""
    if values and (first := re.match(pattern, text)):
        rest = text[first.end() :].partition(mark)[0]
        return _read_parts([values[0], ast.Constant(rest)])
    return text.partition(mark)[0]


def _read_parts(parts: list[ast.expr]) -> str:
    """The first part's text; what follows `__package__` is relative, and begins with a dot.

    `__name__` is the package's in its `__init__`, where it is followed by a module's name.
    """
    first = parts[0] if parts else None
    own = first.value if isinstance(first, ast.FormattedValue) else first
    if own is not None and name_last(own) in _OWN_PACKAGE:
        rest = _read_prefix(parts[1]) if len(parts) > 1 else ""
        of = _read_dotted(own.value) if isinstance(own, ast.Attribute) else ""
        return f"{of}{rest}" if rest.startswith(".") and (of or isinstance(own, ast.Name)) else ""
    return _read_prefix(first) if first is not None else ""


def _read_dotted(node: ast.expr) -> str:
    """Read `a.b`; "" for what is no name."""
    if isinstance(node, ast.Attribute):
        of = _read_dotted(node.value)
        return of and f"{of}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def list_imports_of_text(text: str) -> set[str]:
    """List the modules that a text imports if it is code, or a command that runs Python."""
    found = (next(filter(None, match), "") for match in _STATEMENT.findall(text))
    return {name.strip(" \t.") for names in found for name in names.split(",")} - {""}
