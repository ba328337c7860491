"""Make the tiny logged models: `python tests/models/make.py FOLDER [NAME ...]`.

Run with the interpreter and the MLflow whose models are wanted. Those under made/ came from
Python 3.13 (`--group current`, `--group flavors`) and from MLflow 2.22 on Python 3.11 (`--group
mlflow2`); made in a neutral folder (/tmp/model-author) because MLflow writes some of the author's paths down.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import sys
import textwrap
import warnings
from pathlib import Path

os.environ.setdefault("MLFLOW_TRACKING_URI", "file:///tmp/model-author/tracking")
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
warnings.filterwarnings("ignore")

AUTHOR = Path("/tmp/model-author")
_MLFLOW = importlib.metadata.version("mlflow")


def _pins(*names: str) -> list[str]:
    """Requirements as MLflow would pin them; the CPU build counts as xgboost itself."""
    lines = [f"mlflow=={_MLFLOW}"]
    for name in names:
        installed = "xgboost-cpu" if name == "xgboost" else name
        # 2.13.0+cpu is a build of 2.13.0
        lines.append(f"{name}=={importlib.metadata.version(installed).partition('+')[0]}")
    return lines


SKLEARN = ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy", "skops")
XGBOOST = ("numpy", "pandas", "scikit-learn", "scipy", "xgboost")
LIGHTGBM = ("cloudpickle", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy", "skops")
ONNX = ("numpy", "onnx", "onnxruntime", "pandas")
PYFUNC = ("cloudpickle", "numpy", "pandas")
CATBOOST = ("catboost", "numpy", "pandas", "scipy")
STATSMODELS = ("numpy", "pandas", "scipy", "statsmodels")
PROPHET = ("cmdstanpy", "holidays", "numpy", "pandas", "prophet")
SPACY = ("numpy", "pandas", "spacy")
TORCH = ("cloudpickle", "numpy", "pandas", "torch")
KERAS = ("jax", "keras", "numpy", "pandas")
TENSORFLOW = ("keras", "numpy", "pandas", "tensorflow-cpu")
TRANSFORMERS = ("numpy", "pandas", "tokenizers", "torch", "transformers")
SENTENCES = ("numpy", "pandas", "sentence-transformers", "torch", "transformers")
AGENT = ("numpy", "pandas")
LANGCHAIN = ("langchain-core", "numpy", "pandas")


def _iris():
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    return data.data.sample(frac=1, random_state=0), data.target.sample(frac=1, random_state=0)


def _diabetes():
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True)
    return data.data, data.target


def _wine():
    from sklearn.datasets import load_wine

    data = load_wine(as_frame=True)
    return data.data, data.target


def _described(frame, answer, **more):
    from mlflow.models import infer_signature

    return {"signature": infer_signature(frame, answer, **more), "input_example": frame.head(5)}


def _scaled_logistic():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression())


def _save_sklearn(model, frame, path, **more):
    import mlflow.sklearn

    described = more.pop("described", None)
    if described is None:
        described = _described(frame, model.predict(frame))
    mlflow.sklearn.save_model(
        model, path, pip_requirements=_pins(*more.pop("pins", SKLEARN)), **described, **more
    )


def sklearn_skops(path):
    frame, target = _iris()
    _save_sklearn(
        _scaled_logistic().fit(frame, target), frame, path, serialization_format="skops"
    )


def sklearn_pickle(path):
    from sklearn.ensemble import RandomForestRegressor

    frame, target = _diabetes()
    model = RandomForestRegressor(n_estimators=5, max_depth=4, random_state=0).fit(frame, target)
    _save_sklearn(model, frame, path, serialization_format="pickle")


def sklearn_cloudpickle_proba(path):
    frame, target = _wine()
    model = _scaled_logistic().fit(frame, target)
    _save_sklearn(
        model,
        frame,
        path,
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        described=_described(frame, model.predict_proba(frame)),
    )


def sklearn_boosting(path):
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame, target = _wine()
    model = HistGradientBoostingClassifier(max_iter=5, max_depth=3, random_state=0)
    _save_sklearn(
        model.fit(frame, target),
        frame,
        path,
        serialization_format="skops",
        skops_trusted_types=[
            "numpy.dtype",
            "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
            "sklearn._loss.link.Interval",
            "sklearn._loss.link.MultinomialLogit",
            "sklearn._loss.loss.HalfMultinomialLoss",
            "sklearn._loss._loss.CyHalfMultinomialLoss",
            "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        ],
    )


def sklearn_columns(path):
    """Strings, integers, a boolean and a missing value through a ColumnTransformer."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    iris, target = _iris()
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "sepal": iris["sepal length (cm)"].to_numpy(),
            "petal": iris["petal length (cm)"].where(rng.random(len(iris)) > 0.1).to_numpy(),
            "visits": rng.integers(0, 50, len(iris)),
            "member": rng.random(len(iris)) > 0.5,
            "plan": rng.choice(["basic", "plus", "pro"], len(iris)),
        }
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [
            ("numbers", numbers, ["sepal", "petal", "visits"]),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
            ("rest", "passthrough", ["member"]),
        ]
    )
    names = np.array(["setosa", "versicolor", "virginica"])[target.to_numpy()]
    model = make_pipeline(columns, LogisticRegression(max_iter=200)).fit(frame, names)
    _save_sklearn(
        model, frame, path, serialization_format="skops", skops_trusted_types=["numpy.dtype"]
    )


def sklearn_bare(path):
    """No signature and no example."""
    frame, target = _iris()
    model = _scaled_logistic().fit(frame.to_numpy(), target)
    _save_sklearn(model, frame, path, serialization_format="skops", described={})


def sklearn_tensor(path):
    frame, target = _iris()
    table = frame.to_numpy()
    model = _scaled_logistic().fit(table, target)
    from mlflow.models import infer_signature

    described = {
        "signature": infer_signature(table, model.predict(table)),
        "input_example": table[:5],
    }
    _save_sklearn(model, table, path, serialization_format="skops", described=described)


def sklearn_code_paths(path):
    """A transformer of the author's own, logged beside the model; cloudpickle refers to it."""
    source = AUTHOR / "src" / "clipping.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(
        textwrap.dedent(
            '''\
            """Keep values within bounds."""

            from sklearn.base import BaseEstimator, TransformerMixin


            class Clip(TransformerMixin, BaseEstimator):
                def __init__(self, low=0.0, high=5.0):
                    self.low = low
                    self.high = high

                def fit(self, data, target=None):
                    self.fitted_ = True
                    return self

                def transform(self, data):
                    return data.clip(self.low, self.high)
            '''
        )
    )
    sys.path.insert(0, str(source.parent))
    from clipping import Clip
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    frame, target = _iris()
    model = make_pipeline(Clip(), LogisticRegression(max_iter=300)).fit(frame, target)
    _save_sklearn(
        model, frame, path, serialization_format="cloudpickle", code_paths=[str(source)]
    )


def _xgb_booster():
    import xgboost

    frame, target = _diabetes()
    data = xgboost.DMatrix(frame, target)
    return xgboost.train({"max_depth": 3, "eta": 0.3, "seed": 0, "nthread": 1}, data, 8), frame


def xgboost_booster(path):
    import mlflow.xgboost
    import xgboost

    model, frame = _xgb_booster()
    answer = model.predict(xgboost.DMatrix(frame))
    mlflow.xgboost.save_model(
        model, path, pip_requirements=_pins(*XGBOOST), **_described(frame, answer)
    )


def xgboost_booster_params(path):
    """JSON format, integer columns, and a parameter of Booster.predict in the signature."""
    import mlflow.xgboost
    import xgboost

    frame, target = _wine()
    frame = frame[["alcohol", "magnesium", "proline"]].astype(
        {"magnesium": "int64", "proline": "int32"}
    )
    data = xgboost.DMatrix(frame, target)
    settings = {"objective": "multi:softprob", "num_class": 3, "max_depth": 2, "nthread": 1}
    model = xgboost.train(settings, data, 4)
    described = _described(frame, model.predict(data), params={"output_margin": False})
    mlflow.xgboost.save_model(
        model, path, model_format="json", pip_requirements=_pins(*XGBOOST), **described
    )


def xgboost_classifier(path):
    import mlflow.xgboost
    import xgboost

    frame, target = _iris()
    model = xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1, random_state=0)
    model.fit(frame, target)
    mlflow.xgboost.save_model(
        model, path, pip_requirements=_pins(*XGBOOST), **_described(frame, model.predict(frame))
    )


def lightgbm_booster(path):
    import lightgbm
    import mlflow.lightgbm

    frame, target = _diabetes()
    settings = {"objective": "regression", "num_leaves": 7, "verbose": -1, "num_threads": 1}
    model = lightgbm.train(settings, lightgbm.Dataset(frame, target), 8)
    mlflow.lightgbm.save_model(
        model, path, pip_requirements=_pins(*LIGHTGBM), **_described(frame, model.predict(frame))
    )


def lightgbm_classifier(path):
    import lightgbm
    import mlflow.lightgbm

    frame, target = _iris()
    frame = frame.rename(columns=lambda name: name.replace(" ", "_").strip("()"))
    model = lightgbm.LGBMClassifier(n_estimators=4, num_leaves=5, n_jobs=1, verbose=-1)
    model.fit(frame, target)
    more = {} if _MLFLOW.startswith("2.") else {"serialization_format": "skops"}
    mlflow.lightgbm.save_model(
        model,
        path,
        pip_requirements=_pins(*LIGHTGBM),
        **more,
        **_described(frame, model.predict(frame)),
    )


def _to_onnx(model, columns, initial, **more):
    from skl2onnx import to_onnx

    made = to_onnx(model, initial_types=initial, target_opset={"": 18, "ai.onnx.ml": 3}, **more)
    made.producer_version = ""
    return made


def onnx_tensor(path):
    import mlflow.onnx
    import numpy as np
    import onnxruntime
    from mlflow.models import infer_signature
    from skl2onnx.common.data_types import FloatTensorType

    frame, target = _iris()
    model = _scaled_logistic().fit(frame.to_numpy(), target)
    made = _to_onnx(model, 4, [("X", FloatTensorType([None, 4]))], options={"zipmap": False})
    table = frame.to_numpy(dtype=np.float32)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    answer = dict(zip(names, session.run(names, {"X": table})))
    mlflow.onnx.save_model(
        made,
        path,
        signature=infer_signature(table, answer),
        input_example=table[:5],
        pip_requirements=_pins(*ONNX),
        onnx_session_options={"intra_op_num_threads": 1, "execution_mode": "sequential"},
    )


def onnx_columns(path):
    """A regressor under a column signature: MLflow answers with a DataFrame."""
    import mlflow.onnx
    import pandas as pd
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import GradientBoostingRegressor

    frame, target = _diabetes()
    model = GradientBoostingRegressor(n_estimators=6, max_depth=2, random_state=0)
    made = _to_onnx(model.fit(frame.to_numpy(), target), 10, [("X", FloatTensorType([None, 10]))])
    answer = pd.DataFrame({"variable": model.predict(frame.to_numpy()).astype("float32")})
    mlflow.onnx.save_model(
        made, path, pip_requirements=_pins(*ONNX), **_described(frame, answer)
    )


def pyfunc_pickle(path):
    """A class pickled by value, with configuration, an artifact, code beside it and parameters."""
    import mlflow.pyfunc

    helper = AUTHOR / "src" / "rounding.py"
    artifact = AUTHOR / "src" / "offset.json"
    helper.parent.mkdir(parents=True, exist_ok=True)
    helper.write_text("def rounded(values, digits):\n    return values.round(digits)\n")
    artifact.write_text(json.dumps({"offset": 0.125}))

    class Shift(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            with open(context.artifacts["offset"]) as file:
                self.offset = json.load(file)["offset"]
            self.scale = context.model_config["scale"]

        def predict(self, context, model_input, params=None):
            from rounding import rounded

            digits = (params or {}).get("digits", 2)
            return rounded(model_input.sum(axis=1) * self.scale + self.offset, digits)

    frame, _ = _iris()
    answer = frame.sum(axis=1)
    mlflow.pyfunc.save_model(
        path,
        python_model=Shift(),
        artifacts={"offset": str(artifact)},
        model_config={"scale": 0.5},
        code_paths=[str(helper)],
        pip_requirements=_pins(*PYFUNC),
        **_described(frame, answer, params={"digits": 2}),
    )


_FROM_CODE = '''\
"""Doubles every number; logged as code."""

import mlflow
import pandas as pd
from mlflow.models import ModelConfig, set_model

CONFIG = ModelConfig(development_config={"factor": 1})


class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input * CONFIG.get("factor")


set_model(Double())
'''


def pyfunc_code(path):
    import mlflow.pyfunc

    source = AUTHOR / "src" / "double.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(_FROM_CODE)
    frame, _ = _iris()
    mlflow.pyfunc.save_model(
        path,
        python_model=str(source),
        model_config={"factor": 2},
        pip_requirements=_pins(*PYFUNC),
        **_described(frame, frame),
    )


def pyfunc_function(path):
    """A plain function with type hints: the signature comes from them."""
    import mlflow.pyfunc

    def lengths(words: list[str]) -> list[int]:
        return [len(word) for word in words]

    mlflow.pyfunc.save_model(
        path,
        python_model=lengths,
        input_example=["a", "bcd", ""],
        pip_requirements=_pins(*PYFUNC),
    )


def pyfunc_loader(path):
    """A loader module of the author's own: mlflow is not needed to load or to predict."""
    import mlflow.pyfunc

    source = AUTHOR / "src" / "table_loader.py"
    data = AUTHOR / "src" / "weights.json"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(
        textwrap.dedent(
            """\
            import json

            import numpy as np


            class Weighted:
                def __init__(self, weights):
                    self.weights = np.asarray(weights)

                def predict(self, data):
                    return data.to_numpy() @ self.weights


            def _load_pyfunc(data_path):
                with open(data_path) as file:
                    return Weighted(json.load(file))
            """
        )
    )
    data.write_text(json.dumps([0.5, 0.25, 2.0, -1.0]))
    frame, _ = _iris()
    mlflow.pyfunc.save_model(
        path,
        loader_module="table_loader",
        data_path=str(data),
        code_paths=[str(source)],
        pip_requirements=_pins(*PYFUNC),
        **_described(frame, frame.sum(axis=1)),
    )


_NEEDS_MLFLOW = '''\
"""Uses a part of mlflow that no stand-in offers."""

import mlflow
import pandas as pd
from mlflow.models import set_model
from mlflow.utils.string_utils import strip_prefix


class Stripped(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return [strip_prefix(word, "id-") for word in model_input["word"]]


set_model(Stripped())
'''


def pyfunc_mlflow(path):
    import mlflow.pyfunc
    import pandas as pd

    source = AUTHOR / "src" / "stripped.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(_NEEDS_MLFLOW)
    frame = pd.DataFrame({"word": ["id-7", "name", "id-"]})
    mlflow.pyfunc.save_model(
        path,
        python_model=str(source),
        pip_requirements=_pins(*PYFUNC),
        **_described(frame, ["7", "name", ""]),
    )


def sklearn_mlflow2(path):
    """As MLflow 2.22 wrote it by default: cloudpickle, model.pkl, no model id."""
    frame, target = _iris()
    _save_sklearn(
        _scaled_logistic().fit(frame, target),
        frame,
        path,
        pins=("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy"),
    )


def xgboost_mlflow2(path):
    import mlflow.xgboost
    import xgboost

    model, frame = _xgb_booster()
    answer = model.predict(xgboost.DMatrix(frame))
    mlflow.xgboost.save_model(
        model, path, model_format="xgb", pip_requirements=_pins(*XGBOOST),
        **_described(frame, answer),
    )  # fmt: skip


def _catboost(model, frame, path):
    import mlflow.catboost

    mlflow.catboost.save_model(
        model, path, pip_requirements=_pins(*CATBOOST), **_described(frame, model.predict(frame))
    )


_CATBOOST = {"depth": 3, "random_seed": 0, "thread_count": 1, "verbose": 0,
             "allow_writing_files": False}  # fmt: skip


def catboost_classifier(path):
    from catboost import CatBoostClassifier

    frame, target = _iris()
    _catboost(CatBoostClassifier(iterations=6, **_CATBOOST).fit(frame, target), frame, path)


def catboost_categories(path):
    """A column of words, which only a DataFrame can hold beside numbers."""
    import numpy as np
    from catboost import CatBoostRegressor

    frame, target = _diabetes()
    frame = frame[["bmi", "bp"]].assign(plan=np.tile(["basic", "plus"], len(frame))[: len(frame)])
    model = CatBoostRegressor(iterations=8, **_CATBOOST).fit(frame, target, cat_features=["plan"])
    _catboost(model, frame, path)


def _statsmodels_formula(path, storage):
    import mlflow.statsmodels
    import pandas as pd
    import statsmodels.formula.api as smf

    with pd.option_context("mode.string_storage", storage):
        frame, target = _diabetes()
        frame = frame[["bmi", "bp", "s5"]].rename(columns=str)
        model = smf.ols("target ~ bmi * bp + s5", data=frame.assign(target=target)).fit()
    mlflow.statsmodels.save_model(
        model,
        path,
        remove_data=True,
        pip_requirements=_pins(*STATSMODELS),
        **_described(frame, model.predict(frame)),
    )


def statsmodels_formula(path):
    _statsmodels_formula(path, "python")


def statsmodels_arrow(path):
    """As pandas 3 is by default where pyarrow is installed: the names of columns lie in it."""
    _statsmodels_formula(path, "auto")


def statsmodels_series(path):
    """A time series: asked with one row that has `start` and `end`."""
    import mlflow.statsmodels
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from statsmodels.tsa.arima.model import ARIMA

    steps = np.arange(40)
    model = ARIMA(np.sin(steps / 3) + steps * 0.1, order=(1, 0, 0)).fit()
    asked = pd.DataFrame({"start": [10], "end": [45]})
    mlflow.statsmodels.save_model(
        model,
        path,
        pip_requirements=_pins(*STATSMODELS),
        signature=infer_signature(asked, model.predict(10, 45)),
        input_example=asked,
    )


def _prophet(path, **settings):
    import mlflow.prophet
    import numpy as np
    import pandas as pd
    from prophet import Prophet

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    days = pd.date_range("2025-01-06", periods=120, freq="D")
    steps = np.arange(len(days))
    history = pd.DataFrame({"ds": days, "y": 20 + 0.1 * steps + 3 * np.sin(steps * 2 * np.pi / 7)})
    model = Prophet(n_changepoints=5, yearly_seasonality=False, **settings).fit(history, seed=0)
    asked = pd.DataFrame({"ds": pd.date_range("2025-05-01", periods=5, freq="D")})
    mlflow.prophet.save_model(
        model, path, pip_requirements=_pins(*PROPHET), **_described(asked, model.predict(asked))
    )


def prophet_bounds(path):
    """As Prophet is by default: the bounds of its forecast are drawn at random."""
    _prophet(path)


def prophet_point(path):
    _prophet(path, uncertainty_samples=0)


def spacy_categories(path):
    import mlflow.spacy
    import pandas as pd
    import spacy
    from mlflow.models import infer_signature
    from spacy.training import Example

    spacy.util.fix_random_seed(0)
    texts = ["good fine great", "bad poor awful", "a fine day", "an awful day", "great", "poor"]
    pipeline = spacy.blank("en")
    bag = {"@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "ngram_size": 1,
           "no_output_layer": False, "length": 512}  # fmt: skip
    pipeline.add_pipe("textcat", config={"model": bag})
    examples = [
        Example.from_dict(
            pipeline.make_doc(text), {"cats": {"GOOD": float(at % 2 == 0), "BAD": float(at % 2)}}
        )
        for at, text in enumerate(texts)
    ]
    pipeline.initialize(lambda: examples)
    for _ in range(20):
        pipeline.update(examples)
    frame = pd.DataFrame({"text": texts})
    answer = pd.DataFrame({"predictions": [pipeline(text).cats for text in texts]})
    mlflow.spacy.save_model(
        pipeline,
        path,
        signature=infer_signature(frame, answer),
        input_example=frame.head(5),
        pip_requirements=_pins(*SPACY),
    )


def _torch_module():
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).eval()


def pytorch_pt2(path):
    import mlflow.pytorch
    import numpy as np
    import torch
    from mlflow.models import infer_signature

    module = _torch_module()
    table = np.random.default_rng(0).random((6, 4), dtype="float32")
    with torch.no_grad():
        answer = module(torch.from_numpy(table)).numpy()
    mlflow.pytorch.save_model(
        module,
        path,
        serialization_format="pt2",
        signature=infer_signature(table, answer),
        input_example=table,
        pip_requirements=_pins(*TORCH),
    )


def pytorch_pickle(path):
    """Columns in, columns out; pickled as MLflow did it by default before 3.14."""
    import mlflow.pytorch
    import numpy as np
    import pandas as pd
    import torch

    module = _torch_module()
    table = np.random.default_rng(0).random((6, 4))
    frame = pd.DataFrame(table, columns=["a", "b", "c", "d"])
    with torch.no_grad():
        answer = pd.DataFrame(module(torch.from_numpy(table.astype("float32"))).numpy())
    answer.columns = ["0", "1", "2"]
    mlflow.pytorch.save_model(
        module,
        path,
        serialization_format="pickle",
        pip_requirements=_pins(*TORCH),
        **_described(frame, answer),
    )


def _from_code(name, text):
    source = AUTHOR / "src" / f"{name}.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    return str(source)


_RESPONSES_AGENT = '''\
"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse


class Reverse(ResponsesAgent):
    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        words = str(request.input[-1].content).split()
        item = self.create_text_output_item(" ".join(reversed(words)), id="msg_1")
        return ResponsesAgentResponse(output=[item], custom_outputs=request.custom_inputs)


set_model(Reverse())
'''

_CHAT_AGENT = '''\
"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ChatAgent
from mlflow.types.agent import ChatAgentMessage, ChatAgentResponse


class Reverse(ChatAgent):
    def predict(self, messages, context=None, custom_inputs=None):
        words = messages[-1].content.split()
        answer = ChatAgentMessage(role="assistant", content=" ".join(reversed(words)), id="msg_1")
        return ChatAgentResponse(messages=[answer], custom_outputs=custom_inputs)


set_model(Reverse())
'''

_CHAT_MODEL = '''\
"""Answers with the words of the last message, in reverse."""

from mlflow.models import set_model
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage


class Reverse(ChatModel):
    def predict(self, context, messages, params):
        words = messages[-1].content.split()[: params.max_tokens]
        message = ChatMessage(role="assistant", content=" ".join(reversed(words)))
        choice = ChatChoice(index=0, message=message)
        return ChatCompletionResponse(choices=[choice], model="reverse", created=1)


set_model(Reverse())
'''

_CHAIN = '''\
"""A prompt, a model that repeats it, and the text of its answer."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from mlflow.models import set_model

prompt = ChatPromptTemplate.from_template("Say {word} {times} times.")
repeat = RunnableLambda(lambda value: value.to_messages()[-1].content.upper())
set_model(prompt | repeat | StrOutputParser())
'''

_QUESTION = {"role": "user", "content": "one two three"}


def agent_responses(path):
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path,
        python_model=_from_code("responses_agent", _RESPONSES_AGENT),
        input_example={"input": [_QUESTION]},
        pip_requirements=_pins(*AGENT),
    )


def agent_chat(path):
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path,
        python_model=_from_code("chat_agent", _CHAT_AGENT),
        input_example={"messages": [_QUESTION]},
        pip_requirements=_pins(*AGENT),
    )


def agent_chat_model(path):
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path,
        python_model=_from_code("chat_model", _CHAT_MODEL),
        input_example={"messages": [_QUESTION], "max_tokens": 2},
        pip_requirements=_pins(*AGENT),
    )


def langchain_chain(path):
    import mlflow.langchain
    from mlflow.models import infer_signature

    asked = {"word": "yes", "times": "two"}
    mlflow.langchain.save_model(
        _from_code("chain", _CHAIN),
        path,
        input_example=asked,
        signature=infer_signature(asked, ["SAY YES TWO TIMES."]),
        pip_requirements=_pins(*LANGCHAIN),
    )


def _keras_module():
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")]
    )


def keras_jax(path):
    """Keras 3 on JAX: MLflow writes the backend down."""
    import mlflow.keras
    import numpy as np
    from mlflow.models import infer_signature

    model = _keras_module()
    table = np.random.default_rng(0).random((6, 4), dtype="float32")
    path.mkdir(parents=True)  # MLflow writes the example before it makes the folder
    mlflow.keras.save_model(
        model,
        str(path),
        signature=infer_signature(table, model.predict(table, verbose=0)),
        input_example=table,
        pip_requirements=_pins(*KERAS),
    )


def tensorflow_keras(path):
    import mlflow.tensorflow
    import numpy as np
    from mlflow.models import infer_signature

    model = _keras_module()
    table = np.random.default_rng(0).random((6, 4), dtype="float32")
    mlflow.tensorflow.save_model(
        model,
        str(path),
        keras_model_kwargs={"save_format": "keras"},
        signature=infer_signature(table, model.predict(table, verbose=0)),
        input_example=table,
        pip_requirements=_pins(*TENSORFLOW),
    )


def tensorflow_module(path):
    import mlflow.tensorflow
    import numpy as np
    import tensorflow as tf
    from mlflow.models import infer_signature

    class Affine(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(tf.random.stateless_normal((4, 3), seed=(0, 1)))

        @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32)])
        def __call__(self, table):
            return tf.tanh(table @ self.weights)

    module = Affine()
    table = np.random.default_rng(0).random((6, 4), dtype="float32")
    mlflow.tensorflow.save_model(
        module,
        str(path),
        signature=infer_signature(table, module(table).numpy()),
        input_example=table,
        pip_requirements=_pins(*TENSORFLOW),
    )


def _tiny_tokenizer(*special):
    """Of a few words; nothing is downloaded."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *"good fine great bad poor awful a an day".split(), *special]
    tokens = Tokenizer(
        WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]")  # noqa: S106
    )
    tokens.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens,
        unk_token="[UNK]",  # noqa: S106
        pad_token="[PAD]",  # noqa: S106
        model_max_length=16,
    )
    return tokenizer, len(words)


def _bert(words, **more):
    from transformers import BertConfig

    return BertConfig(vocab_size=words, hidden_size=8, num_hidden_layers=1,
                      num_attention_heads=2, intermediate_size=16,
                      max_position_embeddings=16, **more)  # fmt: skip


def _tiny_encoder():
    """A transformer of random weights that knows a few words."""
    import torch
    from transformers import BertModel

    tokenizer, words = _tiny_tokenizer()
    torch.manual_seed(0)
    return BertModel(_bert(words)).eval(), tokenizer


def _transformers(path, task, make, tokenizer, example, **more):
    """A pipeline of random weights, its model made by `make`; saved through a folder of its own."""
    import mlflow.transformers
    import torch
    import transformers

    torch.manual_seed(0)
    folder = AUTHOR / "src" / f"pipeline-{task}"
    make().eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    pipeline = transformers.pipeline(task, model=str(folder), tokenizer=str(folder), device="cpu")
    mlflow.transformers.save_model(
        pipeline, path, input_example=example, pip_requirements=_pins(*TRANSFORMERS), **more
    )


_TEXTS = ["a good day", "an awful day", "great"]


def transformers_classes(path):
    from transformers import BertForSequenceClassification as Model

    tokenizer, words = _tiny_tokenizer()
    labels = {0: "negative", 1: "neutral", 2: "positive"}
    config = _bert(words, num_labels=3, id2label=labels)
    _transformers(path, "text-classification", lambda: Model(config), tokenizer, _TEXTS)


def transformers_tokens(path):
    from transformers import BertForTokenClassification as Model

    tokenizer, words = _tiny_tokenizer()
    config = _bert(words, num_labels=3, id2label={0: "A", 1: "B", 2: "C"})
    _transformers(path, "token-classification", lambda: Model(config), tokenizer, _TEXTS)


def transformers_mask(path):
    from transformers import BertForMaskedLM as Model

    tokenizer, words = _tiny_tokenizer("[MASK]")
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    texts = ["a [MASK] day", "an awful [MASK]", "[MASK]"]
    _transformers(path, "fill-mask", lambda: Model(_bert(words)), tokenizer, texts)


def transformers_features(path):
    from transformers import BertModel as Model

    tokenizer, words = _tiny_tokenizer()
    _transformers(path, "feature-extraction", lambda: Model(_bert(words)), tokenizer, _TEXTS)


def transformers_zero_shot(path):
    from transformers import BertForSequenceClassification as Model

    tokenizer, words = _tiny_tokenizer()
    labels = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config = _bert(words, num_labels=3, id2label=labels, label2id={v: k for k, v in labels.items()})
    asked = {
        "sequences": "a good day",
        "candidate_labels": ["good", "bad", "fine"],
        "hypothesis_template": "a {} day",
    }
    _transformers(path, "zero-shot-classification", lambda: Model(config), tokenizer, asked)


def transformers_text(path):
    """Greedy, so that what is generated is always the same; with a parameter of its own."""
    from transformers import GPT2Config
    from transformers import GPT2LMHeadModel as Model

    tokenizer, words = _tiny_tokenizer()
    config = GPT2Config(vocab_size=words, n_positions=64, n_embd=8, n_layer=1, n_head=2,
                        bos_token_id=0, eos_token_id=0, pad_token_id=0)  # fmt: skip
    _transformers(
        path,
        "text-generation",
        lambda: Model(config),
        tokenizer,
        (["a good day", "an awful day"], {"max_new_tokens": 4}),
        model_config={"do_sample": False},
    )


def _sentence_transformer(path, **more):
    import mlflow.sentence_transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    encoder, tokenizer = _tiny_encoder()
    folder = AUTHOR / "src" / "encoder"
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    words = Transformer(str(folder))
    model = SentenceTransformer(modules=[words, Pooling(8)], device="cpu")
    mlflow.sentence_transformers.save_model(
        model, path, pip_requirements=_pins(*SENTENCES), **more
    )


def sentences_vectors(path):
    _sentence_transformer(path, input_example=["a good day", "an awful day", "great"])


def sentences_service(path):
    """As an embeddings service answers; asked with `input`."""
    _sentence_transformer(
        path, task="llm/v1/embeddings", input_example={"input": ["a good day", "great"]}
    )


GROUPS = {
    "current": (
        sklearn_skops,
        sklearn_pickle,
        sklearn_cloudpickle_proba,
        sklearn_boosting,
        sklearn_columns,
        sklearn_bare,
        sklearn_tensor,
        sklearn_code_paths,
        xgboost_booster,
        xgboost_booster_params,
        xgboost_classifier,
        lightgbm_booster,
        lightgbm_classifier,
        onnx_tensor,
        onnx_columns,
        pyfunc_pickle,
        pyfunc_code,
        pyfunc_function,
        pyfunc_loader,
        pyfunc_mlflow,
    ),
    "mlflow2": (sklearn_mlflow2, xgboost_mlflow2),
    "flavors": (
        catboost_classifier,
        catboost_categories,
        statsmodels_arrow,
        statsmodels_formula,
        statsmodels_series,
        prophet_bounds,
        prophet_point,
        spacy_categories,
    ),
    "torch": (pytorch_pt2, pytorch_pickle),
    "agents": (agent_responses, agent_chat, agent_chat_model, langchain_chain),
    "keras": (keras_jax,),
    "sentences": (sentences_vectors, sentences_service),
    "transformers": (
        transformers_classes,
        transformers_features,
        transformers_mask,
        transformers_text,
        transformers_tokens,
        transformers_zero_shot,
    ),
    "tensorflow": (tensorflow_keras, tensorflow_module),
}
_MAKERS = {maker.__name__: maker for group in GROUPS.values() for maker in group}


def make(into: Path, names: tuple[str, ...]) -> None:
    """Make the models named, each in a folder of its own under `into`."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    into.mkdir(parents=True, exist_ok=True)
    for name in names:
        _MAKERS[name](into / name)


def _record(into: Path, group: str) -> None:
    names = sorted(
        {*SKLEARN, *XGBOOST, *LIGHTGBM, *ONNX, *CATBOOST, *STATSMODELS, *PROPHET, *SPACY, *TORCH}
        | {*KERAS, *TENSORFLOW, *LANGCHAIN, *SENTENCES, *TRANSFORMERS}
        | {"mlflow", "xgboost-cpu", "skl2onnx"}
    )
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    file = into / "versions.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known[group] = found
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--group", choices=sorted(GROUPS))
    arguments = parser.parse_args()
    names = tuple(arguments.names)
    if arguments.group:
        names += tuple(maker.__name__ for maker in GROUPS[arguments.group])
    scratch = AUTHOR / "models"
    shutil.rmtree(scratch, ignore_errors=True)
    make(scratch, names)
    arguments.into.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.rmtree(arguments.into / name, ignore_errors=True)
        shutil.copytree(
            scratch / name, arguments.into / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    if arguments.group:
        _record(arguments.into, arguments.group)


if __name__ == "__main__":
    main()
