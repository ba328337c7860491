from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager.environments import lockfile, virtual_environments
from packager.environments.lockfile import Wanted
from packager.environments.virtual_environments import list_requirements
from packager.errors import ToolError, UnresolvableError
from packager.types import Lock, Requirements
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


def test_a_model_s_environment_has_preferred_versions_where_the_rest_allows_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path))
    monkeypatch.setattr(virtual_environments, "choose_platform", lambda platform: platform)
    asked: list[tuple[str | None, tuple[str, ...]]] = []
    checked: list[tuple[str | None, tuple[str, ...]]] = []

    def ensure(*args: object, **options: Any) -> Path:
        asked.append((options["platform"], options["constraints"]))
        if options["constraints"] != ("numpy<2",):
            raise ToolError("no") from UnresolvableError("no")
        return tmp_path

    def lock(wanted: Wanted) -> Lock:
        checked.append((wanted.platform, wanted.constraints))
        if wanted.constraints != ("numpy<2",):
            raise UnresolvableError("no")
        return Lock(text="", packages=())

    monkeypatch.setattr(lockfile, "lock", lock)
    monkeypatch.setattr(virtual_environments, "ensure", ensure)
    requirements = Requirements(lines=("pandas",), constraints=("numpy<2",), preferred=("six==1",))
    model = fake_plan.model(requirements=requirements)
    interpreter = fake_plan.plan().interpreter

    assert virtual_environments.of_model(model, interpreter, "linux") == tmp_path
    assert asked == [("linux", ("numpy<2", "six==1")), ("linux", ("numpy<2",))]
    virtual_environments.check_model(model, interpreter, "linux")
    assert checked == asked
