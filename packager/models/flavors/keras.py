"""Keras 3 on the backend that the author chose: TensorFlow, JAX or PyTorch.

Keys of the flavor: mlflow/keras/save.py of MLflow 3.17 (`data`, `keras_backend`,
`save_exported_model`). MLflow refuses a signature that is not of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from packager.errors import ModelFormatError
from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

BACKENDS: Final[Mapping[str, str]] = MappingProxyType(
    {"jax": "jax", "tensorflow": "tensorflow", "torch": "torch"}
)
"""Keras's name of a backend -> the distribution that it is."""


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["keras"]
    backend = conf.get("keras_backend")
    if backend not in BACKENDS:
        raise ModelFormatError(
            f"MLmodel's keras_backend is {backend!r}; known are {', '.join(sorted(BACKENDS))}. "
            "Log the model again under one of these."
        )
    data = _look.need_file(model, conf.get("data") or "data", "data")
    exported = bool(conf.get("save_exported_model"))
    file = f"{data}/model" if exported else f"{data}/model.keras"
    return {
        "file": _look.need_file(model, file, "data"),
        "format": "exported" if exported else "keras",
        "backend": backend,
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:  # noqa: ARG001 - one way only
    options = _options(model)
    needed = "tensorflow" if options["format"] == "exported" else BACKENDS[options["backend"]]
    return LoaderSpec(
        loader="keras",
        options=options,
        frames=frames(model),
        requires=_spec.add_pandas(frame, "keras", "numpy", needed),
        drops=_spec.drop_pandas(frame, "cloudpickle"),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    return _look.frames(model, arrays_will_do=_look.is_tensor(model))


FLAVOR: Final = Flavor(name="keras", read=read, tiers=(Tier.NATIVE,), frames=frames)
