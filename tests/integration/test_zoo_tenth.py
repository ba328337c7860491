"""Some of the zoo: logged in a uv project, built, and asked 1,000 rows beyond their examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from packager.types import Engine
from tests import models
from tests.zoo import environments
from tests.zoo.build import Listed, ask_model, build_model, list_models, try_model
from tests.zoo.environments import Environment

pytestmark = pytest.mark.slow

VERSIONS: Final = models.versions()["current"]
PINNED: Final = ("cloudpickle", "mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")
ENVIRONMENT: Final = Environment(
    name="project",
    about="a uv project with what MLflow requires, at the versions of the other tests",
    python="3.13",
    modules=("columns", "estimators", "functions"),
    packages=tuple(f"{name}=={VERSIONS[name]}" for name in PINNED),
    locked=True,
)
TENTH: Final = (
    "code_path_with_data",
    "lambda_transformer",
    "reads_sqlite",
    "answers_frame",
    "lazy_scipy",
)
"""Those of one lock one after the other: what is made of it is kept."""
WIDENED: Final = "window_of_scipy"
LISTED: Final[Mapping[str, Listed]] = {each.name: each for each in list_models()}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make zoo` has it, with the models logged."""
    work = tmp_path_factory.mktemp("zoo")
    folder = environments.make_environment(ENVIRONMENT, work)
    python, registry = environments.find_python(folder), work / "registries" / ENVIRONMENT.name
    assert environments.log_models(ENVIRONMENT, folder, registry, (*TENTH, WIDENED), python)
    return work


@pytest.mark.parametrize("name", TENTH)
def test_it_answers_as_its_author_s_does(work: Path, name: str) -> None:
    result = try_model(LISTED[name], work, plan_only=False, engine=Engine.NATIVE)

    assert result["outcome"] == "built", result
    assert result["rows"] >= 1000
    assert result["wrong"] == ()
    assert result["shipped"] < result["declared"] / 3
    assert result["requirements"] == "serving"


def test_what_only_running_it_tells_is_added_and_named(work: Path) -> None:
    model = LISTED[WIDENED]

    built = build_model(model, work, engine=Engine.NATIVE)

    asked = ask_model(model, work)
    assert (asked["outcome"], asked["wrong"]) == ("built", ())
    assert asked["rows"] >= 1000
    (first,) = built.evidence.tried
    assert first.startswith("stub/pandas, what serving needs: the saved example")
    text = (work / "built" / WIDENED / "evidence.json").read_text(encoding="utf-8")
    told = json.loads(text)["distributions"]
    assert told["requirements"] == "serving"
    assert told["reasons"]["scipy"] == "added when the replay missed it"
    assert "scikit-learn" in told["left_out"]
