"""The base class of a user's model, and what it is given."""

from __future__ import annotations

from mlflow.pyfunc.model import PythonModel, PythonModelContext

__all__ = ["PythonModel", "PythonModelContext"]
