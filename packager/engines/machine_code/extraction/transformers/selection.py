"""Columns that a selection keeps, in their order."""

from __future__ import annotations

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import ESTIMATORS, TRANSFORMERS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    common_kind,
    gather,
    table_of,
)


@index.reads(TRANSFORMERS, "sklearn.SelectKBest", "sklearn.SelectPercentile", "sklearn.SelectFpr")
@index.reads(TRANSFORMERS, "sklearn.SelectFdr", "sklearn.SelectFwe", "sklearn.SelectFromModel")
@index.reads(TRANSFORMERS, "sklearn.GenericUnivariateSelect", "sklearn.VarianceThreshold")
@index.reads(TRANSFORMERS, "sklearn.RFE", "sklearn.RFECV", "sklearn.SequentialFeatureSelector")
def select(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError where nothing is kept."""
    kept = [int(at) for at in np.flatnonzero(model.get_support())]
    if not kept or len(model.get_support()) != table.width:
        raise UnsupportedError("a selection that keeps no column")
    if all(column.block.kind != "text" for column in table.columns):
        table = table_of(gather(program, table, common_kind(table)))
    return Table(tuple(table.columns[at] for at in kept))


@index.reads(ESTIMATORS, "sklearn.RFE", "sklearn.RFECV")
def estimate_selected(model: Fitted, program: Program, table: Table) -> Answer:
    return index.estimate(model.estimator_, program, select(model, program, table))


@index.reads(TRANSFORMERS, "sklearn.MissingIndicator")
def indicate_missing(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for a missing value other than NaN."""
    missing = model.missing_values
    if not (isinstance(missing, float) and np.isnan(missing)):
        raise UnsupportedError(f"a MissingIndicator of {missing!r}")
    source = as_numbers(program, table, ("double", "float"))
    chosen = Table(tuple(table_of(source).columns[int(at)] for at in model.features_))
    if not chosen.width:
        raise UnsupportedError("a step that leaves no column")
    block = gather(program, chosen, source.kind)
    return table_of(program.add("is_missing", [block], block.kind, block.width))
