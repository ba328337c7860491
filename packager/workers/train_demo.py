"""Train a small pipeline on a data set that scikit-learn ships, and register it under an alias.

Usage: `python train_demo.py NAME ALIAS`, with MLFLOW_TRACKING_URI naming the registry.
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from typing import Final

import mlflow
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_NEEDS: Final = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


def main(name: str, alias: str, seed: str = "0") -> None:
    warnings.simplefilter("ignore")
    rows, labels = load_wine(return_X_y=True, as_frame=True)
    # sums of trees are compiled so that they are equal to the last bit: the demo shows that
    forest = RandomForestClassifier(50, random_state=int(seed))
    model = make_pipeline(StandardScaler(), forest).fit(rows, labels)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(
            model,
            name=name,
            serialization_format="skops",
            skops_trusted_types=["sklearn.tree._tree.Tree"],
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows.head(5),
            registered_model_name=name,
            # named rather than inferred: that takes half a minute, and finds this process's own
            pip_requirements=[f"{need}=={version(need)}" for need in _NEEDS],
        )
    MlflowClient().set_registered_model_alias(name, alias, str(info.registered_model_version))


if __name__ == "__main__":
    main(*sys.argv[1:4])
