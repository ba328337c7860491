"""The site's page of every message that stops a command, read where the code makes it.

No file of docs/: the site's hook makes it anew each time, so that it cannot fall behind the code.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from packager.errors import PackagerError

NAME: Final = "reference/messages.md"
FILLED: Final = "…"
"""Stands for what a message fills in: a name, a path, another program's words."""
_ROOT: Final = Path(__file__).resolve().parents[2]
_FINDING: Final = "Finding"
_FINDING_CODE: Final = 7
_HOLDING_ERRORS: Final = ("packager.errors", "packager.commands.cloud.follow.deploy_command")
_EXPLAINING: Final[Mapping[str, str]] = {
    "explain_empty_index": "IndexUnavailableError",
    "explain_index_failure": "IndexUnavailableError",
    "explain_storage_failure": "StorageError",
    "explain_refusals": "UnprovenError",
    "explain_lack": "ToolError",
    "describe_problem": "ReplayDiffersError",
}
"""Functions that return the words of an error, which another function raises."""
_FEWEST_WORDS: Final = 3
_OPENING: Final = f"""\
Every message that stops a command, as the code has it. {FILLED} stands for what it fills in. Search
this page for the words that you see. A message says itself what to do;
[Troubleshooting](../support/troubleshooting.md) goes on from there."""


class Message(NamedTuple):
    """One message with its exit code; `error` is the name of the class that carries it."""

    exit_code: int
    error: str
    text: str


def list_errors() -> Mapping[str, type[PackagerError]]:
    """Return every class of errors that a command ends with, by its name."""
    for name in _HOLDING_ERRORS:
        importlib.import_module(name)
    found: dict[str, type[PackagerError]] = {}
    waiting = [PackagerError]
    while waiting:
        for each in waiting.pop().__subclasses__():
            if each.__module__.startswith("packager."):
                found[each.__name__] = each
            waiting.append(each)
    return found


@functools.cache
def list_messages() -> tuple[Message, ...]:
    """Return the messages of the tree, ordered by exit code and then as a dictionary is."""
    known = list_errors()
    found = set()
    for path in sorted((_ROOT / "packager").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, text in [*_read_calls(tree), *_read_classes(tree), *_read_words(tree)]:
            error = "VerificationError" if name == _FINDING else name
            if error in known and _has_words(text):
                found.add(Message(known[error].exit_code, error, text))
    return tuple(sorted(found, key=lambda each: (each.exit_code, each.text.casefold(), each.error)))


def make_messages() -> str:
    """Make the page: a heading for each exit code, a row for each message."""
    messages = list_messages()
    parts = [
        "---\nhide: [toc]\n---",
        "# Messages",
        _OPENING,
        "## Kinds",
        "With `--json`, `error` has the kind.",
        make_kinds(),
    ]
    for code in sorted({each.exit_code for each in messages}):
        # a heading each: the search finds sections
        rows = [f"#### {_escape(each.text)}" for each in messages if each.exit_code == code]
        link = f"[Exit code {code}](../support/troubleshooting.md#{code})"
        parts += [f"## {code}", f"{link} says what stands behind these.", "\n\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def make_kinds() -> str:
    """Make the table of the kinds of error, by exit code."""
    errors = sorted(list_errors().items(), key=lambda each: (each[1].exit_code, each[0]))
    kinds = [
        f"| `{name.removesuffix('Error')}` | {each.exit_code} | {_read_meaning(each)} |"
        for name, each in errors
    ]
    return "\n".join(["| `error` | exit code | meaning |", "|---|---|---|", *kinds])


def _read_meaning(error: type[PackagerError]) -> str:
    return _escape(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " "))


def _read_calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = _list_names(node)
            for call in ast.walk(node):
                if isinstance(call, ast.Call):
                    yield from _read_call(call, names)


def _read_call(call: ast.Call, names: Mapping[str, ast.expr]) -> Iterator[tuple[str, str]]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    given = {each.arg: each.value for each in call.keywords}
    parts = [given[key] for key in ("message", "hint") if key in given]
    if name == _FINDING and parts:
        yield name, _join(_read_text(each, names) for each in parts)
    elif name.endswith("Error") and call.args:
        yield name, _join(_read_text(each, names) for each in call.args)


def _read_classes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Read the messages that a class makes of what it is handed."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for call in ast.walk(node):
            made = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if made in {"super().__init__", "cls"} and isinstance(call, ast.Call):
                yield node.name, _join(_read_text(each, {}) for each in call.args)


def _read_words(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Read what the functions return that find the words of an error."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name in _EXPLAINING:
            names = _list_names(function)
            for each in ast.walk(function):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield _EXPLAINING[function.name], _join([_read_text(each.value, names)])


def _list_names(function: ast.FunctionDef) -> Mapping[str, ast.expr]:
    """Return what each name of a function stands for, where it is given a value once."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            found.setdefault(node.target.id, []).extend([node.value] * 2)
    return {name: values[0] for name, values in found.items() if len(values) == 1}


def _read_text(node: ast.expr, names: Mapping[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_read_text(each, names) for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _read_text(left, names) + _read_text(right, names)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
            args=[ast.List(elts=parts) | ast.Tuple(elts=parts)],
        ):
            return between.join(_read_text(each, names) for each in parts)
        case ast.Name(id=name) if name in names:
            # what it is made of may be called by its own name again
            return _read_text(names[name], {})
    return FILLED


def _join(parts: Iterable[str]) -> str:
    """Join parts to one line, and fillings that follow one another to one."""
    line = " ".join(" ".join(parts).split())
    return re.sub(rf"{FILLED}(\W?{FILLED})+", FILLED, line)


def _has_words(text: str) -> bool:
    return len(re.findall(r"[^\W\d_]{2,}", text)) >= _FEWEST_WORDS


def _escape(text: str) -> str:
    """Show a text as it is; what it has between backticks is shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", text)
    outside = (re.sub(r"([\\*_{}\[\]<>#|])", r"\\\1", part) for part in parts[::2])
    inside = [f"`{part}`" for part in parts[1::2]]
    return "".join(part + code for part, code in zip(outside, [*inside, ""], strict=True))
