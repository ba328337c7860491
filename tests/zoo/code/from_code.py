"""A model from code, with a branch that imports late."""

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel


class Coded(PythonModel):
    def predict(self, context, model_input, params=None):
        values = model_input["age"].to_numpy()
        if (values < 0).any():
            from scipy.special import expit

            return expit(values).tolist()
        return np.round(values / 7, 6).tolist()


mlflow.models.set_model(Coded())
