"""What each flavor needs, read from the model's files without running what they hold."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers import loaders
from handlers.loaders import transformers as pipelines
from packager.errors import ModelFormatError, PlanError
from packager.models import flavors
from packager.models.flavors import FLAVORS, _look, choose, transformers
from packager.types import Flavor, Frame, ResolvedModel, Tier
from tests import models
from tests.handlers.modelling import resolved

BOTH = (Frame.NUMPY, Frame.PANDAS)
# model: flavor, tiers, frames
EXPECTED: dict[str, tuple[str, tuple[Tier, ...], tuple[Frame, ...]]] = {
    "sklearn_skops": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sklearn_pickle": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sklearn_cloudpickle_proba": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sklearn_boosting": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sklearn_columns": ("sklearn", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "sklearn_bare": ("sklearn", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "sklearn_tensor": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sklearn_code_paths": ("sklearn", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "sklearn_mlflow2": ("sklearn", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "xgboost_booster": ("xgboost", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "xgboost_booster_params": ("xgboost", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "xgboost_classifier": ("xgboost", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "xgboost_mlflow2": ("xgboost", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "lightgbm_booster": ("lightgbm", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "lightgbm_classifier": ("lightgbm", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "onnx_tensor": ("onnx", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "onnx_columns": ("onnx", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "pyfunc_pickle": ("python_function", (Tier.STUB, Tier.SKINNY), (Frame.PANDAS,)),
    "pyfunc_code": ("python_function", (Tier.STUB, Tier.SKINNY), (Frame.PANDAS,)),
    "pyfunc_function": ("python_function", (Tier.STUB, Tier.SKINNY), BOTH),
    "pyfunc_loader": ("python_function", tuple(Tier), (Frame.PANDAS,)),
    "pyfunc_mlflow": ("python_function", (Tier.SKINNY,), (Frame.PANDAS,)),
    "agent_responses": ("python_function", (Tier.SKINNY,), (Frame.PANDAS,)),
    "agent_chat": ("python_function", (Tier.SKINNY,), (Frame.PANDAS,)),
    "agent_chat_model": ("python_function", (Tier.SKINNY,), (Frame.PANDAS,)),
    "langchain_chain": ("unknown", (Tier.SKINNY,), (Frame.PANDAS,)),
    "catboost_classifier": ("catboost", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "catboost_categories": ("catboost", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "statsmodels_formula": ("statsmodels", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "statsmodels_arrow": ("statsmodels", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "statsmodels_series": ("statsmodels", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "prophet_bounds": ("prophet", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "prophet_point": ("prophet", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    "spacy_categories": ("spacy", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "pytorch_pt2": ("pytorch", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "pytorch_pickle": ("pytorch", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "sentences_vectors": (
        "sentence_transformers",
        (Tier.NATIVE, Tier.SKINNY),
        (Frame.PANDAS,),
    ),
    "sentences_service": (
        "sentence_transformers",
        (Tier.NATIVE, Tier.SKINNY),
        (Frame.PANDAS,),
    ),
    **dict.fromkeys(
        (
            "transformers_classes",
            "transformers_features",
            "transformers_mask",
            "transformers_text",
            "transformers_tokens",
            "transformers_zero_shot",
        ),
        ("transformers", (Tier.NATIVE, Tier.SKINNY), (Frame.PANDAS,)),
    ),
    "keras_jax": ("keras", (Tier.NATIVE,), BOTH),
    "tensorflow_keras": ("tensorflow", (Tier.NATIVE, Tier.SKINNY), BOTH),
    "tensorflow_module": ("tensorflow", (Tier.NATIVE, Tier.SKINNY), BOTH),
}


def model(name: str) -> ResolvedModel:
    return resolved(models.folder(name))


def copied(name: str, into: Path) -> ResolvedModel:
    shutil.copytree(models.folder(name), into / name)
    return resolved(into / name)


def with_conf(found: ResolvedModel, flavor: str, **changes: Any) -> ResolvedModel:
    conf = {**found.flavors[flavor], **changes}
    return replace(found, flavors={**found.flavors, flavor: conf})


def test_every_made_model_is_expected() -> None:
    assert sorted(EXPECTED) == list(models.names())


@pytest.mark.parametrize("name", EXPECTED)
def test_flavor_tiers_and_frames(name: str) -> None:
    found = choose(model(name))
    assert (found.name, found.tiers, found.frames(model(name))) == EXPECTED[name]


def test_index_files_and_loaders_agree() -> None:
    folder = Path(str(flavors.__file__)).parent
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert files == set(FLAVORS) == {flavor.name for flavor in FLAVORS.values()}
    shipped = {path.stem for path in Path(str(loaders.__file__)).parent.glob("[!_]*.py")}
    served = {"compiled", "machine_code", "machine_code_plain", "mlflow", "pyfunc"}
    assert shipped == files - {"unknown", "python_function"} | served


@pytest.mark.parametrize("name", EXPECTED)
def test_every_reading_names_a_loader_that_ships(name: str) -> None:
    found = model(name)
    flavor = choose(found)
    folder = Path(str(loaders.__file__)).parent
    for tier in flavor.tiers:
        spec = flavor.read(found, tier, flavor.frames(found)[0])
        assert (folder / f"{spec.loader}.py").is_file()
        assert (spec.loader == "mlflow") is (tier is Tier.SKINNY)
        assert set(spec.requires).isdisjoint(spec.drops)
        json.dumps(dict(spec.options))


@pytest.mark.parametrize(
    ("name", "unpickled"),
    [
        ("sklearn_skops", ()),
        ("sklearn_pickle", ("model.pkl",)),
        ("sklearn_mlflow2", ("model.pkl",)),
        ("xgboost_classifier", ()),
        ("lightgbm_classifier", ()),
        ("onnx_columns", ()),
        ("pyfunc_pickle", ("python_model.pkl",)),
        ("pyfunc_code", ()),
        ("catboost_classifier", ()),
        ("statsmodels_formula", ("model.statsmodels",)),
        ("prophet_bounds", ()),
        ("spacy_categories", ()),
        ("pytorch_pt2", ()),
        ("pytorch_pickle", ("data/model.pth",)),
        ("keras_jax", ()),
        ("sentences_vectors", ()),
        ("transformers_text", ()),
        ("tensorflow_keras", ()),
        ("tensorflow_module", ()),
    ],
)
def test_what_is_unpickled_is_said(name: str, unpickled: tuple[str, ...]) -> None:
    found = model(name)
    flavor = choose(found)
    assert {flavor.read(found, tier, Frame.PANDAS).unpickled for tier in flavor.tiers} == {
        unpickled
    }


@pytest.mark.parametrize(
    ("name", "frame", "requires", "drops"),
    [
        ("sklearn_skops", Frame.NUMPY, {"scikit-learn", "skops"}, {"pandas"}),
        ("sklearn_skops", Frame.PANDAS, {"scikit-learn", "skops", "pandas"}, set()),
        ("sklearn_pickle", Frame.NUMPY, {"scikit-learn"}, {"pandas", "skops"}),
        ("xgboost_classifier", Frame.NUMPY, {"xgboost", "scikit-learn"}, {"pandas", "skops"}),
        (
            "xgboost_booster",
            Frame.NUMPY,
            {"xgboost"},
            {"pandas", "skops", "scikit-learn", "cloudpickle"},
        ),
        (
            "lightgbm_booster",
            Frame.PANDAS,
            {"lightgbm", "pandas"},
            {"skops", "scikit-learn", "cloudpickle"},
        ),
        (
            "onnx_tensor",
            Frame.NUMPY,
            {"onnxruntime"},
            {"pandas", "onnx", "scikit-learn", "skl2onnx", "cloudpickle"},
        ),
        ("pyfunc_pickle", Frame.PANDAS, {"cloudpickle", "pandas"}, set()),
        ("pyfunc_function", Frame.NUMPY, {"cloudpickle"}, set()),
        (
            "catboost_classifier",
            Frame.PANDAS,
            {"catboost", "pandas"},
            {"scikit-learn", "skops", "cloudpickle"},
        ),
        (
            "statsmodels_formula",
            Frame.PANDAS,
            {"statsmodels", "pandas"},
            {"scikit-learn", "skops", "cloudpickle"},
        ),
        (
            "statsmodels_arrow",
            Frame.PANDAS,
            {"statsmodels", "pandas", "pyarrow"},
            {"scikit-learn", "skops", "cloudpickle"},
        ),
        ("prophet_bounds", Frame.PANDAS, {"prophet", "pandas"}, {"scikit-learn", "cloudpickle"}),
        ("spacy_categories", Frame.NUMPY, {"spacy"}, {"pandas", "scikit-learn", "cloudpickle"}),
        ("pytorch_pt2", Frame.NUMPY, {"torch", "numpy"}, {"pandas", "cloudpickle"}),
        ("pytorch_pickle", Frame.NUMPY, {"torch", "numpy", "cloudpickle"}, {"pandas"}),
        (
            "sentences_service",
            Frame.PANDAS,
            {"sentence-transformers", "pandas"},
            {"cloudpickle"},
        ),
        (
            "transformers_classes",
            Frame.PANDAS,
            {"transformers", "torch", "numpy", "pandas"},
            {"cloudpickle"},
        ),
        ("keras_jax", Frame.NUMPY, {"keras", "jax", "numpy"}, {"pandas", "cloudpickle"}),
        ("tensorflow_keras", Frame.NUMPY, {"tensorflow", "numpy"}, {"pandas", "cloudpickle"}),
        ("tensorflow_module", Frame.PANDAS, {"tensorflow", "numpy", "pandas"}, {"cloudpickle"}),
    ],
)
def test_what_serving_needs(name: str, frame: Frame, requires: set[str], drops: set[str]) -> None:
    found = model(name)
    flavor = choose(found)
    spec = flavor.read(found, flavor.tiers[0], frame)
    assert (set(spec.requires), set(spec.drops)) == (requires, drops)


def test_last_tier_needs_mlflow_skinny_and_drops_nothing() -> None:
    spec = FLAVORS["onnx"].read(model("onnx_columns"), Tier.SKINNY, Frame.PANDAS)
    assert set(spec.requires) == {"mlflow-skinny", "numpy", "pandas", "onnxruntime"}
    assert spec.drops == ()


def test_options_of_a_python_model() -> None:
    found = model("pyfunc_pickle")
    spec = choose(found).read(found, Tier.STUB, Frame.PANDAS)
    assert spec.options == {
        "code": ["code"],
        "config": {"scale": 0.5},
        "artifacts": {"offset": "artifacts/offset.json"},
        "predict_fn": "predict",
        "stub": True,
        "python_model": "python_model.pkl",
        "compression": None,
    }


def test_code_models_keep_the_file_s_name_alone() -> None:
    spec = choose(model("pyfunc_code")).read(model("pyfunc_code"), Tier.STUB, Frame.PANDAS)
    assert spec.options["model_code"] == "double.py"


def test_predict_fn_is_the_model_s() -> None:
    found = model("sklearn_cloudpickle_proba")
    options = choose(found).read(found, Tier.NATIVE, Frame.NUMPY).options
    assert (options["predict_fn"], options["format"]) == ("predict_proba", "cloudpickle")


@pytest.mark.parametrize("tier", [Tier.NATIVE, Tier.SKINNY])
def test_a_method_that_mlflow_does_not_load_is_refused(tier: Tier) -> None:
    found = model("sklearn_cloudpickle_proba")
    conf = {**found.pyfunc, "predict_fn": "transform"}
    strange = replace(found, flavors={**found.flavors, "python_function": conf})
    with pytest.raises(
        ModelFormatError, match="pyfunc_predict_fn as one of predict, predict_proba"
    ):
        FLAVORS["sklearn"].read(strange, tier, Frame.PANDAS)
    earlier = replace(strange, mlflow_version="2.9.2")
    FLAVORS["sklearn"].read(earlier, tier, Frame.PANDAS)


def test_unknown_flavor_is_packaged_by_the_last_tier_and_says_so() -> None:
    found = model("sklearn_skops")
    conf = {**found.pyfunc, "loader_module": "mlflow.paddle"}
    strange = replace(found, flavors={"paddle": {}, "python_function": conf})
    flavor = choose(strange)
    (note,) = flavor.read(strange, Tier.SKINNY, Frame.PANDAS).notes
    assert (flavor.name, flavor.tiers) == ("unknown", (Tier.SKINNY,))
    assert "mlflow.paddle" in note


@pytest.mark.parametrize("name", ["h2o", "spark", "johnsnowlabs"])
def test_what_needs_java_is_refused_with_the_reason(name: str) -> None:
    found = model("sklearn_skops")
    conf = {**found.pyfunc, "loader_module": f"mlflow.{name}"}
    with pytest.raises(PlanError, match=rf"A {name} model cannot be packaged: .*Java") as caught:
        choose(replace(found, flavors={name: {}, "python_function": conf}))
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "summarization"},
        {"inference_task": "llm/v1/chat"},
        {"peft_adaptor": "peft"},
        {"components": ["tokenizer", "image_processor"]},
        {"framework": "tf"},
    ],
)
def test_a_pipeline_that_mlflow_itself_serves(changes: dict[str, Any]) -> None:
    found = with_conf(model("transformers_text"), "transformers", **changes)
    flavor = choose(found)
    spec = flavor.read(found, Tier.SKINNY, Frame.PANDAS)
    assert (flavor.name, flavor.tiers) == ("transformers", (Tier.SKINNY,))
    assert {"mlflow-skinny", "transformers"} <= set(spec.requires)
    assert "is served by MLflow itself" in spec.notes[0]


def test_a_pipeline_over_other_columns_than_texts_is_left_to_mlflow() -> None:
    found = model("transformers_text")
    signature = {**(found.signature or {}), "inputs": [{"type": "binary"}]}
    assert choose(replace(found, signature=signature)).tiers == (Tier.SKINNY,)


@pytest.mark.parametrize(
    "changes", [{"source_model_revision": "0" * 40}, {"local_base_model_path": "/base"}]
)
def test_a_pipeline_without_its_weights_is_refused(changes: dict[str, str]) -> None:
    found = with_conf(model("transformers_text"), "transformers", **changes)
    with pytest.raises(PlanError, match="persist_pretrained_model"):
        choose(found)


def test_options_of_a_pipeline(tmp_path: Path) -> None:
    found = copied("transformers_mask", tmp_path)
    with (found.root / "MLmodel").open("a", encoding="utf-8") as file:
        file.write("metadata:\n  prompt_template: 'say {prompt}'\n")
    assert choose(found).read(found, Tier.NATIVE, Frame.PANDAS).options == {
        "task": "fill-mask",
        "model": "model",
        "model_class": "BertForMaskedLM",
        "tokenizer": "components/tokenizer",
        "tokenizer_class": "TokenizersBackend",
        "dtype": "torch.float32",
        "config": {},
        "prompt_template": "say {prompt}",
        "code": [],
    }


def test_both_halves_know_the_same_tasks() -> None:
    assert pipelines.TASKS == transformers.TASKS


def test_a_class_that_catboost_does_not_have() -> None:
    found = with_conf(model("catboost_classifier"), "catboost", model_type="CatBoostOther")
    with pytest.raises(ModelFormatError, match="CatBoostOther"):
        choose(found).read(found, Tier.NATIVE, Frame.PANDAS)


@pytest.mark.parametrize("change", [{"type": "double"}, {"required": False}])
def test_texts_that_need_a_dataframe(change: dict[str, Any]) -> None:
    found = _frames_with("spacy_categories", lambda inputs: inputs[0].update(**change))
    assert found == (Frame.PANDAS,)


@pytest.mark.parametrize(
    "module", ["mlflow.pyfunc.loaders.chat_model", "mlflow.pyfunc.loaders.responses_agent"]
)
def test_agents_need_mlflow(module: str) -> None:
    found = with_conf(model("pyfunc_pickle"), "python_function", loader_module=module)
    assert choose(found).tiers == (Tier.SKINNY,)


def test_type_hints_from_an_example_need_mlflow(tmp_path: Path) -> None:
    found = copied("pyfunc_pickle", tmp_path)
    file = found.root / "MLmodel"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("type_hint_from_example: false", "type_hint_from_example: true"))
    assert choose(found).tiers == (Tier.SKINNY,)


@pytest.mark.parametrize(
    "source", ["import mlflow.tracing", "from mlflow import x", "not python ("]
)
def test_loader_modules_that_import_mlflow_skip_the_native_tier(
    source: str, tmp_path: Path
) -> None:
    found = copied("pyfunc_loader", tmp_path)
    (found.root / "code" / "more.py").write_text(source, encoding="utf-8")
    assert choose(found).tiers == (Tier.STUB, Tier.SKINNY)


@pytest.mark.parametrize(
    ("source", "tiers"),
    [
        ("from mlflow.pyfunc import PythonModel", (Tier.STUB, Tier.SKINNY)),
        ("import mlflow\nfrom mlflow import pyfunc", (Tier.STUB, Tier.SKINNY)),
        ("from mlflow.models import set_model, ModelConfig", (Tier.STUB, Tier.SKINNY)),
        (
            "import mlflow\nmlflow.models.set_model(mlflow.pyfunc.PythonModel())",
            (Tier.STUB, Tier.SKINNY),
        ),
        ("import mlflow.pyfunc as p\nclass M(p.PythonModel): ...", (Tier.STUB, Tier.SKINNY)),
        (
            "import mlflow\n@mlflow.trace\ndef f(): return mlflow.__version__",
            (Tier.STUB, Tier.SKINNY),
        ),
        (
            "import mlflow\nif __name__ == '__main__':\n    mlflow.set_experiment('x')",
            (Tier.STUB, Tier.SKINNY),
        ),
        (
            "import typing\nif typing.TYPE_CHECKING:\n    from mlflow.types import Schema",
            (Tier.STUB, Tier.SKINNY),
        ),
        ("# mlflow.genai\nx = 'mlflow.genai'", (Tier.STUB, Tier.SKINNY)),
        ("try:\n    import mlflow.genai\nexcept ImportError: ...", (Tier.SKINNY,)),
        ("def f():\n    from mlflow.models import infer_signature", (Tier.SKINNY,)),
        ("import mlflow\ndef f(): return mlflow.models.infer_signature([1])", (Tier.SKINNY,)),
        ("import mlflow\ndef f(): return mlflow.get_tracking_uri()", (Tier.SKINNY,)),
        ("import mlflow as m\nclass A:\n    def f(self): m.log_metric('a', 1)", (Tier.SKINNY,)),
        ("from mlflow import models as m\nf = lambda: m.get_model_info('x')", (Tier.SKINNY,)),
        ("import mlflow\nf = lambda: getattr(mlflow, 'active_run')()", (Tier.SKINNY,)),
        ("import mlflow\nf = lambda n: getattr(mlflow, n)()", (Tier.SKINNY,)),
        (
            "import importlib\nf = lambda: importlib.import_module('mlflow.tracking')",
            (Tier.SKINNY,),
        ),
        ("from mlflow.types import Schema", (Tier.SKINNY,)),
        ("from mlflow.models import ModelSignature", (Tier.SKINNY,)),
        ("from mlflow import *", (Tier.SKINNY,)),
        ("import mlflow\nmlflow.sklearn.log_model", (Tier.SKINNY,)),
        ("not python (", (Tier.STUB, Tier.SKINNY)),
        ("from mlflow.pyfunc import PythonModel, ResponsesAgent", (Tier.SKINNY,)),
        ("import mlflow.genai", (Tier.SKINNY,)),
        ("from mlflow.utils.string_utils import strip_prefix", (Tier.SKINNY,)),
    ],
)
def test_a_script_that_asks_for_what_the_stand_in_lacks_skips_it(
    source: str, tiers: tuple[Tier, ...], tmp_path: Path
) -> None:
    found = copied("pyfunc_code", tmp_path)
    (found.root / "double.py").write_text(source, encoding="utf-8")
    assert choose(found).tiers == tiers


@pytest.mark.parametrize(
    ("name", "flavor", "changes", "says"),
    [
        ("keras_jax", "keras", {"keras_backend": "theano"}, "keras_backend is 'theano'"),
        ("keras_jax", "keras", {"save_exported_model": True}, "not in the model folder"),
        ("tensorflow_keras", "tensorflow", {"model_type": "tf1-estimator"}, "tf2-module"),
        ("tensorflow_keras", "tensorflow", {"save_format": "h5"}, "not in the model folder"),
        ("tensorflow_module", "tensorflow", {"saved_model_dir": "gone"}, "not in the model"),
    ],
)
def test_a_network_that_cannot_be_read_is_said(
    name: str, flavor: str, changes: dict[str, Any], says: str
) -> None:
    found = with_conf(model(name), flavor, **changes)
    with pytest.raises(ModelFormatError, match=says):
        choose(found).read(found, Tier.NATIVE, Frame.NUMPY)


def test_keras_options() -> None:
    found = model("keras_jax")
    spec = choose(found).read(found, Tier.NATIVE, Frame.NUMPY)
    assert spec.options == {"file": "data/model.keras", "format": "keras", "backend": "jax"}


def test_pickled_custom_objects_of_tensorflow_are_said(tmp_path: Path) -> None:
    found = copied("tensorflow_keras", tmp_path)
    (found.root / "data" / "custom_objects.cloudpickle").write_bytes(pickle.dumps({}))
    spec = choose(found).read(found, Tier.NATIVE, Frame.NUMPY)
    assert spec.unpickled == ("data/custom_objects.cloudpickle",)
    assert "cloudpickle" in spec.requires


def test_a_model_that_mlflow_cannot_serve() -> None:
    found = replace(model("sklearn_skops"), flavors={"sklearn": {}})
    with pytest.raises(ModelFormatError, match="no python_function flavor"):
        choose(found)


BROKEN: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("sklearn_skops", "sklearn", {"pickled_model": "gone.skops"}, "not in the model folder"),
    ("sklearn_skops", "sklearn", {"pickled_model": "../model.skops"}, "not a path inside"),
    ("sklearn_skops", "sklearn", {"pickled_model": "/etc/passwd"}, "not a path inside"),
    ("sklearn_skops", "sklearn", {"serialization_format": "joblib"}, "joblib"),
    ("sklearn_pickle", "sklearn", {"serialization_format": "skops"}, "not a skops file"),
    ("sklearn_skops", "sklearn", {"serialization_format": "pickle"}, "not a whole pickle"),
    ("xgboost_booster", "xgboost", {"data": None}, "not in the model folder"),
    ("onnx_tensor", "onnx", {"data": "a/../../b"}, "not a path inside"),
    ("transformers_text", "transformers", {"tokenizer_type": None}, "tokenizer_type is None"),
    ("transformers_text", "transformers", {"model_binary": "gone"}, "not in the model folder"),
    ("pyfunc_pickle", "python_function", {"python_model_compression": "zip"}, "zip"),
    ("pyfunc_pickle", "python_function", {"artifacts": {"a": {"path": "x"}}}, "artifact 'a'"),
    ("pyfunc_pickle", "python_function", {"code": "elsewhere"}, "code"),
)


@pytest.mark.parametrize(
    ("name", "flavor", "changes", "says"), BROKEN, ids=[str(n) for n in range(len(BROKEN))]
)
def test_what_cannot_be_read_is_said(
    name: str, flavor: str, changes: dict[str, Any], says: str
) -> None:
    found = with_conf(model(name), flavor, **changes)
    if changes == {"data": None}:
        found = with_conf(found, "python_function", data="gone.ubj")
    with pytest.raises(ModelFormatError, match=says):
        FLAVORS[choose(found).name].read(found, choose(found).tiers[0], Frame.PANDAS)


def _frames_with(name: str, change: Callable[[list[dict[str, Any]]], None]) -> tuple[Frame, ...]:
    found = model(name)
    assert found.signature is not None
    inputs = [dict(spec) for spec in found.signature["inputs"]]
    change(inputs)
    changed = replace(found, signature={**found.signature, "inputs": inputs})
    return choose(changed).frames(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda inputs: inputs[0].update(type="string"),
        lambda inputs: inputs[0].update(type="datetime"),
        lambda inputs: inputs[0].update(required=False),
        lambda inputs: inputs[0].update(type="array", items={"type": "double"}),
        list.clear,
    ],
    ids=["string", "datetime", "optional", "array", "none"],
)
@pytest.mark.parametrize("name", ["sklearn_skops", "onnx_columns", "lightgbm_booster"])
def test_columns_that_need_a_dataframe(name: str, change: Any) -> None:
    assert _frames_with(name, change) == (Frame.PANDAS,)


def test_lightgbm_with_categories_needs_a_dataframe(tmp_path: Path) -> None:
    found = copied("lightgbm_booster", tmp_path)
    file = found.root / "model.lgb"
    text = file.read_text(encoding="utf-8")
    assert "pandas_categorical:[]" in text
    file.write_text(text.replace("pandas_categorical:[]", 'pandas_categorical:[["a", "b"]]'))
    assert choose(found).frames(found) == (Frame.PANDAS,)


def test_xgboost_with_categories_needs_a_dataframe(tmp_path: Path) -> None:
    found = copied("xgboost_booster_params", tmp_path)
    file = found.root / "model.json"
    content = json.loads(file.read_bytes())
    content["learner"]["feature_types"][-1] = "c"
    file.write_text(json.dumps(content), encoding="utf-8")
    assert choose(found).frames(found) == (Frame.PANDAS,)


class _Malicious:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reading_a_pickle_runs_nothing_of_it(protocol: int, tmp_path: Path) -> None:
    found = copied("sklearn_pickle", tmp_path)
    made = tmp_path / "made-by-the-pickle"
    (found.root / "model.pkl").write_bytes(pickle.dumps(_Malicious(made), protocol=protocol))
    flavor: Flavor = choose(found)
    assert flavor.frames(found) == (Frame.PANDAS,)
    flavor.read(found, Tier.NATIVE, Frame.PANDAS)
    assert not made.exists()
    pickle.loads((found.root / "model.pkl").read_bytes())  # noqa: S301 - to see that it would run
    assert made.is_dir()


class _Anything:
    pass


@given(st.integers(0, pickle.HIGHEST_PROTOCOL), st.lists(st.sampled_from([0, 1, 2]), max_size=12))
def test_every_class_in_a_pickle_is_found(protocol: int, picks: list[int]) -> None:
    values = [Path(), _Anything(), Frame.NUMPY]
    found: set[str] = set()

    class Recording(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            found.add(f"{module}.{name}")
            return super().find_class(module, name)

    content = pickle.dumps([values[pick] for pick in picks], protocol=protocol)
    Recording(io.BytesIO(content)).load()
    assert {name for name, _ in _look._references(io.BytesIO(content)) if name} == found


def test_a_pickle_that_hides_a_name_counts_as_unknown(tmp_path: Path) -> None:
    # the module's name is computed while it runs: a global made of what a call returned
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04cbuiltins\nstr\n)R\x8c\x04evil\x93.")
    assert "?" in _look.read_pickled(path).names


def test_set_output_pandas_needs_a_dataframe(tmp_path: Path) -> None:
    found = copied("sklearn_skops", tmp_path)
    file = found.root / "model.skops"
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
        others = {name: archive.read(name) for name in archive.namelist() if name != "schema.json"}
    schema["content"]["content"]["_sklearn_output_config"] = {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "content": '"pandas"',
    }
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {**others, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, content)
    assert choose(found).frames(found) == (Frame.PANDAS,)


def test_the_made_folders_hold_no_path_of_a_person_s_machine() -> None:
    for path in models.MADE.rglob("*"):
        if path.is_file():
            assert b"/home/" not in path.read_bytes()
            assert b"/root/" not in path.read_bytes()
