"""The part of numpy's interface that tables of scalar columns use, over Python's lists.

Names, results and refusals are numpy's (https://numpy.org/doc/stable/reference/), of x86_64 where
numpy leaves it to the processor. What has no name here is not used for such tables.
"""

from handlers.scoring.plain.array import (
    Array,
    abs,  # noqa: A004  numpy's name
    array,
    asarray,
    concatenate,
    cumsum,
    empty,
    errstate,
    floor,
    fromiter,
    full,
    iinfo,
    isfinite,
    isin,
    isnan,
    isscalar,
    nan,
    nanmax,
    ndim,
    repeat,
)
from handlers.scoring.plain.dtypes import (
    Bool,
    Bytes,
    DType,
    Float32,
    Float64,
    Generic,
    Int32,
    Int64,
    Number,
    Text,
    UInt64,
)

bool_, bytes_, str_ = Bool, Bytes, Text
int32, int64, uint64 = Int32, Int64, UInt64
float32, float64 = Float32, Float64
generic, number = Generic, Number
dtype, ndarray = DType, Array

__all__ = [
    "abs", "array", "asarray", "bool_", "bytes_", "concatenate", "cumsum", "dtype", "empty",
    "errstate", "float32", "float64", "floor", "fromiter", "full", "generic", "iinfo", "int32",
    "int64", "isfinite", "isin", "isnan", "isscalar", "nan", "nanmax", "ndarray", "ndim", "number",
    "repeat", "str_", "uint64",
]  # fmt: skip
