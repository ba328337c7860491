"""Tables on their way through a model's steps, and what scikit-learn makes of their columns."""

from __future__ import annotations

import sys
from typing import NamedTuple, Sequence

import numpy as np

from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError

NUMPY = {"double": np.float64, "float": np.float32, "int64": np.int64, "bool": np.bool_}


class Column(NamedTuple):
    name: str
    block: Block
    at: int
    """Which of the block's columns."""


class Table(NamedTuple):
    """Columns in order; of one block where a step has answered with a matrix."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        return len(self.columns)


def table_of(block: Block) -> Table:
    """The columns of one block; their names are their positions."""
    return Table(tuple(Column(str(at), block, at) for at in range(block.width)))


def join_tables(parts: Sequence[Table]) -> Table:
    return Table(tuple(column for part in parts for column in part.columns))


def common_kind(table: Table) -> str:
    """The kind that numpy finds for these columns side by side."""
    kinds = {column.block.kind for column in table.columns}
    if "text" in kinds:
        raise UnsupportedError("text where numbers are computed with")
    if kinds == {"bool"} or not kinds or ("bool" in kinds and objects_for_booleans()):
        return "double"
    found = np.result_type(*(NUMPY[each] for each in sorted(kinds)))
    return {"float64": "double", "float32": "float", "int64": "int64"}[found.name]


def objects_for_booleans() -> bool:
    """Before 1.0 scikit-learn read numbers with booleans among them as objects, then as doubles."""
    module = sys.modules.get("sklearn")
    return module is not None and str(getattr(module, "__version__", "")).startswith("0.")


def gather(program: Program, table: Table, kind: str) -> Block:
    """One block of these columns, each converted to the kind at once."""
    blocks: list[Block] = []
    for column in table.columns:
        if column.block not in blocks:
            blocks.append(column.block)
    in_order = [column.at for column in table.columns] == list(range(table.width))
    if len(blocks) == 1 and in_order and blocks[0][1:] == (kind, table.width):
        return blocks[0]
    sources = np.array([blocks.index(column.block) for column in table.columns], np.int32)
    places = np.array([column.at for column in table.columns], np.int32)
    return program.add("gather", blocks, kind, table.width, sources=sources, places=places)


def as_numbers(program: Program, table: Table, accepts: Sequence[str] = ("double",)) -> Block:
    """The matrix that `check_array` makes: the columns' common kind where it is accepted."""
    common = common_kind(table)
    block = gather(program, table, common)
    if common in accepts:
        return block
    return gather(program, table_of(block), accepts[0])


def narrow_columns(program: Program, table: Table) -> Block:
    """Doubles rounded to float, as trees of scikit-learn and XGBoost read them."""
    return as_numbers(program, table, ("float",))


def text_column(column: Column) -> Block:
    if column.block.kind != "text":
        raise UnsupportedError("numbers where words are looked up")
    return column.block


def constants(values: Array, kind: str = "double") -> Array:
    """An array of the kind, for a parameter."""
    return np.ascontiguousarray(np.asarray(values).astype(NUMPY[kind]))
