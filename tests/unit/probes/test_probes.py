"""Which requests a model is asked: by its signature, its example, or neither."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from packager.probes import Probe, probes, unseen
from packager.types import Json, ResolvedModel, SavedExample
from tests import fake_plan


def model(
    inputs: list[dict[str, Json]] | None,
    example: Json = None,
    params: list[dict[str, Json]] | None = None,
    **changes: Any,
) -> ResolvedModel:
    signature = None if inputs is None else {"inputs": inputs, "outputs": None, "params": params}
    saved = None
    if example is not None:
        body = example if isinstance(example, bytes) else json.dumps(example).encode()
        kind = "text/csv" if isinstance(example, bytes) else "application/json"
        saved = SavedExample(body=body, content_type=kind, source="test")
    return fake_plan.model(signature=signature, example=saved, **changes)


def column(kind: str, name: str = "x", **more: Json) -> dict[str, Json]:
    return {"type": kind, "name": name, "required": True, **more}


def tensor(shape: list[int], dtype: str = "float32", **more: Json) -> dict[str, Json]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **more}


def regular(made: tuple[Probe, ...]) -> list[Probe]:
    return [probe for probe in made if probe.name.startswith("request ")]


def forms(made: tuple[Probe, ...]) -> set[str]:
    return {
        "csv" if probe.content_type == "text/csv" else next(iter(json.loads(probe.body)))
        for probe in regular(made)
    }


def cells(made: tuple[Probe, ...]) -> list[Json]:
    """Every value of the first column that was sent as dataframe_split."""
    return [
        row[0]
        for probe in regular(made)
        if b"dataframe_split" in probe.body
        for row in json.loads(probe.body)["dataframe_split"]["data"]
    ]


def test_neither_signature_nor_example_gives_nothing() -> None:
    assert probes(model(None), 1000, 0) == ()


def test_the_saved_example_comes_first_by_both_doors() -> None:
    body = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}}
    first, second, *_ = probes(model([column("double")], body), 10, 0)
    assert [(probe.door, probe.rows) for probe in (first, second)] == [("http", 2), ("direct", 2)]
    assert json.loads(first.body) == body


def test_a_body_that_is_not_strict_json_only_goes_over_http() -> None:
    nan = {"dataframe_split": {"columns": ["x"], "data": [[float("nan")]]}}
    made = probes(model(None, nan), 50, 0)
    assert {probe.door for probe in made} == {"http"}


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([column("double")],
         {"dataframe_split", "dataframe_records", "inputs", "instances", "csv"}),
        ([column("datetime")], {"dataframe_split", "dataframe_records", "inputs", "instances"}),
        ([{"type": "double"}, {"type": "long"}], {"dataframe_split"}),
        ([tensor([-1, 3])], {"inputs", "instances"}),
        ([tensor([2, 3])], {"inputs"}),
    ],
)  # fmt: skip
def test_every_form_that_the_signature_allows(
    inputs: list[dict[str, Json]], expected: set[str]
) -> None:
    assert forms(probes(model(inputs), 500, 0)) == expected


def test_type_hints_get_inputs_as_they_are() -> None:
    made = probes(model([{"type": "string"}], signature_from_type_hints=True), 20, 0)
    assert forms(made) == {"inputs"}
    items = [each for probe in regular(made) for each in json.loads(probe.body)["inputs"]]
    assert all(isinstance(item, str) for item in items)


def test_sizes_are_one_two_and_a_hundred() -> None:
    sizes = Counter(probe.rows for probe in regular(probes(model([column("long")]), 1000, 0)))
    assert set(sizes) == {1, 2, 100}


def test_both_doors_are_used_and_csv_only_over_http() -> None:
    made = probes(model([column("double")]), 1000, 0)
    assert {probe.door for probe in made} == {"direct", "http"}
    assert {probe.door for probe in made if probe.content_type == "text/csv"} == {"http"}


def test_numbers_keep_near_the_examples() -> None:
    example = {"dataframe_split": {"columns": ["x"], "data": [[10.0], [20.0]]}}
    found = cells(probes(model([column("double")], example), 1000, 0))
    assert {10.0, 20.0} <= set(found)
    assert all(8.9 <= value <= 21.1 for value in found)
    assert min(found) < 10.0
    assert max(found) > 20.0


@pytest.mark.parametrize(
    "example",
    [
        {"dataframe_records": [{"x": 5}, {"x": 9}]},
        {"inputs": {"x": [5, 9]}},
        {"instances": [{"x": 5}, {"x": 9}]},
        b"x\n5\n9\n",
    ],
)
def test_examples_are_read_in_every_form(example: Json) -> None:
    found = cells(probes(model([column("long")], example), 500, 0))
    assert all(isinstance(value, int) for value in found)
    assert set(found) <= set(range(4, 11))


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("boolean", lambda value: isinstance(value, bool)),
        ("integer", lambda value: isinstance(value, int) and abs(value) < 2**31),
        ("string", lambda value: isinstance(value, str)),
        ("binary", lambda value: isinstance(value, str)),
        ("datetime", lambda value: value[4] == "-" and "T" in value),
        ("float", lambda value: isinstance(value, float)),
    ],
)
def test_values_are_of_the_columns_type(kind: str, check: Any) -> None:
    found = cells(probes(model([column(kind)]), 300, 0))
    assert found
    assert all(check(value) for value in found)


def test_words_are_the_examples_and_null_where_it_has_null() -> None:
    example = {"dataframe_split": {"columns": ["x"], "data": [["a"], ["b"], [None]]}}
    assert set(cells(probes(model([column("string")], example), 1000, 0))) == {"a", "b", None}


def test_optional_columns_are_left_out_only_of_small_requests() -> None:
    inputs = [column("double"), column("double", "y", required=False)]
    made = [p for p in regular(probes(model(inputs), 2000, 1)) if b"records" in p.body]
    without = [p.rows for p in made if b'"y"' not in p.body]
    assert all(rows <= 2 for rows in without)


def test_nested_columns_follow_their_spec() -> None:
    spec = {
        "type": "object",
        "name": "x",
        "required": True,
        "properties": {
            "a": {"type": "array", "items": {"type": "long"}, "required": True},
            "b": {"type": "string", "required": False},
        },
    }
    for value in cells(probes(model([spec]), 200, 0)):
        assert "a" in value
        assert set(value) <= {"a", "b"}
        assert all(isinstance(item, int) for item in value["a"])


def test_named_tensors_come_as_inputs_and_as_instances() -> None:
    inputs = [tensor([-1, 2], name="a"), tensor([-1], "int64", name="b")]
    for probe in regular(probes(model(inputs), 300, 0)):
        body = json.loads(probe.body)
        rows = body.get("instances")
        if rows is None:
            assert len(body["inputs"]["a"]) == len(body["inputs"]["b"]) == probe.rows
            assert all(len(row) == 2 for row in body["inputs"]["a"])
        else:
            assert len(rows) == probe.rows
            assert all(isinstance(row["b"], int) for row in rows)


def test_parameters_are_varied() -> None:
    params = [
        {"name": "digits", "type": "long", "default": 2, "shape": None},
        {"name": "raw", "type": "boolean", "default": False, "shape": None},
    ]
    made = regular(probes(model([column("double")], params=params), 1000, 0))
    sent = [json.loads(p.body).get("params") for p in made if p.content_type != "text/csv"]
    assert None in sent
    assert any(each and each.get("raw") is True for each in sent)
    assert all(isinstance(each["digits"], int) for each in sent if each and "digits" in each)


@pytest.mark.parametrize(
    "example",
    [
        {"dataframe_split": {"columns": ["x"], "index": [7, 8], "data": [[1], [2]]}},
        {"dataframe_records": [{"x": 1}, {"x": 2}]},
        {"inputs": [[1], [2]]},
        {"inputs": {"x": [1, 2], "y": ["a", "b"]}},
    ],
)
def test_without_a_signature_the_examples_rows_are_drawn_again(example: Json) -> None:
    made = probes(model(None, example), 1000, 0)
    assert sum(probe.rows for probe in regular(made)) >= 1000
    assert {next(iter(json.loads(p.body))) for p in made} == {next(iter(example))}


@pytest.mark.parametrize("example", [{"messages": [{"role": "user"}]}, {"inputs": "one"}])
def test_an_example_that_has_no_rows_stands_alone(example: Json) -> None:
    assert len(probes(model(None, example), 1000, 0)) == 2


def test_edge_cases_come_with_every_signature() -> None:
    for inputs in ([column("double")], [{"type": "long"}], [tensor([-1, 2])]):
        names = [p.name for p in probes(model(inputs), 1, 0) if p.rows == 0]
        assert "edge case: malformed JSON" in names
        assert len(names) == len(set(names)) >= 7


def test_large_rows_make_small_batches_and_stop_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packager.probes._ALL_BYTES", 4_000_000)
    made = regular(probes(model([tensor([-1, 300, 300], "float64")]), 1000, 0))
    assert {probe.rows for probe in made} == {1}
    assert sum(len(probe.body) for probe in made) < 7_000_000


COLUMNS = [
    column("double"),
    column("long", "n"),
    column("string", "s"),
    column("string", "o", required=False),
]
EXAMPLE = {
    "dataframe_split": {
        "columns": ["x", "n", "s", "o"],
        "data": [[1.0, 3, "red", "a"], [2.0, 5, "blue", "b"]],
    }
}


def tables(made: tuple[Probe, ...], what: str) -> list[dict[str, Json]]:
    """Rows of the unseen requests of one kind, in whatever form they were sent as JSON."""
    found: list[dict[str, Json]] = []
    for probe in made:
        if what not in probe.name or probe.content_type != "application/json":
            continue
        body = json.loads(probe.body)
        for key in ("dataframe_records", "instances"):
            found += body.get(key, [])
        if split := body.get("dataframe_split"):
            found += [dict(zip(split["columns"], row, strict=True)) for row in split["data"]]
        if columns := body.get("inputs"):
            found += [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
    return found


def test_unseen_requests_are_none_of_the_others() -> None:
    one = model(COLUMNS, EXAMPLE)
    made = unseen(one, 0)
    assert all(probe.unseen for probe in made)
    assert not {probe.body for probe in made} & {probe.body for probe in probes(one, 1000, 0)}
    assert made == unseen(one, 0)
    assert made != unseen(one, 1)


def test_unseen_batches_have_one_two_and_a_thousand_rows() -> None:
    made = [probe for probe in unseen(model(COLUMNS, EXAMPLE), 0) if "drawn anew" in probe.name]
    assert [probe.rows for probe in made] == [1, 2, 1000]


def test_unseen_extremes_are_the_ends_of_the_columns_and_beyond() -> None:
    rows = tables(unseen(model(COLUMNS, EXAMPLE), 0), "extremes")
    assert {1.0, 2.0, 1e12, -1e12} <= {row["x"] for row in rows}
    assert {3, 5, 2**53, -(2**53)} <= {row["n"] for row in rows}
    assert {"red", "blue"}.isdisjoint(row["s"] for row in rows)


def test_unseen_gaps_are_where_the_signature_allows_them() -> None:
    rows = tables(unseen(model(COLUMNS, EXAMPLE), 0), "gaps")
    assert None in {row.get("o") for row in rows}
    assert None in {row["x"] for row in rows}
    assert None not in {row["s"] for row in rows} | {row["n"] for row in rows}


def test_unseen_rows_of_an_example_are_drawn_where_there_is_no_signature() -> None:
    body = {"inputs": [[1.0, 2.0], [3.0, 4.0]]}
    assert [probe.rows for probe in unseen(model(None, body), 0)] == [1, 2, 1000]
    assert unseen(model(None), 0) == ()


def test_unseen_tensors_keep_the_shape() -> None:
    made = unseen(model([tensor([-1, 3])]), 0)
    assert {probe.rows for probe in made} == {1, 2, 100, 1000}
    sent = [json.loads(probe.body) for probe in made]
    assert {len(row) for body in sent for row in body.get("inputs", body.get("instances"))} == {3}


def test_a_chat_is_asked_in_the_unified_form_in_the_example_s_words() -> None:
    message = {"role": "user", "content": "one two three"}
    inputs = [
        column("array", "messages", items={"type": "object", "properties": {}}),
        column("long", "n", required=False),
    ]
    made = regular(probes(model(inputs, {"messages": [message]}), 50, 0))
    bodies = [json.loads(probe.body) for probe in made]
    assert len(bodies) == sum(probe.rows for probe in made) == 50
    assert {frozenset(body) for body in bodies} == {
        frozenset({"messages"}),
        frozenset({"messages", "n"}),
    }
    said = {each["content"] for body in bodies for each in body["messages"] if each}
    assert len(said) > 10
    assert {word for text in said for word in text.split()} == {"one", "two", "three"}
