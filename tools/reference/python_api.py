"""The page of what `import packager` offers, read where the code has it."""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import packager
from packager import errors, types
from packager.errors import PackagerError
from packager.types import BuildRequest, list_settings
from tools.reference.markdown import join_parts, make_table, open_page

_ROOT: Final = Path(__file__).resolve().parents[2]
_START: Final = "packager.pipeline.output.several"
"""The module of `build` and `build_all`: what they import, in functions too, is what they run."""
_COLUMNS: Final = ("field", "type", "default", "meaning")


def make_page(helps: Mapping[str, str]) -> str:
    """Make the page; `helps` has what `packager build --help` says of each setting."""
    about = inspect.cleandoc(packager.__doc__ or "")
    parts = [open_page("Python", about)]
    for name in packager.__all__:
        parts += [f"## `{name}`", *_describe_name(name)]
    parts += ["## Settings", _ABOUT_SETTINGS, *_describe_settings(helps)]
    parts += ["## Values", _ABOUT_VALUES, _describe_values(), "## Errors", _ABOUT_ERRORS]
    rows = (
        (f"`{each.__name__}`", str(each.exit_code), _unwrap(each.__doc__).partition("\n\n")[0])
        for each in list_build_errors()
    )
    parts.append(make_table(("error", "exit code", "meaning"), rows))
    return join_parts(parts)


_ABOUT_SETTINGS: Final = """\
`make_request` takes each setting by its name. In a `BuildRequest` it is the field beside it. An
option of [`packager build`](command-line.md#packager-build) does the same."""
_ABOUT_VALUES: Final = """\
What a setting takes where its type has a name. Import the classes from `packager.types`."""
_ABOUT_ERRORS: Final = """\
What `build` can raise, and what `build_all` can have in a result. Each is in `packager.errors`, and
is a `PackagerError`. Its `exit_code` is that of the [command](exit-codes.md). Another exception is
of `on_progress`, or is a fault of packager."""


def _describe_name(name: str) -> Iterator[str]:
    value = getattr(packager, name)
    if isinstance(value, str):
        yield "The release of packager, as text."
        return
    if inspect.isfunction(value):
        plain = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(value)))
        yield f"```python\n{name}{plain}\n```"
    yield _unwrap(value.__doc__)
    if dataclasses.is_dataclass(value) and isinstance(value, type):
        meanings = read_meanings(value)
        yield make_table(
            _COLUMNS,
            (
                (
                    f"`{each.name}`",
                    f"`{each.type}`",
                    _show_default(each),
                    meanings.get(each.name) or _describe_type(str(each.type)),
                )
                for each in dataclasses.fields(value)
            ),
        )


def _describe_type(name: str) -> str:
    """Return the first sentence of what a class is for, where a field has no words of its own."""
    kind = getattr(types, name.partition(" ")[0], None)
    return _unwrap(kind.__doc__).partition("\n\n")[0] if isinstance(kind, type) else ""


def _describe_settings(helps: Mapping[str, str]) -> Iterator[str]:
    kinds = typing.get_type_hints(BuildRequest)
    rows: dict[str, list[tuple[str, ...]]] = {}
    for name, group, key in list_settings():
        field = next(each for each in dataclasses.fields(kinds[group]) if each.name == key)
        rows.setdefault(group, []).append(
            (
                f"`{name}`",
                f"`{group}.{key}`",
                f"`{field.type}`",
                _show_default(field),
                read_meanings(kinds[group]).get(key) or helps[name],
            )
        )
    for group, listed in rows.items():
        yield f"### {kinds[group].__name__}"
        yield _unwrap(kinds[group].__doc__)
        yield make_table(("setting", *_COLUMNS), listed)


def _describe_values() -> str:
    found: dict[str, list[str]] = {}
    groups = typing.get_type_hints(BuildRequest)
    for _, group, key in list_settings():
        field = next(each for each in dataclasses.fields(groups[group]) if each.name == key)
        for name in re.findall(r"\w+", str(field.type)):
            kind = getattr(types, name, None)
            if isinstance(kind, type) and issubclass(kind, enum.Enum):
                found[name] = [f"`{name}.{each.name}` (`{each.value}`)" for each in kind]
            elif typing.get_origin(kind) is typing.Literal:
                found[name] = [f"`{each!r}`" for each in typing.get_args(kind)]
    return make_table(
        ("type", "values"), ((f"`{name}`", ", ".join(found[name])) for name in sorted(found))
    )


def _show_default(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{getattr(field.default_factory, '__name__', '')}()`"
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, enum.Enum):
        return f"`{type(field.default).__name__}.{field.default.name}`"
    if isinstance(field.default, Path):
        return f'`Path("{field.default}")`'
    return f"`{field.default!r}`"


def _unwrap(text: str | None) -> str:
    """Return a docstring with each paragraph on a line."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs)


def read_meanings(kind: type) -> dict[str, str]:
    """Return the words that stand under each field of a class."""
    body = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body[0]
    found: dict[str, str] = {}
    if isinstance(body, ast.ClassDef):
        for field, below in zip(body.body, body.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
                case _:
                    pass
    return found


@functools.cache
def list_build_errors() -> tuple[type[PackagerError], ...]:
    """Return the errors that the modules of a build make, by their exit codes."""
    known = {
        name: each
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, PackagerError)
    }
    seen: set[str] = set()
    made: set[str] = set()
    waiting = [_START]
    while waiting:
        module = waiting.pop()
        path = _find_module(module)
        if module in seen or path is None or module == errors.__name__:
            continue
        seen.add(module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            waiting += _list_imports(node)
            made |= _list_made(node) & known.keys()
    found = (known[name] for name in made)
    return tuple(sorted(found, key=lambda each: (each.exit_code, each.__name__)))


def _find_module(name: str) -> Path | None:
    place = _ROOT.joinpath(*name.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((each for each in files if name.startswith("packager.") and each.is_file()), None)


def _list_imports(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [each.name for each in names]
        case ast.ImportFrom(module=str(module), names=names, level=0):
            return [module, *(f"{module}.{each.name}" for each in names)]
        case _:
            return []


def _list_made(node: ast.AST) -> set[str]:
    """Return the names that a call makes something of, or that one of two is chosen from."""
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return {name}
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return {name}
        case ast.IfExp(body=ast.Name(id=one), orelse=ast.Name(id=other)):
            return {one, other}
        case _:
            return set()
