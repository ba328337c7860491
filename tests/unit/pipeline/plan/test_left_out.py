"""Pythons that a platform has and that nothing is built for: who states it, and a way on."""

from __future__ import annotations

import pytest

from packager import facts
from packager.errors import ConfigurationError
from packager.pipeline.plan import check
from tests import fake_plan


@pytest.mark.parametrize("target", ["azure-functions", "gpu-container"])
def test_python_3_14_is_known_and_unproven_there(target: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check(fake_plan.request(target=target, python_minor="3.14"))

    assert "It is left out: " in str(refused.value)
    assert "https://" in str(refused.value)
    assert "Give --python 3.13" in str(refused.value)


@pytest.mark.parametrize("target", ["aws-lambda", "aws-lambda-image"])
def test_python_3_14_can_be_built_for_lambda(target: str) -> None:
    check(fake_plan.request(target=target, python_minor="3.14"))


def test_a_python_that_no_platform_has_gets_no_reason() -> None:
    assert facts.explain_left_out("azure-functions", "2.7") == ""
    assert facts.explain_left_out("aws-lambda-image", "3.15") == ""
    assert "python" not in facts.explain_left_out("aws-lambda", "3.15").partition(" (")[0]
