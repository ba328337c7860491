"""What ships runs on every Python that some target has: 3.8 is the oldest."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from packager import targets
from packager.environments import interpreters
from packager.errors import InterpreterNotFoundError

HANDLERS = Path(__file__).resolve().parents[3] / "handlers"
RAN = "workers"
LATER = {
    # of str and bytes, asyncio, datetime, functools, hashlib, itertools, os: 3.9 to 3.11
    *("removeprefix", "removesuffix", "to_thread", "UTC", "cache", "file_digest", "pairwise"),
    *("waitstatus_to_exitcode", "Runner", "TaskGroup", "randbytes"),
}
TYPING = {"Self", "TypeAlias", "TypeGuard", "ParamSpec", "Never", "Required", "NotRequired"}
BUILT_IN = {"dict", "frozenset", "list", "set", "tuple", "type"}
ABSTRACT = {"Awaitable", "Callable", "Iterable", "Iterator", "Mapping", "Sequence"}
ASK = """
import importlib, json, sys
wrong = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in {"handlers", "packager"}:
            wrong[name] = repr(error)
    except Exception as error:
        wrong[name] = repr(error)
print(json.dumps(wrong))
"""


def _files() -> list[Path]:
    packager = HANDLERS.parent / "packager" / RAN
    ran = [path for path in packager.rglob("*.py") if "confine" not in path.parts]
    return sorted([*HANDLERS.rglob("*.py"), *ran, *_list_taken_along()])


def _list_taken_along() -> list[Path]:
    """Files that an artifact has beside its function, for the check of what is deployed."""
    answers = HANDLERS.parent / "packager" / "pipeline" / "answers"
    names = ("comparison.py", "recorded.py", "over_http.py")
    programs = HANDLERS.parent / "templates" / "_replay"
    return [*(answers / name for name in names), *programs.glob("*.py")]


def _is_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name | ast.Compare)
        and ("TYPE_CHECKING" in ast.unparse(node.test) or "version_info" in ast.unparse(node.test))
    )


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: no annotation, nothing for checkers alone or for later Pythons."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"} or (name == "body" and _is_checking(node)):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.IfExp) and "version_info" in ast.unparse(each.test):
                yield from _evaluated(each.orelse)
            elif isinstance(each, ast.AST):
                yield from _evaluated(each)


def _is_union(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


def _is_generic(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in BUILT_IN | ABSTRACT


def _find_later(tree: ast.AST) -> Iterator[str]:
    for node in _evaluated(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            named = {each.arg for each in node.keywords}
            if node.func.id == "zip" and "strict" in named:
                yield f"{node.lineno}: zip(strict=)"
            if node.func.id in {"isinstance", "issubclass"} and _is_union(node.args[1]):
                yield f"{node.lineno}: {node.func.id} of a union"
        elif isinstance(node, ast.Attribute) and node.attr in LATER:
            yield f"{node.lineno}: {node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "typing":
            yield from (f"{node.lineno}: {a.name}" for a in node.names if a.name in TYPING)
        elif isinstance(node, ast.Subscript) and _is_generic(node.value):
            yield f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize("path", _files(), ids=lambda path: str(path.relative_to(HANDLERS.parent)))
def test_nothing_of_a_later_python_is_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    assert list(_find_later(tree)) == []


@pytest.mark.parametrize(
    "line",
    [
        "zip(a, b, strict=True)",
        "isinstance(a, int | str)",
        "a.removeprefix('b')",
        "from typing import Self",
        "Rows = list[int]",
        "Handle = Callable[[int], str]",
        "match a:\n    case 1: pass",
    ],
)
def test_what_a_later_python_has_is_found(line: str) -> None:
    try:
        tree = ast.parse(line, feature_version=(3, 8))
    except SyntaxError:
        return
    assert list(_find_later(tree))


def test_the_oldest_python_of_all_targets_is_this_one() -> None:
    runtimes = [each for name in targets.TARGETS for each in targets.load(name).runtimes]
    minors = {tuple(map(int, each.python_minor.split("."))) for each in runtimes}
    assert min(minors) == (3, 8)


@pytest.mark.few(1)
@pytest.mark.parametrize("minor", ["3.8", "3.9", "3.10"])
def test_every_module_is_imported_by_older_pythons(minor: str) -> None:
    try:
        python = interpreters.find(minor).path
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {minor} on this machine")
    names = [
        ".".join(path.relative_to(HANDLERS.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in HANDLERS.rglob("*.py")
        if not {"stub", "child_start"} & set(path.parts)
    ]
    done = subprocess.run(
        [python, "-s", "-S", "-B", "-c", ASK, json.dumps(sorted(names))],
        cwd=HANDLERS.parent,
        env={"PYTHONPATH": str(HANDLERS.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
