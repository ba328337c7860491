"""MLflow's own scoring server, in this process."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.asking import Recorder, Signature

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints when it is imported
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import PyFuncModel, load_model
    from mlflow.pyfunc.scoring_server import init
    from mlflow.types import ParamSchema, Schema
    from mlflow.version import VERSION

__all__ = ["VERSION", "loaded", "theirs"]

_RECORDER = Recorder()
"""One for all signatures: what is remembered goes by the model too."""


def loaded(folder: Path) -> Any:
    """MLflow's app for a logged model."""
    return init(load_model(str(folder)))


def theirs(signature: Signature | None, model: Any = None, *, type_hints: bool = False) -> Any:
    """MLflow's app for a signature as MLmodel has it."""
    return _theirs(json.dumps(signature), model or _RECORDER, type_hints)


@cache
def _theirs(signature_json: str, model: Any, type_hints: bool) -> Any:  # noqa: FBT001  a cache key
    signature = json.loads(signature_json)
    parts = (
        {
            part: reader.from_json(json.dumps(signature[part])) if signature.get(part) else None
            for part, reader in (("inputs", Schema), ("outputs", Schema), ("params", ParamSchema))
        }
        if signature
        else {}
    )
    made = ModelSignature(**parts) if any(parts.values()) else None
    if made is not None:
        made._is_signature_from_type_hint = type_hints
    flavors = {"python_function": {"loader_module": "recorder"}}
    meta = Model(signature=made, flavors=flavors)
    return init(PyFuncModel(model_meta=meta, model_impl=model))
