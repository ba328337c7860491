"""A signature's specs, looked through before anything reads them: each fault with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from handlers.scoring.errors import ScoringError
from handlers.scoring.schema.parameters import enforce_params
from handlers.scoring.schema.quirks import quirks
from handlers.scoring.schema.signature import DATA_TYPES, read_params, read_schema
from packager.errors import ModelFormatError

_TENSOR: Final = "tensor"
_NESTED: Final = ("array", "map", "object", "sparkml_vector", "any")
_INNER: Final[Mapping[str, str]] = {"array": "items", "map": "values", "object": "properties"}
"""Where a nested type says what is in it."""
_MOST_SAID: Final = 10
"""Faults in a message; a table that was written by another program may have thousands."""


def check_specs(part: str, specs: Sequence[Mapping[str, object]]) -> None:
    """Raises ModelFormatError for a part of the signature that MLflow could not read either."""
    faults = list(_find_faults(part, specs))
    if not faults:
        faults = list(_find_bad_defaults(specs)) if part == "params" else _read_whole(part, specs)
    if faults:
        more = len(faults) - _MOST_SAID
        told = [*faults[:_MOST_SAID], *([f"{more:,} more like these"] if more > 0 else [])]
        lines = "".join(f"\n  - {each[:400].removesuffix('.')}." for each in told)
        raise ModelFormatError(
            f"MLmodel: the signature's {part} cannot be read:{lines}\n"
            "Log the model again with a signature of MLflow's (mlflow.models.infer_signature)."
        )


def _read_whole(part: str, specs: Sequence[Mapping[str, object]]) -> list[str]:
    try:
        read_schema(specs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return [f"{part}: {error}"]
    return []


def _find_bad_defaults(specs: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """A param whose default is none of its type would have every request refused."""
    for number, spec in enumerate(specs):
        try:
            enforce_params({}, read_params([spec]), quirks(None, None))
        except (ScoringError, KeyError, TypeError, ValueError, OverflowError):
            place = _name_place("params", number, spec["name"])
            kind = spec.get("type") or spec.get("dtype")
            listed = "" if spec.get("shape") is None else "a list of "
            yield f"{place}: `default` is {_show(spec['default'])}, and not {listed}{kind}"


def _find_faults(part: str, specs: Sequence[Mapping[str, object]]) -> Iterator[str]:
    if part == "params":
        yield from _find_params_faults(specs)
        return
    for number, spec in enumerate(specs):
        place = _name_place(part, number, spec.get("name"))
        if not isinstance(spec.get("name"), str | int | None):
            yield f"{place}: its name is {_show(spec['name'])}, and not a text"
        if part == "inputs" and spec.get("name") == "" and spec.get("required", True):
            # to MLflow it is then called by its position, which no request names
            yield f"{place}: its name is empty, and MLflow refuses every request; name the column"
        if spec.get("type") == _TENSOR:
            yield from _find_tensor_faults(spec, place)
        else:
            yield from _find_type_faults(spec, place)
    tensors = sum(spec.get("type") == _TENSOR for spec in specs)
    if 0 < tensors < len(specs):
        yield f"{part}: columns and tensors in one list, which MLflow takes only one of"
    named = sum(spec.get("name") is not None for spec in specs)
    if 0 < named < len(specs):
        yield f"{part}: {named} of {len(specs)} have a name, and MLflow takes all or none"


def _find_params_faults(specs: Sequence[Mapping[str, object]]) -> Iterator[str]:
    seen: set[str] = set()
    for number, spec in enumerate(specs):
        name = spec.get("name")
        place = _name_place("params", number, name)
        if not isinstance(name, str | int):
            yield f"{place}: its name is {_show(name)}, and not a text"
        elif str(name) in seen:
            yield f"{place}: a param before it has that name"
        seen.add(str(name))
        if "default" not in spec:
            yield f"{place}: `default` is missing"
        kind = spec.get("type") or spec.get("dtype")
        if isinstance(kind, str) and kind in _NESTED and kind != "object":
            yield f"{place}: a param is a scalar, a list of scalars or an object, and not {kind}"
        else:
            yield from _find_type_faults({**spec, "type": kind}, place)
        shape = spec.get("shape")
        if shape is not None and shape != [-1]:
            yield f"{place}: `shape` is {_show(shape)}, and not null or [-1]"


def _find_tensor_faults(spec: Mapping[str, object], place: str) -> Iterator[str]:
    inner = spec.get("tensor-spec")
    if not isinstance(inner, dict):
        yield f"{place}: `tensor-spec` is {_show(inner)}, and not a table of `dtype` and `shape`"
        return
    dtype, shape = inner.get("dtype"), inner.get("shape")
    if not isinstance(dtype, str):
        yield f"{place}: `dtype` is {_show(dtype)}, and not the name of a dtype of numpy"
    elif not _is_dtype(dtype):
        yield f"{place}: `dtype` is {_show(dtype)}, which numpy does not know"
    if not isinstance(shape, list) or not all(_is_size(size) for size in shape):
        yield f"{place}: `shape` is {_show(shape)}, and not a list of whole numbers"


def _find_type_faults(spec: Mapping[str, object], place: str) -> Iterator[str]:
    """`place`: what the messages begin with; a nested type adds to it."""
    kind = spec.get("type")
    if not isinstance(kind, str) or (kind not in DATA_TYPES and kind not in _NESTED):
        known = ", ".join([*DATA_TYPES, *_NESTED])
        yield f"{place}: `type` is {_show(kind)}, and not one of MLflow's ({known})"
        return
    key = _INNER.get(kind)
    if key is None:
        return
    inner = spec.get(key)
    if not isinstance(inner, dict):
        yield f"{place}: `{key}` of {kind} is {_show(inner)}, and not a table"
    elif kind != "object":
        yield from _find_type_faults(inner, f"{place}, {key}")
    elif not inner:
        yield f"{place}: `properties` is empty"
    else:
        for name, each in inner.items():
            within = f"{place}, property {_show(name)}"
            if isinstance(each, dict):
                yield from _find_type_faults(each, within)
            else:
                yield f"{within} is {_show(each)}, and not a table"


def _name_place(part: str, number: int, name: object) -> str:
    return f"{part}[{number}]" + (f" {_show(name)}" if isinstance(name, str) else "")


def _is_dtype(name: str) -> bool:
    try:
        np.dtype(name)
    except (TypeError, ValueError, SyntaxError):
        return False
    return True


def _is_size(size: object) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and -1 <= size < 2**31


def _show(value: object) -> str:
    if value is None:
        return "missing"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
