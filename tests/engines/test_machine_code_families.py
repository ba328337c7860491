"""Models as people mix them: compiled, proven as by a build, and right beyond the proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import lightgbm
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xgboost
from sklearn.base import clone
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
)
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.svm import SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.onnx.compilers import lightgbm_models, xgboost_models
from packager.engines.proof.inputs import RefusedError
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


@pytest.mark.few(1)
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
    "labels of neighbours": (KNeighborsClassifier(5), LABELS),
    "labels of a network": (MLPClassifier((6,), max_iter=80, random_state=0), LABELS),
    "labels by shares": (OneVsRestClassifier(DecisionTreeClassifier(max_depth=4)), LABELS),
}


@pytest.mark.few(1)
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
    "hinge": (
        xgboost.XGBClassifier(n_estimators=5, objective="binary:hinge", n_jobs=1),
        CLASSES > 1,
        "predict",
    ),
    "shares by hinge": (
        xgboost.XGBClassifier(n_estimators=5, objective="binary:hinge", n_jobs=1),
        CLASSES > 1,
        "predict_proba",
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


@pytest.mark.few(1)
@pytest.mark.parametrize("name", BOOSTERS)
def test_boosters_of_every_form(name: str, tmp_path: Path) -> None:
    estimator, answers, method = BOOSTERS[name]
    model = make_pipeline(StandardScaler(), estimator)
    found = hold(model, answers, tmp_path, NUMBERS, method)
    assert (found.refused, found.wrong) == ("", [])


class Booster(xgboost.Booster):  # type: ignore[misc]
    """A booster as MLflow asks it: with a matrix of the table."""

    __module__ = "xgboost.core"

    def predict(self, rows: Any, **settings: Any) -> Any:
        given = rows if isinstance(rows, xgboost.DMatrix) else xgboost.DMatrix(rows)
        return super().predict(given, **settings)


def test_a_booster_over_a_matrix_refuses_infinity(tmp_path: Path) -> None:
    columns = ["num 0", "f.32"]
    matrix = xgboost.DMatrix(TABLE[columns], ANSWERS)
    raw = xgboost.train({"max_depth": 3, "nthread": 1}, matrix, 6).save_raw("ubj")
    found = compare(Booster(model_file=raw), TABLE[columns], draw(1)[columns], "predict", tmp_path)
    assert (found.refused, found.wrong) == ("", [])
    assert found.exact


@pytest.mark.few(1)
@pytest.mark.parametrize("positive", ["no", "yes"])
@pytest.mark.parametrize("answers", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("wrap", [FixedThresholdClassifier, TunedThresholdClassifierCV])
def test_a_threshold_for_a_label_that_is_named(
    wrap: Any, answers: str, positive: str, tmp_path: Path
) -> None:
    inner = GradientBoostingClassifier(n_estimators=4, random_state=0)
    if wrap is FixedThresholdClassifier:
        threshold = 0.3 if answers == "predict_proba" else -0.4
        model = wrap(inner, threshold=threshold, pos_label=positive, response_method=answers)
    else:
        scored = make_scorer(recall_score, pos_label=positive)
        tried = {"thresholds": 10, "cv": 2, "random_state": 0}
        model = wrap(inner, scoring=scored, response_method=answers, **tried)
    found = hold(model, np.where(CLASSES > 1, "yes", "no"), tmp_path, NUMBERS)
    assert (found.refused, found.wrong) == ("", [])


@pytest.mark.few(0)
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


YES: Final = (ANSWERS > 1).astype(float)
FAMILIES: Final = sm.families
STATISTICS: Final = {
    "least squares": lambda table: sm.OLS(ANSWERS, table),
    "robust": lambda table: sm.RLM(ANSWERS, table),
    "quantile": lambda table: sm.QuantReg(ANSWERS, table),
    "logit": lambda table: sm.Logit(YES, table),
    "probit": lambda table: sm.Probit(YES, table),
    "counts": lambda table: sm.Poisson(np.abs(ANSWERS).round(), table),
    "binomial by CLogLog": lambda table: sm.GLM(
        YES, table, family=FAMILIES.Binomial(FAMILIES.links.CLogLog())
    ),
    "gamma by Log": lambda table: sm.GLM(
        np.abs(ANSWERS) + 0.1, table, family=FAMILIES.Gamma(FAMILIES.links.Log())
    ),
}


@pytest.mark.few(2)
@pytest.mark.parametrize("name", STATISTICS)
def test_statsmodels_by_its_parameters(name: str, tmp_path: Path) -> None:
    table = TABLE[NUMBERS]
    found = compare(
        STATISTICS[name](table).fit(), table, draw(1, 1500)[NUMBERS], "predict", tmp_path
    )
    assert (found.refused, found.wrong) == ("", [])


def test_a_formula_of_statsmodels_is_refused(tmp_path: Path) -> None:
    table = TABLE[["num 0"]].set_axis(["a"], axis=1).assign(y=ANSWERS)
    model = sm.OLS.from_formula("y ~ a", table).fit()
    found = compare(model, table[["a"]], table[["a"]], "predict", tmp_path)
    assert found.refused == "a formula of statsmodels"


@pytest.mark.few(1)
@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("columns", [3, 17, 40], ids=["in a tree", "in a matrix", "in a wide one"])
def test_neighbours_of_a_row_beyond_all_points(columns: int, weights: str, tmp_path: Path) -> None:
    """From 1e30 on every point is as far, and the search keeps those that came first."""
    if columns > 15 and weights == "distance":
        pytest.skip("distances of a matrix are no weights that a form has")
    rng = np.random.default_rng(0)
    names = [f"c {at}" for at in range(columns)]
    table = pd.DataFrame(rng.gamma(2.0, 2.0, (ROWS, columns)), columns=names)
    fitted = KNeighborsClassifier(5, weights=weights).fit(table, CLASSES)
    fresh = pd.DataFrame(rng.gamma(2.0, 2.0, (200, columns)), columns=names)
    held = compare(fitted, table, fresh, "predict_proba", tmp_path)
    assert (held.refused, held.wrong) == ("", [])


FLOATS: Final = [
    {"feature_index": at, "flat_feature_index": at, "nan_value_treatment": treatment}
    for at, treatment in enumerate(("AsFalse", "AsTrue", "AsIs"))
]


def ask(column: int, border: float, kind: str = "FloatFeature") -> dict[str, Any]:
    return {"float_feature_index": column, "border": border, "split_type": kind}


OBLIVIOUS: Final = {
    "features_info": {"float_features": FLOATS},
    "oblivious_trees": [
        {"leaf_values": [0.1, 0.2, 0.4, 0.7], "splits": [ask(0, 0.25), ask(1, 3.5)]},
        {"leaf_values": [1.0, -1.0], "splits": [ask(2, 2.5)]},
        {"leaf_values": [0.3], "splits": None},
    ],
    "scale_and_bias": [0.5, [7.0]],
}
GROWN: Final = {
    "features_info": {"float_features": FLOATS},
    "trees": [
        {
            "split": ask(1, 3.5),
            "left": {"value": -2.0},
            "right": {"split": ask(0, 0.25), "left": {"value": 0.3}, "right": {"value": 0.9}},
        }
    ],
    "scale_and_bias": [1.0, [0.0]],
}


class StoredBoosting:
    """What extraction reads of CatBoost: its JSON; and the answers that this stands for."""

    def __init__(self, found: Any, loss: str = "RMSE") -> None:
        self.found, self.loss = found, loss

    def save_model(self, path: str, format: str) -> None:  # noqa: A002 - CatBoost's own name
        assert format == "json"
        Path(path).write_text(json.dumps(self.found))

    def get_all_params(self) -> dict[str, str]:
        return {"loss_function": self.loss}

    def predict(self, table: Any) -> Any:
        matrix = np.asarray(table, np.float32)
        return np.array([self._answer(row) for row in matrix])

    def _answer(self, row: Any) -> float:
        scale, (bias,) = self.found["scale_and_bias"]
        total = 0.0
        for tree in self.found.get("oblivious_trees", ()):
            splits = tree["splits"] or ()
            place = sum(self._goes_right(each, row) << at for at, each in enumerate(splits))
            total += tree["leaf_values"][place]
        total += sum(self._descend(each, row) for each in self.found.get("trees", ()))
        return float(total * scale + bias)

    def _descend(self, node: Any, row: Any) -> float:
        while "split" in node:
            node = node["right" if self._goes_right(node["split"], row) else "left"]
        return float(node["value"])

    def _goes_right(self, split: Any, row: Any) -> bool:
        value = row[split["float_feature_index"]]
        if np.isnan(value):
            treatment = FLOATS[split["float_feature_index"]]["nan_value_treatment"]
            return bool(treatment == "AsTrue")
        return bool(value > np.float32(split["border"]))


CatBoostRegressor: Final = type(
    "CatBoostRegressor", (StoredBoosting,), {"__module__": "catboost.core"}
)


@pytest.mark.parametrize("found", [OBLIVIOUS, GROWN], ids=["by levels", "by nodes"])
def test_catboost_from_its_json(found: Any, tmp_path: Path) -> None:
    table = TABLE[NUMBERS]
    held = compare(CatBoostRegressor(found), table, draw(1, 500)[NUMBERS], "predict", tmp_path)
    assert (held.refused, held.wrong, held.exact) == ("", [], True)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (CatBoostRegressor({**OBLIVIOUS, "trees": []}, "Focal"), "CatBoost's loss Focal"),
        (
            CatBoostRegressor({"features_info": {"categorical_features": [{}]}}),
            "CatBoost over categories or texts",
        ),
        (
            CatBoostRegressor(
                {
                    **OBLIVIOUS,
                    "oblivious_trees": [
                        {"leaf_values": [0.0, 1.0], "splits": [ask(0, 0.5, "OnlineCtr")]}
                    ],
                }
            ),
            "CatBoost's splits by categories",
        ),
    ],
)
def test_what_catboost_has_beyond_numbers_is_refused(model: Any, why: str, tmp_path: Path) -> None:
    held = compare(model, TABLE[NUMBERS], TABLE[NUMBERS], "predict", tmp_path)
    assert held.refused == why


SETTINGS: Final[dict[str, Any]] = {
    "a number for missing values": (
        lambda: xgboost.XGBRegressor(n_estimators=2, missing=-999.0, n_jobs=1), "missing=-999.0",
    ),
    "zero for missing values": (
        lambda: xgboost.XGBRegressor(n_estimators=2, missing=0, n_jobs=1), "missing=0",
    ),
    "trees left out": (
        lambda: lightgbm.LGBMRegressor(n_estimators=2, pred_early_stop=True, verbose=-1),
        "pred_early_stop",
    ),
}  # fmt: skip
"""Of the scikit-learn classes of boosters, which the booster itself does not know."""


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_answering_that_no_booster_has_are_refused(name: str, tmp_path: Path) -> None:
    """By both engines: a proof's rows need not have the number."""
    make, why = SETTINGS[name]
    model = make()
    assert why in hold(model, ANSWERS, tmp_path, NUMBERS).refused
    read = xgboost_models.read if isinstance(model, xgboost.XGBModel) else lightgbm_models.read
    with pytest.raises(RefusedError, match=why):
        read(model)


def test_missing_values_by_their_usual_name_are_none_of_these(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=2, missing=np.nan, n_jobs=1)
    assert hold(model, ANSWERS, tmp_path, NUMBERS).state == "compiled"


WEIGHED: Final = (
    {"n": 2.5},
    {"n": 0.3, "f": 2},
    {"n": 1e-3, "f": 0.3, "w": 0.7, "p": 1.5},
)


@pytest.mark.few(1)
@pytest.mark.parametrize("weights", WEIGHED)
def test_the_weights_of_parts_are_multiplied_with(
    weights: dict[str, float], tmp_path: Path
) -> None:
    parts = [
        ("n", StandardScaler(), ["num 0"]),
        ("f", "passthrough", ["f.32"]),
        ("w", OneHotEncoder(handle_unknown="ignore"), ['word "*/']),
        ("p", "passthrough", ["flag"]),
    ]
    prepare = ColumnTransformer(parts, transformer_weights=weights)
    found = hold(make_pipeline(prepare, KNeighborsRegressor(1)), ANSWERS, tmp_path)
    assert found.state == "compiled", found.refused
    assert found.wrong == []


def test_a_weight_of_floats_is_multiplied_in_floats(tmp_path: Path) -> None:
    union = FeatureUnion(
        [("a", "passthrough"), ("b", StandardScaler())], transformer_weights={"a": 0.3}
    )
    model = make_pipeline(union, DecisionTreeRegressor())
    found = hold(model, TABLE["f.32"] * 7, tmp_path, ["f.32"])
    assert found.state == "compiled", found.refused
    assert found.exact


FILLED: Final = {
    "words": SimpleImputer(strategy="constant", fill_value="none"),
    "the usual": SimpleImputer(strategy="most_frequent"),
}


@pytest.mark.few(1)
@pytest.mark.parametrize("name", [*sorted(FILLED), "a category"])
def test_a_null_is_what_the_frame_makes_of_it(name: str, tmp_path: Path) -> None:
    """From version 3 on pandas has NaN for a null that has words beside it."""
    words = np.array(["a", None, "été"], dtype=object)[np.arange(ROWS) % 3]
    table = pd.DataFrame({"word": pd.Series(words, dtype=object), "n": np.arange(ROWS) / 7})
    trained = table if name == "a category" else table.fillna({"word": "b"})
    steps = [FILLED[name]] if name in FILLED else []
    prepare = ColumnTransformer(
        [("w", make_pipeline(*steps, OneHotEncoder(handle_unknown="ignore")), ["word"])]
    )
    model = make_pipeline(prepare, DecisionTreeRegressor())
    model.fit(
        pd.DataFrame({n: each.to_numpy() for n, each in trained.items()}), np.arange(ROWS) % 3
    )
    found = compare(model, table, trained.dropna(), "predict", tmp_path)
    assert found.state == "compiled", found.refused


def test_a_linear_classifier_of_several_labels_answers_them_all(tmp_path: Path) -> None:
    found = hold(RidgeClassifier(), LABELS, tmp_path, NUMBERS)
    assert found.state == "compiled", found.refused


def test_a_support_vector_machine_without_vectors_answers_one_number(tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), SVR(epsilon=100.0))
    found = hold(model, ANSWERS, tmp_path, NUMBERS)
    assert found.state == "compiled", found.refused


def test_whole_numbers_are_restored_as_doubles(tmp_path: Path) -> None:
    model = TransformedTargetRegressor(
        OneClassSVM(), transformer=QuantileTransformer(n_quantiles=9)
    )
    found = hold(model, ANSWERS, tmp_path, NUMBERS)
    assert found.state == "compiled", found.refused


def test_a_step_that_leaves_no_column_is_refused_by_name() -> None:
    program = Program()
    with pytest.raises(UnsupportedError, match=r"a step without columns \(kernels\)"):
        program.add("kernels", [program.add_input("double")], "double", 0)


def test_a_probability_next_to_nothing_is_held_as_a_share_of_one(tmp_path: Path) -> None:
    """Its exponent is a difference of large numbers: of itself few digits are sure."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e9, max_iter=5000))
    model.fit(TABLE[["num 0"]], np.digitize(TABLE["num 0"], (-0.5, 0.5)))
    found = compare(model, TABLE[["num 0"]], TABLE[["num 0"]], "predict_proba", tmp_path)
    assert found.state == "compiled", found.refused
    assert (found.rtol, found.atol) == (1e-12, 1e-12)


@pytest.mark.parametrize("encode", ["ordinal", "onehot-dense"])
def test_bins_are_sorted_in_the_dtype_that_is_asked_for(encode: str, tmp_path: Path) -> None:
    bins = KBinsDiscretizer(2, encode=encode, strategy="uniform", dtype=np.float32)
    table = pd.DataFrame({"n": np.arange(ROWS) % 5.0})
    model = make_pipeline(bins, DecisionTreeRegressor()).fit(table, table["n"] > 1)
    beside = pd.DataFrame({"n": np.nextafter(np.repeat(np.arange(5.0), 2), [-9.0, 9.0] * 5)})
    found = compare(model, table, beside, "predict", tmp_path)
    assert found.state == "compiled", found.refused
    assert found.wrong == []


BEHIND: Final = {
    "trees behind power": (PowerTransformer(), HistGradientBoostingRegressor(max_iter=3)),
    "trees behind weigh": (PCA(2), lightgbm.LGBMRegressor(n_estimators=3, verbose=-1)),
    "digitize behind weigh": (PCA(2), KBinsDiscretizer(3, encode="ordinal")),
    "find_number behind weigh": (PCA(2), OneHotEncoder(handle_unknown="ignore")),
    "above behind weigh": (PCA(2), Binarizer()),
    "floor behind exp": (FunctionTransformer(np.exp), FunctionTransformer(np.floor)),
}


@pytest.mark.parametrize("name", sorted(BEHIND))
def test_what_turns_behind_another_rounding_is_refused(name: str, tmp_path: Path) -> None:
    """A threshold may be a value of training: the last digit decides which side its row takes."""
    first, second = (clone(each) for each in BEHIND[name])
    last = [] if hasattr(second, "predict") else [Ridge()]
    columns = ["num 0", "часы"]
    found = hold(make_pipeline(first, second, *last), ANSWERS, tmp_path, columns)
    operation, _, _ = name.partition(" behind ")
    assert operation in found.refused
    assert "behind" in found.refused
    assert "threshold" in found.refused


def test_trees_in_float_are_compiled_behind_another_rounding(tmp_path: Path) -> None:
    model = make_pipeline(PCA(2), DecisionTreeRegressor(max_depth=4))
    found = hold(model, ANSWERS, tmp_path, ["num 0", "часы"])
    assert found.state == "compiled", found.refused
