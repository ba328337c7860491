"""Put a mutant into a module that is imported, so that tests need not be collected anew."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

OURS: Final = frozenset({"packager", "handlers", "tests"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class ImportAnewError(Exception):
    """The change takes effect only where the module and what imports it are imported anew."""


def list_functions(files: Iterable[str]) -> dict[str, list[FunctionType]]:
    """Every function that exists of the source files, by file: methods and wrapped ones too."""
    chosen: dict[str, list[FunctionType]] = {file: [] for file in files}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in chosen:
            chosen[each.__code__.co_filename].append(each)
    return chosen


def apply_mutant(
    module: ModuleType, own: ast.Module, mutant: ast.Module, functions: Iterable[FunctionType]
) -> None:
    """Change the module, and what others imported of it, as the mutant's tree differs from its own.

    `functions` are those of the module's file; where nothing differs all are put anew. Raises
    ImportAnewError, and changes nothing, where the change is neither in a function nor in a value
    that the module's top level gives a name.
    """
    old, new = _find_change(own, mutant)
    if ast.dump(own) == ast.dump(mutant):
        _replace_code(mutant, str(module.__file__), functions)
    elif isinstance(old, _Function) and isinstance(new, _Function):
        if ast.dump(old.args) == ast.dump(new.args):
            _replace_code(mutant, str(module.__file__), functions)
        else:
            _replace_defaults(module, new, functions)
    elif isinstance(new, ast.Assign | ast.AnnAssign) and new in mutant.body:
        _assign_again(module, new)
    else:
        raise ImportAnewError


def replace_functions(
    module: ModuleType, tree: ast.Module, functions: Iterable[FunctionType]
) -> None:
    """Give functions the code that they have in another tree of the module."""
    _replace_code(tree, str(module.__file__), functions)


def is_in_function(own: ast.Module, mutant: ast.Module) -> bool:
    """Whether the change is in a function's body, which tests reach by its lines."""
    old, new = _find_change(own, mutant)
    return (
        isinstance(old, _Function)
        and isinstance(new, _Function)
        and ast.dump(old.args) == ast.dump(new.args)
    )


def _find_change(own: Any, mutant: Any) -> tuple[ast.AST, ast.AST]:
    """The statements that differ: the outermost functions, or what stands outside of any."""
    if len(own.body) == len(mutant.body):
        for old, new in zip(own.body, mutant.body, strict=True):
            if ast.dump(old) == ast.dump(new):
                continue
            if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
                return _find_change(old, new)
            return old, new
    return own, mutant


def _replace_code(mutant: ast.Module, file: str, functions: Iterable[FunctionType]) -> None:
    codes = {
        (code.co_qualname, code.co_firstlineno): code
        for code in _list_codes(compile(mutant, file, "exec"))
    }
    try:
        for each in functions:
            key = (each.__code__.co_qualname, each.__code__.co_firstlineno)
            if key in codes:
                each.__code__ = codes[key]
    except ValueError as error:  # other variables are shared with inner or outer functions
        raise ImportAnewError from error


def _list_codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _list_codes(each)


def _replace_defaults(
    module: ModuleType, new: _Function, functions: Iterable[FunctionType]
) -> None:
    """Evaluate the definition in a copy of the module's names, for its defaults."""
    bare = ast.parse(ast.unparse(new))
    for statement in bare.body:
        if isinstance(statement, _Function):
            statement.decorator_list = []
    scratch = dict(vars(module))
    exec(compile(bare, str(module.__file__), "exec"), scratch)  # noqa: S102 - of the project's own
    made = scratch[new.name]
    first = min([new.lineno, *(each.lineno for each in new.decorator_list)])
    for each in functions:
        if (each.__code__.co_name, each.__code__.co_firstlineno) == (new.name, first):
            each.__defaults__, each.__kwdefaults__ = made.__defaults__, made.__kwdefaults__


def _assign_again(module: ModuleType, statement: ast.Assign | ast.AnnAssign) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [
        each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)
    ]
    before = {name: vars(module)[name] for name in names}
    tree = ast.Module([statement], [])
    exec(compile(tree, str(module.__file__), "exec"), vars(module))  # noqa: S102 - the project's own
    for each in _list_modules(sys.modules):
        for name in names:
            if vars(each).get(name) is before[name]:
                setattr(each, name, vars(module)[name])


def _list_modules(modules: Mapping[str, ModuleType]) -> list[ModuleType]:
    return [each for name, each in modules.items() if name.partition(".")[0] in OURS]
