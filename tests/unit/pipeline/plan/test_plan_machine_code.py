"""What a refusal says of machine code: offered where it would work, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from packager import targets
from packager.errors import ConfigurationError, PlanError
from packager.pipeline.plan import _locked_plans
from packager.targets import TARGETS
from packager.types import Engine, Frame, Requirements, Tier
from tests.unit.pipeline.plan import test_plan

PINS = ("mlflow==1.30.0", "numpy==1.21.6", "pandas==1.3.5", "scikit-learn==0.24.2")
OFFER = "--engine machine-code compiles the model to a library for Python 3.13"
ROWS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> test_plan.Index:
    """Of 2021: nothing of scikit-learn 0.24 has wheels for a later Python than 3.9."""
    index = test_plan._index()
    own = dict.fromkeys(PINS[1:], ("3.8", "3.9"))
    versions = {
        **index.versions,
        "mlflow": ("1.30.0",),
        "numpy": ("2.5.5", "1.21.6"),
        "pandas": ("1.3.5",),
        "scikit-learn": ("0.24.2",),
        "setuptools": ("69.0.0",),
    }
    test_plan._use(monkeypatch, replace(index, versions=versions, minors=own, brings={}))
    test_plan._have(monkeypatch, "3.8", "3.11", "3.12", "3.13")
    return index


def _fit(*steps: Any) -> Any:
    return make_pipeline(*steps).fit(ROWS, LABELS)


def _refuse(model: Any, **request: Any) -> str:
    with pytest.raises(PlanError) as caught:
        test_plan._plan(model, engine=Engine.NATIVE, **request)
    return str(caught.value)


def _model(root: Path, value: object, **changes: Any) -> Any:
    more = {"requirements": Requirements(lines=PINS), "python_version": "3.8.18"}
    return test_plan._pickled(root, value, by=cloudpickle, **(more | changes))


KNOWN = {
    "trees": (StandardScaler(), GradientBoostingClassifier(n_estimators=2)),
    "linear": (StandardScaler(), LogisticRegression()),
}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", KNOWN)
def test_a_model_without_wheels_is_offered_machine_code(tmp_path: Path, name: str) -> None:
    model = _model(tmp_path / "m", _fit(*KNOWN[name]))
    words = _refuse(model)
    assert OFFER in words
    assert "Python 3.8 reads it on this machine." in words
    first = test_plan._plan(model, engine=Engine.MACHINE_CODE)[0]
    assert first.runtime.python_minor == "3.13"


@pytest.mark.usefixtures("index")
def test_the_author_s_python_that_is_not_here_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_plan._have(monkeypatch, "3.12", "3.13")
    words = _refuse(_model(tmp_path / "m", _fit(*KNOWN["linear"])))
    assert "Python 3.8 reads it on this machine (`uv python install 3.8`)." in words


class OfTheAuthor(StandardScaler):  # type: ignore[misc]
    pass


OTHERS: dict[str, Any] = {
    "a function of the author's": lambda: _fit(
        FunctionTransformer(lambda rows: rows), LogisticRegression()
    ),
    "a function without an operation": lambda: _fit(
        FunctionTransformer(__import__("numpy").isnan), LogisticRegression()
    ),
    "a class of the author's": lambda: _fit(OfTheAuthor(), LogisticRegression()),
    "no estimator": lambda: Path("here"),
}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", OTHERS)
def test_what_no_reader_knows_is_not_offered(tmp_path: Path, name: str) -> None:
    assert "machine-code" not in _refuse(_model(tmp_path / "m", OTHERS[name]()))


NEVER: dict[str, dict[str, Any]] = {
    "no signature": {"signature": None},
    "dates": {"signature": {"inputs": [{"type": "datetime", "name": "a", "required": True}]}},
    "an environment that no wheels serve": {
        "requirements": Requirements(lines=(*PINS, "gone==1.0"))
    },
}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("name", NEVER)
def test_what_the_engine_refuses_is_not_offered(tmp_path: Path, name: str) -> None:
    model = _model(tmp_path / "m", _fit(*KNOWN["linear"]), **NEVER[name])
    assert "machine-code" not in _refuse(model)


@pytest.mark.usefixtures("index")
def test_a_python_that_cannot_read_the_model_is_refused(tmp_path: Path) -> None:
    model = _model(tmp_path / "m", _fit(*KNOWN["linear"]), python_version="3.7.16")
    with pytest.raises(ConfigurationError, match=r"its own Python 3\.7\.16, and that takes 3\.8"):
        test_plan._plan(model, engine=Engine.MACHINE_CODE)
    assert "machine-code" not in _refuse(model)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("here", "request_", "named"),
    [
        (("3.10", "3.13"), {}, {"aws-lambda-image", "gpu-container"}),
        (("3.10", "3.13"), {"events": ("queue",), "output_to": "blob://answers/b"}, set()),
        (("3.13",), {}, set()),
    ],
    ids=["as it is", "an event source that others have not", "the author's python is not here"],
)
def test_compiled_code_names_targets_that_would_take_it(
    here: tuple[str, ...],
    request_: dict[str, Any],
    named: set[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    test_plan._have(monkeypatch, *here)
    model = _model(tmp_path / "m", lambda rows: rows, python_version="3.10.13")
    words = _refuse(model, target="azure-functions", **request_)
    assert "which no other version runs" in words
    assert {name for name in TARGETS if f"the target {name}," in words} == named


@pytest.mark.usefixtures("index")
def test_a_model_without_wheels_is_compiled_where_no_engine_was_asked_for(tmp_path: Path) -> None:
    found = test_plan._plan(_model(tmp_path / "m", _fit(*KNOWN["trees"])), engine=None)
    assert {each.engine for each in found} == {Engine.MACHINE_CODE}
    for each in found:
        assert test_plan._said(each, "native/numpy is left out: its wheels do not resolve")


@pytest.mark.parametrize("upgrade_pins", [False, True])
@pytest.mark.usefixtures("index")
def test_newer_releases_are_looked_for_where_they_may_be_taken(
    *, upgrade_pins: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[object] = []

    def seek(question: object, *_: object) -> tuple[()]:
        sought.append(question)
        return ()

    monkeypatch.setattr(_locked_plans, "plan_upgraded", seek)
    made = _model(tmp_path / "m", _fit(*KNOWN["trees"]))
    assert test_plan._plan(made, engine=None, upgrade_pins=upgrade_pins)
    assert bool(sought) is upgrade_pins


@pytest.mark.parametrize("engine", [None, Engine.MACHINE_CODE])
@pytest.mark.usefixtures("index")
def test_modules_that_clash_leave_the_compiled_model_and_one_python(
    engine: Engine | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []
    plan_under = _locked_plans.plan_under

    def count(question: Any, model: Any, candidate: Any, **more: Any) -> Any:
        asked.append(candidate.runtime.python_minor)
        return plan_under(question, model, candidate, **more)

    monkeypatch.setattr(_locked_plans, "plan_under", count)
    made = _model(tmp_path / "m", _fit(*KNOWN["trees"]))
    (made.root / "code").mkdir()
    (made.root / "code" / "handlers.py").touch()
    pyfunc = {**made.flavors["python_function"], "code": "code"}

    found = test_plan._plan(
        replace(made, flavors={**made.flavors, "python_function": pyfunc}), engine=engine
    )

    assert {each.engine for each in found} == {Engine.MACHINE_CODE}
    assert len(asked) == 1
    told = "code/handlers.py is imported as `handlers`, which is the artifact's own."
    assert test_plan._said(found[0], f"Not taken: engine native: {told}") is (engine is None)
    assert ("Only a compiled model is tried: code/handlers.py" in caplog.text) is (engine is None)


@pytest.mark.usefixtures("index")
def test_a_library_has_the_first_python_and_the_framework_behind_it_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that turns out not to be equal must leave the framework to fall back to."""
    test_plan._use(monkeypatch, test_plan._index(minors={"scikit-learn==1.9.1": ("3.12",)}))
    test_plan._have(monkeypatch, "3.12", "3.13")
    made = test_plan._pickled(tmp_path / "m", _fit(*KNOWN["trees"]), python_version="3.13.1")
    alone = test_plan._plan(made, engine=Engine.MACHINE_CODE)
    assert {each.runtime.python_minor for each in alone} == {"3.13"}
    found = test_plan._plan(made)
    tried = [(each.engine, each.runtime.python_minor) for each in found]
    assert [*dict.fromkeys(tried)] == [(Engine.MACHINE_CODE, "3.13"), (Engine.NATIVE, "3.12")]
    assert found[0].frame is Frame.PLAIN
    assert found[-1].engine is Engine.NATIVE


FRAMEWORK_ALONE: dict[str, dict[str, Any]] = {
    "a tier": {"tier": Tier.NATIVE},
    "a GPU": {"target": "gpu-container"},
    "a function without a reader": {},
    "sums that a BLAS orders": {},
}


@pytest.mark.parametrize("name", FRAMEWORK_ALONE)
def test_only_the_framework_is_tried_where_no_other_engine_can_be_taken(
    name: str, index: test_plan.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = test_plan._index()
    server = (*targets.load("gpu-container").program.requires, "nvidia-ml-py")
    names = [canonicalize_name(Requirement(each).name) for each in server]
    wheels: dict[str, tuple[str, ...]] = dict.fromkeys(names, ("99.0",))
    test_plan._use(monkeypatch, replace(known, versions={**wheels, **known.versions}))
    values = {
        "a function without a reader": OTHERS["a function without an operation"],
        "sums that a BLAS orders": lambda: _fit(*KNOWN["linear"]),
    }
    value = values.get(name, lambda: _fit(*KNOWN["trees"]))()
    model = test_plan._pickled(tmp_path / "m", value, python_version="3.12.1")
    found = test_plan._plan(model, **FRAMEWORK_ALONE[name])
    assert {each.engine for each in found} == {Engine.NATIVE}


def test_a_chooser_s_estimators_do_not_rule_machine_code_out(
    index: test_plan.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have no part in answering."""
    test_plan._use(monkeypatch, test_plan._index())
    value = _fit(SelectFromModel(LogisticRegression()), *KNOWN["trees"])
    model = test_plan._pickled(tmp_path / "m", value, python_version="3.12.1")
    assert test_plan._plan(model)[0].engine is Engine.MACHINE_CODE


def test_a_tolerance_lets_sums_in(
    index: test_plan.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_plan._use(monkeypatch, test_plan._index())
    model = test_plan._pickled(tmp_path / "m", _fit(*KNOWN["linear"]), python_version="3.12.1")
    assert test_plan._plan(model, rtol=1e-9)[0].engine is Engine.MACHINE_CODE


def test_the_default_tries_machine_code_first(
    index: test_plan.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_plan._use(monkeypatch, test_plan._index())
    model = test_plan._pickled(tmp_path / "m", _fit(*KNOWN["trees"]), python_version="3.12.1")
    engines = [each.engine for each in test_plan._plan(model)]
    assert engines[0] is Engine.MACHINE_CODE
    assert engines[-1] is Engine.NATIVE
    assert Engine.ONNX not in engines
