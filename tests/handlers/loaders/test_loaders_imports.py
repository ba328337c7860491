"""What loading and answering imports, counted in fresh interpreters: each module is paid for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from packager.types import Frame, Tier
from tests import models
from tests.handlers.modelling import fresh, laid_out, without

_PREDICT = """
import json, sys
from pathlib import Path
from handlers.scoring import predictor
from handlers.manifest import Manifest
import numpy as np
folder = Path(sys.argv[1])
manifest = Manifest.read(folder)
body = json.loads((folder / "model" / "serving_input_example.json").read_text())
ours = predictor.load(manifest, folder)
if "inputs" in body:
    data = np.asarray(body["inputs"], dtype="float32")
else:
    table = body["dataframe_split"]
    columns = zip(*table["data"])
    data = {name: np.asarray(values, dtype="float64") for name, values in
            zip(table["columns"], columns)}
answer = ours.predict(data, None)
modules = sorted(name for name, module in sys.modules.items() if module is not None)
answer = answer.tolist() if hasattr(answer, "tolist") else str(answer)
print(json.dumps({"answer": answer, "modules": modules}))
"""


def _run(name: str, into: Path, *absent: str) -> dict[str, Any]:
    _, folder = laid_out(models.folder(name), into, Tier.NATIVE, Frame.NUMPY)
    made: dict[str, Any] = json.loads(fresh(without(*absent) + _PREDICT, folder))
    return made


@pytest.mark.parametrize(
    ("name", "absent", "never"),
    [
        pytest.param("sklearn_skops", ("pandas",), ("mlflow", "yaml"), marks=pytest.mark.slow),
        pytest.param("sklearn_pickle", ("skops", "pandas"), ("mlflow",), marks=pytest.mark.slow),
        ("xgboost_booster", ("pandas", "sklearn"), ("mlflow",)),
        pytest.param("xgboost_classifier", ("pandas",), ("mlflow",), marks=pytest.mark.slow),
        ("lightgbm_booster", ("pandas", "sklearn"), ("mlflow",)),
        ("onnx_columns", (), ("pandas", "mlflow", "onnx", "sklearn", "scipy")),
    ],
)
def test_numpy_frame_needs_neither_pandas_nor_mlflow(
    name: str, absent: tuple[str, ...], never: tuple[str, ...], tmp_path: Path
) -> None:
    found = _run(name, tmp_path, *absent)
    packages = {module.partition(".")[0] for module in found["modules"]}
    assert packages.isdisjoint({*never, *absent, "fastapi", "starlette", "pydantic"})


_SKOPS = """
import sys
from pathlib import Path
from handlers.loaders import _serialized
import numpy as np
file, trusted = Path(sys.argv[1]), sys.argv[2].split(",")
model = _serialized.load(file, "skops", trusted)
answer = model.predict_proba(np.linspace(0, 7, 40).reshape(10, 4))
ours = len(sys.modules)
print({"mlflow", "yaml", "pandas", "fastapi"}.isdisjoint(sys.modules))
print(len([name for name in ("skops.io._trusted_types", "sklearn.cluster") if name in sys.modules]))
try:
    _serialized.load(file, "skops", [name for name in trusted if "Logistic" not in name])
except Exception as error:
    print(type(error).__name__)
for name in [name for name in sys.modules if name.startswith("skops")]:
    del sys.modules[name]
import skops.io
whole = skops.io.load(file).predict_proba(np.linspace(0, 7, 40).reshape(10, 4))
print(whole.tobytes() == answer.tobytes())
print(len(sys.modules) - ours)
"""


@pytest.mark.few(0)
def test_skops_loads_without_importing_all_of_sklearn(tmp_path: Path) -> None:
    manifest, folder = laid_out(models.folder("sklearn_tensor"), tmp_path)
    file = folder / "model" / manifest.options["file"]
    *found, saved = fresh(
        without("pandas") + _SKOPS, file, ",".join(manifest.options["trusted"])
    ).split()
    assert found == ["True", "0", "UntrustedTypesFoundException", "True"]
    assert int(saved) > 250
