"""scikit-learn: an estimator or a pipeline, in skops' format or pickled.

Keys of the flavor: mlflow/sklearn/__init__.py of MLflow 3.17 (`pickled_model`,
`serialization_format`, `skops_trusted_types`), the same since 2.x but for skops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from packager.errors import ModelFormatError
from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

_METHODS: Final = (
    "predict",
    "predict_proba",
    "predict_log_proba",
    "predict_joint_log_proba",
    "score",
)
"""What the wrapper of MLflow 3 has; that of earlier ones was the estimator itself."""
FORMATS: Final = ("skops", "pickle", "cloudpickle")


def serialization(conf: Mapping[str, object], default: str) -> str:
    """The format's name, or ModelFormatError for one that MLflow does not write."""
    name = str(conf.get("serialization_format") or default)
    if name not in FORMATS:
        raise ModelFormatError(
            f"MLmodel's serialization_format is {name!r}; known are {', '.join(FORMATS)}. "
            "Log the model again with one of these."
        )
    return name


def estimator_options(model: ResolvedModel, conf: Mapping[str, Any], file: str, form: str) -> Any:
    """The options that every serialized estimator's loader reads."""
    trusted = list(conf.get("skops_trusted_types") or []) if form == "skops" else []
    return {
        "file": file,
        "format": form,
        "trusted": trusted,
        "code": _look.code_folders(model, conf),
    }


def _file(model: ResolvedModel) -> str:
    conf = model.flavors["sklearn"]
    named = conf.get("pickled_model") or model.pyfunc.get("model_path") or "model.pkl"
    return _look.need_file(model, named, "pickled_model")


def _read_method(model: ResolvedModel) -> str:
    """Raises ModelFormatError for a method that MLflow logs, and then does not load."""
    name = str(model.pyfunc.get("predict_fn") or "predict")
    if name in _METHODS or not (model.mlflow_version or "").startswith("3."):
        return name
    raise ModelFormatError(
        f"MLmodel's predict_fn is {name!r}, with which MLflow does not load a scikit-learn model. "
        f"Log the model again with pyfunc_predict_fn as one of {', '.join(_METHODS[:-1])}, or "
        f"with a PythonModel whose predict calls {name}."
    )


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.flavors["sklearn"]
    file, form, method = _file(model), serialization(conf, "pickle"), _read_method(model)
    unpickled = () if form == "skops" else (file,)
    if tier is Tier.SKINNY:
        package = ("skops",) if form == "skops" else ()
        return _spec.skinny(model, unpickled=unpickled, requires=("scikit-learn", *package))
    # cloudpickle stays where it is listed: joblib, and so scikit-learn, may import it
    requires: tuple[str, ...] = ("scikit-learn",)
    if form == "skops":
        requires = (*requires, "skops")
    elif "cloudpickle" in _look.read_pickled(model.root / file).modules():
        requires = (*requires, "cloudpickle")
    drops = () if form == "skops" else ("skops",)
    options = estimator_options(model, conf, file, form)
    options["predict_fn"] = method
    return LoaderSpec(
        loader="sklearn",
        options=options,
        unpickled=unpickled,
        frames=frames(model),
        requires=_spec.add_pandas(frame, *requires),
        drops=_spec.drop_pandas(frame, *drops),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    form = serialization(model.flavors["sklearn"], "pickle")
    contents = _look.read_serialized(model.root / _file(model), form)
    return _look.frames(model, arrays_will_do=_look.takes_arrays(contents))


FLAVOR: Final = Flavor(name="sklearn", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
