"""The example that the model answers for replay, as a body in MLflow's scoring format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Final

from packager.errors import ConfigurationError, ModelFormatError
from packager.models import model_documents
from packager.pipeline.resolve._mlmodel import MlModel
from packager.types import Json, SavedExample

_JSON: Final = "application/json"
_CSV: Final = "text/csv"
_DATA: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
# a whole body that goes to the model unparsed: mlflow/pyfunc/utils/serving_data_parser.py
_UNIFIED: Final = ("messages", "prompt", "input")
_HINT: Final = "Give one with --example FILE (a JSON request body, or a CSV file)."


def read_saved(root: Path, mlmodel: MlModel) -> tuple[SavedExample | None, tuple[str, ...]]:
    """The example that was logged with the model, and why there is none if there is none."""
    info = mlmodel.values.get("saved_input_example_info")
    if not isinstance(info, dict):
        return None, (f"The model has no input example. {_HINT}",)
    name = info.get("serving_input_path")
    if isinstance(name, str) and (path := _find(root, name)) is not None:
        text = model_documents.read_text(path, model_documents.MOST_EXAMPLE)
        model_documents.parse_json(text, name)
        return SavedExample(body=path.read_bytes(), content_type=_JSON, source=name), ()
    name = str(info.get("artifact_path", "input_example.json"))
    path = _find(root, name)
    if path is None:
        return None, (f"The model's input example {name} is missing. {_HINT}",)
    text = model_documents.read_text(path, model_documents.MOST_EXAMPLE)
    request = _convert_example(model_documents.parse_json(text, name), info)
    if request is None:
        kind = info.get("type")
        return None, (f"An input example of the kind {kind} cannot be sent as a request. {_HINT}",)
    body = json.dumps(request).encode()
    return SavedExample(body=body, content_type=_JSON, source=name), ()


def read_given(path: Path) -> SavedExample:
    """--example. Raises ConfigurationError where it cannot be a request body."""
    try:
        body = path.read_bytes()
        text = body.decode("utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"--example {path} cannot be read: {error.strerror}. Name a file that you can read."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"--example {path} is not UTF-8: {error}. Save it as UTF-8."
        ) from error
    if path.suffix.lower() == ".csv":
        rows = [row for row in csv.reader(text.splitlines()) if row]
        if len(rows) < 2:
            raise ConfigurationError(
                f"--example {path} needs a line of column names and at least one row."
            )
        wrong = [number for number, row in enumerate(rows, 1) if len(row) != len(rows[0])]
        if wrong:
            raise ConfigurationError(
                f"--example {path}: row {wrong[0]} has {len(rows[wrong[0] - 1])} values "
                f"for {len(rows[0])} columns. Give each row one value for each column."
            )
        return SavedExample(body=body, content_type=_CSV, source=path.name)
    try:
        request = model_documents.parse_json(text, path.name)
    except ModelFormatError as error:
        raise ConfigurationError(f"--example {path} is not JSON: {error}") from error
    if (wrong_because := _no_request(request)) is not None:
        raise ConfigurationError(
            f"--example {path} is not a request body: {wrong_because}.\n"
            'It looks like {"dataframe_split": {"columns": ["a"], "data": [[1]]}}, or has one of '
            f"{', '.join(_DATA)}."
        )
    return SavedExample(body=body, content_type=_JSON, source=path.name)


def _no_request(request: object) -> str | None:
    if not isinstance(request, dict):
        return "it is not a JSON object"
    if any(key in request for key in _UNIFIED):
        return None
    keys = [key for key in _DATA if key in request]
    if len(keys) == 1:
        return None
    return (
        f"it has {' and '.join(keys) if keys else 'none'} of the four keys, and takes exactly one"
    )


def _find(root: Path, name: str) -> Path | None:
    path = model_documents.find_inside(root, name)
    return path if path is not None and path.is_file() else None


def _split_params(example: object, info: dict[str, object]) -> tuple[Json, Json]:
    if info.get("params") and isinstance(example, dict) and "inputs" in example:
        return example["inputs"], example.get("params")
    return example, None


def _convert_example(example: Json, info: dict[str, Json]) -> Json:
    """input_example.json to a request, by the kind that MLmodel states (MLflow 2.x wrote no other).

    With params the file holds `inputs` and `params`; an ndarray has been wrapped in `inputs` too.
    """
    example, params = _split_params(example, info)
    kind = info.get("type")
    if kind == "dataframe":
        request = _frame(example, info.get("pandas_orient"))
    elif kind == "ndarray":
        wrapped = isinstance(example, dict) and set(example) == {"inputs"}
        request = example if wrapped else {"inputs": example}
    elif kind == "json_object":
        if isinstance(example, dict) and not example.keys().isdisjoint(_UNIFIED):
            return {**example, **(params or {})}
        request = {"inputs": example}
    else:
        return None
    return request if params is None else {**request, "params": params}


def _frame(example: object, orient: object) -> dict[str, object]:
    if orient == "records" or (orient != "split" and isinstance(example, list)):
        if isinstance(example, list) and all(isinstance(row, dict) for row in example):
            return {"dataframe_records": example}
        return {"dataframe_split": {"data": example}}
    if isinstance(example, dict) and "data" in example:
        parts = ("columns", "index", "data")
        return {"dataframe_split": {key: example[key] for key in parts if key in example}}
    raise ModelFormatError(
        "The input example is not a table in the orientation that MLmodel names. Give a request "
        "with --example, or log the model again."
    )
