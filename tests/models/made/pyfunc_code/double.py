"""Doubles every number; logged as code."""

import mlflow
import pandas as pd
from mlflow.models import ModelConfig, set_model

CONFIG = ModelConfig(development_config={"factor": 1})


class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input * CONFIG.get("factor")


set_model(Double())
