"""Models as people mix them: compiled, proven as by a build, and right beyond the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.engines.libraries import COMPILER, NO_COMPILER, Compared, compare

pytestmark = [
    pytest.mark.skipif(not COMPILER, reason=NO_COMPILER),
    pytest.mark.filterwarnings("ignore"),
]
ROWS: Final = 160


def draw(seed: int, rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = np.array(["a", "", "été"], dtype=object)
    return pd.DataFrame(
        {
            "num 0": rng.normal(size=rows),
            "f.32": rng.gamma(2.0, 2.0, rows).astype(np.float32),
            "часы": rng.integers(0, 6, rows),
            "flag": rng.random(rows) > 0.4,
            'word "*/': pd.Series(words[rng.integers(0, 3, rows)], dtype=object),
        }
    )


TABLE: Final = draw(0)
NUMBERS: Final = ["num 0", "f.32", "часы"]
MIXED: Final = ["часы", "flag", 'word "*/']
ANSWERS: Final = TABLE["num 0"] + TABLE["часы"] / 3 + (TABLE['word "*/'] == "a")
CLASSES: Final = np.digitize(ANSWERS, np.quantile(ANSWERS, (0.3, 0.7)))
SEVERAL: Final = np.stack([CLASSES, (TABLE["f.32"] > 3).astype(int)], axis=1)
LABELS: Final = np.stack([CLASSES > 0, CLASSES > 1, TABLE["flag"]], axis=1).astype(int)


def hold(model: Any, answers: Any, folder: Path, columns: Any = None, method: str = "") -> Compared:
    chosen = list(TABLE.columns if columns is None else columns)
    fresh = draw(1, 1500)[chosen]
    fitted = model.fit(TABLE[chosen], answers)
    return compare(fitted, TABLE[chosen], fresh, method or "predict", folder)


def encode(encoder: Any, columns: Any = None) -> Any:
    return ColumnTransformer([("c", encoder, columns or MIXED)], remainder="passthrough")


def choose(*steps: Any) -> ColumnTransformer:
    words = make_column_selector(dtype_include=object)
    return ColumnTransformer([("words", make_pipeline(*steps), words)], remainder="passthrough")


TABLES: Final = {
    "words, whole numbers and booleans": encode(OneHotEncoder(handle_unknown="ignore")),
    "floats beside words": encode(
        OneHotEncoder(handle_unknown="ignore", min_frequency=5), ["f.32", 'word "*/']
    ),
    "positions as whole numbers": encode(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7, dtype=np.int64)
    ),
    "ones as whole numbers": encode(
        OneHotEncoder(dtype=int, handle_unknown="infrequent_if_exist", max_categories=3)
    ),
    "filled words, then encoded": make_pipeline(
        choose(SimpleImputer(strategy="most_frequent")),
        ColumnTransformer(
            [("c", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough"
        ),
    ),
    "filled words as a table": make_pipeline(
        choose(SimpleImputer(strategy="most_frequent")).set_output(transform="pandas"),
        encode(OneHotEncoder(handle_unknown="ignore", sparse_output=False), ['words__word "*/']),
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_of_several_kinds(name: str, tmp_path: Path) -> None:
    model = make_pipeline(TABLES[name], DecisionTreeRegressor(max_depth=6, random_state=0))
    found = hold(model, ANSWERS, tmp_path)
    assert (found.refused, found.wrong) == ("", [])
    assert found.exact


SEVERAL_ANSWERS: Final = {
    "a tree": (DecisionTreeClassifier(max_depth=5, random_state=0), SEVERAL),
    "a forest": (RandomForestClassifier(8, max_depth=5, random_state=0), SEVERAL),
    "labels of a forest": (RandomForestClassifier(8, random_state=0), LABELS),
    "labels, one by one": (OneVsRestClassifier(LogisticRegression()), LABELS),
    "labels by shares": (OneVsRestClassifier(DecisionTreeClassifier(max_depth=4)), LABELS),
}


@pytest.mark.parametrize("name", SEVERAL_ANSWERS)
def test_several_labels_of_a_row(name: str, tmp_path: Path) -> None:
    estimator, answers = SEVERAL_ANSWERS[name]
    found = hold(make_pipeline(StandardScaler(), estimator), answers, tmp_path, NUMBERS)
    assert (found.refused, found.wrong) == ("", [])


BOOSTERS: Final = {
    "dart": (
        xgboost.XGBRegressor(n_estimators=12, booster="dart", rate_drop=0.4, n_jobs=1),
        ANSWERS,
        "predict",
    ),
    "dart, classes": (
        xgboost.XGBClassifier(n_estimators=6, booster="dart", rate_drop=0.4, n_jobs=1),
        CLASSES,
        "predict_proba",
    ),
    "trees side by side": (
        xgboost.XGBRegressor(n_estimators=4, num_parallel_tree=3, subsample=0.6, n_jobs=1),
        ANSWERS,
        "predict",
    ),
    "several quantiles": (
        xgboost.XGBRegressor(
            n_estimators=5,
            objective="reg:quantileerror",
            quantile_alpha=np.array([0.1, 0.9]),
            n_jobs=1,
        ),
        ANSWERS,
        "predict",
    ),
    "hazards": (
        xgboost.XGBRegressor(n_estimators=5, objective="survival:cox", n_jobs=1),
        np.abs(ANSWERS) + 0.1,
        "predict",
    ),
    "one class against all others": (
        lightgbm.LGBMClassifier(n_estimators=5, objective="multiclassova", n_jobs=1, verbose=-1),
        CLASSES,
        "predict_proba",
    ),
    "LightGBM's dart": (
        lightgbm.LGBMRegressor(
            n_estimators=12, boosting_type="dart", drop_rate=0.5, n_jobs=1, verbose=-1
        ),
        ANSWERS,
        "predict",
    ),
    "LightGBM's forest": (
        lightgbm.LGBMRegressor(
            n_estimators=6,
            boosting_type="rf",
            bagging_freq=1,
            bagging_fraction=0.6,
            n_jobs=1,
            verbose=-1,
        ),
        ANSWERS,
        "predict",
    ),
}


@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_of_every_form(name: str, tmp_path: Path) -> None:
    estimator, answers, method = BOOSTERS[name]
    model = make_pipeline(StandardScaler(), estimator)
    found = hold(model, answers, tmp_path, NUMBERS, method)
    assert (found.refused, found.wrong) == ("", [])


def test_columns_by_position_nested_and_dropped(tmp_path: Path) -> None:
    inner = ColumnTransformer([("d", "drop", [1]), ("s", StandardScaler(), slice(0, 3, 2))])
    outer = ColumnTransformer(
        [
            ("n", inner, [0, 1, -3]),
            ("w", OneHotEncoder(drop="if_binary"), [True, *[False] * 3, True]),
        ]
    )
    found = hold(make_pipeline(outer, Ridge()), ANSWERS, tmp_path)
    assert (found.refused, found.wrong) == ("", [])
