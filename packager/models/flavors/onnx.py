"""ONNX: a graph for onnxruntime; the `onnx` package itself is never imported to serve.

Keys of the flavor: mlflow/onnx/__init__.py of MLflow 3.17 (`data`, `providers`,
`onnx_session_options`).
"""

from __future__ import annotations

from typing import Any, Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["onnx"]
    providers = conf.get("providers") or ["CPUExecutionProvider"]
    return {
        "file": _look.need_file(model, conf.get("data") or model.pyfunc.get("data"), "data"),
        "providers": [providers] if isinstance(providers, str) else list(providers),
        "session_options": dict(conf.get("onnx_session_options") or {}),
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    if tier is Tier.SKINNY:
        # mlflow.onnx imports onnx only to save or to load for training
        return _spec.skinny(model, requires=("onnxruntime",))
    return LoaderSpec(
        loader="onnx",
        options=_options(model),
        frames=frames(model),
        requires=_spec.add_pandas(frame, "onnxruntime"),
        drops=_spec.drop_pandas(frame, "onnx", "cloudpickle", "scikit-learn", "skl2onnx"),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    return _look.frames(model, arrays_will_do=True)


FLAVOR: Final = Flavor(name="onnx", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
