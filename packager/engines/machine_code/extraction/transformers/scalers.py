"""Scalers, imputers and what else computes each column by itself."""

from __future__ import annotations

import functools

import numpy as np

from packager.engines.machine_code.extraction import index
from packager.engines.machine_code.extraction.index import INVERSES, TRANSFORMERS, Fitted
from packager.engines.machine_code.extraction.program import Array, Block, Program, UnsupportedError
from packager.engines.machine_code.extraction.tables import (
    Table,
    as_numbers,
    common_kind,
    compute,
    constants,
    gather,
    join_tables,
    table_of,
    version_of,
)

_FLOATS = ("double", "float")


@functools.lru_cache(maxsize=1)
def rounds_constants() -> bool:
    """Tell whether this scikit-learn makes a StandardScaler's numbers float32 where the data is.

    It did not always, and says so nowhere: 1 - 1/3 tells.
    """
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - the model's own

    scaler = StandardScaler(with_std=False).fit(np.array([[0.0], [2 / 3]]))
    (answer,) = scaler.transform(np.ones((1, 1), np.float32))[0]
    return bool(answer == np.float32(1) - np.float32(1 / 3))


def _read_standard(model: Fitted, block: Block) -> tuple[object, object]:
    """Return what each column loses, and what it is divided by; None for neither."""
    by = (model.mean_ if model.with_mean else None, model.scale_ if model.with_std else None)
    if block.kind != "float" or not rounds_constants():
        return by
    mean, scale = (None if each is None else np.asarray(each, np.float32) for each in by)
    return mean, scale


def _read_robust(model: Fitted) -> tuple[object, object]:
    """As of a StandardScaler."""
    centre = model.center_ if model.with_centering else None
    return centre, model.scale_ if model.with_scaling else None


def _scale(program: Program, block: Block, by: tuple[object, object]) -> Block:
    for symbol, constant in zip("-/", by):
        if constant is not None:
            block = compute(program, block, symbol, constant)
    return block


def _restore(program: Program, block: Block, by: tuple[object, object]) -> Block:
    for symbol, constant in zip("*+", reversed(by)):
        if constant is not None:
            block = compute(program, block, symbol, constant)
    return block


@index.reads(TRANSFORMERS, "sklearn.StandardScaler")
def scale_standard(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    return table_of(_scale(program, block, _read_standard(model, block)))


@index.reads(INVERSES, "sklearn.StandardScaler")
def restore_standard(model: Fitted, program: Program, block: Block) -> Block:
    return _restore(program, block, _read_standard(model, block))


@index.reads(INVERSES, "sklearn.RobustScaler")
def restore_robust(model: Fitted, program: Program, block: Block) -> Block:
    return _restore(program, block, _read_robust(model))


@index.reads(INVERSES, "sklearn.MaxAbsScaler")
def restore_by_largest(model: Fitted, program: Program, block: Block) -> Block:
    return compute(program, block, "*", model.scale_)


@index.reads(INVERSES, "sklearn.MinMaxScaler")
def restore_range(model: Fitted, program: Program, block: Block) -> Block:
    return compute(program, compute(program, block, "-", model.min_), "/", model.scale_)


@index.reads(TRANSFORMERS, "sklearn.RobustScaler")
def scale_robust(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    return table_of(_scale(program, block, _read_robust(model)))


@index.reads(TRANSFORMERS, "sklearn.MaxAbsScaler")
def scale_by_largest(model: Fitted, program: Program, table: Table) -> Table:
    block = compute(program, as_numbers(program, table, _FLOATS), "/", model.scale_)
    if getattr(model, "clip", False):
        block = clip(program, block, -1.0, 1.0)
    return table_of(block)


@index.reads(TRANSFORMERS, "sklearn.MinMaxScaler")
def scale_to_range(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    block = compute(program, block, "*", model.scale_)
    block = compute(program, block, "+", model.min_)
    if getattr(model, "clip", False):
        block = clip(program, block, *(float(each) for each in model.feature_range))
    return table_of(block)


def clip(program: Program, block: Block, least: float, most: float) -> Block:
    ends = np.array([least, most], np.float64)
    return program.add("clip", [block], block.kind, block.width, ends=ends)


@index.reads(TRANSFORMERS, "sklearn.Binarizer")
def binarize(model: Fitted, program: Program, table: Table) -> Table:
    block = as_numbers(program, table, _FLOATS)
    by = np.full(block.width, float(model.threshold))
    return table_of(program.add("above", [block], block.kind, block.width, constants=by))


@index.reads(TRANSFORMERS, "sklearn.SimpleImputer")
def impute(model: Fitted, program: Program, table: Table) -> Table:
    """Raises UnsupportedError for text, and for a missing value other than NaN."""
    if any(column.block.kind == "text" for column in table.columns):
        return _impute_text(model, program, table)
    missing = model.missing_values
    if not (isinstance(missing, float) and np.isnan(missing)):
        raise UnsupportedError(f"a SimpleImputer of {missing!r}")
    common = common_kind(table)
    kind = common if common in _FLOATS else "double"
    statistics = np.asarray(model.statistics_)
    if not all(isinstance(each, (bool, int, float, np.number)) for each in statistics.tolist()):
        raise UnsupportedError("a SimpleImputer that fills in what is no number")
    block = as_numbers(program, table, (kind,))
    empty = np.isnan(statistics.astype(np.float64))
    if empty.any() and not getattr(model, "keep_empty_features", False):
        kept = Table(tuple(c for c, no in zip(table_of(block).columns, empty) if not no))
        block, statistics = gather(program, kept, kind), statistics[~empty]
    filled = program.add(
        "fill", [block], kind, block.width, constants=constants(statistics.astype(np.float64))
    )
    return _with_indicator(model, program, table, table_of(filled))


def _with_indicator(model: Fitted, program: Program, table: Table, filled: Table) -> Table:
    indicator = getattr(model, "indicator_", None)
    if not getattr(model, "add_indicator", False) or indicator is None:
        return filled
    source = as_numbers(program, table, ("double", "float"))
    chosen = Table(tuple(table_of(source).columns[int(at)] for at in indicator.features_))
    if not chosen.width:
        return filled
    block = gather(program, chosen, source.kind)
    flags = program.add("is_missing", [block], filled.columns[0].block.kind, block.width)
    return join_tables([filled, table_of(flags)])


def _impute_text(model: Fitted, program: Program, table: Table) -> Table:
    if getattr(model, "add_indicator", False):
        raise UnsupportedError("an indicator of missing words")
    # a request's null is None alone, and with pandas 3 NaN in a column that has words too
    nulls = [(1, None), (2, np.nan)][: 2 if version_of("pandas") >= (3, 0) else 1]
    kinds = [bit for bit, null in nulls if _fills_null(model, table.width, null)]
    if not kinds:
        return table
    found = []
    for column, word in zip(table.columns, model.statistics_):
        if column.block.kind != "text" or not isinstance(word, str):
            raise UnsupportedError("a SimpleImputer over words and numbers")
        given = {"word": _encode(word), "fills": sum(kinds)}
        found.append(program.add("fill_text", [column.block], "text", 1, **given))
    return Table(
        tuple(column._replace(block=block, at=0) for column, block in zip(table.columns, found))
    )


def _fills_null(model: Fitted, width: int, null: object) -> bool:
    """Tell whether None, or NaN, counts as missing: where one does, the other may stay as it is.

    Raises UnsupportedError where it is refused.
    """
    row = np.full((1, width), null, dtype=object)
    try:
        filled = np.asarray(model.transform(row), dtype=object)
    except (TypeError, ValueError) as error:
        raise UnsupportedError("a SimpleImputer that refuses a missing word") from error
    return all(isinstance(each, str) for each in filled.ravel())


def _encode(word: str) -> Array:
    return np.frombuffer(word.encode("utf-8", "surrogatepass"), np.uint8)
