"""TensorFlow: a Keras model on TensorFlow, or a tf.Module as a SavedModel.

Keys of the flavor: mlflow/tensorflow/__init__.py of MLflow 3.17 (`model_type`, `data`,
`save_format`, `saved_model_dir`); `keras_module.txt` and pickled custom objects lie in `data`.
"""

from __future__ import annotations

from typing import Any, Final

from packager.errors import ModelFormatError
from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

_CUSTOM: Final = ("custom_objects.cloudpickle", "global_custom_objects.cloudpickle")


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["tensorflow"]
    code = _look.code_folders(model, conf)
    kind = conf.get("model_type")
    if kind == "tf2-module":
        saved = _look.need_file(model, conf.get("saved_model_dir"), "saved_model_dir")
        return {"format": "module", "file": saved, "code": code}
    if kind != "keras":
        raise ModelFormatError(
            f"MLmodel's model_type is {kind!r}; known are keras and tf2-module. "
            "Log the model again with TensorFlow 2."
        )
    data = _look.need_file(model, conf.get("data"), "data")
    folder = model.root / data
    named = folder / "keras_module.txt"
    saved_as = str(conf.get("save_format") or "h5")
    ending = ".h5" if saved_as == "h5" else ".keras" if (folder / "model.keras").exists() else ""
    return {
        "format": "keras",
        "file": _look.need_file(model, f"{data}/model{ending}", "data"),
        "compiled": saved_as == "tf",
        "keras_module": named.read_text(encoding="utf-8") if named.is_file() else "",
        "custom_objects": [f"{data}/{name}" for name in _CUSTOM if (folder / name).is_file()],
        "code": code,
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    options = _options(model)
    unpickled = tuple(options.get("custom_objects", ()))
    pickles = ("cloudpickle",) if unpickled else ()
    if tier is Tier.SKINNY:
        return _spec.skinny(model, unpickled=unpickled, requires=("tensorflow", *pickles))
    return LoaderSpec(
        loader="tensorflow",
        options=options,
        unpickled=unpickled,
        frames=frames(model),
        requires=_spec.add_pandas(frame, "numpy", "tensorflow", *pickles),
        drops=_spec.drop_pandas(frame, *(() if pickles else ("cloudpickle",))),
        # a parser of C for TensorFlow's own build; 80 MB that no Python of it imports
        excludes=("libclang",),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    return _look.frames(model, arrays_will_do=_look.is_tensor(model))


FLAVOR: Final = Flavor(
    name="tensorflow", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames
)
