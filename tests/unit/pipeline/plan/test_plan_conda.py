from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from packager.environments import lockfile
from packager.environments.lockfile import Wanted
from packager.errors import UnresolvableError
from packager.facts.modules import conda_names
from packager.pipeline.plan.requirements import _conda, _lines
from packager.types import Lock, Requirements
from tests import fake_plan
from tests.unit.pipeline.plan import test_plan

NAMES = conda_names()


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("conda-forge::numpy=1.26.4", "numpy==1.26.4"),
        ("conda-forge/linux-64::numpy==1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("https://conda.example.org/main::numpy=1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1", "numpy==1.*"),
        ("numpy=1.26*", "numpy==1.26.*"),
        ("numpy 1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.4 py311h64a7726_0", "numpy==1.26.4"),
        ("numpy=*", "numpy"),
        ("numpy=>=1.2", None),
        ("numpy[version='1.26.4',build=py311h64a7726_0]", "numpy==1.26.4"),
        ('numpy[version=">=1.21,<2"]', "numpy>=1.21,<2"),
        ("conda-forge::numpy>=1.21,<2", "numpy>=1.21,<2"),
        ("conda-forge::numpy>=1.21,1.22.*", "numpy>=1.21,==1.22.*"),
        ("conda-forge::pytorch", "torch"),
        (
            "https://conda.anaconda.org/conda-forge/linux-64/numpy-1.26.4-py311h64a7726_0.conda",
            "numpy==1.26.4",
        ),
        (
            "https://conda.anaconda.org/conda-forge/noarch/tqdm-4.66.1-pyhd8ed1ab_0.tar.bz2#0a1b2c",
            "tqdm==4.66.1",
        ),
        ("https://repo.anaconda.com/pkgs/main/linux-64/openssl-3.0.12-h7f8727e_0.conda", ""),
        ("conda-forge::libgcc-ng=11.2.0=h1234567_1", ""),
        ("https://repo.anaconda.com/pkgs/main/linux-64/openssl-1.1.1w-h7f8727e_0.conda", ""),
        ("conda-forge::openssl=1.1.1w=h7f8727e_0", ""),
        ("pytz=2004d_x=py38_0", None),
        # nobody owns these names on an index: whoever takes one would be in the function
        ("conda-forge::spacy-model-en_core_web_sm=3.7.1=pyhd8ed1ab_0", ""),
        ("conda-forge::spacy-model-de_core_news_lg", ""),
        ("conda-forge::spacy=3.7.4", "spacy==3.7.4"),
        ("@EXPLICIT", ""),
        ("numpy=1.3|1.4", None),
        ("../churn", None),
        ("numpy==1.26.4", None),
        ("numpy", None),
        ("numpy==1.26.4; python_version < '3.12'", None),
        ("code/own-1.0-py3-none-any.whl", None),
        ("x" * 5000, None),
        (f"{'a::' * 2000}b=1", None),
    ],
)
def test_a_line_of_conda_is_read_in_each_of_its_forms(line: str, used: str | None) -> None:
    change = _conda.read_line(line, NAMES)
    assert (None if change is None else change.used) == used


def test_an_explicit_list_is_read_as_its_versions() -> None:
    files = "https://conda.anaconda.org/conda-forge/linux-64"
    model = fake_plan.model(
        requirements=Requirements(
            lines=(
                "@EXPLICIT",
                f"{files}/numpy-1.26.4-py311h64a7726_0.conda",
                f"{files}/libblas-3.9.0-20_linux64_openblas.conda",
            )
        )
    )
    assert _lines.settle_lines(model, NAMES).requirements.lines == ("numpy==1.26.4",)


def test_a_channel_s_password_is_not_shown() -> None:
    line = "https://me:s3cret@conda.example.org/linux-64/numpy-1.26.4-py311h64a7726_0.conda"
    change = _conda.read_line(line, NAMES)
    assert change is not None
    assert "s3cret" not in change.line


@pytest.mark.parametrize(
    "line",
    [
        "\\\\server\\share\\churn",
        "\\\\server\\share\\churn-1.0.tar.gz",
        "-e \\\\server\\share\\churn",
        "churn @ \\\\server\\share\\churn",
        "//server/share/churn",
        "churn @ file://server/share/churn",
    ],
)
def test_a_share_of_the_author_s_network_is_left_out(line: str) -> None:
    model = fake_plan.model(requirements=Requirements(lines=("six", line)))
    settled = _lines.settle_lines(model, NAMES).requirements
    assert settled.lines == ("six",)
    assert "author's machine" in settled.changes[0].reason
    assert _lines.name_line(line).startswith("churn")


def _settle(
    *packages: str, needs: Mapping[str, str], lines: tuple[str, ...] = ("mlflow",)
) -> Requirements:
    model = fake_plan.model(requirements=Requirements(lines=lines, conda=packages))
    return _conda.settle_packages(model, NAMES, lambda name: needs.get(name, "")).requirements


def test_a_package_of_conda_yaml_is_installed_where_something_needs_it() -> None:
    settled = _settle(
        "conda-forge::lightgbm=4.3.0", "graphviz=2", needs={"lightgbm": "code/a.py:1 imports it"}
    )
    assert settled.lines == ("mlflow", "lightgbm==4.3.0")
    assert [(each.line, each.used) for each in settled.changes] == [
        ("conda-forge::lightgbm=4.3.0 (conda.yaml)", "lightgbm==4.3.0"),
        ("graphviz=2 (conda.yaml)", ""),
    ]
    assert settled.changes[0].reason == "code/a.py:1 imports it"


@pytest.mark.parametrize("package", ["numpy=1.21", "NumPy", "defaults::numpy=1.21.2=py39_0"])
def test_what_the_pip_part_lists_is_the_pip_part_s(package: str) -> None:
    lines = ("numpy==1.26.4",)
    settled = _settle(package, needs={"numpy": "it is needed"}, lines=lines)
    assert (settled.lines, settled.changes) == (lines, ())


@pytest.mark.parametrize("package", ["libgcc-ng=11", "openssl=3=h7f_0", "a b c d e", "==1"])
def test_what_is_no_python_package_is_left_out_with_a_reason(package: str) -> None:
    settled = _settle(package, needs={"libgcc-ng": "all"})
    assert settled.lines == ("mlflow",)
    assert settled.changes[0].reason


def test_packages_are_settled_once() -> None:
    model = fake_plan.model(
        requirements=Requirements(lines=("mlflow",), conda=("graphviz=2", "lightgbm=4.3.0"))
    )
    needs = {"lightgbm": "its loader"}
    once = _conda.settle_packages(model, NAMES, lambda name: needs.get(name, ""))
    assert _conda.settle_packages(once, NAMES, lambda name: needs.get(name, "")) == once


@pytest.mark.parametrize(
    "package", ["tzdata>=2020", "tzdata==2020.1", "tzdata<2030", "tzdata>=1,<9999", "tzdata=2020"]
)
def test_a_package_of_conda_s_that_another_requires_is_not_refused(package: str) -> None:
    model = fake_plan.model(requirements=Requirements(lines=("mlflow",), conda=(package,)))
    settled = _conda.settle_packages(model, NAMES, lambda _: "")
    assert [each.used for each in settled.requirements.changes] == [""]

    refused = _lines.list_refused(settled, {"tzdata": "2024.1"}, lambda _: "", lambda _: "unseen")

    assert refused == []


@pytest.mark.parametrize(
    ("packages", "words", "version"),
    [
        (("scipy=1.11.4",), "", "1.11.4"),
        (("scipy=1.10.0",), "scikit-learn==1.9.1 depends on scipy>=1.11.", "1.12.0"),
        (("scipy=1.10.0",), "of something that names nothing", "1.12.0"),
        (("scipy=0.1",), "there is no version of scipy==0.1 and", "1.12.0"),
        (("scipy=1.11.4", "tzdata=1999"), "pandas depends on tzdata>=2022", "1.11.4"),
    ],
)
def test_what_is_required_has_conda_s_version_where_the_rest_allows_it(
    packages: tuple[str, ...],
    words: str,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    known = test_plan._index()
    brings = {**known.brings, "scikit-learn": ("scipy>=1.11",), "pandas": ("tzdata>=2022",)}
    versions = {
        **known.versions,
        "scipy": ("1.12.0", "1.11.4", "1.10.0"),
        "tzdata": ("2025", "1999"),
    }
    index = test_plan._use(monkeypatch, replace(known, brings=brings, versions=versions))

    def lock(wanted: Wanted) -> Lock:
        try:
            return index.lock(wanted)
        except UnresolvableError:
            raise UnresolvableError(f"cause: Because {words}") from None

    monkeypatch.setattr(lockfile, "lock", lock)
    requirements = Requirements(lines=test_plan.PINS, conda=packages)
    found = test_plan._plan(test_plan._model(tmp_path / "m", requirements=requirements))[0]

    assert found.lock.version("scipy") == version
    assert found.model.requirements.constraints == ()
    environment = found.model.requirements.preferred
    assert environment == (("scipy==1.11.4",) if version == "1.11.4" else ())


@pytest.mark.usefixtures("index")
def test_the_plan_ships_a_package_of_conda_s_that_the_loader_needs(tmp_path: Path) -> None:
    lines = ("mlflow==3.17.2", "numpy==2.4.6", "skops==0.16.0")
    requirements = Requirements(lines=lines, conda=("scikit-learn=1.9.1", "graphviz=2"))
    found = test_plan._plan(test_plan._model(tmp_path / "m", requirements=requirements))[0]
    assert found.lock.version("scikit-learn") == "1.9.1"
    assert "scikit-learn==1.9.1" in found.model.requirements.lines
    assert test_plan._said(found, "scikit-learn=1.9.1 (conda.yaml) is read as scikit-learn==1.9.1")
    assert test_plan._said(found, "Requirement graphviz=2 (conda.yaml) is left out")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    return test_plan._use(monkeypatch, test_plan._index())


def test_many_lines_that_are_left_out_are_one_sentence() -> None:
    packages = tuple(f"lib{number}=1=h0_0" for number in range(40))
    model = fake_plan.model(requirements=Requirements(lines=("mlflow",), conda=packages))
    settled = _conda.settle_packages(model, NAMES, lambda _: "")
    assert len(list(_lines.explain_changes(settled))) == 1
