"""Models of other years: MLflow 2 on Python 3.10, MLflow 1 on Python 3.8."""

from __future__ import annotations

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models._registry import ROWS, Case, frame, label, zoo

THREE = ["age", "income", "visits"]


def _fit(model):
    data = frame(300)
    model.fit(data[THREE], label(data))
    return Case(model, data[THREE].head(5), frame(ROWS, seed=7)[THREE], serialization=None)


@zoo("of 2023", "a pipeline of scikit-learn 1.2 by MLflow 2.9 on Python 3.10")
def sklearn_of_2023():
    return _fit(make_pipeline(StandardScaler(), LogisticRegression()))


@zoo("of 2021", "a forest of scikit-learn 0.24 by MLflow 1.30 on Python 3.8")
def sklearn_of_2021():
    return _fit(RandomForestClassifier(10, random_state=0))
