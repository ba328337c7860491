"""A model's signature as values: columns, tensors, nested types and parameters.

The specs are those of MLmodel (https://mlflow.org/docs/latest/ml/model/signatures/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from handlers.scoring.schema import np
from handlers.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Json: TypeAlias = "Any"
Name: TypeAlias = "Any"
"""A column's name: a str, or an int where the signature or the request has no names."""


@dataclass(frozen=True, slots=True)
class DataType:
    """One of MLflow's eight scalar types, with the dtype its columns have."""

    name: str
    dtype: np.dtype[Any]
    """In a column of a table; strings and bytes are objects there."""
    array_dtype: np.dtype[Any]
    """In a numpy array made from JSON's `inputs`."""

    def __str__(self) -> str:
        return self.name

    @property
    def member(self) -> str:
        """As MLflow's messages name it: a member of its enumeration."""
        return f"DataType.{self.name}"


def _data_type(name: str, dtype: str, array_dtype: str | None = None) -> DataType:
    return DataType(name, np.dtype(dtype), np.dtype(array_dtype or dtype))


BOOLEAN = _data_type("boolean", "bool")
INTEGER = _data_type("integer", "int32")
LONG = _data_type("long", "int64")
FLOAT = _data_type("float", "float32")
DOUBLE = _data_type("double", "float64")
STRING = _data_type("string", "object", "str")
BINARY = _data_type("binary", "object", "bytes")
DATETIME = _data_type("datetime", "datetime64[ns]")
DATA_TYPES = {t.name: t for t in (BOOLEAN, INTEGER, LONG, FLOAT, DOUBLE, STRING, BINARY, DATETIME)}


@dataclass(frozen=True, slots=True)
class AnyType:
    """Anything JSON holds; never checked."""

    def __str__(self) -> str:
        return "Any"


@dataclass(frozen=True, slots=True)
class Array:
    items: Type
    vector: bool = False
    """A SparkML vector, which is an array of doubles with a name of its own."""

    def __str__(self) -> str:
        return "SparkML vector" if self.vector else f"Array({self.items})"


@dataclass(frozen=True, slots=True)
class Map:
    """Text keys to values of one type."""

    values: Type

    def __str__(self) -> str:
        values = self.values.member if isinstance(self.values, DataType) else self.values
        return f"Map(str -> {values})"


@dataclass(frozen=True, slots=True)
class Property:
    name: str
    type: Type
    required: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.type} ({_describe_need(self.required)})"


@dataclass(frozen=True, slots=True)
class Object:
    properties: Mapping[str, Property]

    def __str__(self) -> str:
        return f"{{{', '.join(map(str, self.properties.values()))}}}"


Type: TypeAlias = "DataType | AnyType | Array | Map | Object"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    name: Name | None
    type: Type
    required: bool

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}{self.type} ({_describe_need(self.required)})"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    name: str | None
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    """-1 is any size."""

    def __str__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}Tensor({self.dtype.name!r}, {self.shape!r})"


@dataclass(frozen=True, slots=True)
class ParamSpec:
    name: str
    type: DataType | Object
    default: Json
    shape: tuple[int, ...] | None
    """None is a scalar, (-1,) a list."""

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.type} (default: {_show_default(self)}){shape}"


@dataclass(frozen=True)
class Schema:
    """Either columns or tensors, never both; either all named or none."""

    columns: tuple[ColumnSpec, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.specs))}]"

    @cached_property
    def specs(self) -> tuple[ColumnSpec, ...] | tuple[TensorSpec, ...]:
        return self.columns or self.tensors

    @cached_property
    def named(self) -> bool:
        return self.specs[0].name is not None

    @cached_property
    def by_name(self) -> dict[Name, ColumnSpec | TensorSpec]:
        """Empty where there are no names."""
        if not self.named:
            return {}
        return {spec.name: spec for spec in self.specs}

    @cached_property
    def numbered(self) -> dict[str, Name]:
        """Names that are no text, by the text that stands for each where only text can."""
        others = {str(name): name for name in self.by_name if not isinstance(name, str)}
        return {text: name for text, name in others.items() if text not in self.by_name}

    def check_scalars(self) -> None:
        """Raises ValueError, in MLflow's words, where a column is not of one dtype of pandas."""
        if self.tensors:
            raise ValueError("TensorSpec only supports numpy types, use numpy_types() instead")
        if not all(isinstance(spec.type, DataType) for spec in self.columns):
            raise ValueError(
                "Failed to get pandas types as some of the inputs types are not DataType."
            )

    @cached_property
    def required(self) -> tuple[Name, ...]:
        """Names that a request must have, in the signature's order."""
        if not self.named:
            return ()
        columns = (spec.name for spec in self.columns if spec.required)
        return (*columns, *(spec.name for spec in self.tensors))


def _describe_need(required: bool) -> str:  # noqa: FBT001  what it says
    return "required" if required else "optional"


def _show_default(spec: ParamSpec) -> object:
    """A param's default as MLflow's messages have it: times as Python's own."""
    if spec.type is not DATETIME or spec.default is None:
        return spec.default
    if isinstance(spec.default, list):
        return [np.datetime64(value).item() for value in spec.default]
    return np.datetime64(spec.default).item()


def read_schema(specs: Sequence[Mapping[str, object]] | None) -> Schema | None:
    """`specs`: a list as MLmodel has it. Raises KeyError or TypeError for what is not a spec."""
    if not specs:
        return None
    if specs[0]["type"] == "tensor":
        return Schema(tensors=tuple(_read_tensor(spec) for spec in specs))
    return Schema(columns=tuple(_read_column(spec) for spec in specs))


def read_params(specs: Sequence[Mapping[str, Json]] | None) -> tuple[ParamSpec, ...] | None:
    if specs is None:
        return None
    return tuple(
        ParamSpec(
            name=str(spec["name"]),
            type=_param_type(spec),
            default=spec["default"],
            shape=None if spec.get("shape") is None else tuple(spec["shape"]),
        )
        for spec in specs
    )


def read_type(spec: Mapping[str, Json]) -> Type:
    kind = spec["type"]
    if kind == "array":
        return Array(read_type(spec["items"]))
    if kind == "map":
        return Map(read_type(spec["values"]))
    if kind == "object":
        properties = spec["properties"].items()
        return Object(
            {
                name: Property(name, read_type(inner), bool(inner.get("required", True)))
                for name, inner in sorted(properties)
            }
        )
    if kind == "sparkml_vector":
        return Array(DOUBLE, vector=True)
    if kind == "any":
        return AnyType()
    return DATA_TYPES[kind]


def _read_column(spec: Mapping[str, Json]) -> ColumnSpec:
    column_type = read_type(spec)
    # MLflow takes a scalar column without `required` for required, and a nested one for optional
    required = bool(spec.get("required", isinstance(column_type, DataType)))
    return ColumnSpec(spec.get("name"), column_type, required)


def _read_tensor(spec: Mapping[str, Json]) -> TensorSpec:
    inner = spec["tensor-spec"]
    return TensorSpec(spec.get("name"), np.dtype(inner["dtype"]), tuple(inner["shape"]))


def _param_type(spec: Mapping[str, Json]) -> DataType | Object:
    kind = spec.get("type") or spec["dtype"]
    found = read_type({**spec, "type": kind})
    if not isinstance(found, (DataType, Object)):
        raise TypeError(f"param {spec['name']!r} is of type {kind}")
    return found
