"""For any signature and any body that hypothesis draws, ours answers as MLflow's server does."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings

from tests import examples
from tests.conformance.cases import Case
from tests.conformance.compare import disagreements
from tests.conformance.generated import cases
from tests.conformance.reference import VERSION

pytestmark = pytest.mark.usefixtures("quiet")


@given(cases())
@settings(max_examples=examples.count(150), deadline=None, derandomize=True)
def test_any_request_is_answered_as_mlflow_answers_it(case: Case) -> None:
    assert disagreements([case], VERSION) == []


@pytest.mark.slow
@given(cases())
@settings(
    max_examples=5000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_five_thousand_requests_are_answered_as_mlflow_answers_them(case: Case) -> None:
    assert disagreements([case], VERSION) == []


@pytest.mark.parametrize("rows", [1, 2])
def test_empty_texts_of_a_tensor_are_as_wide_as_mlflow_makes_them(rows: int) -> None:
    spec = {"dtype": "str", "shape": [-1]}
    signature = {"inputs": [{"type": "tensor", "tensor-spec": spec, "name": "b"}]}
    body = json.dumps({"dataframe_records": [{"b": ""}] * rows}).encode()
    case = Case(name="empty texts", signature=signature, body=body, content_type="application/json")
    assert disagreements([case], VERSION) == []
