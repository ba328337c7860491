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
    return (0, 0) < version_of("sklearn") < (1, 0)


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


def stack(program: Program, blocks: Sequence[Block], kind: str = "") -> Block:
    """Blocks side by side as one, of the kind that they have in common or of the given one."""
    whole = join_tables([table_of(block) for block in blocks])
    return gather(program, whole, kind or common_kind(whole))


def take(program: Program, block: Block, places: Sequence[int]) -> Block:
    """Some columns of a block."""
    chosen = Table(tuple(table_of(block).columns[at] for at in places))
    return gather(program, chosen, block.kind)


def combine(program: Program, left: Block, sign: str, right: Block) -> Block:
    """Column by column, in the kind that both have in common."""
    kind = common_kind(join_tables([table_of(left), table_of(right)]))
    both = [gather(program, table_of(each), kind) for each in (left, right)]
    return program.add("combine", both, kind, left.width, sign=sign)


def mean(
    program: Program, blocks: Sequence[Block], weights: Sequence[float] | None = None
) -> Block:
    """Mean of blocks that are as wide, summed in their order."""
    total = 0.0
    found: Block | None = None
    for at, block in enumerate(blocks):
        wide = gather(program, table_of(block), "double")
        if weights is not None:
            by = np.full(wide.width, float(weights[at]))
            wide = program.add(
                "arithmetic", [wide], "double", wide.width, sign="*", within="double", constants=by
            )
        total += 1.0 if weights is None else float(weights[at])
        found = wide if found is None else combine(program, found, "+", wide)
    if found is None:
        raise UnsupportedError("a mean of nothing")
    by = np.full(found.width, total)
    return program.add(
        "arithmetic", [found], "double", found.width, sign="/", within="double", constants=by
    )


def version_of(package: str) -> tuple[int, ...]:
    """The first two numbers of an imported package's version."""
    text = str(getattr(sys.modules.get(package), "__version__", "0.0"))
    return tuple(int(each) for each in text.split(".")[:2] if each.isdigit())


def compute(program: Program, block: Block, sign: str, values: Array) -> Block:
    """One of + - * / with a constant for each column.

    As numpy does it in place: in the wider of the two kinds, rounded to the block's own.
    """
    values = np.asarray(values)
    kind = "float" if block.kind == "float" and values.dtype == np.float32 else "double"
    by = np.ascontiguousarray(np.broadcast_to(values.astype(np.float64), (block.width,)))
    return program.add(
        "arithmetic", [block], block.kind, block.width, sign=sign, within=kind, constants=by
    )
