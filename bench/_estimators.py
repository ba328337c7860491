"""Many models compiled, put into one built tree, booted and asked."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from packager.engines.proof.inputs import RefusedError
from packager.targets.lambda_emulator import Emulator
from packager.types import Interpreter
from tests.engines import asking, estimators
from tests.engines.estimators import CLASSES, NUMBERS, TABLE

ROWS = 1000


@dataclass(frozen=True, kw_only=True)
class Outcome:
    name: str
    refused: str = ""
    candidate: str = ""
    exact: bool = False
    rows_held: int = 0
    rows_asked: int = 0
    wrong_labels: int = 0
    wrong_numbers: int = 0
    max_rel_error: float = 0.0
    graph_bytes: int = 0
    cpu_ms: float = 0.0


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    for name in (*estimators.ESTIMATORS, *estimators.TRANSFORMERS):
        yield name, lambda name=name: estimators.fitted(name)  # type: ignore[misc]
    matrix = asking.matrix(TABLE)
    import lightgbm
    import xgboost
    from sklearn.ensemble import HistGradientBoostingRegressor
    from statsmodels.api import OLS, Logit, Poisson

    quiet = {"n_estimators": 20, "n_jobs": 1}
    for kind, answers in (
        (xgboost.XGBClassifier, CLASSES),
        (xgboost.XGBRegressor, NUMBERS),
        (xgboost.XGBRFClassifier, CLASSES),
        (xgboost.XGBRFRegressor, NUMBERS),
    ):
        yield kind.__name__, lambda k=kind, y=answers: k(**quiet).fit(matrix, y)  # type: ignore[misc]
    for kind, answers in ((lightgbm.LGBMClassifier, CLASSES), (lightgbm.LGBMRegressor, NUMBERS)):
        yield kind.__name__, lambda k=kind, y=answers: k(verbose=-1, **quiet).fit(matrix, y)  # type: ignore[misc]
    whole = np.floor(matrix)
    yield (
        "LGBMRegressor, categories",
        lambda: lightgbm.LGBMRegressor(verbose=-1, **quiet).fit(
            whole, NUMBERS, categorical_feature=[0, 2]
        ),
    )
    yield (
        "XGBRegressor, categories",
        lambda: xgboost.XGBRegressor(
            enable_categorical=True,
            feature_types=["c", "q", "c", "q"],
            max_cat_to_onehot=1,
            **quiet,
        ).fit(whole, NUMBERS),
    )
    yield (
        "HistGradientBoostingRegressor, categories",
        lambda: HistGradientBoostingRegressor(categorical_features=[0, 2], max_iter=20).fit(
            whole, NUMBERS
        ),
    )
    rank = {"group": [100, 100, 100]}
    yield "XGBRanker", lambda: xgboost.XGBRanker(**quiet).fit(matrix, CLASSES, **rank)
    yield (
        "LGBMRanker",
        lambda: lightgbm.LGBMRanker(verbose=-1, **quiet).fit(matrix, CLASSES, **rank),
    )
    yield "statsmodels OLS", lambda: OLS(NUMBERS, matrix).fit()
    yield "statsmodels Logit", lambda: Logit(CLASSES > 1, matrix / 50).fit(disp=0)
    yield "statsmodels Poisson", lambda: Poisson(CLASSES, matrix / 50).fit(disp=0)


def outcomes(
    tree: Path, interpreter: Interpreter, work: Path, done: Collection[str]
) -> Iterator[Outcome]:
    """Of each model that is not done, as it comes.

    `tree` is a built function whose loader is the compiled one; it is linked, not copied.
    """
    warnings.simplefilter("ignore")
    for name, fit in models():
        if name in done:
            continue
        begun = time.monotonic()
        folder = work / "booted"
        shutil.rmtree(folder, ignore_errors=True)
        found = _outcome(name, fit(), tree, folder, interpreter)
        print(found, f"{time.monotonic() - begun:.1f} s", file=sys.stderr)
        yield found


def _outcome(name: str, model: Any, tree: Path, folder: Path, interpreter: Interpreter) -> Outcome:
    out = folder.with_name("compiled")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        result = asking.proven(asking.case(model, rows=2000), out)
    except RefusedError as error:
        result = {"refused": [str(error)]}
    if "refused" in result:
        return Outcome(name=name, refused=result["refused"][-1][:300])
    taken = next(each for each in result["evidence"]["candidates"] if each.get("taken"))
    _put(tree, folder, out / "model.onnx", result["options"])
    fresh = asking.table(ROWS, seed=11)
    matrix = _answered(model, asking.matrix(fresh))
    expected = np.asarray(model.predict(matrix))
    split = {"columns": list(fresh), "data": matrix.tolist()}
    payload = json.dumps({"dataframe_split": split}).encode()
    with Emulator(folder, interpreter=interpreter, memory_mb=3008) as running:
        answer = json.loads(running.invoke(payload).body)
        cpu_ms = running.stats().cpu_ms
    labels, numbers, share = _compared(expected, answer.get("predictions"))
    return Outcome(
        name=name,
        candidate=taken["name"],
        exact=taken["exact"],
        rows_held=taken["rows"],
        rows_asked=len(expected),
        wrong_labels=labels,
        wrong_numbers=numbers,
        max_rel_error=share,
        graph_bytes=taken["graph_bytes"],
        cpu_ms=cpu_ms,
    )


def _answered(model: Any, matrix: Any) -> Any:
    """The rows that the model itself answers: some refuse a category that they have not seen."""

    def is_answered(rows: Any) -> bool:
        try:
            model.predict(rows)
        except (IndexError, ValueError):
            return False
        return True

    if is_answered(matrix):
        return matrix
    return matrix[[at for at in range(len(matrix)) if is_answered(matrix[at : at + 1])]]


def _put(tree: Path, folder: Path, graph: Path, options: dict[str, Any]) -> None:
    shutil.copytree(tree, folder, copy_function=os.link)
    shutil.rmtree(folder / "model")
    (folder / "model").mkdir()
    shutil.copy(graph, folder / "model" / "model.onnx")
    path = folder / "model-manifest.json"
    manifest = json.loads(path.read_text())
    columns = [{"name": name, "type": "double", "required": True} for name in asking.NAMES]
    manifest |= {"options": options, "example": None}
    manifest["signature"] = {"inputs": columns, "outputs": None, "params": None}
    path.unlink()
    path.write_text(json.dumps(manifest))


def _compared(expected: Any, answer: Any) -> tuple[int, int, float]:
    """Wrong labels, wrong numbers, and the largest relative difference."""
    if answer is None or len(answer) != len(expected):
        return len(expected), len(expected), float("inf")
    if expected.dtype.kind != "f":
        wrong = sum(a != b for a, b in zip(expected.tolist(), answer, strict=True))
        return wrong, 0, 0.0
    got = np.asarray(answer, dtype=float).reshape(expected.shape)
    error = np.abs(got - expected)
    wrong = int((error > 1e-6 + 1e-5 * np.abs(expected)).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num(np.where(error == 0, 0.0, error / np.abs(expected)))
    return 0, wrong, float(share.max())
