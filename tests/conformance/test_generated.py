"""For any signature and any body that hypothesis draws, ours answers as MLflow's server does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.conformance.cases import Case
from tests.conformance.compare import disagreements
from tests.conformance.generated import cases
from tests.conformance.reference import VERSION

pytestmark = pytest.mark.usefixtures("quiet")


@given(cases())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_request_is_answered_as_mlflow_answers_it(case: Case) -> None:
    assert disagreements([case], VERSION) == []


@pytest.mark.slow
@given(cases())
@settings(
    max_examples=5000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_five_thousand_requests_are_answered_as_mlflow_answers_them(case: Case) -> None:
    assert disagreements([case], VERSION) == []
