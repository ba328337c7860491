"""CatBoost: one of its classes, in CatBoost's own formats.

Keys of the flavor: mlflow/catboost/__init__.py of MLflow 3.17 (`data`, `model_type`,
`save_format`), the same since 1.9.
"""

from __future__ import annotations

from typing import Any, Final

from packager.errors import ModelFormatError
from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

CLASSES: Final = ("CatBoost", "CatBoostClassifier", "CatBoostRanker", "CatBoostRegressor")


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["catboost"]
    name = conf.get("model_type")
    if name not in CLASSES:
        raise ModelFormatError(
            f"MLmodel's model_type is {name!r}; known are {', '.join(CLASSES)}. "
            "Log the model again with one of these."
        )
    return {
        "file": _look.need_file(model, conf.get("data") or model.pyfunc.get("data"), "data"),
        "model_class": name,
        "format": str(conf.get("save_format") or "cbm"),
        "code": _look.code_folders(model, conf),
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    if tier is Tier.SKINNY:
        return _spec.skinny(model, requires=("catboost",))
    return LoaderSpec(
        loader="catboost",
        options=_options(model),
        # its compiled module imports pandas
        requires=_spec.add_pandas(frame, "catboost"),
        drops=("cloudpickle", "scikit-learn", "skops"),
        # catboost/plot_helpers.py imports them where something is drawn
        excludes=("graphviz", "matplotlib", "plotly"),
    )


FLAVOR: Final = Flavor(name="catboost", read=read, tiers=(Tier.NATIVE, Tier.SKINNY))
