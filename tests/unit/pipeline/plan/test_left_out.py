"""Pythons that a platform has and that nothing is built for: who states it, and a way on."""

from __future__ import annotations

import pytest

from packager import facts
from packager.errors import ConfigurationError
from packager.pipeline.plan import check
from tests import fake_plan


def test_a_python_that_nothing_was_tried_of_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigurationError) as refused:
        check(fake_plan.request(target="aws-lambda", python_minor="3.15"))

    assert "It is left out: " in str(refused.value)
    assert "https://" in str(refused.value)
    assert "Give --python 3.14" in str(refused.value)


@pytest.mark.parametrize(
    "target", ["aws-lambda", "aws-lambda-image", "azure-functions", "gpu-container"]
)
def test_python_3_14_can_be_built_for(target: str) -> None:
    check(fake_plan.request(target=target, python_minor="3.14"))


def test_a_python_that_no_platform_has_gets_no_reason() -> None:
    assert facts.explain_left_out("azure-functions", "2.7") == ""
    assert facts.explain_left_out("aws-lambda-image", "3.15") == ""
    assert "python" not in facts.explain_left_out("aws-lambda", "3.15").partition(" (")[0]
