"""Texts where a double is wanted: pandas reads some that Python does not, and the other way."""

from __future__ import annotations

import json

import pytest

from tests.conformance.cases import Case
from tests.conformance.compare import disagreements
from tests.conformance.reference import VERSION

pytestmark = pytest.mark.usefixtures("quiet")

TEXTS = (
    *("nan", "NaN", "-NAN", "inf", "+Infinity", "1e5", " 5 ", "", "0x1", "true"),
    *("1_000", "1e1_0", "\u0663", "\uff11\uff12", "\u00a05", "5\u2003"),
)
ARRAY = {"type": "array", "items": {"type": "double"}, "name": "a", "required": True}
COLUMN = {"type": "double", "name": "a", "required": True}


def _ask(name: str, column: object, body: object) -> Case:
    return Case(
        name=name,
        signature={"inputs": [column]},
        body=json.dumps(body).encode(),
        content_type="application/json",
        type_hints=False,
        method="POST",
        path="/invocations",
    )


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_the_number_that_it_is_to_mlflow(text: str) -> None:
    cells: list[list[object]] = [[text], [False, text], [None, text], [1.5, text]]
    asked = [
        *(_ask(f"array {each}", ARRAY, {"dataframe_records": [{"a": each}]}) for each in cells),
        *(
            _ask(f"column {each}", COLUMN, {"dataframe_records": [{"a": one} for one in each]})
            for each in cells
        ),
    ]
    assert disagreements(asked, VERSION) == []
