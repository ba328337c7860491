"""Functions of numpy over columns, and rows brought to the length of one."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import INVERSES, TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    combine,
    gather,
    join_tables,
    table_of,
)

_TRANSCENDENT = (
    "arctan", "cbrt", "cos", "cosh", "exp", "expm1", "log", "log10", "log1p", "log2", "sin", "sinh",
    "sqrt", "tan", "tanh",
)  # fmt: skip
"""Functions that numpy computes in double where it is given whole numbers."""
_OTHERS = ("absolute", "ceil", "floor", "negative", "reciprocal", "rint", "sign", "square", "trunc")
KNOWN = _TRANSCENDENT + _OTHERS
"""Functions of numpy's that there is an operation for."""
_EPSILONS = 10


@index.reads(TRANSFORMERS, "sklearn.FunctionTransformer")
def apply_function(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for a function that is not one of numpy's: it is the author's own."""
    if model.func is None:
        return table
    if model.kw_args:
        raise UnsupportedError("a FunctionTransformer with arguments")
    return _apply(model.func, program, table)


def _apply(function: Fitted, program: Program, table: Table) -> Table:
    name = getattr(function, "__name__", type(function).__name__)
    known = isinstance(function, np.ufunc) and name in KNOWN
    if not known:
        raise UnsupportedError(f"a FunctionTransformer with the function {name}")
    parts = []
    for column in table.columns:
        kind = column.block.kind
        if kind == "int64" and name in _TRANSCENDENT:
            kind = "double"
        if kind not in ("double", "float"):
            raise UnsupportedError(f"numpy's {name} over {kind}")
        block = gather(program, Table((column,)), kind)
        result = program.add(name, [block], kind, 1)
        parts.append(Table((column._replace(block=result, at=0),)))
    return join_tables(parts)


@index.reads(INVERSES, "sklearn.FunctionTransformer")
def undo_function(model: Fitted, program: Program, block: Block) -> Block:
    if model.inverse_func is None:
        return block
    if model.inv_kw_args:
        raise UnsupportedError("a FunctionTransformer with arguments")
    return gather(program, _apply(model.inverse_func, program, table_of(block)), block.kind)


@index.reads(TRANSFORMERS, "sklearn.Normalizer")
def normalize_rows(model: Fitted, program: Program, table: Table) -> Table:
    """Divide each row by its norm; a norm that counts as zero divides nothing."""
    block = as_numbers(program, table, ("double", "float"))
    least = float(np.finfo(np.float64 if block.kind == "double" else np.float32).eps) * _EPSILONS
    tiny = np.zeros((1, block.width))
    tiny[0, 0] = least / 2
    if np.asarray(model.transform(tiny))[0, 0] == 1.0:
        least = float(np.nextafter(0.0, 1.0))
    norm = program.add("norm", [block], block.kind, 1, how=str(model.norm), least=np.array([least]))
    return table_of(combine(program, block, "/", norm))
