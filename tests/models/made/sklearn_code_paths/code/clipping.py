"""Keep values within bounds."""

from sklearn.base import BaseEstimator, TransformerMixin


class Clip(TransformerMixin, BaseEstimator):
    def __init__(self, low=0.0, high=5.0):
        self.low = low
        self.high = high

    def fit(self, data, target=None):
        self.fitted_ = True
        return self

    def transform(self, data):
        return data.clip(self.low, self.high)
