"""Tables and arrays held to a tensor signature, asked without a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from handlers.scoring.errors import SchemaError, TooLargeError
from handlers.scoring.schema.columns import Column, Table, objects
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import Schema, read_schema
from handlers.scoring.schema.tensors import enforce_tensors
from tests.conformance.cases import tensor


def schema(dtype: str, shape: list[int], name: str | None = "x") -> Schema:
    made = read_schema([tensor(dtype, shape, name)])
    assert made is not None
    return made


def table(*cells: Any, array: Any = None) -> Table:
    held = objects(cells, len(cells)) if array is None else array
    return Table({"x": Column(held)}, len(held))


def enforce(data: Any, dtype: str, shape: list[int]) -> Any:
    return enforce_tensors(data, schema(dtype, shape), Quirks())["x"]


@pytest.mark.parametrize("shape", [[-1, -1], [-1, 2, -1]])
def test_ragged_arrays_are_handed_on_where_a_later_size_is_open(shape: list[int]) -> None:
    ragged = objects([[1.0], [2.0, 3.0]], 2)

    assert enforce({"x": ragged}, "float64", shape) is ragged


@pytest.mark.parametrize("shape", [[-1], [-1, 2]])
def test_ragged_arrays_are_refused_where_sizes_are_fixed(shape: list[int]) -> None:
    with pytest.raises(SchemaError):
        enforce({"x": objects([[1.0], [2.0, 3.0]], 2)}, "float64", shape)


def test_lists_in_a_column_are_stacked_as_the_tensor_s_type() -> None:
    made = enforce(table([1, 2], [3, 4]), "float32", [-1, 2])

    assert made.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert made.dtype == np.float32


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            ([1, 2, 3], [4, 5, 6]),
            (
                "Ensure that each of the input list elements are of uniform length and that the "
                "data can be coerced to the tensor type 'float64'"
            ),
        ),
        (
            (np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])),
            (
                "Ensure that each of the input numpy array elements are of uniform length and can "
                "be reshaped to above expected shape."
            ),
        ),
    ],
)
@pytest.mark.parametrize("width", [2, 4])
def test_rows_of_another_size_are_refused_in_mlflow_s_words(
    cells: Any, said: str, width: int
) -> None:
    with pytest.raises(SchemaError) as raised:
        enforce(table(*cells), "float64", [-1, width])

    assert raised.value.message == (
        "The value in the Input DataFrame column 'x' could not be converted to the expected shape "
        f"of: '(-1, {width})'. {said}"
    )


def test_pandas_times_are_no_scalars_for_a_tensor() -> None:
    times = np.array(["2024-01-02"], dtype="datetime64[ns]")

    with pytest.raises(SchemaError, match="should be either scalar value"):
        enforce(table(array=times), "float64", [-1])
    assert enforce(table(array=np.array([1, 2])), "float64", [-1]).tolist() == [1.0, 2.0]


def test_a_text_far_longer_than_the_others_is_refused_before_it_is_an_array() -> None:
    cells = ("x" * 200_000, *["y"] * 5000)

    with pytest.raises(TooLargeError, match="far longer than the others"):
        enforce(table(*cells), "str", [-1])


def test_a_value_that_is_no_array_is_refused_in_mlflow_s_words() -> None:
    with pytest.raises(SchemaError, match=r"a dict with value type <class 'list'> was found"):
        enforce({"x": [1.0, 2.0]}, "float64", [-1])
