"""A checked table as the model takes it: a DataFrame, or a dict of arrays."""

from __future__ import annotations

from handlers.scoring.schema import np
from handlers.scoring.schema.columns import Cells, Column, Table, objects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    import pandas as pd


def to_arrays(table: Table) -> dict[object, Cells]:
    """One-dimensional arrays in order; text is an object array with NaN for null."""
    return {name: column.cells for name, column in table.columns.items()}


def to_dataframe(table: Table) -> pd.DataFrame:
    """A pandas DataFrame, made in one call."""
    import pandas as pd

    columns = list(table.columns.values())
    names = list(table.columns)
    dtypes = {column.cells.dtype for column in columns}
    if (
        table.given is None
        and len(dtypes) == 1
        and len(columns) > 1
        and np.dtype(object) not in dtypes
    ):
        block = np.empty((len(columns), table.rows), dtype=dtypes.pop())
        for row, column in zip(block, columns):
            row[:] = column.cells
        # an Index would read numbers for names as labels of its own: only text goes this way
        return pd.DataFrame(block.T, columns=names, index=table.index, copy=False)
    index = pd.RangeIndex(table.rows) if table.index is None else pd.Index(table.index)
    if table.given is not None:
        cells = {at: _list_cells(each, index, pd) for at, (_, each) in enumerate(table.given)}
        return pd.DataFrame(cells, index=index).set_axis([name for name, _ in table.given], axis=1)
    data = {name: _list_cells(column, index, pd) for name, column in table.columns.items()}
    return pd.DataFrame(data, index=index, copy=False)


def _list_cells(column: Column, index: pd.Index[Any], pd: ModuleType) -> object:
    if column.series is not None:
        return column.series.set_axis(index)
    if column.cells.dtype != object:
        return column.cells
    if column.text:
        return pd.array(column.cells, dtype="str")
    # a bare object array would be searched for text and become another dtype
    return pd.Series(column.cells, index=index, dtype=object)


def from_dataframe(frame: pd.DataFrame) -> Table:
    """A DataFrame that pandas itself parsed (CSV, Parquet), as columns."""
    import pandas as pd

    columns: dict[Any, Column] = {}
    for position, name in enumerate(frame.columns):
        series = frame.iloc[:, position]
        text = isinstance(series.dtype, pd.StringDtype)
        # the text that is inferred has NaN for null
        inferred = isinstance(series.dtype, pd.StringDtype) and series.dtype.na_value is not pd.NA
        if isinstance(series.dtype, pd.api.extensions.ExtensionDtype) and not inferred:
            columns[name] = Column(
                objects(series, len(series)),
                text=text,
                aware=getattr(series.dtype, "tz", None) is not None,
                series=series,
            )
            continue
        columns[name] = Column(
            series.to_numpy(dtype=object, na_value=float("nan")) if text else series.to_numpy(),
            text=text,
        )
    plain = isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0
    index = None if plain else frame.index.tolist()
    return Table(columns, len(frame), index)


def infer_column(series: pd.Series) -> Column:
    """The column that pandas makes of a series' cells, whatever the series' own dtype."""
    import pandas as pd

    return from_dataframe(pd.DataFrame({0: list(series)})).columns[0]
