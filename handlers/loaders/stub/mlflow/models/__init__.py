"""Call by which a model logged as code hands itself over."""

from __future__ import annotations

from mlflow.models.model import set_model
from mlflow.models.model_config import ModelConfig
from mlflow.models.signature import ModelSignature

__all__ = ["ModelConfig", "ModelSignature", "set_model"]
