from __future__ import annotations

from typing import Any

import pytest

from packager.errors import ModelFormatError
from packager.pipeline.resolve._signature_specs import check_specs

SCALARS: list[dict[str, Any]] = [
    {"type": "double", "name": "x", "required": True},
    {"type": "string", "name": "y", "required": "no"},
]
TENSOR: dict[str, Any] = {
    "type": "tensor",
    "name": "t",
    "tensor-spec": {"dtype": "float32", "shape": [-1, 3]},
}
PARAM: dict[str, Any] = {"name": "p", "type": "double", "default": 1.0, "shape": None}


@pytest.mark.parametrize(
    ("part", "specs"),
    [
        ("inputs", SCALARS),
        ("inputs", [{"type": "double"}, {"type": "double"}]),
        ("inputs", [{"type": "double", "name": 5}]),
        (
            "inputs",
            [{"type": "double", "name": "x"}, {"type": "long", "name": "", "required": False}],
        ),
        ("outputs", [{"type": "double", "name": ""}]),
        ("inputs", [TENSOR]),
        ("inputs", []),
        ("inputs", [{"type": "any", "name": "x"}, {"type": "sparkml_vector", "name": "v"}]),
        ("inputs", [{"type": "array", "name": "x", "items": {"type": "long"}}]),
        (
            "outputs",
            [{"type": "object", "properties": {"a": {"type": "map", "values": {"type": "any"}}}}],
        ),
        ("params", [PARAM, {**PARAM, "name": "q", "shape": [-1], "default": [1, 2.5]}]),
        ("params", [{"name": "p", "dtype": "long", "default": None}]),
        ("params", [{**PARAM, "type": "datetime", "default": "2024-01-01"}]),
        ("params", []),
    ],
)
def test_specs_of_mlflow_s_pass(part: str, specs: list[dict[str, Any]]) -> None:
    check_specs(part, specs)


@pytest.mark.parametrize(
    ("part", "spec", "said"),
    [
        ("inputs", {"type": ["double"], "name": "x"}, "inputs[0] 'x': `type` is ['double'], and"),
        ("inputs", {"type": {"a": 1}}, "inputs[0]: `type` is {'a': 1}, and not one of MLflow's"),
        ("inputs", {"type": "duble"}, "`type` is 'duble', and not one of MLflow's (boolean,"),
        ("inputs", {"name": "x"}, "`type` is missing"),
        ("inputs", {"type": "double", "name": ""}, "inputs[0] '': its name is empty, and MLflow"),
        ("inputs", {"type": "double", "name": ["x"]}, "its name is ['x'], and not a text"),
        (
            "inputs",
            {"type": "object", "name": "x", "properties": 5},
            "inputs[0] 'x': `properties` of object is 5, and not a table",
        ),
        ("inputs", {"type": "object", "properties": []}, "`properties` of object is []"),
        ("inputs", {"type": "object", "properties": {}}, "`properties` is empty"),
        ("outputs", {"type": "object", "properties": {"a": 5}}, "property 'a' is 5, and not a"),
        (
            "inputs",
            {"type": "object", "properties": {"a": {"type": ["string"]}}},
            "inputs[0], property 'a': `type` is ['string']",
        ),
        ("inputs", {"type": "array", "items": "string"}, "`items` of array is 'string', and not a"),
        ("inputs", {"type": "array"}, "`items` of array is missing"),
        ("inputs", {"type": "map", "values": 5}, "`values` of map is 5"),
        (
            "inputs",
            {"type": "array", "items": {"type": "map", "values": {"type": 7}}},
            "inputs[0], items, values: `type` is 7",
        ),
        ("inputs", {"type": "tensor"}, "`tensor-spec` is missing"),
        ("inputs", {"type": "tensor", "tensor-spec": 5}, "`tensor-spec` is 5"),
        (
            "inputs",
            {"type": "tensor", "tensor-spec": {"dtype": "flout", "shape": [-1]}},
            "`dtype` is 'flout', which numpy does not know",
        ),
        (
            "inputs",
            {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": 5}},
            "`shape` is 5, and not a list of whole numbers",
        ),
        ("params", {**PARAM, "shape": 5}, "`shape` is 5, and not null or [-1]"),
        ("params", {**PARAM, "type": ["double"]}, "params[0] 'p': `type` is ['double']"),
        ("params", {**PARAM, "name": None}, "its name is missing"),
        ("params", {"name": "p", "type": "double"}, "`default` is missing"),
        ("params", {**PARAM, "type": "array"}, "and not array"),
        ("params", {**PARAM, "default": "x"}, "`default` is 'x', and not double"),
        ("params", {**PARAM, "shape": [-1]}, "`default` is 1.0, and not a list of double"),
        ("params", {**PARAM, "type": "datetime", "default": "soon"}, "`default` is 'soon'"),
    ],
)
def test_what_is_of_another_type_is_named_with_its_place(
    part: str, spec: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelFormatError) as caught:
        check_specs(part, [spec])
    assert said in str(caught.value)
    assert "Log the model again" in str(caught.value)


def test_all_are_said_at_once() -> None:
    wrong: list[dict[str, Any]] = [
        {"type": 5, "name": "a"},
        {"type": "array", "name": "b"},
        {"type": "double"},
    ]
    with pytest.raises(ModelFormatError) as caught:
        check_specs("inputs", wrong)
    told = str(caught.value).splitlines()
    assert [line.strip()[2:11] for line in told[1:-1]] == ["inputs[0]", "inputs[1]", "inputs: 2"]


def test_of_very_many_the_first_are_said() -> None:
    with pytest.raises(ModelFormatError, match="1,990 more like these"):
        check_specs("inputs", [{"type": 5}] * 2000)


def test_a_param_s_name_is_its_own() -> None:
    with pytest.raises(ModelFormatError, match="a param before it has that name"):
        check_specs("params", [PARAM, PARAM])


@pytest.mark.parametrize("specs", [[SCALARS[0], TENSOR], [TENSOR, SCALARS[0]]])
def test_columns_and_tensors_do_not_mix(specs: list[dict[str, Any]]) -> None:
    with pytest.raises(ModelFormatError, match="columns and tensors in one list"):
        check_specs("inputs", specs)
