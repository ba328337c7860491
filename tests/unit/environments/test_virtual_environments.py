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
        (("mlflow==2.3",), "2.3.2", ("mlflow==2.3.2", "setuptools<81")),
        (("mlflow<3,>=2.1",), "2.1.1", ("mlflow==2.1.1", "setuptools<81")),
        (("mlflow[extras]",), "2.9.2", ("mlflow[extras]==2.9.2", "setuptools<81")),
        (
            ("mlflow==2.3 ; python_version < '3.12'",),
            "2.3.2",
            ('mlflow==2.3.2; python_version < "3.12"', "setuptools<81"),
        ),
        (("mlflow==2.4",), "2.3.2", ("mlflow==2.4", "setuptools<81")),
        (("mlflow==2.3",), "2.3.3.dev0", ("mlflow==2.3", "setuptools<81")),
        (("mlflow==2.3",), "2.x of mine", ("mlflow==2.3", "setuptools<81")),
        (("mlflow @ file:///a.whl",), "2.3.2", ("mlflow @ file:///a.whl", "setuptools<81")),
        (
            ("mlflow==2.3 --hash=sha256:ab",),
            "2.3.2",
            ("mlflow==2.3 --hash=sha256:ab", "setuptools<81"),
        ),
        (("numpy",), None, ("numpy", "mlflow")),
    ],
)
def test_mlflow_and_what_it_imports_are_in_the_author_s_environment(
    lines: tuple[str, ...], version: str | None, expected: tuple[str, ...]
) -> None:
    model = fake_plan.model(requirements=Requirements(lines=lines), mlflow_version=version)
    assert list_requirements(model) == expected
