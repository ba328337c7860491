"""Prophet: a fitted model in Prophet's own JSON.

Keys of the flavor: mlflow/prophet/__init__.py of MLflow 3.17 (`data`).
"""

from __future__ import annotations

from typing import Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.flavors["prophet"]
    if tier is Tier.SKINNY:
        return _spec.skinny(model, requires=("prophet",))
    named = conf.get("data") or model.pyfunc.get("data")
    return LoaderSpec(
        loader="prophet",
        options={
            "file": _look.need_file(model, named, "data"),
            "code": _look.code_folders(model, conf),
        },
        # prophet imports pandas itself
        requires=_spec.add_pandas(frame, "prophet"),
        drops=("cloudpickle", "scikit-learn"),
        # prophet/plot.py goes without it
        excludes=("matplotlib", "plotly"),
    )


FLAVOR: Final = Flavor(name="prophet", read=read, tiers=(Tier.NATIVE, Tier.SKINNY))
