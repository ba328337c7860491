"""XGBoost: a Booster or one of its scikit-learn classes, in XGBoost's own formats.

Keys of the flavor: mlflow/xgboost/__init__.py of MLflow 3.17 (`data`, `model_class`,
`model_format`); before MLflow 1.22 there was no class and the model was a Booster.
"""

from __future__ import annotations

import re
from typing import Any, Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

BOOSTER: Final = "xgboost.core.Booster"
_CATEGORIES: Final = re.compile(
    rb'"feature_types"\s*:\s*\[[^\]]*"c"|feature_types\[[^\]]*SL\x00{7}\x01c'
)
"""A categorical column among the model's features, in JSON or in UBJSON."""


def _class(model: ResolvedModel) -> str:
    return str(model.flavors["xgboost"].get("model_class") or BOOSTER)


def _options(model: ResolvedModel) -> dict[str, Any]:
    conf = model.flavors["xgboost"]
    file = _look.need_file(model, conf.get("data") or model.pyfunc.get("data"), "data")
    return {
        "file": file,
        "model_class": _class(model),
        "format": str(conf.get("model_format") or file.rpartition(".")[2]),
        "code": _look.code_folders(model, conf),
    }


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    needs_sklearn = () if _class(model) == BOOSTER else ("scikit-learn",)
    if tier is Tier.SKINNY:
        return _spec.skinny(model, requires=("xgboost", *needs_sklearn))
    unused = ("skops",) if needs_sklearn else ("cloudpickle", "skops", "scikit-learn")
    return LoaderSpec(
        loader="xgboost",
        options=_options(model),
        frames=frames(model),
        requires=_spec.add_pandas(frame, "xgboost", *needs_sklearn),
        drops=_spec.drop_pandas(frame, *unused),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    ours = _class(model).startswith("xgboost.")
    content = (model.root / _options(model)["file"]).read_bytes()
    return _look.frames(model, arrays_will_do=ours and not _CATEGORIES.search(content))


FLAVOR: Final = Flavor(name="xgboost", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
