from __future__ import annotations

import pytest

from packager.environments.virtual_environments import list_requirements
from packager.types import Requirements
from tests import fake_plan


@pytest.mark.parametrize(
    ("lines", "version", "expected"),
    [
        (("numpy",), "3.17.2", ("numpy", "mlflow==3.17.2")),
        (("mlflow==3.17.2",), "3.17.2", ("mlflow==3.17.2",)),
        (("mlflow==2.3.2",), "2.3.2", ("mlflow==2.3.2", "setuptools<81")),
        (("numpy",), "1.30.0", ("numpy", "mlflow==1.30.0", "setuptools<81")),
        (("mlflow-skinny", "setuptools==65.0"), "2.9.2", ("mlflow-skinny", "setuptools==65.0")),
        (("numpy",), None, ("numpy", "mlflow")),
    ],
)
def test_mlflow_and_what_it_imports_are_in_the_author_s_environment(
    lines: tuple[str, ...], version: str | None, expected: tuple[str, ...]
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=lines), mlflow_version=version)
    assert list_requirements(model) == expected
