"""Flavors that no function can serve, each with the reason and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_JVM: Final = (
    "it runs in a Java virtual machine, which no Python runtime of a function platform has, and "
    "starting one takes longer than a request may wait"
)

REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "h2o": f"{_JVM}. Log H2O's MOJO converted to another format, or serve it where Java runs.",
        "spark": f"{_JVM}, and Spark wants a session of its own for each process. Log the model "
        "in a format that serves without Spark (ONNX, or the library that Spark called).",
        "johnsnowlabs": f"{_JVM}: it is a Spark model. Log one that serves without Spark.",
    }
)
"""Flavor -> why. Sources: mlflow/h2o/__init__.py, mlflow/spark/__init__.py,
mlflow/johnsnowlabs/__init__.py of MLflow 3.17, `_load_pyfunc` of each."""
