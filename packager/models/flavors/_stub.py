"""Names that a model asks of mlflow, and those of our stand-in; no code of the model is run.

The stand-in's `__all__` is all that a model's code may use. Schemas and signatures are there for
pickles to restore: nothing may read them, so code that names one is MLflow's own to serve.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import IO, Final, TypeGuard

import handlers
from packager.models.code_imports import (
    list_modules,
    list_run,
    name_last,
    parse_file,
    resolve_relative,
)
from packager.models.pickles.pickle_names import read_pickle

_ROOT: Final = Path(handlers.__file__).parent / "loaders" / "stub"
_RESTORED: Final = ("mlflow.types", "mlflow.models.signature.ModelSignature")
_INTERNAL: Final = ("mlflow.models.signature", "mlflow.models.ModelSignature")
_PACKAGES: Final = ("mlflow", "mlflow.models", "mlflow.pyfunc", "mlflow.tracking.fluent")
"""Modules of MLflow whose names are known by their files, without importing them."""
_USUAL: Final = frozenset(
    {"Any", "Path", "config", "context", "data", "json", "model", "os", "sys", "utils", "version"}
)
"""Names of MLflow that a model's own variables and attributes have as well."""
_RUN_TEXT: Final = frozenset({"compile", "eval", "exec"})
_ASK_BY_VALUE: Final = _RUN_TEXT | {"__dict__", "getattr", "vars"}
_FUNCTION_MODEL: Final = "mlflow.pyfunc.model._FunctionPythonModel"
"""Carries the signature that it was logged with, and nothing asks it for that."""


def imports_mlflow(path: Path) -> bool:
    """Tell whether the file's text imports mlflow; a file that is no Python may."""
    tree = parse_file(path)
    return tree is None or any(_is_mlflow(name) for name in _bound_names(tree).values())


def find_missing(path: Path) -> tuple[str, ...]:
    """Find what the file uses anywhere of mlflow and the stand-in lacks: dotted, sorted."""
    tree = parse_file(path)
    if tree is None:
        return ()
    return tuple(sorted({name for name in _used_names(tree) if not _has(name)}))


def imported_modules(path: Path) -> frozenset[str]:
    """Dotted names that the file imports, a relative one as the text has it."""
    tree = parse_file(path)
    return frozenset() if tree is None else frozenset(_bound_names(tree).values())


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under a condition that does not hold in serving."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If):
            waiting.extend([node.test, *chain.from_iterable(list_run(node))])
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _bound_names(tree: ast.AST) -> dict[str, str]:
    """Local name -> what an import binds it to, dotted; a submodule's import is kept by its own."""
    bound: dict[str, str] = {}
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or alias.name] = alias.name
                if alias.asname is None:
                    top = alias.name.partition(".")[0]
                    bound[top] = top
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            for alias in node.names:
                dot = "" if base.endswith(".") else "."
                bound[alias.asname or alias.name] = f"{base}{dot}{alias.name}"
    return bound


def _used_names(tree: ast.Module) -> Iterator[str]:
    """Dotted names of mlflow; `?` for one that only running the code tells.

    Those imported, chains of attributes, what text names, and modules that are handed on:
    `m = mlflow` is used by names that are not known.
    """
    bound = _bound_names(tree)
    nodes = list(_nodes(tree))
    handed_on = _list_handed_on(nodes, bound)
    used = (_name_use(node, bound) for node in nodes)
    yield from filter(_is_mlflow, (*bound.values(), *handed_on, *used))


def _name_use(node: ast.AST, bound: dict[str, str]) -> str:
    """Name what an expression asks for; "" for nothing that is known."""
    if isinstance(node, ast.Attribute):
        return _chain(node, bound)
    if isinstance(node, ast.Call):
        return _read_called_name(node, bound)
    if isinstance(node, ast.Subscript) and name_last(node.value) == "modules":
        return _read_text(node.slice, handed_on=True)
    return ""


def _list_handed_on(nodes: Iterable[ast.AST], bound: dict[str, str]) -> Iterator[str]:
    """List modules that are a value somewhere: not asked for a name of theirs at once."""
    asked = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    asked |= {id(node.args[0]) for node in nodes if _asks_attribute(node, bound)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    own = {node.id for node in names if _is_stored(node)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in names:
        module = bound.get(node.id, "")
        if id(node) not in asked and node.id not in own and _is_mlflow(module) and _file(module):
            yield f"{module}.?"


def _is_stored(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _name_function(node: ast.Call, bound: dict[str, str]) -> str:
    """Name what is called by the last part of what it is imported as."""
    name = name_last(node.func)
    return bound.get(name, name).rpartition(".")[2] if isinstance(node.func, ast.Name) else name


def _asks_attribute(node: ast.AST, bound: dict[str, str]) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return False
    return _name_function(node, bound) in {"getattr", "hasattr"}


def _read_called_name(node: ast.Call, bound: dict[str, str]) -> str:
    """Read the name in `getattr(mlflow, "x")` or `import_module("mlflow.x")`; "" otherwise."""
    function = _name_function(node, bound)
    if _asks_attribute(node, bound):
        owner, name = _chain(node.args[0], bound), node.args[1]
        text = name.value if isinstance(name, ast.Constant) else "?"
        return f"{owner}.{text!s}" if owner else ""
    if not node.args:
        return ""
    if function in {"import_module", "__import__"} or _looks_up_module(node, function):
        return _read_text(node.args[0], handed_on=True)
    if function == "find_spec":
        return _read_text(node.args[0])
    if function in _RUN_TEXT:
        return "mlflow.?" if any("mlflow" in text for text in _list_texts(node)) else ""
    return ""


def _looks_up_module(node: ast.Call, function: str) -> bool:
    """True for `sys.modules.get(...)`."""
    if function != "get" or not isinstance(node.func, ast.Attribute):
        return False
    return name_last(node.func.value) == "modules"


def _read_text(node: ast.expr, *, handed_on: bool = False) -> str:
    """The module that a text names; of one that is put together, and `handed_on`, not what of it.

    Nobody sees what is asked of a module that is a value.
    """
    if isinstance(node, ast.Constant):
        name = str(node.value)
        return f"{name}.?" if handed_on and _is_mlflow(name) else name
    return "mlflow.?" if any(map(_is_mlflow, _list_texts(node))) else ""


def _list_texts(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _chain(node: ast.expr, bound: dict[str, str]) -> str:
    """`mlflow.models.infer_signature` for an expression of names; "" for any other."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in bound:
        return ""
    return ".".join([bound[node.id], *reversed(names)])


def _is_mlflow(name: str) -> bool:
    return name.partition(".")[0] == "mlflow"


def _has(name: str, *, private: bool = False) -> bool:
    """Tell whether the stand-in has what is named.

    For a pickle its `private` names count too, for code they do not.
    """
    if not private and any(f"{name}.".startswith(f"{each}.") for each in (*_RESTORED, *_INTERNAL)):
        return False
    module, *parts = name.split(".")
    if not all(parts):
        return False  # `"mlflow." + name`
    for part in parts:
        file = _file(module)
        if file is None:
            return False
        if _file(f"{module}.{part}") is None:
            exported = _list_definitions(file) if private else _read_exports(file)
            return part in exported
        module = f"{module}.{part}"
    return _file(module) is not None


def _file(module: str) -> Path | None:
    base = _ROOT.joinpath(*module.split("."))
    files = (base / "__init__.py", base.with_suffix(".py"))
    return next((path for path in files if path.is_file()), None)


@cache
def _read_exports(file: Path) -> frozenset[str]:
    """The module's `__all__`."""
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


@cache
def _list_definitions(file: Path) -> frozenset[str]:
    """List what the module defines or imports at its top, or below a condition there."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(ast.parse(file.read_bytes()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names)


@cache
def _of_mlflow_alone() -> frozenset[str]:
    """Public names of the installed MLflow that code may ask it for and the stand-in has not."""
    found = importlib.util.find_spec("mlflow")
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    theirs: set[str] = set()
    ours: set[str] = set()
    for module in _PACKAGES:
        inside = Path(*module.split(".")[1:])
        for folder in folders:
            files = (folder / inside / "__init__.py", (folder / inside).with_suffix(".py"))
            theirs.update(*(_list_definitions(file) for file in files if file.is_file()))
        if (file := _file(module)) is not None:
            ours |= {*_read_exports(file)}
            ours |= {path.stem for path in file.parent.iterdir()}
    return frozenset(name for name in theirs - ours - _USUAL if not name.startswith("_"))


def find_missing_in_pickle(file: IO[bytes]) -> tuple[tuple[str, ...], frozenset[str]]:
    """(what the pickle and the code in it ask of mlflow and the stand-in lacks, all its words).

    Functions that are pickled by value carry the names that their code uses as a tuple, without
    saying on what; where one of them uses mlflow, every name that MLflow has and the stand-in has
    not counts, and `mlflow.?` where it may ask by a name that is a value. Raises ValueError for
    what is no pickle.
    """
    seen = read_pickle(file)
    restores = _FUNCTION_MODEL in seen.globals
    missing = {
        name
        for name in seen.globals
        if _is_mlflow(name) and not _has(name, private=restores or not name.startswith(_RESTORED))
    }
    missing |= _find_missing_in_code(seen.tuples)
    return tuple(sorted(missing)), frozenset(seen.words)


def _find_missing_in_code(tuples: Collection[tuple[str, ...]]) -> set[str]:
    """Find what pickled functions ask of mlflow and the stand-in lacks."""
    named = {word for names in tuples for word in names}
    inside = {word for word in named if word.startswith("mlflow.")}
    if "mlflow" in named or inside:
        hidden = {"mlflow.?"} if any(map(_hides_names, tuples)) else set()
        return {word for word in inside if not _has(word)} | hidden | named & _of_mlflow_alone()
    runs_text = not named.isdisjoint(_RUN_TEXT)
    return {"mlflow.?"} if runs_text and any("mlflow" in word for word in named) else set()


def _hides_names(names: tuple[str, ...]) -> bool:
    """Tell whether a function that uses mlflow may ask it for what only running it tells."""
    return "mlflow" in names and not _ASK_BY_VALUE.isdisjoint(names)


def reachable_files(folders: Iterable[Path], start: Iterable[str]) -> tuple[Path, ...]:
    """Files of Python in the folders that the named modules are, or import, directly or not."""
    every = list_modules(folders)
    waiting, found = list(start), dict[str, Path]()
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for module in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
            if module in every and module not in found:
                found[module] = every[module]
                waiting.extend(_absolute(module, every[module]))
    return tuple(found[name] for name in sorted(found))


def _absolute(module: str, path: Path) -> Iterator[str]:
    """List what the module imports; `.sibling` by its package."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    names = (resolve_relative(name, package) for name in imported_modules(path))
    yield from filter(None, names)
