"""Log models with the packages of their year: `python _old_models_log.py FOLDER NAME ...`.

FOLDER/NAME is what MLflow logged, with the requirements that it inferred; FOLDER/NAME.json is a
request of a thousand rows and what the model answers to it here. It runs on Python 3.8 too.
"""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "zoo"))

from models._registry import (  # type: ignore[import-not-found]  # noqa: E402 - put on the path first
    ROWS,
    frame,
    gaps,
    label,
    table,
)

NUMBERS = ["age", "income", "visits"]
SEEN, FRESH = frame(400), gaps(frame(ROWS, seed=7), "age", "income")


def fit_forest() -> tuple[str, Any, Any]:
    from sklearn.ensemble import RandomForestClassifier

    return "sklearn", RandomForestClassifier(20, random_state=0), NUMBERS


def fit_pipeline() -> tuple[str, Any, Any]:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer([("n", numbers, NUMBERS), ("w", words, ["city", "plan"])])
    return "sklearn", make_pipeline(columns, LogisticRegression()), [*NUMBERS, "city", "plan"]


def fit_xgboost() -> tuple[str, Any, Any]:
    from xgboost import XGBRegressor

    return "xgboost", XGBRegressor(n_estimators=30, n_jobs=1), NUMBERS


def fit_lightgbm() -> tuple[str, Any, Any]:
    from lightgbm import LGBMRegressor

    return "lightgbm", LGBMRegressor(n_estimators=30, n_jobs=1), NUMBERS


KINDS = {
    "forest": fit_forest,
    "pipeline": fit_pipeline,
    "xgboost": fit_xgboost,
    "lightgbm": fit_lightgbm,
}


def log(kind: str, folder: Path) -> None:
    import mlflow
    from mlflow.models import infer_signature

    flavor, model, columns = KINDS[kind]()
    # a forest of these years refuses a missing number
    seen, fresh = SEEN[columns], (frame(ROWS, seed=7) if kind == "forest" else FRESH)[columns]
    target = label(SEEN)
    if kind in ("xgboost", "lightgbm"):
        target = target * SEEN["income"] / 3 + SEEN["age"]
    model.fit(seen, target)
    mlflow.set_tracking_uri((folder / "runs").as_uri())
    with mlflow.start_run() as run:
        getattr(mlflow, flavor).log_model(
            model,
            "model",
            signature=infer_signature(seen, model.predict(seen)),
            input_example=seen.head(5),
        )
    uri = f"runs:/{run.info.run_id}/model"
    answers = mlflow.pyfunc.load_model(uri).predict(fresh).tolist()
    asked = {"request": table(fresh), "answers": answers}
    logged = Path(run.info.artifact_uri.replace("file://", "")) / "model"
    shutil.copytree(str(logged), str(folder / kind))
    (folder / (kind + ".json")).write_text(json.dumps(asked), encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        log(name, Path(sys.argv[1]).resolve())
