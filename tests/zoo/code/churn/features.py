"""A transformer that reads a table which lies beside it."""

from importlib import resources

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class CityScore(BaseEstimator, TransformerMixin):
    """Replace a city with its score; those not in the table go another way."""

    def fit(self, data, y=None):
        self.fitted_ = True
        return self

    def transform(self, data):
        with resources.files("churn").joinpath("data/cities.csv").open(encoding="utf-8") as file:
            scores = pd.read_csv(file, index_col="city")["score"]
        out = data.assign(city=data["city"].map(scores))
        if out["city"].isna().any():
            from churn.unseen import guess_score

            out["city"] = out["city"].fillna(data["city"].map(guess_score))
        return out
