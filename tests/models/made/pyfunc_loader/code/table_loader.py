import json

import numpy as np


class Weighted:
    def __init__(self, weights):
        self.weights = np.asarray(weights)

    def predict(self, data):
        return data.to_numpy() @ self.weights


def _load_pyfunc(data_path):
    with open(data_path) as file:
        return Weighted(json.load(file))
