from __future__ import annotations

from mlflow.pyfunc.utils.data_validation import pyfunc

__all__ = ["pyfunc"]
