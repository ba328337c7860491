"""spaCy: a pipeline with a text categorizer, as spaCy writes it to a folder.

Keys of the flavor: mlflow/spacy/__init__.py of MLflow 3.17 (`data`). Pipelines without a text
categorizer have no python_function flavor: MLflow does not serve them.
"""

from __future__ import annotations

from typing import Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.flavors["spacy"]
    if tier is Tier.SKINNY:
        return _spec.skinny(model, requires=("spacy",))
    return LoaderSpec(
        loader="spacy",
        options={
            "folder": _look.need_file(model, conf.get("data") or "model.spacy", "data"),
            "code": _look.code_folders(model, conf),
        },
        frames=frames(model),
        requires=_spec.add_pandas(frame, "spacy"),
        drops=_spec.drop_pandas(frame, "cloudpickle", "scikit-learn"),
    )


def frames(model: ResolvedModel) -> tuple[Frame, ...]:
    """Texts need no DataFrame where the signature says that there is one of them in each row."""
    inputs = (model.signature or {}).get("inputs") or []
    plain = len(inputs) == 1 and inputs[0].get("type") == "string"
    required = plain and inputs[0].get("required", not inputs[0].get("optional", False))
    return (Frame.NUMPY, Frame.PANDAS) if required else (Frame.PANDAS,)


FLAVOR: Final = Flavor(name="spacy", read=read, tiers=(Tier.NATIVE, Tier.SKINNY), frames=frames)
