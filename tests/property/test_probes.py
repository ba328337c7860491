"""What holds for the requests of any signature."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from packager.probes import probes
from tests import examples, fake_plan

KINDS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
COLUMNS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(KINDS), "required": st.booleans()},
    ),
    min_size=1,
    max_size=5,
).map(lambda specs: [{**spec, "name": f"c{at}"} for at, spec in enumerate(specs)])
TENSORS = st.tuples(
    st.sampled_from(["float32", "int64", "uint8", "bool", "str"]),
    st.lists(st.integers(1, 3), max_size=2),
).map(lambda pair: [{"type": "tensor", "tensor-spec": {"dtype": pair[0], "shape": [-1, *pair[1]]}}])


@settings(max_examples=examples.count(60), deadline=None)
@given(inputs=st.one_of(COLUMNS, TENSORS), rows=st.integers(0, 400), seed=st.integers(0, 9))
def test_enough_rows_small_bodies_and_the_same_again(
    inputs: list[dict[str, Any]], rows: int, seed: int
) -> None:
    model = fake_plan.model(signature={"inputs": inputs, "outputs": None, "params": None})
    made = probes(model, rows, seed)
    assert made == probes(model, rows, seed)
    assert sum(probe.rows for probe in made) >= rows
    assert all(len(probe.body) < 1_000_000 for probe in made)
    for probe in made:
        if probe.rows and probe.content_type == "application/json":
            assert json.loads(probe.body)
    assert len({probe.name for probe in made}) == len(made)
