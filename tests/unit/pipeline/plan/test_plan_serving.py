"""Of a whole environment that was logged, what serving needs is tried first."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager.environments import lockfile
from packager.environments.lockfile import Wanted
from packager.errors import ConfigurationError
from packager.pipeline.plan import _ways_out
from packager.types import (
    REQUIRED_BESIDE,
    BuildPlan,
    FileRecord,
    Lock,
    LockedPackage,
    Requirements,
    Shipped,
)
from tests.unit.pipeline.plan import test_plan
from tests.unit.pipeline.plan.test_plan import PINS

IDLE = ("seaborn==0.13.2", "notebook==7.5.0")


@pytest.fixture(params=[8_000_000])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    """An index in which what serving does not need has wheels of that many bytes each."""
    plain = test_plan._index()
    more = {"seaborn": ("0.13.2",), "notebook": ("7.5.0",), "anyio": ("4.9.0",)}
    brings = {**plain.brings, "notebook": ("anyio",), "mlflow": ("pandas<3.2", "anyio")}
    index = test_plan._use(
        monkeypatch, replace(plain, versions={**plain.versions, **more}, brings=brings)
    )

    def lock(wanted: Wanted) -> Lock:
        found = index.lock(wanted)
        return replace(
            found, packages=tuple(_sized(each, request.param) for each in found.packages)
        )

    monkeypatch.setattr(lockfile, "lock", lock)
    return index


def _sized(package: LockedPackage, size_bytes: int) -> LockedPackage:
    idle = package.name in {"seaborn", "notebook"}
    return replace(package, size_bytes=size_bytes if idle else 1000)


def _plans(root: Path, *lines: str, **request: Any) -> tuple[BuildPlan, ...]:
    model = test_plan._model(root, requirements=Requirements(lines=(*PINS, *lines)))
    return test_plan._plan(model, **request)


def test_what_serving_needs_comes_before_all_that_is_listed(
    index: test_plan.Index, tmp_path: Path
) -> None:
    found = _plans(tmp_path / "m", *IDLE)
    assert [each.shipped for each in found] == [
        *[Shipped.SERVING] * 2,
        *[Shipped.DECLARED] * 3,
    ]
    first, full = found[0], found[2]
    assert {"seaborn", "notebook", "anyio"} <= {*first.unshipped}
    assert {"scikit-learn", "skops"} <= test_plan._names(first)
    assert {"seaborn", "notebook"} <= test_plan._names(full)
    assert first.kept_for["scikit-learn"] == "the model's loader needs it"
    assert test_plan._said(first, f"7 declared, {len(first.lock.packages)} shipped")


def test_all_keep_the_author_s_versions(index: test_plan.Index, tmp_path: Path) -> None:
    model = test_plan._model(
        tmp_path / "m", requirements=Requirements(lines=("mlflow==3.17.2", "pandas==2.3.3", *IDLE))
    )
    found = test_plan._plan(model)
    pandas = [each.lock.version("pandas") for each in found if each.frame == "pandas"]
    assert {*pandas} == {"2.3.3"}


@pytest.mark.parametrize(
    ("lines", "request_", "why"),
    [
        (IDLE, {"requirements": Shipped.DECLARED}, "all was asked for"),
        (IDLE, {"tier": "skinny"}, "mlflow loads it"),
        ((), {}, "nothing is left out"),
    ],
)
def test_all_that_is_listed_comes_first_where(
    index: test_plan.Index,
    tmp_path: Path,
    lines: tuple[str, ...],
    request_: dict[str, Any],
    why: str,
) -> None:
    found = _plans(tmp_path / "m", *lines, **request_)
    assert {each.shipped for each in found} == {Shipped.DECLARED}, why


@pytest.mark.parametrize("index", [1000], indirect=True)
def test_little_is_not_left_out(index: test_plan.Index, tmp_path: Path) -> None:
    assert {each.shipped for each in _plans(tmp_path / "m", *IDLE)} == {Shipped.DECLARED}


COMPUTED = "import importlib\ndef f(name):\n    return importlib.import_module(name)\n"


def _plan_open(root: Path, *lines: str, code: str = COMPUTED, **request: Any) -> BuildPlan:
    model = test_plan._model(root, requirements=Requirements(lines=(*PINS, *lines)))
    (root / "code").mkdir()
    (root / "MLmodel").write_text("flavors: {}\n")
    (root / "code" / "steps.py").write_text(code)
    flavors = {"python_function": {"loader_module": "steps", "code": "code"}}
    files = (FileRecord(PurePosixPath("code/steps.py"), "0" * 64, 1),)
    model = replace(model, flavors=flavors, files=files)
    return test_plan._plan(model, **request)[0]


def test_all_that_is_listed_is_spared_where_code_computes_a_name(
    index: test_plan.Index, tmp_path: Path
) -> None:
    code = f"import json\n{COMPUTED}"
    found = _plan_open(tmp_path / "m", *IDLE, code=code)
    assert found.shipped is Shipped.DECLARED
    assert {"seaborn", "notebook"} <= found.spared
    assert "anyio" not in found.spared, "nobody listed it: cut keeps it with what requires it"
    assert found.spared_for == "code/steps.py:4 imports what only running it tells"
    assert found.kept_for["seaborn"] == f"it is listed, and {found.spared_for}"
    assert found.kept_for["anyio"] == REQUIRED_BESIDE
    assert test_plan._said(
        found, "All that is listed ships while it fits the target: code/steps.py"
    )


def test_all_that_is_listed_is_spared_where_that_is_asked_for(
    index: test_plan.Index, tmp_path: Path
) -> None:
    found = _plans(tmp_path / "m", *IDLE, requirements=Shipped.DECLARED)
    assert all({"seaborn", "notebook"} <= each.spared for each in found)
    assert test_plan._said(found[0], "--requirements declared asks for it")


def test_nothing_is_spared_where_reading_tells_what_is_imported(
    index: test_plan.Index, tmp_path: Path
) -> None:
    assert not any(each.spared for each in _plans(tmp_path / "m", *IDLE))
    named = _plan_open(tmp_path / "n", *IDLE, code="import importlib, seaborn\n")
    assert not named.spared


def test_a_package_that_is_to_be_kept_ships(index: test_plan.Index, tmp_path: Path) -> None:
    first = _plans(tmp_path / "m", *IDLE, keep_packages=("seaborn", "AnyIO"))[0]
    assert first.shipped is Shipped.SERVING
    assert first.kept_for["seaborn"] == first.kept_for["anyio"] == "--keep-package names it"
    assert first.named >= {"seaborn", "anyio"}, "no pass takes them out again"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scikit-lern", "Did you mean 'scikit-learn'?"),
        ("sklearn", "Did you mean 'scikit-learn', which is imported by that name?"),
        ("nothing-like-it", "no package index that is asked has a wheel of it"),
        ("numpy==1.0", "give a distribution's name alone"),
        ("../numpy", "give a distribution's name alone"),
        ("", "give a distribution's name alone"),
    ],
)
def test_a_package_that_nothing_has_is_refused_before_other_targets_are_asked(
    monkeypatch: pytest.MonkeyPatch, index: test_plan.Index, tmp_path: Path, name: str, said: str
) -> None:
    monkeypatch.setattr(_ways_out, "explain_refusal", lambda refused: pytest.fail("asked"))
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        _plans(tmp_path / "m", *IDLE, keep_packages=(name,))


def test_a_companion_that_is_left_out_is_named(index: test_plan.Index, tmp_path: Path) -> None:
    index.versions = {**index.versions, "psutil": ("7.0",), "joblib": ("1.6",)}
    index.brings = {**index.brings, "scikit-learn": ("joblib",)}
    first = _plans(tmp_path / "m", *IDLE, "psutil==7.0")[0]
    assert test_plan._said(first, "joblib works another way where it finds psutil")
