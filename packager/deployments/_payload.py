"""Input of predict as the JSON that a direct invoke takes; and the answer that comes back."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from mlflow.deployments import PredictionsResponse

from packager.deployments._errors import DeploymentError, known_code

# https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#json-input
_TABLES: Final = ("dataframe_split", "dataframe_records")
_TENSORS: Final = ("instances", "inputs")
_KEYS: Final = frozenset({*_TABLES, *_TENSORS, "messages", "prompt", "input"})
_CODED: Final = re.compile(r"([A-Z_]+): (.*)", re.DOTALL)
# where Lambda itself speaks: https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
_TIMED_OUT: Final = re.compile(r"Sandbox\.Timedout|Task timed out")


def request_body(inputs: object) -> bytes:
    """MLflow's JSON for a DataFrame, an array, a dict or list of them, or JSON text as it is.

    A dict with one of MLflow's keys is taken as the whole request; any other dict as named
    tensors. A missing value becomes null. Raises DeploymentError for what JSON cannot hold.
    """
    if isinstance(inputs, str | bytes | bytearray):
        return _read_inputs(inputs)
    try:
        text = json.dumps(_request(inputs), default=_make_plain, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _make_refusal(f"The inputs cannot be sent as JSON: {error}.") from error
    return text.encode()


def response(payload: bytes, *, failed: bool, name: str) -> PredictionsResponse:
    """Raises DeploymentError with the function's own error code where it failed."""
    text = payload.decode(errors="replace")
    if failed:
        raise _make_failure(text, name)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or "predictions" not in value:
        raise DeploymentError(
            f"{name} answered without predictions, so its code is not the packager's. Deploy it "
            "again with `mlflow deployments update`.",
            "INTERNAL_ERROR",
        )
    return PredictionsResponse(value)


def _read_inputs(inputs: str | bytes | bytearray) -> bytes:
    body = inputs.encode() if isinstance(inputs, str) else bytes(inputs)
    try:
        json.loads(body)
    except ValueError as error:
        raise _make_refusal(f"The inputs are text, and not JSON: {error}.") from error
    return body


def _request(inputs: object) -> object:
    if hasattr(inputs, "to_frame") and hasattr(inputs, "dtype"):
        inputs = inputs.to_frame()
    if hasattr(inputs, "columns") and hasattr(inputs, "itertuples"):
        return _of_frame(inputs)
    if isinstance(inputs, Mapping):
        return dict(inputs) if _KEYS & set(inputs) else {"inputs": dict(inputs)}
    if hasattr(inputs, "toarray"):
        inputs = inputs.toarray()
    if hasattr(inputs, "tolist") or isinstance(inputs, list | tuple):
        return {"inputs": inputs}
    raise _make_refusal(
        f"{type(inputs).__name__} cannot be sent. Give a DataFrame, an array, a dict, a list or "
        "JSON text."
    )


def _of_frame(frame: Any) -> Any:
    columns = list(frame.columns)
    if _holds_whole(frame):
        whole = {name: _whole(frame[name].dropna()) for name in columns}
        if "params" in whole:
            # a column of numbers with gaps has made floats of whole ones
            whole["params"] = {key: _are_integral(value) for key, value in whole["params"].items()}
        return whole
    known = frame.astype(object).where(frame.notna(), None)
    return {"dataframe_split": {"columns": columns, "data": known.to_numpy().tolist()}}


def _holds_whole(frame: Any) -> bool:
    """Tell whether `mlflow deployments predict` has read a request file as this table.

    Its cells are then rows, columns or tensors, and names of theirs or of params are its index.
    A table whose one column is called `inputs`, of plain values, is a table.
    """
    keys = [name for name in frame.columns if name != "params"]
    if not keys or not {*keys} <= {*_TABLES, *_TENSORS}:
        return False
    if "params" in frame.columns and not _is_named(frame):
        return False
    cells = (cell for name in keys for cell in frame[name].dropna())
    return all(isinstance(cell, list | dict) for cell in cells)


def _is_named(table: Any) -> bool:
    return any(isinstance(label, str) for label in table.index)


def _whole(column: Any) -> Any:
    return column.to_dict() if _is_named(column) else column.tolist()


def _are_integral(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _make_plain(value: object) -> object:
    """Convert what json does not know: numpy's, pandas' and Python's own values."""
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) > 0:
        return value.tolist()
    # NaT and pandas.NA
    if type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if type(value).__name__ == "datetime64":
        return None if str(value) == "NaT" else str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in it")


def _make_failure(text: str, name: str) -> DeploymentError:
    try:
        value = json.loads(text)
    except ValueError:
        value = {}
    value = value if isinstance(value, dict) else {}
    kind = str(value.get("errorType", ""))
    message = str(value.get("errorMessage", "")) or text[:600]
    coded = _CODED.fullmatch(message)
    if coded and known_code(coded[1]):
        return DeploymentError(f"{name}: {coded[2]}", coded[1])
    if _TIMED_OUT.search(f"{kind} {message}"):
        return DeploymentError(
            f"{name} did not answer in time: {message}\n"
            "Give it longer or more memory (update -C timeout=SECONDS -C memory=MB).",
            "DEADLINE_EXCEEDED",
        )
    label = f"{kind}: {message}" if kind else message
    return DeploymentError(f"{name} failed: {label}\nIts log says more.", "INTERNAL_ERROR")


def _make_refusal(text: str) -> DeploymentError:
    return DeploymentError(text, "INVALID_PARAMETER_VALUE")
