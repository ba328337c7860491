"""A flavor that is not known here: MLflow itself loads it, in its small edition."""

from __future__ import annotations

from typing import Final

from packager.models.flavors import _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:  # noqa: ARG001 - one way only
    module = model.pyfunc.get("loader_module")
    note = (
        f"No reader for this model's flavor (loader_module {module}): it is packaged with "
        "mlflow-skinny and loads through mlflow.pyfunc, which costs size and start-up time."
    )
    return _spec.skinny(model, unpickled=(".",), notes=(note,))


FLAVOR: Final = Flavor(name="unknown", read=read, tiers=(Tier.SKINNY,))
