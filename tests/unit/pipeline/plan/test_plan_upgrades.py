from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from packager.environments import lockfile
from packager.environments.lockfile import Wanted
from packager.errors import PlanError, UnprovenError, UnresolvableError, UpgradeUnprovenError
from packager.pipeline.plan import check_provable
from packager.pipeline.plan.requirements._pins import loosen_line
from packager.pipeline.verify import ask, replay
from packager.pipeline.verify.oracle import Recorded
from packager.types import BuildPlan, Lock, Requirements, Spread, UpgradedPin
from tests import fake_plan
from tests.unit.pipeline.plan import test_plan

PINS = ("mlflow==2.3.2", "cloudpickle==3.1.2", "numpy==1.23.1", "scikit-learn==1.1.1")
OLD = ("3.9", "3.10")
PIN = UpgradedPin(name="numpy", old="1.23.1", new="1.23.5", reason="no wheel")


def _index(**minors: Sequence[str]) -> test_plan.Index:
    """Of 2022: patch releases after the pinned ones have wheels for Python 3.11."""
    index = test_plan._index()
    versions = {
        **index.versions,
        "mlflow": ("2.3.2",),
        "numpy": ("2.2.6", "1.24.4", "1.23.5", "1.23.1"),
        "scikit-learn": ("1.9.1", "1.2.2", "1.1.3", "1.1.1"),
    }
    own = {"numpy==1.23.1": OLD, "scikit-learn==1.1.1": OLD, "numpy==1.23.5": (*OLD, "3.11")}
    own |= {
        "scikit-learn==1.1.3": (*OLD, "3.11"),
        **{name: tuple(of) for name, of in minors.items()},
    }
    return replace(index, versions=versions, glibc={}, minors=own, brings={})


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    return test_plan._use(monkeypatch, _index())


def _model(root: Path, *lines: str, **changes: Any) -> Any:
    requirements = Requirements(lines=lines or PINS, **changes)
    return test_plan._model(root, requirements=requirements, python_version="3.9.18")


@pytest.mark.parametrize(
    ("line", "loose"),
    [
        ("numpy==1.23.1", "numpy==1.23.*,>=1.23.1"),
        ("numpy===1.23.1", "numpy==1.23.*,>=1.23.1"),
        ("numpy == 1.23", "numpy==1.23.*,>=1.23"),
        ("thing==5", "thing==5.0.*,>=5"),
        ("pytz==2021.3", "pytz==2021.3.*,>=2021.3"),
        ("thing==1!2.3.4", "thing==1!2.3.*,>=1!2.3.4"),
        ("torch==2.1.0+cu121", "torch==2.1.*,>=2.1.0"),
        ("thing==1.0rc1", "thing==1.0.*,>=1.0rc1"),
        ("thing==1.0.2.post1", "thing==1.0.*,>=1.0.2.post1"),
        ("uvicorn[standard]==0.20.0", "uvicorn[standard]==0.20.*,>=0.20.0"),
        ("numpy==1.23.1,!=1.23.3", "numpy!=1.23.3,==1.23.*,>=1.23.1"),
        (
            'numpy==1.23.1; python_version < "3.12"',
            'numpy==1.23.*,>=1.23.1; python_version < "3.12"',
        ),
        ("numpy==1.23.*", None),
        ("numpy~=1.23.1", None),
        ("numpy>=1.23.1", None),
        ("numpy", None),
        ("numpy===nightly", None),
        ("code/own-1.0-py3-none-any.whl", None),
        ("numpy @ https://example.org/numpy-1.0-py3-none-any.whl", None),
    ],
)
def test_a_pin_leaves_newer_patch_releases(line: str, loose: str | None) -> None:
    assert loosen_line(line) == loose


def test_pins_without_a_wheel_are_upgraded_where_that_is_asked_for(
    index: test_plan.Index, tmp_path: Path
) -> None:
    model = _model(tmp_path / "m")
    found = test_plan._plan(model, upgrade_pins=True)[0]
    changes = [(each.name, each.old, each.new) for each in found.upgraded]
    assert changes == [("numpy", "1.23.1", "1.23.5"), ("scikit-learn", "1.1.1", "1.1.3")]
    assert found.runtime.name == "python3.11"
    assert found.lock.version("numpy") == "1.23.5"
    assert found.model.requirements.lines == PINS, "the registered model has its own versions"
    assert test_plan._said(found, "numpy 1.23.1 -> 1.23.5. 1.23.1 has no wheel for Python 3.11")
    assert not test_plan._said(found, "Other versions than the author's")


def test_the_refusal_says_what_upgrading_would_do(index: test_plan.Index, tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        test_plan._plan(_model(tmp_path / "m"))
    said = "--upgrade-pins takes numpy 1.23.1 -> 1.23.5, scikit-learn 1.1.1 -> 1.1.3 under Python 3"
    assert said in str(caught.value)


@pytest.mark.parametrize("upgrade_pins", [False, True])
def test_another_minor_version_is_never_taken(
    *, upgrade_pins: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minors = {"scikit-learn==1.1.3": OLD}
    test_plan._use(monkeypatch, _index(**minors))
    with pytest.raises(PlanError) as caught:
        test_plan._plan(_model(tmp_path / "m"), upgrade_pins=upgrade_pins)
    assert "--upgrade-pins" not in str(caught.value)
    assert "pip wheel" not in str(caught.value), "the author's Python has a wheel"
    assert "--target" not in str(caught.value)


def test_nothing_is_upgraded_where_the_author_s_versions_have_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minors = {"numpy==1.23.1": ("3.11",), "scikit-learn==1.1.1": ("3.11",)}
    test_plan._use(monkeypatch, _index(**minors))
    found = test_plan._plan(_model(tmp_path / "m"), upgrade_pins=True)[0]
    assert found.upgraded == ()
    assert found.lock.version("numpy") == "1.23.1"


def test_a_pin_that_has_a_wheel_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    minors = {"numpy==1.23.1": ("3.11",)}
    test_plan._use(monkeypatch, _index(**minors))
    found = test_plan._plan(_model(tmp_path / "m"), upgrade_pins=True)[0]
    assert [each.name for each in found.upgraded] == ["scikit-learn"]
    assert found.lock.version("numpy") == "1.23.1"


def test_the_python_of_fewest_upgrades_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minors = {
        "numpy==1.23.1": ("3.11",),
        "numpy==1.23.5": ("3.11", "3.13"),
        "scikit-learn==1.1.3": ("3.11", "3.13"),
    }
    test_plan._use(monkeypatch, _index(**minors))
    found = test_plan._plan(_model(tmp_path / "m"), upgrade_pins=True)[0]
    assert (found.runtime.name, len(found.upgraded)) == ("python3.11", 1)


def test_a_pin_among_constraints_is_upgraded(index: test_plan.Index, tmp_path: Path) -> None:
    model = _model(tmp_path / "m", "mlflow", "scikit-learn", constraints=("scikit-learn==1.1.1",))
    found = test_plan._plan(model, upgrade_pins=True)[0]
    assert found.lock.version("scikit-learn") == "1.1.3"
    assert [each.name for each in found.upgraded] == ["scikit-learn"]


def test_a_pin_that_holds_whatever_others_require_is_upgraded(
    index: test_plan.Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def lock(wanted: Wanted) -> Lock:
        if not wanted.overrides:
            raise UnresolvableError("cause: a conflict")
        held = {Requirement(line).name: line for line in wanted.overrides}
        lines = tuple(held.get(Requirement(line).name, line) for line in wanted.requirements)
        return index.lock(replace(wanted, requirements=lines))

    monkeypatch.setattr(lockfile, "lock", lock)

    found = test_plan._plan(_model(tmp_path / "m"), upgrade_pins=True)[0]

    assert found.lock.version("scikit-learn") == "1.1.3"
    assert [each.name for each in found.upgraded] == ["numpy", "scikit-learn"]
    assert found.model.requirements.overrides == PINS


def test_a_file_that_is_pinned_by_its_digest_stays(index: test_plan.Index, tmp_path: Path) -> None:
    index.brings = {"scikit-learn": ("numpy==1.23.1",)}
    model = _model(tmp_path / "m", hashes={"numpy==1.23.1": ("sha256:" + "0" * 64,)})
    with pytest.raises(PlanError) as caught:
        test_plan._plan(model, upgrade_pins=True)
    assert "--upgrade-pins" not in str(caught.value)


def test_a_python_that_is_not_here_is_named_where_it_has_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minors = {"numpy==1.23.1": ("3.12",), "scikit-learn==1.1.1": ("3.12",)}
    test_plan._use(monkeypatch, _index(**minors))
    test_plan._have(monkeypatch, "3.13")
    with pytest.raises(PlanError, match=r"Python 3\.12, which is not on this machine, has wheels"):
        test_plan._plan(_model(tmp_path / "m"))


def test_another_python_is_named_where_one_was_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    minors = {"numpy==1.23.1": ("3.12",), "scikit-learn==1.1.1": ("3.12",)}
    test_plan._use(monkeypatch, _index(**minors))
    with pytest.raises(PlanError, match=r"--python 3\.12 has wheels of all"):
        test_plan._plan(_model(tmp_path / "m"), python_minor="3.13")


def test_another_target_is_named_where_it_has_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lambda's 3.11 is on a system that is older than the wheels ask for; Azure's is not."""
    index = test_plan._index()
    azure = {"azure-functions": ("1.30",), "azure-functions-runtime": ("1.3",)}
    minors = dict.fromkeys(("numpy==2.4.6", "scikit-learn==1.9.1"), ("3.11",))
    test_plan._use(monkeypatch, replace(index, versions={**index.versions, **azure}, minors=minors))
    model = test_plan._model(tmp_path / "m")
    with pytest.raises(PlanError) as caught:
        test_plan._plan(model)
    assert "--target azure-functions: its Python 3.11" in str(caught.value)
    assert "aws-lambda-image" not in str(caught.value)


def _upgraded(**changes: Any) -> BuildPlan:
    plan: BuildPlan = fake_plan.plan(**changes)
    return replace(plan, upgraded=(PIN,))


def test_every_bit_counts_for_upgraded_pins() -> None:
    moving = Recorded(status=200, body='{"predictions": [0.1]}', again=('{"predictions": [0.2]}',))
    assert replay._choose_measure(_upgraded(), [moving]).spread == Spread()
    assert replay._choose_measure(fake_plan.plan(), [moving]).spread != Spread()


@pytest.mark.parametrize("spread", [Spread(rounding={"p": 1e-16}), Spread(chance={"p": 1.0})])
def test_a_model_whose_answers_part_proves_no_upgrade(spread: Spread) -> None:
    with pytest.raises(UnprovenError, match=r"numpy 1\.23\.5"):
        ask._check_that_it_repeats(replace(_upgraded(), spread=spread))
    ask._check_that_it_repeats(_upgraded())
    ask._check_that_it_repeats(replace(fake_plan.plan(), spread=spread))


def test_upgraded_pins_are_never_unproven() -> None:
    request = fake_plan.request(allow_unproven=True)
    plan = _upgraded(request=request)
    assert not plan.allows_unproven
    assert fake_plan.plan(request=request).allows_unproven
    silent = replace(plan.model, signature=None, example=None)
    with pytest.raises(UpgradeUnprovenError, match="allow-unproven or not"):
        check_provable(request, silent, (plan,))
    check_provable(request, silent, (replace(plan, upgraded=()),))
