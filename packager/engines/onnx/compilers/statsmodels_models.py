"""statsmodels' linear family: what a formula makes of the columns, times parameters, and a link.

A formula's design is read from patsy (https://patsy.readthedocs.io/en/latest/expert-model-specification.html);
without one the columns are the design as they come.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.onnx.compilers.trees import IR_VERSION, OPSET
from packager.engines.proof.inputs import Inputs, RefusedError

if TYPE_CHECKING:
    from typing import TypeGuard

    from patsy import DesignInfo
    from statsmodels.base.model import Results

_IDENTITY: Final = frozenset({"OLS", "WLS", "GLS", "GLSAR", "RLM", "QuantReg"})
_DISCRETE: Final = {"Logit": "Logit", "Poisson": "Log"}
_LINKS: Final[Mapping[str, tuple[str, ...]]] = {
    "Identity": (),
    "Log": ("Exp",),
    "Logit": ("Sigmoid",),
    "InversePower": ("Reciprocal",),
    "CLogLog": ("Exp", "Neg", "Exp", "one minus"),
    "Sqrt": ("square",),
}
"""A link's inverse by its class's name, as operators one after the other."""
_CALLS: Final = {"np.log": "Log", "np.exp": "Exp", "np.sqrt": "Sqrt", "np.abs": "Abs"}
_BINARY: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "Add",
    ast.Sub: "Sub",
    ast.Mult: "Mul",
    ast.Div: "Div",
    ast.Pow: "Pow",
}


def candidates(model: Results, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """One, in double: statsmodels computes in nothing else."""
    if method != "predict":
        raise RefusedError(f"a graph has no {method}")
    link = _link(model.model)
    design = getattr(model.model.data, "model_spec", None) or getattr(
        model.model.data, "design_info", None
    )
    if design is None and getattr(model.model, "formula", None):
        raise RefusedError("a formula whose design was not kept")
    if not inputs.columns or (design is None and not inputs.numeric):
        raise RefusedError("columns that are no numbers, and no formula")
    feeds = [_make_feed(inputs, name) for name in _list_used_columns(design, inputs)]
    yield Candidate(
        name="double, linear",
        graph=lambda: _graph(model, design, feeds, link),
        feeds=feeds,
        output=0,
        precision="double",
        levels={} if design is None else _levels(design),
    )


def thresholds(_model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    return {}


def seen(model: Results) -> frozenset[str]:
    design = getattr(model.model.data, "model_spec", None)
    found = () if design is None else design.factor_infos.values()
    return frozenset(
        word for each in found for word in each.categories or () if isinstance(word, str)
    )


def _link(model: Results) -> tuple[str, ...]:
    name = type(model).__name__
    if name in _IDENTITY:
        return ()
    link = type(model.family.link).__name__ if name == "GLM" else _DISCRETE.get(name, name)
    if link not in _LINKS:
        raise RefusedError(f"a model or a link that is not of the linear family: {link}")
    return _LINKS[link]


def _list_used_columns(design: DesignInfo, inputs: Inputs) -> list[str]:
    """The columns that the design reads, in the order of the signature."""
    names = [column.name for column in inputs.columns]
    if design is None:
        return names
    read: set[str] = set()
    for factor in design.factor_infos:
        tree = ast.walk(ast.parse(factor.code, mode="eval"))
        read |= {node.id for node in tree if isinstance(node, ast.Name)}
        read |= {
            _read_quoted_name(node) for node in ast.walk(ast.parse(factor.code)) if _is_quote(node)
        }
    return [name for name in names if name in read]


def _levels(design: DesignInfo) -> dict[str, list[str]]:
    """Words that a column may have: any other is refused by the formula."""
    found: dict[str, list[str]] = {}
    for factor, info in design.factor_infos.items():
        if info.type == "categorical" and all(isinstance(each, str) for each in info.categories):
            found[_column(ast.parse(factor.code, mode="eval").body)] = list(info.categories)
    return found


def _make_feed(inputs: Inputs, name: str) -> dict[str, object]:
    (kind,) = [column.type for column in inputs.columns if column.name == name]
    dtype = "object" if kind == "string" else "float64"
    return {"input": name, "dtype": dtype, "columns": [name], "tensor": None}


def _graph(
    model: Results, design: DesignInfo, feeds: list[dict[str, Any]], link: tuple[str, ...]
) -> onnx.ModelProto:
    made = _Nodes()
    names = [feed["input"] for feed in feeds]
    table = made.join_columns(names if design is None else _design(design, made))
    params = np.asarray(model.params, dtype=np.float64).reshape(-1, 1)
    width = len(names) if design is None else len(design.column_names)
    if len(params) != width:
        raise RefusedError(f"{len(params)} parameters for {width} columns")
    answer = made.node("MatMul", table, made.constant(params))
    for step in link:
        answer = made.step(step, answer)
    made.nodes.append(helper.make_node("Identity", [answer], ["answer"]))
    kinds = {"object": TensorProto.STRING, "float64": TensorProto.DOUBLE}
    entries = [
        helper.make_tensor_value_info(feed["input"], kinds[feed["dtype"]], [None, 1])
        for feed in feeds
    ]
    output = helper.make_tensor_value_info("answer", TensorProto.DOUBLE, [None, 1])
    graph = helper.make_graph(made.nodes, "linear", entries, [output], made.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _design(design: DesignInfo, made: _Nodes) -> list[str]:
    """Names of the design's columns, each of the shape (rows, 1), in order."""
    first = next(
        node.id
        for factor in design.factor_infos
        for node in ast.walk(ast.parse(factor.code, mode="eval"))
        if isinstance(node, ast.Name) and node.id not in {"np", "C", "I", "Q"}
    )
    numbers = {
        factor: made.formula(ast.parse(factor.code, mode="eval").body)
        for factor, info in design.factor_infos.items()
        if info.type == "numerical"
    }
    columns: list[str] = []
    for subterms in design.term_codings.values():
        for subterm in subterms:
            found = [""]
            for factor in subterm.factors:
                info = design.factor_infos[factor]
                if info.type == "numerical":
                    if info.num_columns != 1:
                        raise RefusedError(f"a factor of several columns: {factor.code}")
                    parts = [numbers[factor]]
                else:
                    matrix = subterm.contrast_matrices[factor].matrix
                    column = _column(ast.parse(factor.code, mode="eval").body)
                    parts = made.code_category(column, info.categories, np.asarray(matrix))
                # of two factors the first one's columns change faster
                found = [made.times(old, new) for new in parts for old in found]
            columns += [each or made.ones(first) for each in found]
    return columns


def _is_quote(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "Q"


def _read_quoted_name(node: ast.Call) -> str:
    return str(ast.literal_eval(node.args[0]))


def _column(node: ast.expr) -> str:
    """The column of `plan`, `C(plan)`, `C(plan, Sum)` or `Q("a plan")`."""
    if isinstance(node, ast.Name):
        return node.id
    if _is_quote(node):
        return _read_quoted_name(node)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "C":
        return _column(node.args[0])
    raise RefusedError(f"categories of {ast.unparse(node)}")


class _Nodes:
    """A graph that is being written."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str, **more: object) -> str:
        name = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **more))
        return name

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        name = f"constant_{len(self.constants)}"
        if value.dtype.kind in "UO":
            made = helper.make_tensor(
                name, TensorProto.STRING, value.shape, [str(v).encode() for v in value.ravel()]
            )
        else:
            made = numpy_helper.from_array(value, name)
        self.constants.append(made)
        return name

    def join_columns(self, columns: list[str]) -> str:
        return columns[0] if len(columns) == 1 else self.node("Concat", *columns, axis=1)

    def step(self, name: str, value: str) -> str:
        if name == "square":
            return self.node("Mul", value, value)
        if name == "one minus":
            return self.node("Sub", self.constant(np.ones((1, 1))), value)
        return self.node(name, value)

    def times(self, left: str, right: str) -> str:
        return self.node("Mul", left, right) if left else right

    def ones(self, column: str) -> str:
        """As many as there are rows, whatever the column holds."""
        rows = self.node("Shape", column)
        one = helper.make_tensor("value", TensorProto.DOUBLE, [1], [1.0])
        return self.node("ConstantOfShape", rows, value=one)

    def formula(self, node: ast.expr) -> str:
        """A number out of a formula: columns, constants, arithmetic and a few of numpy's names."""
        match node:
            case ast.Name(id=name):
                return self.node("Identity", name)
            case ast.Constant(value=int() | float() as value):
                return self.constant(np.array([[value]], dtype=np.float64))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.node("Neg", self.formula(operand))
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _BINARY:
                return self.node(_BINARY[type(operation)], self.formula(left), self.formula(right))
            case ast.Call(func=func, args=[only], keywords=[]):
                name = ast.unparse(func)
                if name == "I":
                    return self.formula(only)
                if name == "Q":
                    return self.node("Identity", _read_quoted_name(node))
                if name in _CALLS:
                    return self.node(_CALLS[name], self.formula(only))
            case _:
                pass
        raise RefusedError(f"a formula with {ast.unparse(node)}")

    def code_category(
        self, column: str, levels: tuple[object, ...], matrix: npt.NDArray[np.generic]
    ) -> list[str]:
        """A category's row of the contrast matrix, column by column; NaN where it has none."""
        text = all(isinstance(level, str) for level in levels)
        known = np.array([levels], dtype=object if text else np.float64)
        hits = self.node(
            "Cast", self.node("Equal", column, self.constant(known)), to=TensorProto.DOUBLE
        )
        found = self.node("MatMul", hits, self.constant(np.ones((len(levels), 1))))
        # nothing was hit: 0 / 0
        whole = self.node("Div", hits, found)
        return [
            self.node("MatMul", whole, self.constant(part.reshape(-1, 1).astype(np.float64)))
            for part in matrix.T
        ]


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds, seen=seen)
