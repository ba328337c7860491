"""Pipelines, column transformers and unions: tables are led from step to step."""

from __future__ import annotations

from typing import List

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import ESTIMATORS, TRANSFORMERS, Answer, Fitted
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    NUMPY,
    Table,
    common_kind,
    compute,
    gather,
    join_tables,
    table_of,
)

_REAL = {"float64": "double", "float32": "float"}


@index.reads(TRANSFORMERS, "sklearn.Pipeline")
def transform_pipeline(model: Fitted, program: Program, table: Table) -> Table:
    for _name, step in model.steps:
        table = index.transform(step, program, table)
    return table


@index.composes("sklearn.Pipeline", "sklearn.ColumnTransformer", "sklearn.FeatureUnion")
@index.reads(ESTIMATORS, "sklearn.Pipeline")
def estimate_pipeline(model: Fitted, program: Program, table: Table) -> Answer:
    for _name, step in model.steps[:-1]:
        table = index.transform(step, program, table)
    return index.estimate(model.steps[-1][1], program, table)


@index.composes("sklearn.GridSearchCV", "sklearn.RandomizedSearchCV")
@index.composes("sklearn.HalvingGridSearchCV", "sklearn.HalvingRandomSearchCV")
@index.reads(ESTIMATORS, "sklearn.GridSearchCV", "sklearn.RandomizedSearchCV")
@index.reads(ESTIMATORS, "sklearn.HalvingGridSearchCV", "sklearn.HalvingRandomSearchCV")
def estimate_search(model: Fitted, program: Program, table: Table) -> Answer:
    return index.estimate(model.best_estimator_, program, table)


@index.reads(TRANSFORMERS, "sklearn.ColumnTransformer")
def transform_columns(model: Fitted, program: Program, table: Table) -> Table:
    weights = model.transformer_weights or {}
    parts = [
        _weigh(
            program,
            index.transform(step, program, select_columns(model, table, columns)),
            weights.get(name),
        )
        for name, step, columns in model.transformers_
        if not (isinstance(step, str) and step == "drop") and np.size(columns) != 0
    ]
    return _stack(program, [part for part in parts if part.width], as_table=_answers_table(model))


@index.reads(TRANSFORMERS, "sklearn.FeatureUnion")
def transform_union(model: Fitted, program: Program, table: Table) -> Table:
    weights = model.transformer_weights or {}
    parts: list[Table] = []
    for name, step in model.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        parts.append(_weigh(program, index.transform(step, program, table), weights.get(name)))
    return _stack(program, parts, as_table=_answers_table(model))


def _weigh(program: Program, part: Table, weight: Fitted) -> Table:
    """Each column times the part's weight, in the kind that numpy multiplies them in.

    Raises UnsupportedError for words, and for whole numbers times a whole number.
    """
    if weight is None:
        return part
    weighed = []
    for column in part.columns:
        common = common_kind(Table((column,))) if column.block.kind != "bool" else "bool"
        name = (np.ones(1, NUMPY[common]) * weight).dtype.name
        if name not in _REAL:
            raise UnsupportedError(f"columns of {common} times a weight of {weight!r}")
        block = gather(program, Table((column,)), _REAL[name])
        by = np.full(1, weight).astype(name)
        weighed.append(column._replace(block=compute(program, block, "*", by), at=0))
    return Table(tuple(weighed))


def _answers_table(model: Fitted) -> bool:
    """Tell whether `set_output` was asked for a table, whose columns keep their own kinds."""
    config = getattr(model, "_sklearn_output_config", {})
    return bool(config.get("transform", "default") != "default")


def _stack(program: Program, parts: list[Table], *, as_table: bool) -> Table:
    """Side by side, in the kind that they have in common.

    With words among them each column stays by itself: in a matrix of objects every number counts
    as a double from then on.
    """
    whole = join_tables(parts)
    if not whole.width:
        raise UnsupportedError("a step that leaves no column")
    if all(column.block.kind != "text" for column in whole.columns):
        return table_of(gather(program, whole, common_kind(whole)))
    alone = [
        Table((column,))
        if as_table or column.block.kind == "text"
        else table_of(gather(program, Table((column,)), "double"))
        for column in whole.columns
    ]
    named = join_tables(alone).columns
    return Table(tuple(column._replace(name=str(at)) for at, column in enumerate(named)))


def select_columns(model: Fitted, table: Table, columns: Fitted) -> Table:
    """The columns of a part: by name, position, mask or slice.

    Raises UnsupportedError for names where the table has none, or not these.
    """
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            raise UnsupportedError("columns as a slice of names")
        chosen = list(range(table.width))[columns]
    else:
        chosen = _find_positions(model, table, columns)
    if any(not -table.width <= at < table.width for at in chosen):
        raise UnsupportedError("a column that the signature does not list")
    return Table(tuple(table.columns[at] for at in chosen))


def _find_positions(model: Fitted, table: Table, columns: Fitted) -> List[int]:
    given: List[Fitted] = [columns] if np.isscalar(columns) else list(columns)
    if given and all(isinstance(each, (bool, np.bool_)) for each in given):
        return [at for at, each in enumerate(given) if each]
    return [
        _find_name(model, table, each) if isinstance(each, str) else int(each) for each in given
    ]


def _find_name(model: Fitted, table: Table, name: str) -> int:
    names = [column.name for column in table.columns]
    if names.count(name) == 1:
        return names.index(name)
    fitted = [str(each) for each in getattr(model, "feature_names_in_", [])]
    if name in fitted and len(fitted) == len(names):
        return fitted.index(name)
    raise UnsupportedError(f"a column {name!r} that the signature does not list")
