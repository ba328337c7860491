"""Write a small registry with the MLflow that runs this: `python make.py FOLDER`.

Makes FOLDER/mlflow-VERSION.db.xz: the model churn in two versions, a run, and an alias where that
MLflow has aliases. Paths in it begin with /STORE, which tests.registries replaces. Made with, for
example, `uv venv -p 3.9 env` and `uv pip install -p env mlflow-skinny==1.30.0 sqlalchemy==1.4.54
alembic==1.13.3 sqlparse "setuptools<70"`.
"""

from __future__ import annotations

import lzma
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

STORE = "file:///STORE"


def main(into: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mlflow.db"
        uri = f"sqlite:///{path}"
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.create_experiment("e", artifact_location=STORE)
        run = client.create_run(experiment)
        client.log_metric(run.info.run_id, "loss", 0.5)
        client.log_param(run.info.run_id, "depth", "3")
        client.create_registered_model("churn")
        for _ in range(2):
            client.create_model_version(
                "churn", f"{run.info.artifact_uri}/model", run_id=run.info.run_id
            )
        if hasattr(client, "set_registered_model_alias"):
            client.set_registered_model_alias("churn", "champion", "1")
        with closing(sqlite3.connect(path)) as db:
            db.execute("vacuum")
        packed = lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
    (Path(into) / f"mlflow-{mlflow.__version__}.db.xz").write_bytes(packed)


if __name__ == "__main__":
    main(sys.argv[1])
