"""The Open Inference Protocol (V2), REST, with the binary tensor extension.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from handlers.manifest import Manifest
from handlers.scoring.errors import DATA_ERRORS, InvalidInputError, ScoringError, suggest_name
from handlers.scoring.request_parsing import Request
from handlers.scoring.responses import jsonable
from handlers.scoring.schema.signature import DataType, Type, read_schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
_DTYPES: Final = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
_NAMES: Final = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_BYTES: Final = "BYTES"
_MAX_EMPTY: Final = 1_000_000
"""Rows, or rows of rows, of a tensor without values: each may become a list."""
_SIZE_DIGITS: Final = 20
_OWN: Final = frozenset({"binary_data_output", "binary_data_size", "binary_data", "content_type"})
"""Parameters of the protocol; the others are the model's."""


@dataclass(frozen=True)
class Infer:
    """A request, read: what is scored, and how the answer is to be written."""

    request: Request
    id: str | None
    outputs: tuple[tuple[str, bool], ...]
    """Names that were asked for, and whether as binary; () for all."""
    binary: bool
    """Whether outputs that were not asked for by name are binary."""


def read(body: bytes, header_bytes: str | None, manifest: Manifest) -> Infer:
    """`header_bytes` is the header Inference-Header-Content-Length. Raises ScoringError."""
    size = _read_size(header_bytes, len(body))
    try:
        value = json.loads(body[:size])
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            "The body does not begin with a JSON object. Check the body and, with binary data, "
            "Inference-Header-Content-Length."
        ) from error
    if not isinstance(value, dict) or not isinstance(value.get("inputs"), list):
        raise InvalidInputError("The body is no JSON object with a list `inputs`.")
    tensors = _read_tensors(value["inputs"], memoryview(body)[size:])
    given = _read_parameters(value)
    params = {key: each for key, each in given.items() if key not in _OWN}
    binary = bool(given.get("binary_data_output", False))
    return Infer(
        request=Request(data=_make_data(tensors, manifest), params=params or None),
        id=str(value["id"]) if "id" in value else None,
        outputs=_read_outputs(value.get("outputs") or [], binary=binary),
        binary=binary,
    )


def _read_size(header_bytes: str | None, body_bytes: int) -> int:
    """Return the size of the JSON part in bytes. Raises InvalidInputError."""
    if header_bytes is None:
        return body_bytes
    digits = header_bytes.lstrip("0") or header_bytes[:1]
    # a number of more digits is beyond any body, and Python reads no more than 4,300 of them
    if not digits.isdecimal() or int(digits[:_SIZE_DIGITS]) > body_bytes:
        raise InvalidInputError(
            "Inference-Header-Content-Length must be the JSON part's size in bytes, at most the "
            "body's."
        )
    return int(digits)


def _read_outputs(outputs: object, *, binary: bool) -> tuple[tuple[str, bool], ...]:
    """Return each output that is wanted, and whether as binary. Raises InvalidInputError."""
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise InvalidInputError("`outputs` must be a list of objects, each with a `name`.")
    names = [str(each.get("name")) for each in outputs]
    if len(set(names)) < len(names):
        raise InvalidInputError("`outputs` names an output twice. Name each once.")
    return tuple(
        (name, bool(_read_parameters(each).get("binary_data", binary)))
        for name, each in zip(names, outputs)
    )


def write(prediction: object, infer: Infer, manifest: Manifest) -> tuple[bytes, int | None]:
    """The body, and the size of its JSON part where binary tensors follow it."""
    named = _name_outputs(prediction)
    wanted = infer.outputs or tuple((name, infer.binary) for name in named)
    if missing := [name for name, _ in wanted if name not in named]:
        raise InvalidInputError(
            f"The model has no output {', '.join(missing)}; it has {', '.join(named)}."
            f"{suggest_name(missing[0], named)}"
        )
    outputs, raw = [], []
    for name, binary in wanted:
        array = named[name]
        dtype = _NAMES.get(array.dtype, _BYTES)
        output: dict[str, Any] = {"name": name, "datatype": dtype, "shape": list(array.shape)}
        if binary:
            data = _pack_texts(array) if dtype == _BYTES else np.ascontiguousarray(array).tobytes()
            output["parameters"] = {"binary_data_size": len(data)}
            raw.append(data)
        else:
            output["data"] = _list_flat(array)
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": manifest.model_name, "outputs": outputs}
    if manifest.model_version:
        answer["model_version"] = manifest.model_version
    if infer.id is not None:
        answer["id"] = infer.id
    header = json.dumps(answer).encode()
    return b"".join([header, *raw]), len(header) if raw else None


def metadata(manifest: Manifest) -> dict[str, object]:
    """Describe the model: its tensors by the signature; -1 is any size."""
    signature = manifest.signature or {}
    return {
        "name": manifest.model_name,
        "versions": [manifest.model_version] if manifest.model_version else [],
        "platform": f"mlflow_{manifest.flavor}",
        "inputs": _describe_tensors(signature.get("inputs"), "input"),
        "outputs": _describe_tensors(signature.get("outputs"), "output"),
    }


def _describe_tensors(specs: Any, what: str) -> list[dict[str, Any]]:
    schema = read_schema(specs)
    if schema is None:
        return []
    tensors = [
        (spec.name, _NAMES.get(spec.dtype, _BYTES), list(spec.shape)) for spec in schema.tensors
    ]
    columns = [(spec.name, _name_datatype(spec.type), [-1]) for spec in schema.columns]
    return [
        {
            "name": f"{what}-{position}" if name is None else str(name),
            "datatype": datatype,
            "shape": shape,
        }
        for position, (name, datatype, shape) in enumerate([*tensors, *columns])
    ]


def _name_datatype(kind: Type) -> str:
    return _NAMES.get(np.dtype(kind.dtype), _BYTES) if isinstance(kind, DataType) else _BYTES


def _read_parameters(value: Mapping[str, object]) -> dict[str, Any]:
    found = value.get("parameters") or {}
    if not isinstance(found, dict):
        raise InvalidInputError("`parameters` must be an object.")
    return found


def _read_tensors(inputs: list[object], rest: memoryview) -> dict[str, Array]:
    found: dict[str, Array] = {}
    at = 0
    for each in inputs:
        if not isinstance(each, dict) or not {"name", "datatype", "shape"} <= each.keys():
            raise InvalidInputError("Each input must have a `name`, a `datatype` and a `shape`.")
        size = _read_parameters(each).get("binary_data_size")
        try:
            shape = tuple(int(length) for length in each["shape"])
            if size is None:
                array = _from_json(each.get("data"), str(each["datatype"]))
            else:
                raw = rest[at : at + int(size)]
                at += int(size)
                if len(raw) != int(size):
                    raise InvalidInputError(
                        f"The body ends within the input {each['name']}. Its "
                        "`binary_data_size` must be the size of its data in bytes."
                    )
                array = _from_bytes(raw, str(each["datatype"]))
            found[str(each["name"])] = _shape_array(array, shape, each["name"])
        except ScoringError:
            raise
        except DATA_ERRORS as error:
            raise InvalidInputError(
                f"The input {each['name']} does not fit its datatype and shape.",
                detail=f"Error: {error!r}",
            ) from error
    if at != len(rest):
        raise InvalidInputError(
            "The body has more bytes than its inputs. Each `binary_data_size` must be the size of "
            "that input's data in bytes."
        )
    if not found:
        raise InvalidInputError("The list `inputs` is empty. Send the model's inputs in it.")
    return found


def _shape_array(array: Array, shape: tuple[int, ...], name: str) -> Array:
    if min(shape, default=0) < 0:
        raise InvalidInputError(f"The shape of the input {name} has a number below 0.")
    if math.prod(length or 1 for length in shape) > max(array.size, _MAX_EMPTY):
        raise InvalidInputError(f"The input {name} has fewer values than its shape.")
    return array.reshape(shape)


def _from_json(data: object, datatype: str) -> Array:
    if data is None:
        raise InvalidInputError(
            "An input must have `data`, or a `binary_data_size` in `parameters`."
        )
    if datatype == _BYTES:
        texts: list[Any] = []
        _flatten_values(data, texts)
        return np.array([*texts, None], dtype=object)[:-1]
    return np.asarray(data, dtype=_name_dtype(datatype)).reshape(-1)


def _from_bytes(raw: memoryview, datatype: str) -> Array:
    if datatype != _BYTES:
        return np.frombuffer(raw, dtype=np.dtype(_name_dtype(datatype)).newbyteorder("<"))
    texts: list[Any] = []
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at + length > len(raw):
            raise InvalidInputError(
                "A text ends beyond its tensor. Write its size in 4 bytes before it, the lowest "
                "first."
            )
        texts.append(bytes(raw[at : at + length]).decode())
        at += length
    return np.array([*texts, None], dtype=object)[:-1]


def _name_dtype(datatype: str) -> str:
    if datatype not in _DTYPES:
        raise InvalidInputError(
            f"There is no datatype {datatype}; there are {', '.join(_DTYPES)} and BYTES."
            f"{suggest_name(datatype, (*_DTYPES, _BYTES))}"
        )
    return _DTYPES[datatype]


def _flatten_values(data: object, out: list[object]) -> None:
    if isinstance(data, list):
        for each in data:
            _flatten_values(each, out)
    else:
        out.append(data)


def _flatten_column(array: Array) -> Array:
    """The cells of a matrix of one column; any other array as it is."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _make_data(tensors: dict[str, Array], manifest: Manifest) -> object:
    """As the body `inputs` of MLflow's own protocol would have been parsed."""
    schema = read_schema((manifest.signature or {}).get("inputs"))
    if schema is None or (schema.tensors and not schema.named):
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors
    if schema.tensors:
        return tensors
    columns = {
        schema.numbered.get(name, name): _flatten_column(array) for name, array in tensors.items()
    }
    if len(columns) == 1 and len(schema.columns) > 1:
        return next(iter(columns.values()))  # a matrix of all columns
    return columns


def _name_outputs(prediction: Any) -> dict[str, Array]:
    """Outputs by name: a dict's and a frame's own, else one."""
    if hasattr(prediction, "columns") and hasattr(prediction, "to_numpy"):
        return {str(name): _make_array(prediction[name].to_numpy()) for name in prediction.columns}
    if isinstance(prediction, dict):
        return {str(name): _make_array(value) for name, value in prediction.items()}
    if isinstance(prediction, list) and _are_alike(prediction):
        return {str(n): _make_array([row[n] for row in prediction]) for n in prediction[0]}
    return {"output-0": _make_array(prediction)}


def _are_alike(rows: list[object]) -> bool:
    """True for records of the same names."""
    if not rows or not isinstance(rows[0], dict):
        return False
    names = rows[0].keys()
    return all(isinstance(row, dict) and row.keys() == names for row in rows)


def _make_array(value: object) -> Array:
    made = np.asarray(jsonable(value) if not isinstance(value, np.ndarray) else value)
    return made if made.dtype in _NAMES else made.astype(object)


def _list_flat(array: Array) -> list[object]:
    if array.dtype == object:
        return [_text(value) for value in array.reshape(-1).tolist()]
    values: list[Any] = array.reshape(-1).tolist()
    return values


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _pack_texts(array: Array) -> bytes:
    texts = [_text(value).encode() for value in array.reshape(-1).tolist()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
