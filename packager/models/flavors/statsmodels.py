"""statsmodels: the results of a fit, pickled by statsmodels itself.

Keys of the flavor: mlflow/statsmodels/__init__.py of MLflow 3.17 (`data`).
"""

from __future__ import annotations

from typing import Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.flavors["statsmodels"]
    named = conf.get("data") or model.pyfunc.get("data") or "model.statsmodels"
    file = _look.need_file(model, named, "data")
    requires = _find_arrow(model, file)
    if tier is Tier.SKINNY:
        return _spec.skinny(model, unpickled=(file,), requires=("statsmodels", *requires))
    return LoaderSpec(
        loader="statsmodels",
        options={"file": file, "code": _look.code_folders(model, conf)},
        unpickled=(file,),
        # statsmodels imports pandas, and what a model answers hangs on being asked by a DataFrame
        requires=_spec.add_pandas(frame, "statsmodels", *requires),
        drops=("cloudpickle", "scikit-learn", "skops"),
    )


def _find_arrow(model: ResolvedModel, file: str) -> tuple[str, ...]:
    """Name pyarrow where pandas kept the names of columns in it.

    pandas 3 does so wherever pyarrow is installed:
    https://pandas.pydata.org/docs/whatsnew/v3.0.0.html#dedicated-string-data-type-by-default
    """
    return ("pyarrow",) if "pyarrow" in _look.read_pickled(model.root / file).modules() else ()


FLAVOR: Final = Flavor(name="statsmodels", read=read, tiers=(Tier.NATIVE, Tier.SKINNY))
