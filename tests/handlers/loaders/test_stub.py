"""A user's own class beside the stand-in for mlflow, against MLflow itself."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from packager.models.flavors import choose
from packager.types import Frame, Tier
from tests import models
from tests.handlers.modelling import fresh, laid_out, resolved, without

NAMES = ("pyfunc_pickle", "pyfunc_code", "pyfunc_function", "pyfunc_loader")

_ANSWER = """
import json, sys, warnings
from pathlib import Path
from handlers.scoring import predictor
from handlers.manifest import Manifest
made = {}
for folder in map(Path, sys.argv[1:]):
    manifest = Manifest.read(folder)
    body = json.loads((folder / "model" / "serving_input_example.json").read_text())
    if "inputs" in body:
        data = body["inputs"]
    else:
        import pandas as pd
        data = pd.DataFrame(**body["dataframe_split"])
    params = body.get("params")
    ours = predictor.load(manifest, folder)
    answer = ours.predict(data, params)
    made[manifest.model_name] = {
        "type": type(answer).__name__,
        "answer": answer.tolist() if hasattr(answer, "tolist") else
                  answer.to_dict("list") if hasattr(answer, "to_dict") else answer,
    }
import mlflow
made["mlflow"] = {"file": mlflow.__file__, "version": mlflow.__version__}
print(json.dumps(made))
"""


def _plain(answer: Any) -> Any:
    if isinstance(answer, pd.DataFrame):
        return answer.to_dict("list")
    return answer.tolist() if isinstance(answer, np.ndarray | pd.Series) else answer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models, made by this interpreter: a pickle of code binds to it."""
    with warnings.catch_warnings(record=True):  # MLflow sets filters of its own
        return models.make(tmp_path_factory.mktemp("models"), *NAMES)


@pytest.fixture(scope="module")
def answers(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folders = []
    for name in NAMES:
        tier = Tier.NATIVE if name == "pyfunc_loader" else Tier.STUB
        into = tmp_path_factory.mktemp(name)
        folders.append(laid_out(made / name, into, tier, Frame.PANDAS)[1])
    found: dict[str, Any] = json.loads(fresh(_ANSWER, *folders))
    return found


@pytest.mark.few(1)
@pytest.mark.parametrize("name", NAMES)
def test_answers_as_mlflow(name: str, made: Path, answers: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        loaded = mlflow.pyfunc.load_model(str(made / name), suppress_warnings=True)
        wanted = loaded.predict(loaded.input_example)
    assert answers[name] == {"type": type(wanted).__name__, "answer": _plain(wanted)}


def test_the_stand_in_is_what_was_imported(answers: dict[str, Any]) -> None:
    assert Path(answers["mlflow"]["file"]).parts[-3:] == ("stub", "mlflow", "__init__.py")
    assert answers["mlflow"]["version"] == resolved(models.folder("pyfunc_code")).mlflow_version


_NATIVE = """
import sys
from pathlib import Path
from handlers.scoring import predictor
from handlers.manifest import Manifest
import pandas as pd
folder = Path(sys.argv[1])
ours = predictor.load(Manifest.read(folder), folder)
print(ours.predict(pd.DataFrame([[1.0, 2.0, 3.0, 4.0]]), {"ignored": 1}).tolist())
"""


def test_a_loader_module_needs_no_mlflow_at_all(tmp_path: Path) -> None:
    _, folder = laid_out(models.folder("pyfunc_loader"), tmp_path, Tier.NATIVE, Frame.PANDAS)
    assert json.loads(fresh(without("mlflow") + _NATIVE, folder)) == [0.5 + 0.5 + 6 - 4]


_MISSING = """
import sys
from pathlib import Path
from handlers.scoring import predictor
from handlers.manifest import Manifest
folder = Path(sys.argv[1])
try:
    predictor.load(Manifest.read(folder), folder)
except ImportError as error:
    print(error)
import mlflow
try:
    mlflow.langchain
except AttributeError as error:
    print(error)
"""


def test_what_the_stand_in_lacks_is_said_at_load(tmp_path: Path) -> None:
    _, folder = laid_out(models.folder("pyfunc_mlflow"), tmp_path, Tier.STUB, Frame.PANDAS)
    missing, attribute = fresh(_MISSING, folder).splitlines()
    assert "mlflow.utils" in missing
    assert "no 'langchain'" in attribute


_HINTS = """
import json, sys
sys.path.insert(0, "handlers/loaders/stub")
from datetime import datetime
from typing import Any, Optional
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel
from mlflow.pyfunc.utils.data_validation import validate
def outcome(data, hint):
    try:
        return repr(validate(data, hint))
    except MlflowException as error:
        return error.error_code, error.get_http_status_code()
    except ValueError:
        return "not in MLflow's words"
cases = [
    (["a"], list[str]), ([1], list[str]), ("a", list[str]), ([1, None], list[Optional[int]]),
    ([{"a": 1.5}], list[dict[str, float]]), ([{"a": 1}], list[dict[str, float]]),
    (["aGk="], list[bytes]), (["2024-01-02"], list[datetime]), (["x"], list[datetime]),
    ([1, "a"], list[Any]), ([1, "a"], list[int | str]), ([{1: 2}], list[dict[str, int]]),
    ([True], list[int]), ([[1], [2]], list[list[int]]),
]
print(json.dumps([outcome(*case) for case in cases]))
class New(PythonModel):
    def predict(self, model_input: list[int], params=None):
        return model_input
class Old(PythonModel):
    def predict(self, context, model_input: list[int]):
        return model_input
print(New().predict([1]), Old().predict(None, [2]), New().predict(model_input=[3]))
try:
    New().predict(["1"])
except MlflowException as error:
    print(error.error_code)
"""


def test_type_hints_are_validated_as_mlflow_serves_them() -> None:
    refused = ["INVALID_PARAMETER_VALUE", 400]
    first, second, third = fresh(_HINTS).splitlines()
    assert json.loads(first) == [
        "['a']",
        refused,
        refused,
        "[1, None]",
        "[{'a': 1.5}]",
        refused,
        "[b'hi']",
        "[datetime.datetime(2024, 1, 2, 0, 0)]",
        "not in MLflow's words",
        "[1, 'a']",
        "[1, 'a']",
        refused,
        "[True]",
        "[[1], [2]]",
    ]
    assert second == "[1] [2] [3]"
    assert third == "INVALID_PARAMETER_VALUE"


_NESTED = """
import sys
sys.path.insert(0, "handlers/loaders/stub")
import mlflow
model = mlflow.sklearn.load_model(sys.argv[1])
print(type(model).__name__)
booster = mlflow.xgboost.load_model(sys.argv[2])
print(type(booster).__name__)
try:
    mlflow.sklearn.load_model("models:/a/1")
except mlflow.MlflowException as error:
    print(error)
"""


@pytest.mark.slow
def test_models_beside_the_model_load_from_their_folders() -> None:
    printed = fresh(_NESTED, models.folder("sklearn_pickle"), models.folder("xgboost_booster"))
    assert printed.splitlines() == [
        "RandomForestRegressor",
        "Booster",
        "the stand-in for mlflow loads models from folders alone",
    ]


def test_tiers_of_each_kind_of_user_model() -> None:
    tiers = {
        name: choose(resolved(models.folder(name))).tiers
        for name in ("pyfunc_pickle", "pyfunc_code", "pyfunc_loader")
    }
    assert tiers == {
        "pyfunc_pickle": (Tier.STUB, Tier.SKINNY),
        "pyfunc_code": (Tier.STUB, Tier.SKINNY),
        "pyfunc_loader": (Tier.NATIVE, Tier.STUB, Tier.SKINNY),
    }
