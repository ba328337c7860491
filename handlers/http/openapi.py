"""The OpenAPI description of /invocations, made from the model's signature.

Types are JSON Schema 2020-12, as OpenAPI 3.1 has them (https://spec.openapis.org/oas/v3.1.0).
"""

from __future__ import annotations

import json

from handlers.manifest import Manifest
from handlers.scoring.schema.signature import (
    AnyType,
    Array,
    ColumnSpec,
    DataType,
    Map,
    Object,
    ParamSpec,
    Schema,
    TensorSpec,
    Type,
    read_params,
    read_schema,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

JsonSchema: TypeAlias = "dict[str, object]"
_SCALARS: dict[str, JsonSchema] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}
_TENSOR_KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}
_ERROR: JsonSchema = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {
        name: {"type": "string"} for name in ("error_code", "message", "sqlstate", "error_class")
    },
}
_ERRORS = {
    "400": "The body is none of the formats, or does not fit the signature.",
    "413": "The request or the answer is larger than the platform carries.",
}


def operation(manifest: Manifest, example: object = None) -> JsonSchema:
    """The operation object of POST /invocations; `example` is a JSON request body."""
    signature = manifest.signature or {}
    inputs = read_schema(signature.get("inputs"))
    content: dict[str, JsonSchema] = {
        "application/json": {"schema": request_schema(inputs, read_params(signature.get("params")))}
    }
    if example is not None:
        content["application/json"]["example"] = example
    if _takes_text_names(inputs) and (
        inputs is None or all(isinstance(_type_of(spec), DataType) for spec in inputs.specs)
    ):
        content["text/csv"] = {"schema": {"type": "string"}}
        header = _csv_header(inputs)
        if header:
            content["text/csv"]["example"] = header
    return {
        "requestBody": {"required": True, "content": content},
        "responses": _describe_responses(read_schema(signature.get("outputs"))),
    }


def request_schema(inputs: Schema | None, params: tuple[ParamSpec, ...] | None) -> JsonSchema:
    """One of the bodies that the signature allows, each with `params` where it has any."""
    formats = {}
    if _takes_text_names(inputs):
        formats["inputs"] = _describe_inputs(inputs)
    if inputs is None or inputs.columns:
        formats["dataframe_split"] = _describe_split(inputs)
        if _takes_text_names(inputs):
            formats["dataframe_records"] = {"type": "array", "items": _describe_record(inputs)}
    extra = {"params": _describe_params(params)} if params else {}
    return {
        "oneOf": [
            {
                "title": key,
                "type": "object",
                "required": [key],
                "properties": {key: schema, **extra},
            }
            for key, schema in formats.items()
        ]
    }


def _takes_text_names(inputs: Schema | None) -> bool:
    """False where a column's name is a number, which only `dataframe_split` can send."""
    return inputs is None or all(isinstance(name, str) for name in inputs.by_name)


def _type_of(spec: ColumnSpec | TensorSpec) -> Type | None:
    return spec.type if isinstance(spec, ColumnSpec) else None


def _csv_header(inputs: Schema | None) -> str:
    return ",".join(map(str, inputs.by_name)) + "\n" if inputs is not None and inputs.named else ""


def _describe_responses(outputs: Schema | None) -> JsonSchema:
    answer: JsonSchema = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": _describe_predictions(outputs)},
    }
    refused = {
        status: {"description": text, "content": {"application/json": {"schema": _ERROR}}}
        for status, text in _ERRORS.items()
    }
    return {
        "200": {
            "description": "One prediction a row.",
            "content": {"application/json": {"schema": answer}},
        },
        **refused,
        "415": {
            "description": "The content type is not served.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    }


def _describe_predictions(outputs: Schema | None) -> JsonSchema:
    if outputs is None:
        return {}
    if outputs.tensors:
        return _describe_inputs(outputs)
    if not outputs.named:
        return {"type": "array", "items": type_schema(outputs.columns[0].type)}
    record: JsonSchema = {"type": "object", "properties": _describe_properties(outputs)}
    return {"type": "array", "items": record}


def _describe_properties(schema: Schema) -> JsonSchema:
    return {str(spec.name): type_schema(spec.type) for spec in schema.columns}


def _describe_record(inputs: Schema | None) -> JsonSchema:
    if inputs is None:
        return {"type": "object"}
    if not inputs.named:
        return _describe_row(inputs)
    return {
        "type": "object",
        "required": [str(name) for name in inputs.required],
        "properties": _describe_properties(inputs),
    }


def _describe_row(inputs: Schema) -> JsonSchema:
    return {
        "type": "array",
        "prefixItems": [type_schema(spec.type) for spec in inputs.columns],
        "minItems": len(inputs.columns),
    }


def _describe_split(inputs: Schema | None) -> JsonSchema:
    name: JsonSchema = {"type": "string"}
    columns: JsonSchema = {"type": "array", "items": name}
    row: JsonSchema = {"type": "array"}
    if inputs is not None:
        row = _describe_row(inputs)
        if inputs.named:
            names = list(inputs.by_name)
            if not _takes_text_names(inputs):
                name["type"] = ["string", "integer"]
            name["examples"] = names
            columns["default"] = names
    return {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": columns,
            "index": {"type": "array"},
            "data": {"type": "array", "items": row},
        },
        "additionalProperties": False,
    }


def _describe_inputs(schema: Schema | None) -> JsonSchema:
    if schema is None:
        return {}
    if schema.tensors:
        if not schema.named:
            return _describe_tensor(schema.tensors[0])
        tensors = {str(spec.name): _describe_tensor(spec) for spec in schema.tensors}
        return {"type": "object", "required": list(tensors), "properties": tensors}
    if not schema.named:
        return {"type": "array"}
    columns = {
        name: {"type": "array", "items": column}
        for name, column in _describe_properties(schema).items()
    }
    required = [str(name) for name in schema.required]
    return {"type": "object", "required": required, "properties": columns}


def _describe_tensor(spec: TensorSpec) -> JsonSchema:
    kind = _TENSOR_KINDS.get(spec.dtype.kind, "string")
    made: JsonSchema = {} if spec.dtype.kind == "O" else {"type": kind, "format": spec.dtype.name}
    for size in reversed(spec.shape):
        made = {"type": "array", "items": made}
        if size >= 0:
            made.update({"minItems": size, "maxItems": size})
    return made


def _describe_params(params: tuple[ParamSpec, ...]) -> JsonSchema:
    properties = {}
    for spec in params:
        schema = type_schema(spec.type)
        if spec.shape is not None:
            schema = {"type": "array", "items": schema}
        properties[spec.name] = {**schema, "default": spec.default}
    return {"type": "object", "properties": properties}


def type_schema(wanted: Type) -> JsonSchema:
    """The JSON Schema of one value."""
    if isinstance(wanted, DataType):
        return dict(_SCALARS[wanted.name])
    if isinstance(wanted, Array):
        return {"type": "array", "items": type_schema(wanted.items)}
    if isinstance(wanted, Map):
        return {"type": "object", "additionalProperties": type_schema(wanted.values)}
    if isinstance(wanted, Object):
        return {
            "type": "object",
            "required": [p.name for p in wanted.properties.values() if p.required],
            "properties": {p.name: type_schema(p.type) for p in wanted.properties.values()},
            "additionalProperties": False,
        }
    assert isinstance(wanted, AnyType)  # noqa: S101  the last of the union
    return {}


def read_example(text: str) -> object:
    """A request body to show, or None where `text` is no JSON.

    NaN and infinity, which MLflow writes and JSON does not have, are shown as null.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        return None
