"""Models of Python 3.8 and 3.9, logged there: a library, newer patch releases, an image.

Each is asked 1,000 rows beyond its example, of which the answers of its own environment are known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from packager.environments import interpreters
from packager.errors import InterpreterNotFoundError
from packager.types import BuildReport, Engine
from tests.zoo import environments
from tests.zoo.build import Listed, ask_model, build_model
from tests.zoo.environments import Environment

pytestmark = pytest.mark.slow

FOREST: Final = "sklearn_of_2021"
OF_2021: Final = next(each for each in environments.read_environments() if each.name == "of 2021")
OF_2022: Final = Environment(
    name="of 2022",
    about="MLflow 2.2 on Python 3.9; the next patch releases have wheels for later Pythons",
    python="3.9",
    modules=("old",),
    packages=(
        *("mlflow==2.2.2", "numpy==1.23.1", "pandas==1.5.0", "scikit-learn==1.1.1"),
        *("scipy==1.9.1", "setuptools<70"),
    ),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


def _log(environment: Environment, work: Path) -> Listed:
    try:
        interpreters.find(environment.python)
    except InterpreterNotFoundError:
        pytest.skip(f"there is no Python {environment.python} on this machine")
    folder = environments.make_environment(environment, work)
    python, registry = environments.find_python(folder), work / "registries" / environment.name
    assert environments.log_models(environment, folder, registry, (FOREST,), python)
    return Listed(name=FOREST, environment=environment.name, about="a forest")


@pytest.fixture(scope="module")
def of_2021(work: Path) -> Listed:
    return _log(OF_2021, work)


def _check_answers(built: BuildReport, model: Listed, work: Path) -> None:
    asked = ask_model(model, work)
    assert (asked["outcome"], asked["wrong"], asked["largest"]) == ("built", (), 0.0)
    assert asked["rows"] >= 1000
    assert built.evidence.replay.rows_compared >= 1000


def test_a_library_serves_it_on_today_s_python(of_2021: Listed, work: Path) -> None:
    built = build_model(of_2021, work, engine=Engine.MACHINE_CODE)

    assert built.plan.runtime.python_minor == "3.13"
    shipped = {package.name for package in built.plan.lock.packages}
    assert shipped.isdisjoint({"scikit-learn", "scipy", "pandas", "mlflow"})
    _check_answers(built, of_2021, work)


@pytest.mark.rare
def test_an_image_has_its_own_python(of_2021: Listed, work: Path) -> None:
    built = build_model(of_2021, work, target="aws-lambda-image")

    assert built.plan.runtime.python_minor == "3.8"
    assert built.plan.lock.version("scikit-learn") == "0.24.2"
    _check_answers(built, of_2021, work)


@pytest.mark.rare
def test_newer_patch_releases_have_wheels_for_a_later_python(work: Path) -> None:
    model = _log(OF_2022, work)

    built = build_model(model, work, upgrade_pins=True)

    assert built.plan.runtime.python_minor == "3.11"
    assert {(each.name, each.old, each.new) for each in built.plan.upgraded} >= {
        ("numpy", "1.23.1", "1.23.5"),
        ("scikit-learn", "1.1.1", "1.1.3"),
    }
    _check_answers(built, model, work)
