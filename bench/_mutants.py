"""Small changes to a module's text, each of which a test should notice."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_LOGS: Final = ("_LOG.", "logging.", "self._logger.", "warnings.")
"""What is only said to a log is not held to."""


@dataclass(frozen=True, slots=True)
class Mutant:
    where: str
    """`line 3, columns 4 to 9`, of the module as it is."""
    what: str
    """`< becomes <=`"""
    text: str
    """The module's whole text."""
    line: int
    last_line: int
    source: str
    """The first line that is changed, as it is."""
    tree: ast.Module = field(compare=False, repr=False)
    """What `text` was written of: its lines are those of the module as it is."""

    @property
    def name(self) -> str:
        return f"{self.where}: {self.what}"


def make_mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of the module; comments and layout are lost."""
    lines = [*source.splitlines(), ""]
    for index, node, what, change in _all_changes(source):
        copy = ast.parse(source)  # takes a tenth of the time of a deep copy
        target = next(each for at, each in enumerate(ast.walk(copy)) if at == index)
        change(target)
        text = ast.unparse(ast.fix_missing_locations(copy))
        first = getattr(node, "lineno", 1)
        last = getattr(node, "end_lineno", first)
        yield Mutant(_place(node), what, text + "\n", first, last, lines[first - 1].strip(), copy)


def list_changes(source: str) -> set[str]:
    """Each mutant's line and what is changed there, `x = a < b | Lt becomes LtE`, none made."""
    lines = [*source.splitlines(), ""]
    return {
        f"{lines[getattr(node, 'lineno', 1) - 1].strip()} | {what}"
        for _, node, what, _ in _all_changes(source)
    }


def _all_changes(source: str) -> Iterator[tuple[int, ast.AST, str, Change]]:
    """Each change with the node that it is of, and that node's number in ast.walk's order."""
    tree = ast.parse(source)
    left_out = {
        id(inner) for node in ast.walk(tree) for part in _unheld(node) for inner in ast.walk(part)
    }
    for index, node in enumerate(ast.walk(tree)):
        if id(node) not in left_out:
            for what, change in _changes(node):
                yield index, node, what, change


def _place(node: ast.AST) -> str:
    if not isinstance(node, ast.stmt | ast.expr):
        return "line 1"
    end = f"line {node.end_lineno}, " if node.end_lineno != node.lineno else ""
    return f"line {node.lineno}, columns {node.col_offset} to {end}{node.end_col_offset}"


def _unheld(node: ast.AST) -> Iterator[ast.AST]:
    """Parts that no test can be held to: words, annotations, decorators, zip's `strict`."""
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ):
        yield node
    elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield node.annotation
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from node.decorator_list
        yield from [node.returns] if node.returns is not None else []
    elif isinstance(node, ast.ClassDef):
        yield from node.decorator_list
    elif isinstance(node, ast.keyword) and node.arg == "strict":
        yield node  # of zip: what it would raise for is an error of ours


Change = Callable[[Any], None]
"""Edits one node of a copy of the tree."""


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    for kind, find in _KINDS:
        if isinstance(node, kind):
            yield from find(node)


def _of_comparison(node: Any) -> Iterator[tuple[str, Change]]:
    for at, operator in enumerate(node.ops):
        for other in _COMPARISONS.get(type(operator), ()):
            nth = f" (of {len(node.ops)}, number {at + 1})" if len(node.ops) > 1 else ""
            what = f"{type(operator).__name__} becomes {other.__name__}{nth}"
            yield what, partial(_put, "ops", at, other)


def _of_junction(node: Any) -> Iterator[tuple[str, Change]]:
    other = ast.Or if isinstance(node.op, ast.And) else ast.And
    yield f"becomes {other.__name__}", lambda each: setattr(each, "op", other())


def _of_arithmetic(node: Any) -> Iterator[tuple[str, Change]]:
    if other := _ARITHMETIC.get(type(node.op)):
        what = f"{type(node.op).__name__} becomes {other.__name__}"
        yield what, lambda each: setattr(each, "op", other())


def _of_negation(node: Any) -> Iterator[tuple[str, Change]]:
    if isinstance(node.op, ast.Not):
        yield "`not` is dropped", lambda each: setattr(each, "operand", _negate(each.operand))


def _negate(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), value)


def _of_constant(node: Any) -> Iterator[tuple[str, Change]]:
    if isinstance(node.value, bool):
        yield f"{node.value} flips", lambda each: setattr(each, "value", not each.value)
    elif isinstance(node.value, int | float):
        yield f"{node.value} + 1", lambda each: setattr(each, "value", each.value + 1)


def _of_answer(node: Any) -> Iterator[tuple[str, Change]]:
    # None is as false as False, which flips anyway
    if node.value is not None and ast.unparse(node.value) not in {"None", "False"}:
        yield "returns None", lambda each: setattr(each, "value", ast.Constant(None))


def _of_condition(node: Any) -> Iterator[tuple[str, Change]]:
    if ast.unparse(node.test) != "TYPE_CHECKING":
        yield "condition never holds", lambda each: setattr(each, "test", ast.Constant(value=False))


def _of_block(node: Any) -> Iterator[tuple[str, Change]]:
    """Calls for their effect, and raises, replaced by nothing."""
    for name in ("body", "orelse", "finalbody"):
        for at, statement in enumerate(getattr(node, name, ())):
            called = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            if not (called or isinstance(statement, ast.Raise)):
                continue
            if (text := ast.unparse(statement)).startswith(_LOGS):
                continue
            what = f"line {statement.lineno} `{text.splitlines()[0][:50]}` is left out"
            yield what, partial(_put, name, at, ast.Pass)


def _put(name: str, at: int, kind: Callable[[], Any], node: Any) -> None:
    getattr(node, name)[at] = kind()


_BLOCKS: Final = (
    *(ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For),
    *(ast.While, ast.With, ast.Try, ast.ExceptHandler),
)
_KINDS: Final[tuple[tuple[Any, Callable[[Any], Iterator[tuple[str, Change]]]], ...]] = (
    (ast.Compare, _of_comparison),
    (ast.BoolOp, _of_junction),
    (ast.BinOp, _of_arithmetic),
    (ast.UnaryOp, _of_negation),
    (ast.Constant, _of_constant),
    (ast.Return, _of_answer),
    ((ast.If, ast.While, ast.IfExp), _of_condition),
    (_BLOCKS, _of_block),
)
