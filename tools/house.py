"""Measure the tree by the rules of its house: `python tools/house.py [--write]`, in `make lint`.

Each figure has an allowance: where the code stood when the rule was made. An allowance may only
shrink. A figure is a count, or a share of all functions in percent. `--write` writes the figures to
bench/results/house.md, so that the next reader sees the trend. The exit code is 1 where a figure is
above its allowance.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULT: Final = ROOT / "bench" / "results" / "house.md"
TREES: Final = ("packager", "handlers")
ENTRIES: Final = 14
LINES: Final = 60
BRANCHES: Final = 15
MANY_BRANCHES: Final = 10
NOT_COUNTED: Final = frozenset({"__init__.py", "__main__.py", "py.typed", "__pycache__"})
_OPENS: Final = re.compile(r"(What|Whether|Of|How|Which|Why|Whose)\b")
_PARTICIPLE: Final = re.compile(r"_?[a-z]+ed|_?(made|found|told|held|kept|built|taken|shown|given)")
_BRANCHES: Final = (
    ast.If, ast.For, ast.While, ast.IfExp, ast.ExceptHandler, ast.BoolOp, ast.comprehension,
    ast.match_case, ast.AsyncFor,
)  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef

ALLOWED: Final[dict[str, float]] = {
    "folders over 14 entries": 2,
    "bare participles as function names": 0,
    "docstrings that open with Of or a question word": 0,
    "functions over 60 lines": 0,
    "functions over 15 branches": 0,
    "annotations with Any": 276,
    "functions over 10 branches, %": 0.5,
    "annotations with Any or Json, %": 8.0,
    "one-word function names in packager, %": 36.0,
    "one-word function names in handlers, %": 37.0,
}


def find_long_folders() -> Iterator[str]:
    """Folders of the trees that hold more than a reader takes in at once."""
    for tree in TREES:
        for folder in [ROOT / tree, *(ROOT / tree).rglob("*")]:
            if folder.is_dir() and folder.name not in NOT_COUNTED:
                count = sum(each.name not in NOT_COUNTED for each in folder.iterdir())
                if count > ENTRIES:
                    yield f"{folder.relative_to(ROOT)}: {count}"


def count_branches(function: Function) -> int:
    """Count the places where control can part, those of inner functions left out."""
    todo: list[ast.AST] = list(ast.iter_child_nodes(function))
    count = 0
    while todo:
        node = todo.pop()
        if isinstance(node, Function | ast.ClassDef):
            continue
        count += isinstance(node, _BRANCHES)
        todo.extend(ast.iter_child_nodes(node))
    return count


def read_nodes() -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of the trees' sources, each with its file."""
    for tree in TREES:
        for path in sorted((ROOT / tree).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                yield str(path.relative_to(ROOT)), node


def read_functions() -> Iterator[tuple[str, Function]]:
    for file, node in read_nodes():
        if isinstance(node, Function):
            yield f"{file}:{node.lineno} {node.name}", node


def find_question_docstrings() -> Iterator[str]:
    """Find docstrings that say neither what is done nor what a thing is, but pose a question."""
    for file, node in read_nodes():
        if isinstance(node, Function | ast.ClassDef | ast.Module):
            doc = ast.get_docstring(node) or ""
            if _OPENS.match(doc):
                yield f"{file}:{getattr(node, 'lineno', 1)} {doc[:40]}"


def is_property(function: Function) -> bool:
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def has_hint(function: Function, names: str) -> bool:
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    hints = [each.annotation for each in given] + [function.returns]
    return any(
        hint is not None and re.search(rf"\b({names})\b", ast.unparse(hint)) for hint in hints
    )


def is_dunder(function: Function) -> bool:
    return function.name.startswith("__") and function.name.endswith("__")


def is_one_word(function: Function) -> bool:
    return not is_dunder(function) and "_" not in function.name.strip("_")


def count_functions(figure: str) -> int:
    """Count what a share is of: all functions, or those of one tree whose names were chosen."""
    tree = next((each for each in TREES if f" {each}," in figure), None)
    return sum(
        tree is None or (place.startswith(f"{tree}/") and not is_dunder(function))
        for place, function in read_functions()
    )


def find_figure(name: str, places: list[str]) -> float:
    if not name.endswith("%"):
        return len(places)
    return round(100 * len(places) / count_functions(name), 1)


def measure() -> dict[str, list[str]]:
    """Return each figure's places."""
    places: dict[str, list[str]] = {name: [] for name in ALLOWED}
    places["folders over 14 entries"] = list(find_long_folders())
    places["docstrings that open with Of or a question word"] = list(find_question_docstrings())
    for place, function in read_functions():
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        for name, is_so in {
            "bare participles as function names": not is_property(function)
            and _PARTICIPLE.fullmatch(function.name) is not None,
            "functions over 60 lines": lines > LINES,
            "functions over 15 branches": count_branches(function) > BRANCHES,
            "annotations with Any": has_hint(function, "Any"),
            "functions over 10 branches, %": count_branches(function) > MANY_BRANCHES,
            "annotations with Any or Json, %": has_hint(function, "Any|Json"),
            "one-word function names in packager, %": place.startswith("packager/")
            and is_one_word(function),
            "one-word function names in handlers, %": place.startswith("handlers/")
            and is_one_word(function),
        }.items():
            if is_so:
                places[name].append(place)
    return places


def main(arguments: list[str]) -> int:
    places = measure()
    figures = {name: find_figure(name, at) for name, at in places.items()}
    rows = [f"| {name} | {figure} | {ALLOWED[name]} |" for name, figure in figures.items()]
    table = "\n".join(["| | now | allowed |", "|---|---|---|", *rows])
    if "--write" in arguments:
        RESULT.write_text(
            "# The tree's figures\n\nOf packager/ and handlers/, by `tools/house.py --write`. "
            f"An allowance may only shrink.\n\n{table}\n",
            encoding="utf-8",
        )
    over = {name: figure for name, figure in figures.items() if figure > ALLOWED[name]}
    for name, figure in over.items():
        told = f"{name}: {figure}, and {ALLOWED[name]} are allowed (tools/house.py):"
        print(told, *places[name], sep="\n  ")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
