"""The file MLmodel, as MLflow 2.x and 3.x write it; what is not known is let be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.errors import ModelFormatError
from packager.models import model_documents
from packager.pipeline.resolve import _field_types, _signature_specs
from packager.types import Json

FILENAME: Final = "MLmodel"
_PYFUNC: Final = "python_function"
_PARTS: Final = ("inputs", "outputs", "params")
# mlflow/utils/mlflow_tags.py
_EXTERNAL: Final = "mlflow.model.isExternal"


@dataclass(frozen=True, slots=True, kw_only=True)
class MlModel:
    values: Mapping[str, Json]
    """The whole file, as it is."""
    flavors: Mapping[str, Mapping[str, Json]]
    signature: Mapping[str, Json] | None
    notes: tuple[str, ...] = field(default=())

    @property
    def pyfunc(self) -> Mapping[str, Json]:
        return self.flavors[_PYFUNC]

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return str(value) if value else None


def read(root: Path) -> MlModel:
    """Raises ModelFormatError, which says what is wrong with the file."""
    return parse(model_documents.read_yaml(root / FILENAME))


def parse(values: Mapping[str, object]) -> MlModel:
    metadata = values.get("metadata")
    if isinstance(metadata, dict) and metadata.get(_EXTERNAL) in {True, "true"}:
        raise ModelFormatError(
            "This model is registered as external: MLflow holds its description, not its files. "
            "Log the model itself, with its artifacts, to package it."
        )
    flavors = _flavors(values)
    _field_types.check_fields(values)
    signature = _signature(values.get("signature"))
    notes = []
    if signature is None:
        notes.append(
            "The model has no signature: requests are passed on as they are parsed, without a "
            "check of their columns and types."
        )
    return MlModel(values=values, flavors=flavors, signature=signature, notes=tuple(notes))


def _flavors(values: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    flavors = values.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise ModelFormatError(
            f"{FILENAME} names no flavors, so MLflow cannot load it. Log the model again."
        )
    broken = sorted(str(name) for name, config in flavors.items() if not isinstance(config, dict))
    if broken:
        raise ModelFormatError(
            f"{FILENAME}: flavor {', '.join(broken)} has no configuration. Log the model again."
        )
    if _PYFUNC not in flavors:
        others = ", ".join(sorted(map(str, flavors)))
        raise ModelFormatError(
            f"The model has no flavor {_PYFUNC} (it has: {others}), so MLflow "
            "cannot serve it. Log it with a flavor that has one, or wrap it in a PythonModel."
        )
    if not flavors[_PYFUNC].get("loader_module"):
        raise ModelFormatError(
            f"{FILENAME}: flavor {_PYFUNC} names no loader_module. Log the model again."
        )
    return {str(name): config for name, config in flavors.items()}


def _signature(given: object) -> Mapping[str, object] | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ModelFormatError(
            f"{FILENAME}: the signature is not a table of inputs and outputs. Log the model again."
        )
    parts = {part: _specs(part, given.get(part)) for part in _PARTS}
    return parts if any(specs is not None for specs in parts.values()) else None


def _specs(part: str, text: object) -> object:
    """Each part is JSON in a string inside the YAML."""
    specs = text
    if isinstance(text, str):
        specs = model_documents.parse_json(text, f"{FILENAME}'s signature of {part}")
    if specs is None:
        return None
    if not isinstance(specs, list) or not all(isinstance(spec, dict) for spec in specs):
        raise ModelFormatError(
            f"{FILENAME}: the signature's {part} are not a list of columns. Log the model again."
        )
    _signature_specs.check_specs(part, specs)
    return specs
