"""MLflow's switches hold here as in MLflow, and what is proposed instead loads under them."""

from __future__ import annotations

from typing import Any

import pytest

from packager.errors import ConfigurationError, PlanError
from packager.pipeline.plan._switches import check_switches
from packager.types import Requirements, ResolvedModel
from tests import fake_plan

PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
CODE = "MLFLOW_ALLOW_MODEL_CODE_EXECUTION"


def _model(module: str, *lines: str, pyfunc: Any = None, **conf: Any) -> ResolvedModel:
    name = module.removeprefix("mlflow.").partition(".")[0]
    flavors = {"python_function": {"loader_module": module, **(pyfunc or {})}, name: conf}
    return fake_plan.model(flavors=flavors, requirements=Requirements(lines=lines))


SKOPS = _model("mlflow.sklearn", serialization_format="skops")
PICKLED = _model("mlflow.sklearn", serialization_format="cloudpickle")


@pytest.mark.parametrize(
    ("model", "unpickled", "why", "way"),
    [
        (SKOPS, (), "refuse skops too", "skl2onnx"),
        (PICKLED, ("model.pkl",), r"unpickles model\.pkl", "skl2onnx"),
        (_model("mlflow.lightgbm", serialization_format="skops"), (), "refuse skops", "booster_"),
        (_model("mlflow.lightgbm"), ("model.pkl",), "unpickles", "booster_"),
        (_model("mlflow.pyfunc.model"), ("python_model.pkl",), "unpickles", "models-from-code"),
        (_model("mlflow.pytorch"), ("data/model.pth",), "unpickles", "pt2"),
        (_model("mlflow.pytorch", "torch==2.9.1+cpu"), (), r"2\.10 on, not 2\.9\.1", "pt2"),
        (_model("mlflow.tensorflow"), ("data/custom.cloudpickle",), "unpickles", "custom objects"),
        (_model("mlflow.statsmodels"), ("model.statsmodels",), "unpickles", "unset"),
        (_model("mlflow.langchain"), (".",), "may unpickle", "models-from-code"),
        (_model("mlflow.dspy", model_path="model.pkl"), (".",), "may unpickle", "use_dspy"),
        (_model("mlflow.pmdarima"), (".",), "may unpickle", "unset"),
        (_model("mlflow.paddle"), (".",), "may unpickle", "unset"),
        (_model("mlflow.shap"), (".",), "may unpickle", "unset"),
        (_model("mlflow.of_tomorrow"), (".",), "may unpickle", "unset"),
    ],
)
@pytest.mark.parametrize("value", ["false", "False", "0"])
def test_what_mlflow_refuses_to_unpickle_is_refused(
    model: ResolvedModel,
    unpickled: tuple[str, ...],
    why: str,
    way: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_switches(model, unpickled)
    monkeypatch.setenv(PICKLES, value)
    with pytest.raises(
        PlanError, match=rf"(?is){PICKLES}=false.*{why}.*{way}.* {PICKLES} for"
    ) as caught:
        check_switches(model, unpickled)
    hint = str(caught.value).rpartition("  - ")[2].partition("\n")[2]
    assert "skops" not in hint


@pytest.mark.parametrize(
    ("model", "unpickled"),
    [
        (_model("mlflow.onnx"), ()),
        (_model("mlflow.xgboost"), ()),
        (_model("mlflow.lightgbm", model_class="lightgbm.basic.Booster"), ()),
        (_model("mlflow.pyfunc.model", pyfunc={"model_code_path": "m.py"}), ()),
        (_model("mlflow.pytorch", "torch==2.10.0"), ()),
        (_model("mlflow.pytorch", "torch>=2.1"), ()),
        (_model("mlflow.openai"), (".",)),
        (_model("mlflow.llama_index"), (".",)),
        (_model("mlflow.langchain", model_code_path="chain.py"), (".",)),
        (_model("mlflow.dspy", model_path="model"), (".",)),
    ],
)
def test_what_mlflow_loads_without_pickles_is_built(
    model: ResolvedModel, unpickled: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PICKLES, "false")
    monkeypatch.setenv(CODE, "TRUE")
    check_switches(model, unpickled)


@pytest.mark.parametrize("model", [SKOPS, PICKLED, _model("mlflow.onnx"), _model("own.loader")])
def test_without_model_code_no_python_function_loads(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CODE, "0")
    with pytest.raises(PlanError, match=rf"{CODE}=false: MLflow 3\.18(?s:.)*Unset {CODE} for"):
        check_switches(model, ())


def test_both_are_named_where_both_forbid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PICKLES, "false")
    monkeypatch.setenv(CODE, "false")
    with pytest.raises(PlanError, match=rf"Unset {PICKLES} and {CODE}"):
        check_switches(PICKLED, ("model.pkl",))


@pytest.mark.parametrize("value", ["no", "", "off", " false"])
def test_a_value_that_mlflow_does_not_take_is_said(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PICKLES, value)
    with pytest.raises(ConfigurationError, match="takes true, false, 1 or 0"):
        check_switches(SKOPS, ())
