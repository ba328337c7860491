"""Sentence Transformers: texts to vectors, or to the answer of an embeddings service.

Keys of the flavor: mlflow/sentence_transformers/__init__.py of MLflow 3.17 (`data` and
`config.task` of python_function, `code`).
"""

from __future__ import annotations

from typing import Final

from packager.models.flavors import _look, _spec
from packager.types import Flavor, Frame, LoaderSpec, ResolvedModel, Tier


def read(model: ResolvedModel, tier: Tier, frame: Frame) -> LoaderSpec:
    conf = model.flavors["sentence_transformers"]
    if tier is Tier.SKINNY:
        return _spec.skinny(model, requires=("sentence-transformers",))
    return LoaderSpec(
        loader="sentence_transformers",
        options={
            "folder": _look.need_file(model, model.pyfunc.get("data"), "data"),
            "task": (model.pyfunc.get("config") or {}).get("task"),
            "code": _look.code_folders(model, conf),
        },
        requires=_spec.add_pandas(frame, "sentence-transformers"),
        drops=("cloudpickle",),
    )


FLAVOR: Final = Flavor(name="sentence_transformers", read=read, tiers=(Tier.NATIVE, Tier.SKINNY))
