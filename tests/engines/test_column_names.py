"""Graphs of pipelines whose columns are chosen by name, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from packager.engines.onnx.column_names import number_columns
from packager.engines.proof.inputs import Column, Inputs
from tests.engines import asking

NAMES = {
    "plain": ("num_0", "num_1", "word"),
    "a space": ("num 0", "num_1", "word"),
    "signs": ("n.1", "x*/y", 'q"uote'),
    "other scripts": ("größe", "数量", "имя"),
    "alike but for a sign": ("a b", "a_b", "a.b"),
    "numbers": ("2", "0", "1"),
}


def draw(names: tuple[str, ...]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = np.array(["a", "b", "été"], dtype=object)[rng.integers(0, 3, 300)]
    numbers = [rng.normal(size=300), rng.gamma(2.0, 2.0, 300)]
    return pd.DataFrame(dict(zip(names, [*numbers, pd.Series(words, dtype=object)], strict=False)))


@pytest.mark.few(1)
@pytest.mark.parametrize("estimator", [Ridge(), GradientBoostingRegressor(n_estimators=5)])
@pytest.mark.parametrize("count", [2, 3], ids=["numbers", "numbers and words"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_name_never_decides_whether_a_model_compiles(
    name: str, count: int, estimator: object, tmp_path: Path
) -> None:
    table = draw(NAMES[name][:count])
    first, second, *words = table.columns
    parts = [("n", FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), [first, second])]
    if words:
        parts.append(("w", OneHotEncoder(handle_unknown="ignore"), words))
    model = make_pipeline(ColumnTransformer(parts), estimator)
    model.fit(table, table[first] + table[second])
    types = ["double", "double", "string"]
    made = asking.case(
        model,
        predict=lambda rows: np.asarray(model.predict(pd.DataFrame(rows))),
        inputs=Inputs(
            columns=tuple(Column(*each) for each in zip(table.columns, types, strict=False))
        ),
        table={column: table[column].to_numpy() for column in table.columns},
        example=None,
    )
    assert "refused" not in asking.proven(made, tmp_path)


def test_names_become_positions_at_every_depth_and_the_model_keeps_its_own() -> None:
    table = draw(("a", "b", "c"))
    inner = ColumnTransformer([("b", StandardScaler(), ["b"])], remainder="passthrough")
    outer = make_pipeline(ColumnTransformer([("n", inner, ["b", "a"])]), Ridge())
    outer.fit(table[["a", "b"]], table["a"])
    found = number_columns(outer, ["a", "b"])
    ((_, part, columns),) = found.steps[0][1].transformers_
    assert columns == [1, 0]
    assert part.transformers_[0][2] == [0]
    assert outer.steps[0][1].transformers_[0][2] == ["b", "a"]
    assert outer.steps[0][1].transformers_[0][1].transformers_[0][2] == ["b"]
