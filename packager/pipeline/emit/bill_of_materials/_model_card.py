"""The model's card: what MLflow knows of how it was trained, and what it takes and gives.

The library that writes the rest has no type for a card, so that it is plain JSON:
https://cyclonedx.org/docs/1.6/json/#components_items_modelCard. Nothing in it is guessed: a model's
task, its approach and its architecture are nowhere in MLflow's format, and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from packager.types import ResolvedModel, TrainingData, TrainingRecord


def describe_card(model: ResolvedModel) -> dict[str, object]:
    """Return `modelCard` of the model's component."""
    record = model.training or TrainingRecord()
    parameters = _describe_signature(model)
    if record.datasets:
        parameters["datasets"] = [_describe_dataset(each) for each in record.datasets]
    card: dict[str, object] = {"bom-ref": "model-card", "modelParameters": parameters}
    if record.metrics:
        card["quantitativeAnalysis"] = {
            "performanceMetrics": [
                {"type": name, "value": repr(value)}
                for name, value in sorted(record.metrics.items())
            ]
        }
    if properties := [*_list_properties(model, record)]:
        card["properties"] = properties
    return card


def _describe_signature(model: ResolvedModel) -> dict[str, object]:
    """One format for each column, tensor or parameter, in the words of MLflow's signature."""
    signature = model.signature or {}
    inputs = [*(signature.get("inputs") or ()), *(signature.get("params") or ())]
    found: dict[str, object] = {}
    if inputs:
        found["inputs"] = [{"format": _format_spec(each)} for each in inputs]
    if outputs := signature.get("outputs"):
        found["outputs"] = [{"format": _format_spec(each)} for each in outputs]
    return found


def _format_spec(spec: object) -> str:
    return json.dumps(spec, sort_keys=True, ensure_ascii=False)


def _describe_dataset(data: TrainingData) -> dict[str, object]:
    told = {"mlflow:digest": data.digest, "mlflow:context": data.context}
    if data.rows is not None:
        told["mlflow:rows"] = str(data.rows)
    contents: dict[str, object] = {
        "properties": [{"name": name, "value": value} for name, value in told.items() if value]
    }
    if data.source:
        contents["url"] = data.source
    return {"type": "dataset", "name": data.name, "contents": contents}


def _list_properties(model: ResolvedModel, record: TrainingRecord) -> Iterator[object]:
    facts: Mapping[str, str | None] = {
        "mlflow:logged": model.created,
        "mlflow:python": model.python_version,
        "mlflow:entries-left-out": str(record.left_out) if record.left_out else None,
    }
    yield from ({"name": name, "value": value} for name, value in facts.items() if value)
    for kind, entries in (("param", record.params), ("tag", record.tags)):
        for name, value in sorted(entries.items()):
            yield {"name": f"mlflow:{kind}:{name}", "value": value}
