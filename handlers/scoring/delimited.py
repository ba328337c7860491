"""CSV bodies without pandas: the values that `pandas.read_csv(body, dtype=signature)` gives.

What counts as null, as a number or as true is pandas' list
(https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html).
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Sequence

from handlers.scoring.errors import TooLargeError
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import Column, Table, objects
from handlers.scoring.schema.signature import BINARY, BOOLEAN, DOUBLE, STRING, ColumnSpec, Schema
from handlers.scoring.schema.tables import check_extent
from handlers.values import relax_pattern, remove_prefix, zip_equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NULLS = frozenset(
    {
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
_NUMBER = re.compile(
    # possessive: what was read once is not read again in another way, however long it is
    relax_pattern(
        r"[ \t\n\r\f\v]*+[+-]?"
        r"(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]++)?|inf(?:inity)?)"
        r"[ \t\n\r\f\v]*+"
    ),
    re.ASCII | re.IGNORECASE,
)
_WHOLE = re.compile(relax_pattern(r"[ \t]*+[+-]?[0-9]++[ \t]*+"), re.ASCII)
_NAN = float("nan")
_PLAIN = b"0123456789+-.eE"
_MAX_REPEATED = 1000
"""pandas' numbering of them takes time with the square of their number."""
_MAX_COMPARED = 5_000_000
_MAX_LABELS = 1000
"""Cells of a row beyond the header's: pandas makes a level of an index of each, slowly."""
_QUOTED = re.compile(r'"[^"]*"')
_TRUTH = {"true": True, "false": False}

csv.field_size_limit(sys.maxsize)


def check_csv(text: str) -> None:
    """Raises TooLargeError for a body that would take minutes, or far more memory than its bytes.

    It looks at the header and at the first row, with what is quoted in them, and counts the rest.
    """
    begin, end = _find_record(text, 0)
    names = text[begin:end].split(",")
    lines = text.count("\n") + 1
    check_extent(lines, len(names), lines + text.count(","))
    _check_names([name for name in names if name])
    begin, end = _find_record(text, end + 1)
    if text.count(",", begin, end) >= len(names) + _MAX_LABELS:
        cells = _QUOTED.sub("", text[begin:end]).count(",") + 1
        if cells > len(names) + _MAX_LABELS:
            raise TooLargeError(
                f"The first row has {cells} cells, and the header {len(names)}: more than "
                f"{_MAX_LABELS} would be labels of the rows. Name each column."
            )


def _find_record(text: str, begin: int) -> tuple[int, int]:
    """Find where the first line from `begin` that is not blank starts and ends."""
    quotes, at = 0, begin
    while True:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        quotes += text.count('"', at, end)
        if end == len(text) or (quotes % 2 == 0 and (quotes or text[begin:end].strip())):
            return min(begin, end), end
        at = end + 1
        if not quotes:
            begin = at


def _check_names(names: Sequence[str]) -> None:
    """Raises TooLargeError for repeated names that pandas would number for minutes.

    It looks for each number's name (`a.1`) in the list of all names, one after the other.
    """
    counts = Counter(names)
    repeated = len(names) - len(counts)
    if repeated > _MAX_REPEATED:
        raise TooLargeError(f"More than {_MAX_REPEATED} columns have the name of another.")
    taken = sum(counts.get(name.rpartition(".")[0], 0) > 1 for name in names)
    if repeated and (repeated + taken) * len(names) > _MAX_COMPARED:
        raise TooLargeError(
            f"Of {len(names)} columns {repeated} have the name of another, and {taken} names are "
            "what these would be numbered to. Give each a name of its own."
        )


def parse_csv(text: str, schema: Schema) -> Table:
    """Columns of the signature's dtypes, others left out.

    Raises ValueError for a body that is no table, and for a cell that its column cannot hold.
    """
    schema.check_scalars()
    header, rows = _read_rows(text)
    labels = len(rows[0]) - len(header) if rows else 0
    series = list(zip(*rows)) if rows else [()] * len(header)
    columns: dict[Any, Column] = {}
    if schema.named:
        for name, cells in zip_equal(header, series[labels:]):
            spec = schema.by_name.get(name)
            if isinstance(spec, ColumnSpec):
                columns[name] = _column(cells, spec.type)
    else:
        # pandas counts the rows' labels as columns
        typed = [_column(cells, spec.type) for cells, spec in zip(series, schema.columns)]
        left = header[: len(schema.columns)]
        typed += map(_infer_column, series[len(typed) : labels + len(left)])
        columns = dict(zip_equal(left, typed[labels:]))
    return Table(columns, len(rows), [row[labels - 1] for row in rows] if labels else None)


def _read_rows(text: str) -> tuple[list[str], list[list[str]]]:
    """Names, and rows of one width: that of the names, or more where the first cells are labels."""
    end = "\x1aend of body\x1a"
    whole = io.StringIO(f"{remove_prefix(text, chr(0xFEFF))}\n{end}", newline="").readlines()
    reader = csv.reader(whole)
    try:
        lines = [
            row
            for row in reader
            # a line of blanks is no row, and blanks in quotes are one
            if row and (row[0].strip() or len(row) > 1 or '"' in whole[reader.line_num - 1])
        ]
    except csv.Error as error:  # of a NUL, before Python 3.11
        raise ValueError(str(error)) from error
    if lines[-1] != [end]:
        raise ValueError("a quote is opened and never closed")
    lines.pop()
    if not lines:
        raise ValueError("no columns to parse")
    header, rows = lines[0], lines[1:]
    width = max(len(header), len(rows[0])) if rows else len(header)
    for number, row in enumerate(rows, start=2):
        if len(row) > width:
            raise ValueError(f"expected {width} fields in line {number}, saw {len(row)}")
        row.extend([""] * (width - len(row)))
    return _are_distinct(header), rows


def _are_distinct(header: Sequence[str]) -> list[str]:
    """Repeated names numbered, `a` and `a.1`, as pandas numbers them."""
    counts: dict[str, int] = {}
    taken = set(header)
    names = []
    for position, given in enumerate(header):
        name = given or f"Unnamed: {position}"
        count = counts.get(name, 0)
        fresh = name
        while count and (fresh := f"{name}.{count}") in taken:
            count += 1
        counts[name] = count + 1
        taken.add(fresh)
        names.append(fresh)
    return names


def _convert_to_booleans(numbers: np.ndarray) -> Column:
    if not np.isin(numbers, (0, 1)).all():
        raise ValueError("cannot safely convert numbers to bool")
    return Column(numbers.astype(np.bool_))


def _convert_to_texts(cells: Sequence[str]) -> Column:
    return Column(objects((_NAN if c in NULLS else c for c in cells), len(cells)))


def _column(cells: Sequence[str], wanted: Any) -> Column:
    if wanted is STRING or wanted is BINARY:
        return _convert_to_texts(cells)
    if wanted.dtype.kind == "M":
        raise ValueError("a CSV body cannot hold times: send JSON")
    if cells and cells[0].lower() in _TRUTH:
        truths = [_TRUTH.get(cell.lower()) for cell in cells]
        if None not in truths:  # pandas takes a whole column of them for numbers too
            return Column(np.array(truths, dtype=wanted.dtype))
    if wanted is BOOLEAN:
        return _convert_to_booleans(_parse_integers(cells, np.dtype(np.int64)))
    if wanted.dtype.kind == "i":
        return Column(_parse_integers(cells, wanted.dtype))
    values = np.array(_read_floats(cells), dtype=np.float64)
    with np.errstate(over="ignore"):
        return Column(values.astype(wanted.dtype))


def _infer_column(cells: Sequence[str]) -> Column:
    """A column of which the signature says nothing."""
    truths = [_NAN if cell in NULLS else _TRUTH.get(cell.lower()) for cell in cells]
    if None not in truths and not all(cell in NULLS for cell in cells):
        gaps = any(cell in NULLS for cell in cells)
        return Column(objects(truths, len(truths))) if gaps else _column(cells, BOOLEAN)
    try:
        if all(map(_WHOLE.fullmatch, cells)):
            return Column(np.array(list(map(int, cells))))
        return _column(cells, DOUBLE)
    except ValueError:
        return Column(_column(cells, STRING).cells, text=True)


def _parse_integers(cells: Sequence[str], dtype: np.dtype[Any]) -> Any:
    try:
        found = [
            int(cell) if cell.isascii() and "_" not in cell else _parse_whole(cell)
            for cell in cells
        ]
    except ValueError:
        found = [_parse_whole(cell) for cell in cells]
    limits = np.iinfo(dtype)
    if any(not limits.min <= value <= limits.max for value in found):
        raise ValueError(f"an integer is beyond {dtype}")
    return np.array(found, dtype=dtype)


def _parse_whole(cell: str) -> int:
    if cell in NULLS:
        raise ValueError("Integer column has NA values")
    number = number_of(cell)
    if number != number or abs(number) == float("inf") or number != int(number):  # noqa: PLR0124  NaN
        raise ValueError("cannot safely convert to an integer")
    return int(number)


def _read_floats(cells: Sequence[str]) -> list[float]:
    try:
        return _parse_floats(cells)
    except ValueError:
        if all(cell in NULLS or cell.lower() in _TRUTH for cell in cells):
            # pandas takes truths with gaps for numbers, and truths beside numbers for none
            return [_NAN if cell in NULLS else float(_TRUTH[cell.lower()]) for cell in cells]
        raise


def _parse_floats(cells: Sequence[str]) -> list[float]:
    # of these characters alone, what `float` reads and what pandas reads is the same
    if not "".join(cells).encode("utf-8").translate(None, _PLAIN):
        try:
            return [float(cell) if cell else _NAN for cell in cells]
        except ValueError:
            pass  # for the cell by cell reading to refuse
    return list(map(_parse_float, cells))


def _parse_float(cell: str) -> float:
    return _NAN if cell in NULLS else number_of(cell)


def number_of(cell: str) -> float:
    """Decimal text to the nearest double, as pandas 3 reads it.

    Raises ValueError for what is no number: Python's underscores and other scripts' digits.
    """
    found = _NUMBER.fullmatch(cell)
    if found is None:
        raise ValueError("could not convert text to a number")
    return float(cell)
