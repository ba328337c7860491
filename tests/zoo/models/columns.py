"""Pipelines of scikit-learn over named columns, in a uv project that locks a hundred packages."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from models._registry import ROWS, Case, frame, gaps, label, table, zoo

THREE = ["age", "income", "visits"]
FIVE_LINES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy")


def _fit(model, columns=THREE, target=None, data=None, **options):
    """Fit a model to customers' columns, and ask it about others."""
    data = frame(400) if data is None else data
    y = label(data) if target is None else target(data)
    model.fit(data[columns], y)
    fresh = frame(ROWS, seed=7)[columns]
    far = fresh.head(20).copy()
    far[[each for each in columns if far[each].dtype == float]] *= -1e6
    return Case(model, data[columns].head(5), fresh, [table(far)], **options)


def _line():
    return make_pipeline(StandardScaler(), LogisticRegression())


@zoo("project", "a pipeline over three columns, logged in a uv project of some hundred packages")
def uv_three_columns():
    return _fit(_line(), serialization=None)


@zoo("project", "the same with five requirements, as an author would write them")
def five_lines():
    return _fit(_line(), serialization=None, requirements=list(FIVE_LINES))


@zoo("project", "a forest with n_jobs=-1")
def forest_all_cores():
    return _fit(RandomForestClassifier(30, n_jobs=-1, random_state=0))


@zoo("project", "predict_proba as the prediction")
def probabilities():
    return _fit(_line(), options={"pyfunc_predict_fn": "predict_proba"})


@zoo("project", "predict_log_proba as the prediction")
def log_probabilities():
    return _fit(_line(), options={"pyfunc_predict_fn": "predict_log_proba"})


@zoo("project", "gaps that trees take as they are")
def trees_with_gaps():
    case = _fit(
        HistGradientBoostingRegressor(max_iter=30, random_state=0),
        data=gaps(frame(400), "age", "income"),
    )
    case.fresh = gaps(case.fresh, "age", "income")
    return case


@zoo("project", "set_output('pandas') and transformers that rename columns")
def set_output_pandas():
    model = make_pipeline(
        make_column_transformer(
            (StandardScaler(), ["age", "income"]), (OneHotEncoder(sparse_output=False), ["plan"])
        ),
        LogisticRegression(),
    ).set_output(transform="pandas")
    return _fit(model, ["age", "income", "plan"])


@zoo("project", "set_output('polars'), which nothing in the model's files imports")
def set_output_polars():
    scale = StandardScaler().set_output(transform="polars")
    return _fit(make_pipeline(scale, LogisticRegression()))


@zoo("project", "categories one-hot encoded, those never seen ignored")
def one_hot_unseen():
    model = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]), remainder="passthrough"
        ),
        LogisticRegression(max_iter=2000),
    )
    case = _fit(model, ["age", "visits", "city", "plan"])
    odd = case.fresh.head(4).assign(city=["Bergen ", "", "ẞ", "🏔"], plan="gold")
    case.beyond.append(table(odd))
    return case


@zoo("project", "ordinal codes with a code for the unseen")
def ordinal_unseen():
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((encoder, ["city", "plan"]), remainder="passthrough"),
        RandomForestClassifier(20, random_state=0),
    )
    case = _fit(model, ["age", "city", "plan"])
    case.beyond.append(table(case.fresh.head(3).assign(city="Paris")))
    return case


@zoo("project", "scikit-learn's target encoder")
def target_encoder():
    model = make_pipeline(
        ColumnTransformer([("t", TargetEncoder(random_state=0), ["city"])], remainder="passthrough"),
        Ridge(),
    )
    case = _fit(model, ["age", "city"])
    case.beyond.append(table(case.fresh.head(3).assign(city="Paris")))
    return case


@zoo("project", "gaps filled, with indicators, and text categories among the columns")
def imputed_mixed():
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")
    )
    model = make_pipeline(
        make_column_transformer((numbers, ["age", "income"]), (words, ["city"])),
        LogisticRegression(),
    )
    case = _fit(model, ["age", "income", "city"], data=gaps(frame(400), "age", "income"))
    case.fresh = gaps(case.fresh, "age", "income")
    return case


@zoo("project", "an iterative imputer, which has to be enabled by an import")
def iterative_imputer():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    model = make_pipeline(IterativeImputer(random_state=0), Ridge())
    case = _fit(model, ["age", "income"], data=gaps(frame(300), "age", "income"))
    case.fresh = gaps(case.fresh, "age", "income")
    return case


@zoo("project", "targets that are words")
def string_targets():
    def words(data):
        return np.where(label(data) == 1, "går", "blir 🙂")

    return _fit(_line(), target=words)


@zoo("project", "targets that are truth values")
def bool_targets():
    return _fit(KNeighborsClassifier(), target=lambda data: label(data).astype(bool))


@zoo("project", "two numbers for each row")
def two_outputs():
    model = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=10, random_state=0))
    return _fit(model, target=lambda data: data[["income", "visits"]].to_numpy())


@zoo("project", "five hundred columns")
def five_hundred_columns():
    def wide(rows, seed):
        values = np.random.default_rng(seed).normal(size=(rows, 500)).round(3)
        return pd.DataFrame(values, columns=["f%03d" % i for i in range(500)])

    data = wide(200, 1)
    model = make_pipeline(StandardScaler(), LinearRegression())
    model.fit(data, data.sum(axis=1))
    return Case(model, data.head(2), wide(ROWS, 2))


def _named(names):
    data = frame(300)[THREE].astype(float)
    data.columns = names
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(data, label(frame(300)))
    fresh = frame(ROWS, seed=9)[THREE].astype(float)
    fresh.columns = names
    return Case(model, data.head(4), fresh)


@zoo("project", "names with spaces, dots, brackets and slashes")
def names_punctuated():
    return _named(["age (years)", "income.net[EUR]/year", " visits "])


@zoo("project", "names with quotes, a backslash and a line end")
def names_quoted():
    return _named(["the 'age'", 'income "net"', "visits\\n\n"])


@zoo("project", "names with emoji and in scripts from right to left")
def names_scripts():
    return _named(["العمر", "הכנסה 💶", "訪問回数"])


@zoo("project", "names that differ in case alone")
def names_in_case():
    return _named(["Value", "value", "VALUE"])


@zoo("project", "whole numbers for names")
def names_integers():
    return _named([0, 1, 2])


@zoo("project", "whole numbers for names, not from zero")
def names_years():
    return _named([2023, 2024, 2025])


@zoo("project", "names that are words of Python and of requests")
def names_words():
    return _named(["class", "index", "inputs"])


@zoo("project", "category dtype that trees read from the frame")
def category_dtype():
    from sklearn.preprocessing import FunctionTransformer

    cast = FunctionTransformer(
        lambda data: data.assign(
            plan=pd.Categorical(data["plan"], categories=["basic", "plus", "pro"])
        )
    )
    trees = HistGradientBoostingClassifier(
        max_iter=20, categorical_features="from_dtype", random_state=0
    )
    case = _fit(make_pipeline(cast, trees), ["age", "plan"])
    case.beyond.append(table(case.fresh.head(3).assign(plan="gold")))
    return case


@zoo("project", "nullable whole numbers, with gaps")
def nullable_integers():
    data = frame(400)[THREE]
    data["visits"] = data["visits"].astype("Int64")
    data.loc[::7, "visits"] = pd.NA
    model = make_pipeline(SimpleImputer(), LogisticRegression(max_iter=1000))
    model.fit(data.astype(float), label(frame(400)))
    fresh = frame(ROWS, seed=8)[THREE]
    return Case(model, data.head(5).astype({"visits": float}), fresh.astype({"visits": float}))


@zoo("project", "voting over three kinds")
def voting():
    kinds = [
        ("line", _line()),
        ("near", KNeighborsClassifier()),
        ("trees", RandomForestClassifier(10, random_state=0)),
    ]
    return _fit(VotingClassifier(kinds, voting="soft"))


@zoo("project", "stacking with cross-validation")
def stacking():
    kinds = [("line", _line()), ("trees", RandomForestClassifier(10, random_state=0))]
    return _fit(StackingClassifier(kinds, cv=3))


@zoo("project", "splines over one column")
def splines():
    return _fit(make_pipeline(SplineTransformer(), Ridge()), ["age", "income"])
