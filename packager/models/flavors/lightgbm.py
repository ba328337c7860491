"""LightGBM: a Booster in its own text format, or a scikit-learn class, serialized.

Keys of the flavor: mlflow/lightgbm/__init__.py of MLflow 3.17 (`data`, `model_class`,
`serialization_format`, `skops_trusted_types`); before MLflow 1.23 the model was a Booster.
"""

from __future__ import annotations

import re
from typing import Any, Final

from packager.models.flavors import _look, _spec
from packager.models.flavors.sklearn import estimator_options, serialization
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier

BOOSTER: Final = "lightgbm.basic.Booster"
_CATEGORIES: Final = re.compile(r"pandas_categorical:(null|\[.*?\])")
_NONE: Final = frozenset({"null", "[]"})


def _conf(model: ResolvedModel) -> Any:
    return model.flavors["lightgbm"]


def _class(model: ResolvedModel) -> str:
    return str(_conf(model).get("model_class") or BOOSTER)


def _file(model: ResolvedModel) -> str:
    return _look.need_file(model, _conf(model).get("data") or model.pyfunc.get("data"), "data")


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    file, booster = _file(model), _class(model) == BOOSTER
    form = "lgb" if booster else serialization(_conf(model), "cloudpickle")
    unpickled = (file,) if form in {"pickle", "cloudpickle"} else ()
    package = ("skops",) if form == "skops" else ()
    needs_sklearn = () if booster else ("scikit-learn",)
    if tier is Tier.SKINNY:
        return _spec.skinny(
            model, unpickled=unpickled, requires=("lightgbm", *needs_sklearn, *package)
        )
    drops = [] if form == "skops" else ["skops"]
    if unpickled and "cloudpickle" in _look.read_pickled(model.root / file).modules():
        package = ("cloudpickle",)
    if booster:
        # lightgbm imports scikit-learn where it finds it: half of its start-up
        drops += ["cloudpickle", "scikit-learn"]
    options = estimator_options(model, _conf(model), file, form)
    options["model_class"] = _class(model)
    return LoaderSpec(
        loader="lightgbm",
        options=options,
        unpickled=unpickled,
        frames=frames(model),
        requires=_spec.add_pandas(frame, "lightgbm", *needs_sklearn, *package),
        drops=_spec.drop_pandas(frame, *drops),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    path = model.root / _file(model)
    if _class(model) == BOOSTER:
        text = path.read_text(encoding="utf-8", errors="replace")
        return _look.frames(model, arrays_will_do=_without_categories([text]))
    contents = _look.read_serialized(path, serialization(_conf(model), "cloudpickle"))
    own = all(
        name.startswith("lightgbm.") or _look.takes_arrays(_look.Contents(names=frozenset({name})))
        for name in contents.names
    )
    return _look.frames(model, arrays_will_do=own and _without_categories(contents.strings))


def _without_categories(texts: Any) -> bool:
    """Tell whether a Booster's text is there and says that no column was a pandas category.

    The line is written by lightgbm.basic._dump_pandas_categorical at the end of every model; in
    skops' format the text is escaped.
    """
    found = [value.strip() for text in texts for value in _CATEGORIES.findall(text)]
    return bool(found) and _NONE.issuperset(found)


FLAVOR: Final = Flavor(name="lightgbm", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
