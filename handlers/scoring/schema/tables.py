"""Tables from the shapes in which a request gives them: records, split, dicts, nested lists.

What is refused is what `pandas.DataFrame(...)` refuses; ValueError and TypeError say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from handlers.scoring.errors import TooLargeError
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import (
    Cells,
    Column,
    Table,
    broadcast,
    check_names,
    check_text,
    from_array,
    infer,
)
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import Json, Name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MISSING = float("nan")
_MAX_COLUMNS = 100_000
_MAX_CELLS = 10_000_000
_FREE_CELLS = 1_000_000
_FILL, _MAX_FILL = 4, 100
_MAX_EXTREME_LABELS = 1000
_LABEL_END = 2**64
"""Python's hash of a number is no secret. Beyond 64 bits any number of labels can be sent that have
the same, and these take time with the square of their number; below, there are a hundred."""


def check_extent(rows: int, columns: int, sent: int) -> None:
    """Raises TooLargeError for a table far larger than the cells that were sent for it.

    What a request leaves out is filled in, so that a few megabytes could ask for terabytes: to four
    times what was sent, or up to 10 million cells a hundred times, or to a million.
    """
    if columns > _MAX_COLUMNS:
        raise TooLargeError(f"A table has at most {_MAX_COLUMNS} columns, and this has {columns}.")
    filled = min(_MAX_CELLS, max(_FREE_CELLS, _MAX_FILL * sent))
    if rows * columns > max(_FILL * sent, filled):
        raise TooLargeError(
            f"A table of {rows} rows and {columns} columns was sent with {sent} cells. "
            "Send each column in full, or fewer rows a request."
        )


def check_labels(labels: Sequence[object]) -> None:
    """Raises TooLargeError for names or rows' labels that would take minutes to look up."""
    if sum(map(_is_extreme, labels)) > _MAX_EXTREME_LABELS:
        raise TooLargeError(
            f"More than {_MAX_EXTREME_LABELS} labels are numbers beyond 64 bits. Send them as text."
        )


def _is_extreme(label: Json) -> bool:
    if type(label) not in {int, float} or not label:
        return False
    size = abs(label)
    return not 1 / _LABEL_END < size < _LABEL_END and size == size  # noqa: PLR0124  NaN has a hash of its own


def check_shape(data: object) -> None:
    """`check_extent` for what is about to be given to pandas: rows, records, or columns."""
    inner = list(data.values()) if isinstance(data, dict) else data
    if not isinstance(inner, list):
        return
    sent = sum(len(v) if isinstance(v, (list, dict)) else 1 for v in inner)
    keys = {key for v in inner if isinstance(v, dict) for key in v}
    longest = max((len(v) for v in inner if isinstance(v, list)), default=0)
    outer, across = len(inner), max(longest, len(keys))
    rows, columns = (across, outer) if isinstance(data, dict) else (outer, across)
    check_extent(rows, columns, sent)


def from_records(records: Sequence[object], wanted: Sequence[Name], quirks: Quirks) -> Table:
    """`wanted` empty takes every column; otherwise others are dropped unread."""
    if not records:
        return Table({}, 0)
    first = records[0]
    if isinstance(first, dict):
        return _from_dicts(records, wanted, quirks)
    if isinstance(first, list):
        return from_rows(records, None, quirks)
    return Table({0: infer(records, quirks)}, len(records))


def _fill_empty(records: Sequence[object]) -> list[object]:
    """Empty records for what is empty, as pandas has it. Raises TypeError for anything else."""
    if all(isinstance(record, dict) or record in ("", []) for record in records):
        return [record or {} for record in records]
    raise TypeError("every record must be an object where the first is one")


def _from_dicts(records: Sequence[Json], wanted: Sequence[Name], quirks: Quirks) -> Table:
    if not all(isinstance(record, dict) for record in records):
        records = _fill_empty(records)
    present = dict.fromkeys(name for record in records for name in record)
    check_text(list(map(str, present)), quirks)
    names = [name for name in wanted if name in present] if wanted else list(present)
    check_extent(len(records), len(names), sum(map(len, records)))
    columns: dict[Name, Column] = {}
    for name in names:
        try:
            values = [record[name] for record in records]
        except KeyError:
            values = [record.get(name, _MISSING) for record in records]
        columns[name] = infer(values, quirks)
    return Table(columns, len(records))


def from_rows(
    rows: Sequence[Json], names: Sequence[Name] | None, quirks: Quirks, *, wanted: Any = None
) -> Table:
    """Rows that are lists; shorter ones are filled with null.

    An object among them is its keys, a text its characters.
    """
    widths = set(map(len, rows))
    width = max(widths, default=0)
    check_extent(len(rows), width, len(rows) * width if len(widths) == 1 else sum(map(len, rows)))
    if names is not None and len(names) != width:
        raise ValueError(f"{len(names)} columns passed, passed data had {width} columns")
    series = list(zip(*rows)) if len(widths) == 1 else list(zip_longest(*rows))
    labels = range(width) if names is None else names
    kept = None if wanted is None else frozenset(wanted)
    return Table.name_columns(
        (
            (name, infer(values, quirks))
            for name, values in zip(labels, series)
            if kept is None or name in kept
        ),
        len(rows),
    )


def _check_split_labels(names: Json, index: Json, quirks: Quirks) -> None:
    """Raises TypeError or ValueError for columns or an index that no table can have."""
    for key, value in (("columns", names), ("index", index)):
        if value is not None and not isinstance(value, list):
            raise TypeError(f"{key} must be a list")
    if names is not None and not all(isinstance(n, (str, int, float, type(None))) for n in names):
        raise ValueError("columns must be names")
    for labels in filter(None, (names, index)):
        check_labels(labels)
        check_names(labels, quirks)


def from_split(data: Mapping[str, Json], wanted: Sequence[Name], quirks: Quirks) -> Table:
    """`data`, optionally `columns` and `index`, as `DataFrame.to_dict(orient="split")` has them."""
    names, index, rows = data.get("columns"), data.get("index"), data["data"]
    _check_split_labels(names, index, quirks)
    names = _labels(names)
    table = _split_table(rows, names, index, wanted or None, quirks)
    if index is not None:
        if table.rows == 1 and isinstance(rows, list):
            table = _repeat_rows(table, len(index))  # one row stands for every label
        if len(index) != table.rows:
            raise ValueError(f"index has {len(index)} labels for {table.rows} rows")
        table.index = index
    return table


def _labels(names: list[Name] | None) -> list[Name] | None:
    """Numbers among which one is null or no integer are floats all."""
    kinds = set(map(type, names or ()))
    if names is None or int not in kinds or not kinds <= {int, float, type(None)} or len(kinds) < 2:
        return names
    return [_MISSING if name is None else float(name) for name in names]


def _split_table(
    rows: object,
    names: list[Name] | None,
    index: list[object] | None,
    wanted: object,
    quirks: Quirks,
) -> Table:
    if isinstance(rows, dict):
        return _select_columns(from_dict(_keep_named(rows, names), quirks), names, quirks)
    if rows is None or rows == []:
        return _label_nothing(names or (), len(index or ()), quirks)
    if not isinstance(rows, list):
        raise TypeError("data must be a list of rows")
    if isinstance(rows[0], list):
        return from_rows(rows, names, quirks, wanted=wanted)
    if isinstance(rows[0], dict):
        return _select_columns(_from_dicts(rows, (), quirks), names, quirks)
    return _label_column(rows, [0] if names is None else names, quirks)


def _keep_named(columns: dict[Name, object], names: list[Name] | None) -> dict[Name, object]:
    kept = columns if names is None else set(names)
    return {name: columns[name] for name in columns if name in kept}


def _label_column(cells: list[object], names: list[Name], quirks: Quirks) -> Table:
    if len(names) != 1:
        raise ValueError(f"data of one column, {len(names)} names")
    return Table({names[0]: infer(cells, quirks)}, len(cells))


def _label_nothing(names: Sequence[Name], rows: int, quirks: Quirks) -> Table:
    """A table of labels alone: every cell is missing."""
    check_extent(rows, len(names), rows + len(names))
    empty = [_MISSING] * rows
    return Table.name_columns(((name, infer(empty, quirks)) for name in names), rows)


def _repeat_rows(table: Table, rows: int) -> Table:
    check_extent(rows, len(table.columns), rows + len(table.columns))
    return Table.name_columns(
        (
            (name, Column(np.repeat(column.cells, rows), text=column.text))
            for name, column in table.every
        ),
        rows,
    )


def _select_columns(table: Table, names: list[Name] | None, quirks: Quirks) -> Table:
    if names is None:
        return table
    check_extent(table.rows, len(names), table.rows * len(table.columns))
    absent = infer([_MISSING] * table.rows, quirks)
    given = ((name, table.columns.get(name, absent)) for name in names)
    return Table.name_columns(given, table.rows)


def _count_rows(data: Mapping[Name, object], lengths: set[int]) -> int:
    if data and not lengths:
        raise ValueError("If using all scalar values, you must pass an index")
    if len(lengths) > 1:
        raise ValueError("All arrays must be of the same length")
    return lengths.pop() if lengths else 0


def from_dict(data: Mapping[Name, Any], quirks: Quirks) -> Table:
    """Lists and one-dimensional arrays of one length, scalars repeated to it."""
    sized = {
        name: value
        for name, value in data.items()
        if isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)
    }
    if any(isinstance(value, dict) for value in data.values()):
        if sized:
            raise ValueError("Mixing dicts with non-Series may lead to ambiguous ordering.")
        return _from_dict_of_dicts(data, quirks)
    rows = _count_rows(data, set(map(len, sized.values())))
    check_extent(rows, len(data), rows * len(sized) + len(data))
    check_names(list(data), quirks)
    columns: dict[Name, Column] = {}
    for name, value in data.items():
        if name not in sized:
            columns[name] = _repeat_value(value, rows, quirks)
        elif isinstance(value, np.ndarray):
            # a table cannot hold an array of more dimensions: each row's cell is a list
            several = value.ndim > 1
            columns[name] = infer(value.tolist(), quirks) if several else from_array(value, quirks)
        else:
            columns[name] = infer(value, quirks)
    return Table(columns, rows)


def _from_dict_of_dicts(data: Mapping[Name, object], quirks: Quirks) -> Table:
    """The inner keys label the rows; what is no dict is repeated to them."""
    inners = [inner for inner in data.values() if isinstance(inner, dict)]
    index = list(dict.fromkeys(key for inner in inners for key in inner))
    check_names(index, quirks)
    check_names(list(data), quirks)
    check_extent(len(index), len(data), sum(map(len, inners)) + len(data))
    columns = {
        name: (
            infer([inner.get(key, _MISSING) for key in index], quirks)
            if index
            else Column(np.empty(0, dtype=np.float64))
        )
        if isinstance(inner, dict)
        else _repeat_value(inner, len(index), quirks)
        for name, inner in data.items()
    }
    return Table(columns, len(index), index)


def _repeat_value(value: object, rows: int, quirks: Quirks) -> Column:
    """A scalar in each row; an object that came as one is its keys, or its one key, a row."""
    item = value.item() if isinstance(value, np.ndarray) else value
    if not isinstance(item, dict):
        return broadcast(item, rows, quirks)
    if len(item) == 1:
        return broadcast(next(iter(item)), rows, quirks)
    if len(item) != rows:
        raise ValueError(f"Length of values ({len(item)}) does not match length of index ({rows})")
    return infer(list(item), quirks)


def from_matrix(data: Cells, quirks: Quirks) -> Table:
    """A one- or two-dimensional array; its columns have numbers for names."""
    if data.ndim == 1:
        return Table({0: from_array(data, quirks)}, len(data))
    if data.ndim != 2:
        raise ValueError(f"Must pass 2-d input. shape={data.shape}")
    check_extent(data.shape[0], data.shape[1], data.size)
    columns = {i: from_array(data[:, i], quirks) for i in range(data.shape[1])}
    return Table(columns, data.shape[0])
