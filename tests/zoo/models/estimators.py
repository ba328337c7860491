"""Estimators and transformers with code of their author's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

from models._registry import ROWS, Case, frame, label, table, zoo
from models.columns import THREE, _fit

WORDS = "fin dårlig billig rask treg 素晴らしい ужасно good bad cheap never again".split()


def _texts(rows, seed):
    rng = np.random.default_rng(seed)
    lines = [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(rows)]
    return pd.DataFrame({"review": lines})


def _text_case(vectorizer, classifier):
    model = make_pipeline(make_column_transformer((vectorizer, "review")), classifier)
    data = _texts(300, 1)
    model.fit(data, data["review"].str.contains("good|fin|rask").astype(int))
    odd = pd.DataFrame({"review": ["", "🙂" * 50, "never seen words", "GOOD Good gOOD"]})
    return Case(model, data.head(3), _texts(ROWS, 2), [table(odd)])


@zoo("project", "sparse text features and a linear machine")
def text_tfidf():
    return _text_case(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC())


@zoo("project", "hashed characters and stochastic descent")
def text_hashed():
    return _text_case(HashingVectorizer(analyzer="char_wb", n_features=512), SGDClassifier(random_state=0))


@zoo("project", "a lambda in a FunctionTransformer")
def lambda_transformer():
    return _fit(make_pipeline(FunctionTransformer(lambda x: np.log1p(np.abs(x))), Ridge()))


@zoo("project", "a transformer class from a notebook")
def notebook_transformer():
    class Ratio(BaseEstimator, TransformerMixin):
        """Income for each visit, by a branch that the example does not reach."""

        def fit(self, data, y=None):
            self.top_ = float(data["income"].max())
            return self

        def transform(self, data):
            out = data.copy()
            out["ratio"] = out["income"] / (out["visits"] + 1)
            if (out["income"] < 0).any():
                from scipy.special import expit

                out["ratio"] = expit(out["ratio"].clip(-50, 50))
            return out

    return _fit(make_pipeline(Ratio(), StandardScaler(), LogisticRegression()))


@zoo("project", "dates with a time zone, from a transformer of the author's")
def dates_with_zone():
    def parts(data):
        when = pd.to_datetime(data["when"], utc=True).dt.tz_convert("Europe/Oslo")
        return np.column_stack([when.dt.hour, when.dt.dayofweek, when.dt.month])

    def days(rows, seed):
        rng = np.random.default_rng(seed)
        base = pd.Timestamp("2024-01-01", tz="UTC")
        times = base + pd.to_timedelta(rng.integers(0, 86400 * 700, rows), unit="s")
        return pd.DataFrame({"when": times.strftime("%Y-%m-%dT%H:%M:%SZ")})

    data = days(200, 1)
    model = make_pipeline(FunctionTransformer(parts), Ridge()).fit(data, np.arange(200) % 7)
    odd = pd.DataFrame({"when": ["1970-01-01T00:00:00Z", "2024-03-31T00:59:59Z"]})
    return Case(model, data.head(4), days(ROWS, 2), [table(odd)])


@zoo("project", "a column of dates turned into periods")
def periods():
    def months(data):
        return data["day"].dt.to_period("M").astype("int64").to_numpy().reshape(-1, 1)

    def days(rows, seed):
        rng = np.random.default_rng(seed)
        return pd.DataFrame(
            {"day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2000, rows), unit="D")}
        )

    data = days(200, 1)
    model = make_pipeline(FunctionTransformer(months), Ridge()).fit(data, np.arange(200.0))
    return Case(model, data.head(4), days(ROWS, 2))


@zoo("project", "a machine with a kernel, and its probabilities")
def kernel_machine():
    return _fit(make_pipeline(StandardScaler(), SVC(random_state=0)))


@zoo("project", "a Gaussian process")
def gaussian_process():
    data = frame(80)[THREE].astype(float)
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1))
    model.fit(data, label(frame(80)))
    return Case(model, data.head(3), frame(ROWS, seed=7)[THREE].astype(float))


@zoo("project", "outliers by a forest")
def outliers():
    return _fit(IsolationForest(n_estimators=30, random_state=0))


@zoo("project", "clusters")
def clusters():
    return _fit(make_pipeline(StandardScaler(), KMeans(4, n_init=2, random_state=0)))


@zoo("project", "an array, no columns, through principal components")
def tensor_components():
    rng = np.random.default_rng(3)
    data = rng.normal(size=(200, 8))
    model = make_pipeline(PCA(3, random_state=0), Ridge()).fit(data, data[:, 0])
    fresh = np.random.default_rng(4).normal(size=(ROWS, 8))
    return Case(model, data[:3], {"inputs": fresh.tolist()}, [{"inputs": [[1e300] * 8]}])


@zoo("project", "a class of the project's own package, given as a code path with a data file")
def code_path_with_data():
    from churn.features import CityScore

    model = make_pipeline(CityScore(), StandardScaler(), LogisticRegression())
    case = _fit(model, ["age", "city"])
    case.beyond.append(table(case.fresh.head(3).assign(city=["Paris", "", "oslo"])))
    case.options["code_paths"] = ["churn"]
    return case


@zoo("project", "a class of the project's own package, where the author forgot the code path")
def code_path_missing():
    case = code_path_with_data()
    del case.options["code_paths"]
    return case
