from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import cloudpickle
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packager import facts
from packager.environments import interpreters, lockfile
from packager.environments.lockfile import Wanted
from packager.errors import (
    ConfigurationError,
    InterpreterNotFoundError,
    PlanError,
    UnresolvableError,
)
from packager.facts import devices
from packager.pipeline import slim
from packager.pipeline.plan import PASSES, _locked_plans, check, plan
from packager.pipeline.plan._locked_plans import extend_target
from packager.system.resources import FACTS
from packager.types import (
    BuildPlan,
    Device,
    Engine,
    FileRecord,
    Frame,
    Interpreter,
    Lock,
    LockedPackage,
    Requirements,
    ResolvedModel,
    Shipped,
    Tier,
    make_request,
)

TODAY = date(2026, 11, 22)
NUMBER = [{"type": "double", "name": "a", "required": True}]
PINS = ("mlflow==3.17.2", "numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "skops==0.16.0")


@dataclass
class Index:
    """A package index: what there is, which glibc a wheel asks for, and what comes with what."""

    versions: Mapping[str, tuple[str, ...]]
    glibc: Mapping[str, int] = field(default_factory=dict)
    """`numpy==2.4.6` -> 28 where a wheel needs glibc 2.28; others load everywhere."""
    minors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """`numpy==2.4.6` -> the Pythons that it has wheels for; others are for all."""
    brings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[Wanted] = field(default_factory=list)

    def lock(self, wanted: Wanted) -> Lock:
        self.asked.append(wanted)
        limits = {Requirement(line).name: Requirement(line) for line in wanted.constraints}
        todo = [Requirement(line) for line in wanted.requirements]
        chosen: dict[str, str] = {}
        while todo:
            each = todo.pop()
            name = canonicalize_name(each.name)
            if name in wanted.excluded or name in chosen:
                continue
            fit = [
                version
                for version in self.versions.get(name, ())
                if each.specifier.contains(version)
                and (name not in limits or limits[name].specifier.contains(version))
                and self._loads(f"{name}=={version}", wanted)
            ]
            if not fit:
                raise UnresolvableError(f"no wheel of {each}")
            chosen[name] = next((at for at in fit if f"{name}=={at}" in wanted.preferred), fit[0])
            todo += [Requirement(line) for line in self.brings.get(name, ())]
        packages = [LockedPackage(name=n, version=v) for n, v in sorted(chosen.items())]
        return Lock(text="".join(map(str, packages)), packages=tuple(packages))

    def unavailable(self, wanted: Wanted) -> tuple[str, ...]:
        def there(line: str) -> bool:
            try:
                Index(self.versions, self.glibc, self.minors).lock(
                    replace(wanted, requirements=(line,), constraints=())
                )
            except UnresolvableError:
                return False
            return True

        return tuple(line for line in wanted.requirements if not there(line))

    def _loads(self, pin: str, wanted: Wanted) -> bool:
        minor = wanted.python_minor or wanted.interpreter.minor
        if minor not in self.minors.get(pin, (minor,)):
            return False
        return self.glibc.get(pin, 17) <= int(str(wanted.platform).rsplit("_", 1)[1])


def _index(**changes: Any) -> Index:
    versions = {
        "aws-lambda-powertools": ("3.37.0",),
        "boto3": ("1.44.5",),
        "cloudpickle": ("3.1.2",),
        "mangum": ("0.22.0",),
        "msgspec": ("0.22.0",),
        "pysimdjson": ("7.0.2",),
        "mlflow": ("3.17.2",),
        "mlflow-skinny": ("3.17.2",),
        "numpy": ("2.5.5", "2.4.6", "2.2.6"),
        "nvidia-nccl-cu12": ("2.30",),
        "pandas": ("3.1.1", "2.3.3"),
        "scikit-learn": ("1.9.1",),
        "skops": ("0.16.0",),
        "xgboost": ("3.2.0", "3.0.0"),
        "xgboost-cpu": ("3.2.0",),
    }
    glibc = {"numpy==2.5.5": 28, "numpy==2.4.6": 28, "pandas==3.1.1": 28, "scikit-learn==1.9.1": 28}
    brings = {"mlflow": ("pandas<3.2", "numpy"), "xgboost": ("nvidia-nccl-cu12", "numpy")}
    return replace(Index(versions, glibc, brings=brings), **changes)


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Index:
    return _use(monkeypatch, _index())


def _use(monkeypatch: pytest.MonkeyPatch, index: Index) -> Index:
    monkeypatch.setattr(lockfile, "lock", index.lock)
    monkeypatch.setattr(lockfile, "unavailable", index.unavailable)
    _have(monkeypatch, "3.11", "3.12", "3.13")
    return index


def _have(monkeypatch: pytest.MonkeyPatch, *minors: str) -> None:
    def find(minor: str) -> Interpreter:
        if minor not in minors:
            raise InterpreterNotFoundError(minor, ("here",))
        return Interpreter(path=Path(f"/python{minor}"), version=f"{minor}.1", found_by="test")

    monkeypatch.setattr(interpreters, "find", find)


def _model(root: Path, **changes: Any) -> ResolvedModel:
    """A scikit-learn model in skops' format, of one column of numbers."""
    root.mkdir(exist_ok=True)
    (root / "model.skops").write_bytes(_skops())
    conf = {"pickled_model": "model.skops", "serialization_format": "skops"}
    found = ResolvedModel(
        uri="models:/churn/1",
        name="churn",
        version="1",
        mlflow_version="3.17.2",
        python_version="3.11.7",
        flavors={"python_function": {"loader_module": "mlflow.sklearn"}, "sklearn": conf},
        signature={"inputs": NUMBER, "outputs": None, "params": None},
        requirements=Requirements(lines=PINS),
        root=root,
        files=(FileRecord(PurePosixPath("model.skops"), "0" * 64, 100),),
        digest="d",
    )
    return replace(found, **changes)


def _skops(name: str = "X") -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        schema = {"__module__": "sklearn.linear_model", "__class__": name}
        archive.writestr("schema.json", json.dumps(schema))
    return out.getvalue()


def _known(root: Path, **changes: Any) -> ResolvedModel:
    """A model of a class that machine code reads."""
    found = _model(root, **changes)
    (root / "model.skops").write_bytes(_skops("RandomForestRegressor"))
    return found


def _pickled(root: Path, value: object, *, by: Any = pickle, **changes: Any) -> ResolvedModel:
    found = _model(root, **changes)
    (root / "model.pkl").write_bytes(by.dumps(value))
    conf = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    return replace(found, flavors={**found.flavors, "sklearn": conf})


def _plan(model: ResolvedModel, **request: Any) -> tuple[BuildPlan, ...]:
    asked = make_request(model_uri=model.uri, out_dir=Path("out"), **request)
    return plan(asked, model, check(asked), today=TODAY)


def _names(found: BuildPlan) -> set[str]:
    return {package.name for package in found.lock.packages}


def _said(found: BuildPlan, words: str) -> bool:
    return any(words in reason for reason in found.reasons)


def test_the_attempts_come_the_slimmest_first(index: Index, tmp_path: Path) -> None:
    found = [(each.tier, each.frame) for each in _plan(_model(tmp_path / "m"))]
    assert found == [
        (Tier.NATIVE, Frame.NUMPY),
        (Tier.NATIVE, Frame.PANDAS),
        (Tier.SKINNY, Frame.PANDAS),
    ]


def test_the_parser_is_locked_before_threads_read_requirements(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    start = ThreadPoolExecutor

    def start_pool(count: int) -> ThreadPoolExecutor:
        steps.append("start")
        return start(count)

    monkeypatch.setattr(_locked_plans, "lock_parser", lambda: steps.append("lock"))
    monkeypatch.setattr(_locked_plans, "ThreadPoolExecutor", start_pool)
    _plan(_model(tmp_path / "m"))
    assert steps[:2] == ["lock", "start"]


def test_one_tier_can_be_asked_for(index: Index, tmp_path: Path) -> None:
    found = _plan(_model(tmp_path / "m"), tier=Tier.SKINNY)
    assert [(each.tier, each.frame) for each in found] == [(Tier.SKINNY, Frame.PANDAS)]


def test_a_tier_that_the_flavor_has_not_is_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--tier stub.*Choose one of: native, skinny"):
        _plan(_model(tmp_path / "m"), tier=Tier.STUB)


def test_a_compiled_model_needs_nothing_that_it_lists(index: Index, tmp_path: Path) -> None:
    index.versions = {**index.versions, "onnxruntime": (facts.tools()["onnxruntime"].version,)}
    only = _plan(_model(tmp_path), engine=Engine.ONNX)
    assert [each.engine for each in only] == [Engine.ONNX]
    assert {"onnxruntime", "numpy"} <= _names(only[0])
    assert _names(only[0]).isdisjoint({"scikit-learn", "scipy", "pandas", "skops", "mlflow"})

    tolerant = _plan(_known(tmp_path), engine=None, rtol=1e-4)
    assert list(dict.fromkeys(each.engine for each in tolerant)) == [
        Engine.MACHINE_CODE,
        Engine.ONNX,
        Engine.NATIVE,
    ]


@pytest.mark.usefixtures("index")
def test_machine_code_ships_alone_or_with_numpy_and_is_tried_first(tmp_path: Path) -> None:
    plain, arrays = _plan(_model(tmp_path), engine=Engine.MACHINE_CODE)
    assert {each.engine for each in (plain, arrays)} == {Engine.MACHINE_CODE}
    assert (plain.frame, arrays.frame) == (Frame.PLAIN, Frame.NUMPY)
    assert "numpy" in _names(arrays)
    assert "numpy" not in _names(plain)
    for each in (plain, arrays):
        assert _names(each).isdisjoint({"onnxruntime", "scikit-learn", "scipy", "pandas", "mlflow"})
    assert _said(plain, "without numpy")
    tried = [each.engine for each in _plan(_known(tmp_path), engine=None)]
    assert list(dict.fromkeys(tried)) == [Engine.MACHINE_CODE, Engine.NATIVE]


@pytest.mark.usefixtures("index")
def test_a_class_that_machine_code_does_not_read_is_named(tmp_path: Path) -> None:
    model = _pickled(tmp_path / "m", Fraction(1, 3))
    found = _plan(model, engine=None)
    assert {each.engine for each in found} == {Engine.NATIVE}
    assert _said(found[0], "engine machine-code: it does not read fractions.Fraction.")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"signature": None}, "no signature"),
        ({"signature": {"inputs": [{"name": "x", "type": "datetime"}]}}, "of type datetime"),
    ],
)
def test_what_cannot_be_compiled_runs_in_its_framework(
    changes: dict[str, Any], why: str, index: Index, tmp_path: Path
) -> None:
    model = _model(tmp_path, **changes)
    found = _plan(model, engine=None)
    assert all(each.engine is Engine.NATIVE for each in found)
    assert _said(found[0], why)
    with pytest.raises(ConfigurationError, match=why):
        _plan(model, engine=Engine.ONNX)
    with pytest.raises(ConfigurationError, match=f"--engine machine-code: .*{why}"):
        _plan(model, engine=Engine.MACHINE_CODE)


def test_what_serving_does_not_need_is_not_installed(index: Index, tmp_path: Path) -> None:
    numpy, pandas, skinny = _plan(_model(tmp_path / "m"))
    own = {"aws-lambda-powertools", "mangum", "msgspec", "numpy", "pysimdjson"} | {
        "scikit-learn",
        "skops",
    }
    assert _names(numpy) == own
    assert _names(pandas) == own | {"pandas"}
    assert _names(skinny) == own | {"pandas", "mlflow-skinny"}
    assert _said(numpy, "Not shipped: mlflow; a loader of our own reads the model.")
    assert _said(numpy, "Not shipped: pandas; serving this model never imports it.")


def test_skinny_has_the_model_s_own_version(index: Index, tmp_path: Path) -> None:
    _plan(_model(tmp_path / "m"), tier=Tier.SKINNY)
    assert "mlflow-skinny==3.17.2" in index.asked[-1].requirements


def test_what_the_author_did_not_pin_is_what_mlflow_s_environment_has(
    index: Index, tmp_path: Path
) -> None:
    model = _model(tmp_path / "m", requirements=Requirements(lines=("mlflow", "scikit-learn")))
    index.versions = {**index.versions, "pandas": ("4.0", "3.1.1")}
    assert _plan(model, tier=Tier.SKINNY)[0].lock.version("pandas") == "3.1.1"


def test_without_pickles_the_newest_runtime_with_a_python_here_is_taken(
    index: Index, tmp_path: Path
) -> None:
    found = _plan(_model(tmp_path / "m"))[0]
    assert (found.runtime.name, found.interpreter.minor) == ("python3.13", "3.13")
    assert found.platform == "x86_64-manylinux_2_34"
    assert _said(found, "nothing in this model is unpickled")
    assert _said(found, "Amazon Linux 2023 (glibc 2.34) and is maintained until 2029-06-30")


def test_arm64_has_its_own_platform(index: Index, tmp_path: Path) -> None:
    found = _plan(_model(tmp_path / "m"), architecture="arm64")[0]
    assert found.platform == "aarch64-manylinux_2_34"
    assert {asked.platform for asked in index.asked} == {"aarch64-manylinux_2_34"}


def test_an_older_runtime_is_taken_where_the_newest_has_no_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _use(monkeypatch, _index(minors={"scikit-learn==1.9.1": ("3.11", "3.12")}))
    found = _plan(_model(tmp_path / "m"))[0]
    assert found.runtime.name == "python3.12"
    assert _said(found, "Not taken: python3.13 (Amazon Linux 2023, glibc 2.34")
    assert _said(found, "no wheel of scikit-learn==1.9.1")


def test_python_can_be_asked_for(index: Index, tmp_path: Path) -> None:
    found = _plan(_model(tmp_path / "m"), python_minor="3.12")
    assert {each.runtime.name for each in found} == {"python3.12"}
    assert _said(found[0], "asked for with --python")


@pytest.mark.parametrize(
    ("minor", "kind", "said"),
    [
        ("3.9", ConfigurationError, "has no such runtime"),
        ("3.10", PlanError, "end of life on 2026-10-31"),
        ("3.14", InterpreterNotFoundError, "No Python 3.14"),
    ],
)
def test_a_python_that_will_not_do_is_refused(
    minor: str, kind: type[Exception], said: str, index: Index, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=said):
        _plan(_model(tmp_path / "m"), python_minor=minor)


def test_a_pickle_stays_with_its_python(index: Index, tmp_path: Path) -> None:
    found = _plan(_pickled(tmp_path / "m", {"a": 1}, python_version="3.12.1"))[0]
    assert found.runtime.name == "python3.12"
    assert _said(found, "Python 3.12 is kept: model.pkl was pickled under Python 3.12.1")
    assert _said(found, "Loading unpickles model.pkl")


def test_a_pickle_whose_wheels_are_old_enough_stays_on_the_old_system(
    index: Index, tmp_path: Path
) -> None:
    index.versions = {**index.versions, "scikit-learn": ("1.5.2",)}
    pins = ("mlflow", "numpy==2.2.6", "pandas==2.3.3", "scikit-learn==1.5.2")
    model = _pickled(tmp_path / "m", {"a": 1}, requirements=Requirements(lines=pins))
    found = _plan(model)[0]
    assert (found.runtime.name, found.platform) == ("python3.11", "x86_64-manylinux_2_17")


def test_a_pickle_without_code_moves_where_the_old_system_has_no_wheels(
    index: Index, tmp_path: Path
) -> None:
    found = _plan(_pickled(tmp_path / "m", {"a": 1}), engine=Engine.NATIVE)[0]
    assert found.runtime.name == "python3.13"
    assert _said(found, "Python 3.13 instead of the author's 3.11.7")
    assert _said(found, "Not taken: python3.11 (Amazon Linux 2, glibc 2.26")


def test_a_pickle_with_code_is_refused_with_the_ways_out(index: Index, tmp_path: Path) -> None:
    model = _pickled(tmp_path / "m", lambda x: x + 1, by=cloudpickle)
    with pytest.raises(PlanError) as caught:
        _plan(model)
    words = str(caught.value)
    for said in (
        "no wheel of numpy==2.4.6, pandas==3.1.1, scikit-learn==1.9.1",
        "Model.pkl holds compiled code, so it stays with Python 3.11.7",
        "skops for scikit-learn",
        "versions that have wheels for Python 3.12 or 3.13 or 3.14",
    ):
        assert said in words
    # an image has the same Pythons on the same systems
    assert "aws-lambda-image" not in words


def test_a_pickle_of_a_python_without_a_runtime_moves_or_is_refused(
    index: Index, tmp_path: Path
) -> None:
    plain = _pickled(tmp_path / "a", {"a": 1}, python_version="3.9.18")
    assert _plan(plain)[0].runtime.name == "python3.13"
    bound = _pickled(tmp_path / "b", lambda x: x, by=cloudpickle, python_version="3.9.18")
    with pytest.raises(PlanError, match="no maintained runtime of it"):
        _plan(bound)


def test_a_pickle_of_an_unknown_python_asks_for_it(index: Index, tmp_path: Path) -> None:
    model = _pickled(tmp_path / "m", lambda x: x, by=cloudpickle, python_version=None)
    with pytest.raises(PlanError, match="Say it with --python"):
        _plan(model)


def test_a_pickle_s_python_that_is_not_here_is_asked_for(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have(monkeypatch, "3.13")
    model = _pickled(tmp_path / "m", {"a": 1}, python_version="3.12.1")
    with pytest.raises(InterpreterNotFoundError, match=r"No Python 3\.12"):
        _plan(model)


def test_compiled_code_is_not_moved_to_another_python(index: Index, tmp_path: Path) -> None:
    model = _pickled(tmp_path / "m", lambda: 1, by=cloudpickle, python_version="3.12.1")
    with pytest.raises(PlanError, match=r"holds compiled code, pickled under Python 3\.12"):
        _plan(model, python_minor="3.13")
    assert {each.runtime.python_minor for each in _plan(model, python_minor="3.12")} == {"3.12"}
    plain = _pickled(tmp_path / "p", {"a": 1}, python_version="3.12.1")
    assert _said(_plan(plain, python_minor="3.13")[0], "is left to replay")


def test_a_runtime_near_its_end_is_said(index: Index, tmp_path: Path) -> None:
    model = _pickled(tmp_path / "m", {"a": 1}, python_version="3.12.1")
    asked = make_request(model_uri="u", out_dir=Path("out"))
    late = plan(asked, model, check(asked), today=date(2028, 9, 1))[0]
    assert _said(late, "python3.12 is near its end of life: 2028-10-31")
    assert not _said(_plan(model)[0], "near its end of life")


@pytest.mark.parametrize(
    ("today", "prices", "said"),
    [
        (date(2026, 12, 1), "2026-12-01", ()),
        # the artifact's page has this price
        (date(2026, 12, 1), "2026-06-17", ("was last read 167 days ago",)),
        (date(2027, 6, 1), "2026-12-01", ("aws_lambda.toml ", " more more than 90 days ago")),
    ],
)
def test_facts_that_were_read_long_ago_are_said_in_one_line(
    today: date,
    prices: str,
    said: tuple[str, ...],
    index: Index,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = (FACTS / "prices.toml").read_text(encoding="utf-8")
    (tmp_path / "facts").mkdir()
    dated = re.sub(r"as_of = .*", f"as_of = {prices}", text)
    (tmp_path / "facts" / "prices.toml").write_text(dated, encoding="utf-8")
    asked = make_request(model_uri="u", out_dir=Path("out"), facts_dir=tmp_path / "facts")
    plan(asked, _model(tmp_path / "m"), check(asked), today=today)

    lines = [each.getMessage() for each in caplog.records if "last read" in each.getMessage()]
    assert len(lines) == bool(said)
    assert all(words in line for line in lines for words in said)
    assert all("packager facts --check" in line for line in lines)


def test_every_pin_without_a_wheel_is_listed(index: Index, tmp_path: Path) -> None:
    pins = ("mlflow", "numpy==1.19.5", "scikit-learn==0.24.0", "skops==0.16.0")
    with pytest.raises(PlanError) as caught:
        _plan(_model(tmp_path / "m", requirements=Requirements(lines=pins)))
    for minor in ("3.13", "3.12"):
        assert f"python{minor}" in str(caught.value)
    assert "no wheel of numpy==1.19.5, scikit-learn==0.24.0" in str(caught.value)


def _xgboost(root: Path, *pins: str) -> ResolvedModel:
    root.mkdir(exist_ok=True)
    (root / "model.ubj").write_bytes(b"{L")
    flavors = {
        "python_function": {"loader_module": "mlflow.xgboost", "data": "model.ubj"},
        "xgboost": {
            "data": "model.ubj",
            "model_class": "xgboost.core.Booster",
            "model_format": "ubj",
        },
    }
    return replace(_model(root), flavors=flavors, requirements=Requirements(lines=pins))


def test_the_build_without_a_gpu_s_code_stands_in(index: Index, tmp_path: Path) -> None:
    model = _xgboost(tmp_path / "m", "mlflow", "numpy==2.4.6", "xgboost==3.2.0")
    found = _plan(model, engine=Engine.NATIVE)[0]
    assert found.lock.version("xgboost-cpu") == "3.2.0"
    assert not _names(found) & {"xgboost", "nvidia-nccl-cu12"}
    assert _said(found, "xgboost-cpu stands in for xgboost")


def test_where_there_is_no_such_build_only_the_gpu_s_libraries_stay_out(
    index: Index, tmp_path: Path
) -> None:
    model = _xgboost(tmp_path / "m", "mlflow", "numpy==2.4.6", "xgboost==3.0.0")
    found = _plan(model, engine=Engine.NATIVE)[0]
    assert found.lock.version("xgboost") == "3.0.0"
    assert "nvidia-nccl-cu12" not in _names(found)
    assert _said(found, "xgboost is kept: xgboost-cpu has no wheel of that version")
    assert _said(found, "Not shipped: nvidia-nccl-cu12; there is no GPU to use it.")


def test_a_build_that_does_not_load_without_a_gpu_s_libraries_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = _index()
    _use(
        monkeypatch,
        replace(
            known,
            versions={**known.versions, "torch": ("2.13.0",)},
            brings={**known.brings, "torch": ("nvidia-nccl-cu12",)},
        ),
    )
    model = _xgboost(tmp_path / "m", "mlflow", "numpy==2.4.6", "torch==2.13.0")
    with pytest.raises(PlanError, match=r"torch 2\.13\.0 .* nvidia-nccl-cu12.*\+cpu"):
        _plan(model, requirements=Shipped.DECLARED, engine=Engine.NATIVE)

    # nothing in the model names torch
    plans = _plan(model, engine=Engine.NATIVE)
    assert {plan.shipped for plan in plans} == {Shipped.SERVING}
    assert all("torch" not in _names(plan) for plan in plans)


def test_the_build_for_a_cpu_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = _index()
    _use(monkeypatch, replace(known, versions={**known.versions, "torch": ("2.13.0+cpu",)}))
    model = _xgboost(tmp_path / "m", "mlflow", "numpy==2.4.6", "torch==2.13.0")
    found = _plan(model, engine=Engine.NATIVE)[0]
    assert found.lock.version("torch") == "2.13.0+cpu"


def test_who_lists_the_small_build_gets_no_second_one(index: Index, tmp_path: Path) -> None:
    found = _plan(_xgboost(tmp_path / "m", "mlflow", "numpy==2.4.6", "xgboost-cpu==3.2.0"))[0]
    assert "xgboost" not in _names(found)
    assert not _said(found, "stands in")


def test_what_the_runtime_carries_is_shipped_only_if_it_is_listed(
    index: Index, tmp_path: Path
) -> None:
    assert "boto3" not in _names(_plan(_model(tmp_path / "a"))[0])
    listed = _model(tmp_path / "b", requirements=Requirements(lines=(*PINS, "boto3")))
    found = _plan(listed)[0]
    assert "boto3" in _names(found)
    assert _said(found, "boto3: shipped because the model lists it")


def test_the_model_s_own_index_is_asked(index: Index, tmp_path: Path) -> None:
    option = "--extra-index-url https://example.com/simple"
    model = _model(tmp_path / "m", requirements=Requirements(lines=PINS, options=(option,)))
    _plan(model)
    assert {asked.options for asked in index.asked} == {(option,)}
    assert {asked.base for asked in index.asked} == {model.root}


def test_a_module_called_as_ours_is_refused_before_anything_is_resolved(
    index: Index, tmp_path: Path
) -> None:
    model = _model(tmp_path / "m")
    (model.root / "code").mkdir()
    (model.root / "code" / "handlers.py").touch()
    flavors = {**model.flavors, "python_function": {**model.pyfunc, "code": "code"}}
    with pytest.raises(PlanError, match=r"code/handlers\.py is imported as `handlers`"):
        _plan(replace(model, flavors=flavors))
    assert index.asked == []


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn @ ftp://example.com/a.whl",
        "skops @ https://example.com/own.tar.gz",
        "a b c",
        "https://[abc/own-1.0-py3-none-any.whl",
    ],
)
def test_what_is_no_wheel_is_refused(line: str, index: Index, tmp_path: Path) -> None:
    model = _model(tmp_path / "m", requirements=Requirements(lines=(*PINS, line)))
    with pytest.raises(PlanError, match="cannot be locked"):
        _plan(model)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"memory_mb": 64}, "takes 128 to 10240 MB"),
        ({"memory_mb": 20_000}, "takes 128 to 10240 MB"),
        ({"timeout_seconds": 1801}, "takes 1 to 1800 seconds"),
        ({"timeout_seconds": 0}, "takes 1 to 1800 seconds"),
        ({"passes": ("prune", "polish")}, "No slimming pass polish"),
        ({"target": "azure-functions", "memory_mb": 1024}, "takes 512, 2048, 4096 MB"),
        ({"target": "azure-functions", "architecture": "arm64"}, "runs on x86_64"),
        (
            {"target": "azure-functions", "events": ("sqs",)},
            "azure-functions has no event source sqs",
        ),
        ({"events": ("queue",)}, "aws-lambda has no event source queue"),
        ({"target": "azure-functions", "events": ("queue",)}, "is asynchronous: set --output-to"),
        (
            {"target": "azure-functions", "events": ("queue",), "output_to": "sqs://a"},
            "must start with one of blob://, queue://, servicebus://",
        ),
        (
            {"target": "azure-functions", "events": ("queue",), "output_to": "blob://A_B"},
            "'A_B' is not a name that blob takes",
        ),
        (
            {
                "target": "azure-functions",
                "events": ("eventhubs",),
                "output_to": "servicebus://answers",
            },
            "give queue:// or blob://",
        ),
        (
            {
                "target": "azure-functions",
                "events": ("queue",),
                "output_to": "queue://answers",
                "once": True,
            },
            "keeps no table of what was answered",
        ),
        ({"target": "azure-functions", "timeout_seconds": 231}, "takes 1 to 230 seconds"),
        ({"opentelemetry": True}, "aws-lambda has none to ask for"),
    ],
)
def test_a_setting_beyond_the_limits_is_refused(
    request_: dict[str, Any], said: str, index: Index, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        _plan(_model(tmp_path / "m"), **request_)
    assert index.asked == []
    is_limit = "takes" in said and "name" not in said
    assert ("Limits: https://" in str(refused.value)) == is_limit


def test_wrong_settings_are_said_all_together(index: Index, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)--memory 1.*--timeout 2000"):
        _plan(_model(tmp_path / "m"), memory_mb=1, timeout_seconds=2000)


@pytest.mark.parametrize(
    ("target", "size_bytes", "said"),
    [
        ("aws-lambda", 262_144_001, r"(?s)262,144,001 bytes.*the target aws-lambda-image"),
        ("azure-functions", 800_000_001, r"(?s)800,000,001 bytes.*the target gpu-container"),
    ],
)
def test_a_model_bigger_than_the_target_is_refused_with_the_way_out(
    target: str, size_bytes: int, said: str, index: Index, tmp_path: Path
) -> None:
    big = FileRecord(PurePosixPath("weights.bin"), "0" * 64, size_bytes)
    with pytest.raises(PlanError, match=said):
        _plan(_model(tmp_path / "m", files=(big,)), target=target)
    assert index.asked == []


def test_telemetry_is_installed_where_it_is_asked_for_and_no_pass_moves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = {"azure-functions": ("2.3.0",), "azure-functions-runtime": ("1.3.0",)}
    versions = {**_index().versions, **own, "azure-monitor-opentelemetry": ("1.8.11",)}
    _use(monkeypatch, _index(versions=versions))
    for asked in (False, True):
        plan, *_ = _plan(
            _model(tmp_path / f"{asked}"), target="azure-functions", opentelemetry=asked
        )
        assert ("azure-monitor-opentelemetry" in _names(plan)) is asked
        assert ("opentelemetry*" in plan.keep) is asked
        assert ("PYTHON_ENABLE_OPENTELEMETRY" in plan.variables) is asked


@pytest.mark.parametrize(
    "name", ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "MLFLOW_ALLOW_MODEL_CODE_EXECUTION"]
)
def test_mlflow_s_switches_hold(
    name: str, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "false")
    for number, model in enumerate((_pickled(tmp_path / "a", {"a": 1}), _model(tmp_path / "b"))):
        for engine in (Engine.NATIVE, Engine.ONNX)[: 1 + number]:
            with pytest.raises(PlanError, match=rf"{name}=false"):
                _plan(model, engine=engine)
    assert index.asked == []


def test_the_passes_are_those_of_the_next_stage(index: Index, tmp_path: Path) -> None:
    assert set(slim.PASSES) == set(PASSES)
    own = tuple(name for name in PASSES if name != "weights")
    assert _plan(_model(tmp_path / "a"))[0].passes == own
    assert _plan(_model(tmp_path / "b"), passes=())[0].passes == ()


def test_an_attempt_whose_wheels_do_not_resolve_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index = _index()
    _use(monkeypatch, replace(index, versions={**index.versions, "mlflow-skinny": ()}))
    found = _plan(_model(tmp_path / "m"))
    assert [each.tier for each in found] == [Tier.NATIVE, Tier.NATIVE]


def test_a_plan_has_the_target_as_it_is_and_keeps_what_the_build_adds() -> None:
    asked = make_request("m", target="azure-functions", events=("batches",), opentelemetry=True)
    target, builds = check(asked), devices.builds(Device.CPU, None)

    effective = extend_target(asked, target, builds)

    assert effective.target is target
    assert "azure-functions-durable>=1.7,<2" in effective.requires
    assert "azure-monitor-opentelemetry>=1.8,<2" in effective.requires
    assert {"werkzeug", "opentelemetry*"} <= {*effective.keep}
    assert not {"azure-monitor-opentelemetry>=1.8,<2"} & {*target.program.requires}
