"""Turn a model registered in MLflow into a small, proven, deployable serverless artifact."""

from typing import Final

__version__: Final = "0.1.0"
