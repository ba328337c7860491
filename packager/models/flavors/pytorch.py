"""PyTorch: a module exported by torch.export (pt2), or pickled with torch.save.

Keys of the flavor: mlflow/pytorch/__init__.py of MLflow 3.17 (`model_data`; `config.device` of
python_function). The file is `model.pt2`, or `model.pth` with `pickle_module_info.txt` beside it.
"""

from __future__ import annotations

from typing import Any, Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

_OWN_PICKLE: Final = "mlflow.pytorch.pickle_module"


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf, config = model.flavors["pytorch"], model.pyfunc.get("config")
    data = _look.need_file(model, conf.get("model_data") or model.pyfunc.get("data"), "model_data")
    exported = (model.root / data / "model.pt2").is_file()
    info = model.root / data / "pickle_module_info.txt"
    name = info.read_text(encoding="utf-8").strip() if info.is_file() else _OWN_PICKLE
    file = f"{data}/model.pt2" if exported else f"{data}/model.pth"
    return {
        "file": _look.need_file(model, file, "model_data"),
        "format": "pt2" if exported else "pickle",
        "pickle_module": None if exported else name,
        "device": config.get("device") if isinstance(config, dict) else None,
        "code": _look.code_folders(model, conf),
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    options = _options(model)
    pickled = options["format"] == "pickle"
    unpickled = (options["file"],) if pickled else ()
    if tier is Tier.SKINNY:
        return _spec.skinny(
            model, unpickled=unpickled, requires=("torch", "cloudpickle") if pickled else ("torch",)
        )
    requires = ("torch", "numpy", "cloudpickle") if pickled else ("torch", "numpy")
    return LoaderSpec(
        loader="pytorch",
        options=options,
        unpickled=unpickled,
        frames=frames(model),
        requires=_spec.add_pandas(frame, *requires),
        drops=_spec.drop_pandas(frame, *(() if pickled else ("cloudpickle",))),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    """List the frames of a module: it is handed a tensor, however that came."""
    return _look.frames(model, arrays_will_do=True)


FLAVOR: Final = Flavor(name="pytorch", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
