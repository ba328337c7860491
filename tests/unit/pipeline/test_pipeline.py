"""The order of things: the stages are fakes here, so that the pipeline alone is under test."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from packager.errors import (
    ConfigurationError,
    PackagerError,
    StorageError,
    ToolError,
    UnprovenError,
    VerificationError,
)
from packager.pipeline import baseline, build
from packager.system import process
from packager.types import (
    BuildRequest,
    Bundle,
    Check,
    Engine,
    Evidence,
    Finding,
    Shipped,
    VerifiedBundle,
    make_request,
)

REPLAY = Finding(check=Check.REPLAY, message="row 3: expected 1, got 2.", hint="")
BUDGET = Finding(check=Check.BUDGET, message="Too big.", hint="Use an image.")
ABSENT = Finding(check=Check.REPLAY, message="", hint="", absent="yaml.nodes")
MISSING = Finding(check=Check.BOOT, message="No module named x.", hint="", missing="x/*")


@dataclass(frozen=True)
class Plan:
    tier: str
    frame: str = "numpy"
    keep: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()
    engine: Engine = Engine.NATIVE
    compiled: object = None
    asked: bool = False
    shipped: Shipped = Shipped.DECLARED
    unshipped: tuple[str, ...] = ("anyio", "pyyaml")
    kept_for: Mapping[str, str] = field(default_factory=dict)
    declaring: Mapping[str, str] = field(default_factory=dict)
    upgraded: tuple[str, ...] = ()
    rewritten: tuple[str, ...] = ()
    model: str = "model"
    target: str = "target"
    request: BuildRequest | None = field(default=None, compare=False)
    base_image: str = ""
    base_digest: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    artifact: Any
    verified: VerifiedBundle
    plan: Plan
    emitted: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Artifact:
    path: Path
    folder: Path


class Stages:
    """Each stage as a fake; `findings` says what verify finds for a tier, one entry a round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *tiers: str) -> None:
        self.findings: dict[str, list[list[Finding]]] = {}
        self.asked: list[Plan] = []
        self.slimmed: list[Plan] = []
        self.measured: list[Plan] = []
        self.beside: list[str] = []
        self.begun: list[str] = []
        self.guilty = ""
        self.same_tree = False
        self.leaves_memory = True
        self.stop_at: str | None = None
        self.stop_with: BaseException = KeyboardInterrupt()
        self.plans = tuple(Plan(tier) for tier in tiers)
        self.unshipped: tuple[str, ...] = ("anyio", "pyyaml")
        self.declaring: Mapping[str, str] = {}
        for name in ("resolve", "plan", "slim", "verify", "package", "emit"):
            monkeypatch.setattr(build, name, getattr(self, name))
        monkeypatch.setattr(build, "ask_model", self.ask_model)
        monkeypatch.setattr(build, "asking_early", lambda _: nullcontext())
        monkeypatch.setattr(build, "begin_slimming", self.begin_slimming)
        monkeypatch.setattr(build, "leaves_memory", lambda _: self.leaves_memory)
        monkeypatch.setattr(build, "has_same_tree", lambda *_: self.same_tree)
        for name in ("work_ahead", "fetch_tools", "work_for_later"):
            monkeypatch.setattr(build, name, lambda plan, name=name: self.beside.append(name))
        monkeypatch.setattr(build, "check_provable", lambda *_: None)
        monkeypatch.setattr(baseline, "check_table", lambda *_: None)
        monkeypatch.setattr(baseline, "measure_baseline", self.measure_baseline)

    def _maybe_stop(self, stage: str, folder: Path | None) -> None:
        if folder is not None:
            (folder / f"half-of-{stage}").touch()
        if self.stop_at == stage:
            raise self.stop_with

    def resolve(self, _request: BuildRequest, _registry: object, work: Path) -> str:
        self._maybe_stop("resolve", work)
        return "model"

    def plan(self, request: BuildRequest, _model: str, _target: object) -> tuple[Plan, ...]:
        self._maybe_stop("plan", None)
        kept = dict.fromkeys(request.slimming.keep_packages, "--keep-package names it")
        left = tuple(name for name in self.unshipped if name not in kept)
        return tuple(
            replace(each, kept_for=kept, unshipped=left, request=request) for each in self.plans
        )

    def ask_model(self, plan: Plan, _early: object = None) -> Plan:
        self._maybe_stop("ask_model", None)
        self.asked.append(plan)
        return replace(plan, asked=True, declaring=self.declaring)

    def measure_baseline(self, plan: Plan) -> Plan:
        self.measured.append(plan)
        return plan

    def begin_slimming(self, _plan: Plan, work: Path, _is_wanted: Callable[[], bool]) -> str:
        (work / "begun").touch()
        return "begun"

    def slim(self, plan: Plan, work: Path, begun: str = "") -> str:
        assert (work / "begun").is_file() is bool(begun)
        self._maybe_stop("slim", work)
        self.slimmed.append(plan)
        self.begun.append(begun)
        return "bundle"

    def verify(self, _bundle: str, plan: Plan, work: Path) -> VerifiedBundle:
        self._maybe_stop("verify", work)
        if self.guilty in plan.passes:
            raise VerificationError([REPLAY])
        rounds = self.findings.get(plan.tier, [])
        if found := rounds.pop(0) if rounds else []:
            raise VerificationError(found)
        bundle = Bundle(root=work, files=())
        return VerifiedBundle(bundle=bundle, evidence=Evidence(proven=True))

    def package(self, _verified: VerifiedBundle, _plan: Plan, out: Path) -> Artifact:
        self._maybe_stop("package", out)
        (out / "function").mkdir()
        return Artifact(path=out / "function.zip", folder=out / "function")

    def emit(self, artifact: Artifact, verified: VerifiedBundle, plan: Plan, out: Path) -> Report:
        self._maybe_stop("emit", out)
        (out / "report.json").touch()
        return Report(artifact, verified, plan, (out / "report.json",))


def request(folder: Path) -> BuildRequest:
    return make_request(model_uri="models:/churn@champion", out_dir=folder / "dist")


def run(folder: Path) -> Any:
    return build.build(request(folder), registry=None)  # type: ignore[arg-type]


def test_the_first_attempt_that_verifies_ships(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "stub", "skinny")
    stages.findings["native"] = [[REPLAY]]

    report = run(tmp_path)

    assert report.plan.tier == "stub"
    assert report.verified.evidence.tried == ("native/numpy: row 3: expected 1, got 2.",)
    assert [plan.tier for plan in stages.slimmed] == ["native", "stub"]
    assert [plan.tier for plan in stages.measured] == ["native", "stub"]


def test_why_an_attempt_is_given_up_is_told_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stages = Stages(monkeypatch, "native", "stub")
    stages.findings["native"] = [[replace(REPLAY, message="row 3:\nexpected 1, got 2.")]]

    with caplog.at_level(logging.INFO, "packager"):
        run(tmp_path)

    attempts = [each for each in caplog.records if each.getMessage().startswith("Attempt")]
    assert [(each.levelname, each.getMessage()) for each in attempts] == [
        ("INFO", "Attempt 1 of 2: native/numpy"),
        ("WARNING", "Attempt 1 of 2 is given up: replay: row 3: expected 1, got 2."),
        ("INFO", "Attempt 2 of 2: stub/numpy"),
    ]


def test_a_model_that_cannot_be_compiled_runs_in_its_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "native")
    stages.plans = (replace(stages.plans[0], engine=Engine.ONNX), stages.plans[1])
    refused = Finding(check=Check.ENGINE, message="3 rows differ.", hint="")

    def compile_model(_plan: Plan, _work: Path, _tell: object) -> Plan:
        raise VerificationError([refused])

    monkeypatch.setattr(build, "compile_model", compile_model)
    report = run(tmp_path)

    assert report.plan.engine is Engine.NATIVE
    assert report.verified.evidence.tried == ("onnx: 3 rows differ.",)
    assert len(stages.slimmed) == 1


def test_an_engine_that_refuses_a_model_is_not_asked_again_for_another_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "native", "native")
    plain, arrays, native = stages.plans
    compiled = [replace(each, engine=Engine.MACHINE_CODE) for each in (plain, arrays)]
    stages.plans = (*compiled, native)
    asked: list[Plan] = []

    def compile_model(plan: Plan, _work: Path, _tell: object) -> Plan:
        asked.append(plan)
        raise VerificationError([Finding(check=Check.ENGINE, message="No operation.", hint="")])

    monkeypatch.setattr(build, "compile_model", compile_model)
    assert run(tmp_path).plan.engine is Engine.NATIVE
    assert len(asked) == 1


def test_a_compiled_model_ships_with_its_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "native")
    stages.plans = (replace(stages.plans[0], engine=Engine.ONNX), stages.plans[1])
    monkeypatch.setattr(build, "compile_model", lambda plan, *_: replace(plan, keep=("graph",)))

    assert run(tmp_path).plan == replace(stages.plans[0], keep=("graph",), asked=True)


def test_the_report_names_files_where_they_lie_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stages(monkeypatch, "native")

    report = run(tmp_path)

    assert report.artifact.folder.is_dir()
    assert report.emitted == (tmp_path / "dist" / "report.json",)


@pytest.mark.parametrize("others", [(), (REPLAY,), (MISSING,)])
def test_a_tree_at_fault_is_not_tried_again_with_more_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: tuple[Finding, ...]
) -> None:
    stages = Stages(monkeypatch, "native", "stub")
    stages.findings["native"] = [[BUDGET, *others]]

    with pytest.raises(VerificationError, match=r"Too big\. Use an image\.") as refused:
        run(tmp_path)

    assert len(stages.slimmed) == 1
    assert refused.value.findings == (BUDGET, *(each for each in others if each is not MISSING))


def test_the_last_failure_carries_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "skinny")
    stages.findings = {
        "native": [[REPLAY]],
        "skinny": [[replace(REPLAY, message="it does not load.")]],
    }

    with pytest.raises(VerificationError) as stopped:
        run(tmp_path)

    assert "it does not load." in str(stopped.value)
    assert "tried before: native/numpy: row 3" in str(stopped.value)


def test_what_is_missing_becomes_a_keep_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.findings["native"] = [[MISSING]]

    report = run(tmp_path)

    assert report.plan.keep == ("x/*",)
    assert [plan.keep for plan in stages.slimmed] == [(), ("x/*",)]


@pytest.mark.parametrize("absent", ["yaml.nodes", "YAML", "PyYAML", "pyyaml"])
def test_what_the_proof_misses_of_the_author_s_environment_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    stages = Stages(monkeypatch, "native", "skinny")
    stages.findings = {"native": [[REPLAY, replace(ABSENT, absent=absent)]]}
    report = run(tmp_path)
    assert report.plan.tier == "native"
    assert report.plan.kept_for == {"pyyaml": "added when the replay missed it"}


@pytest.mark.parametrize("shipped", Shipped)
def test_what_declares_entry_points_that_the_code_asks_for_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped: Shipped
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.plans = (Plan("native", shipped=shipped),)
    stages.declaring = {"mlflow": "own.kinds", "pyyaml": "own.kinds"}
    kept = {"pyyaml": "it declares entry points of own.kinds"}
    plan = run(tmp_path).plan
    assert plan.kept_for == (kept if shipped is Shipped.SERVING else {})
    assert [each.kept_for for each in stages.slimmed] == [plan.kept_for]
    assert plan.asked


@pytest.mark.parametrize(
    ("absent", "added"),
    [("imaging.parts", ["some-imaging"]), ("anyio", ["anyio"]), ("elsewhere", [])],
)
def test_a_distribution_of_a_name_like_the_missed_module_s_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str, added: list[str]
) -> None:
    stages = Stages(monkeypatch, "native", "skinny")
    stages.unshipped = ("anyio", "anyio-stubs", "some-imaging")
    stages.findings = {"native": [[REPLAY, replace(ABSENT, absent=absent)]]}
    assert [*run(tmp_path).plan.kept_for] == added


@pytest.mark.parametrize("absent", ["yaml", "nowhere"])
def test_nothing_is_added_that_did_not_help_or_is_not_the_author_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    stages = Stages(monkeypatch, "native", "skinny")
    stages.findings = {"native": [[replace(ABSENT, absent=absent)]] * 9}
    assert run(tmp_path).plan.tier == "skinny"
    assert len(stages.slimmed) == (3 if absent == "yaml" else 2)


def test_the_registered_model_is_asked_before_anything_is_slimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "stub")
    stages.stop_at, stages.stop_with = "ask_model", UnprovenError("It refuses everything.")

    with pytest.raises(UnprovenError, match="refuses everything"):
        run(tmp_path)

    assert stages.slimmed == []


def test_the_loop_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages(monkeypatch, "native")
    stages.findings["native"] = [[replace(MISSING, missing=f"{n}/*")] for n in range(99)]

    with pytest.raises(VerificationError):
        run(tmp_path)

    assert len(stages.slimmed) == 3


def test_a_rule_that_did_not_help_is_not_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.findings["native"] = [[MISSING], [MISSING], []]

    with pytest.raises(VerificationError):
        run(tmp_path)


def test_where_no_attempt_verifies_slimming_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "stub")
    stages.plans = tuple(replace(plan, passes=("libraries", "defer")) for plan in stages.plans)
    stages.guilty = "defer"

    report = run(tmp_path)

    assert (report.plan.tier, report.plan.passes) == ("native", ("libraries",))
    (entry,) = report.verified.bundle.ledger
    assert (entry.name, entry.reverted) == ("defer", ("**",))
    assert REPLAY.message in entry.proof


def test_a_compiled_models_graph_is_still_there_when_slimming_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    passes = ("libraries", "defer")
    stages.plans = (replace(stages.plans[0], engine=Engine.ONNX, passes=passes),)
    stages.guilty = "defer"

    def compile_model(plan: Plan, work: Path, _tell: object) -> Plan:
        (work / "graph").touch()
        return replace(plan, compiled=work / "graph")

    def slim(plan: Plan, _work: Path) -> str:
        assert isinstance(plan.compiled, Path)
        assert plan.compiled.is_file()
        return "bundle"

    monkeypatch.setattr(build, "compile_model", compile_model)
    monkeypatch.setattr(build, "slim", slim)

    assert run(tmp_path).plan.passes == ("libraries",)


@pytest.mark.parametrize(
    "stage", ["resolve", "plan", "ask_model", "slim", "verify", "package", "emit"]
)
@pytest.mark.parametrize(
    "stop",
    [KeyboardInterrupt(), SystemExit(143), PackagerError("no"), OSError(28, "No space left")],
    ids=lambda stop: type(stop).__name__,
)
def test_a_build_stopped_at_any_stage_leaves_no_half_artifact(
    stage: str, stop: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    run(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    stages.stop_at, stages.stop_with = stage, stop

    with pytest.raises(StorageError if isinstance(stop, OSError) else type(stop)):
        run(tmp_path)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_finding_knows_whether_another_attempt_or_a_larger_target_could_pass_it() -> None:
    assert {check for check in Check if check.retryable} == {
        Check.BOOT,
        Check.ENGINE,
        Check.REPLAY,
    }
    assert {check for check in Check if check.about_size} == {
        Check.BUDGET,
        Check.MEMORY,
        Check.PACKAGE,
    }


def dry_run(folder: Path) -> None:
    with build.plan_build(request(folder), None, as_built=True):  # type: ignore[arg-type]
        pass


@pytest.mark.parametrize("start", [run, dry_run])
@pytest.mark.parametrize(("owner", "name"), [(baseline, "check_table"), (build, "check_provable")])
def test_what_would_end_a_build_ends_it_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    owner: ModuleType,
    name: str,
    start: Callable[[Path], object],
) -> None:
    stages = Stages(monkeypatch, "native")

    def refuse(*_: object) -> None:
        raise ConfigurationError("no")

    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(ConfigurationError, match="no"):
        start(tmp_path)
    assert not stages.asked
    assert not stages.slimmed


def test_a_dry_run_ends_where_a_build_could_not_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Stages(monkeypatch, "native")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StorageError, match="cannot be read or written"):
        dry_run(tmp_path)


def test_what_is_known_to_be_needed_is_fetched_beside_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    build.build(request(tmp_path), None)  # type: ignore[arg-type]

    assert stages.beside == ["work_ahead", "fetch_tools", "work_for_later"]


def test_the_stages_do_not_wait_for_it_and_the_build_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages, done = Stages(monkeypatch, "native"), threading.Event()

    def fetch(_: object) -> None:
        done.wait(10)
        stages.beside.append("fetched" if stages.slimmed else "too early")

    def slim(plan: Any, work: Path) -> Any:
        found = stages.slim(plan, work)
        done.set()
        return found

    monkeypatch.setattr(build, "work_ahead", fetch)
    monkeypatch.setattr(build, "slim", slim)
    build.build(request(tmp_path), None)  # type: ignore[arg-type]

    assert stages.beside == ["fetched", "fetch_tools", "work_for_later"]


def test_a_build_that_fails_ends_what_runs_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stages(monkeypatch, "native")
    begun, ended = threading.Event(), threading.Event()

    def fetch(_: object) -> None:
        begun.set()
        try:
            process.run(["sleep", "60"], timeout_seconds=60)
        finally:
            ended.set()

    def slim(_plan: Any, _work: Path) -> Any:
        assert begun.wait(10)
        time.sleep(0.2)
        raise ToolError("The stage fails.")

    monkeypatch.setattr(build, "work_ahead", fetch)
    monkeypatch.setattr(build, "slim", slim)
    with pytest.raises(ToolError, match="The stage fails"):
        build.build(request(tmp_path), None)  # type: ignore[arg-type]

    assert ended.wait(10)
    assert process.run(["true"], timeout_seconds=10).returncode == 0


def test_what_fails_beside_is_left_to_who_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Stages(monkeypatch, "native")

    def fail(_: object) -> None:
        raise ToolError("the index does not answer")

    monkeypatch.setattr(build, "work_ahead", fail)
    caplog.set_level("DEBUG", "packager")
    build.build(request(tmp_path), None)  # type: ignore[arg-type]

    assert "Not done beforehand: the index does not answer" in caplog.text


def test_the_tree_is_begun_while_the_model_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.same_tree = True
    stages.findings["native"] = [[MISSING]]
    started, asked = threading.Event(), threading.Event()

    def begin(plan: Plan, work: Path, is_wanted: Callable[[], bool]) -> str:
        assert not plan.asked
        started.set()
        assert asked.wait(20)
        assert is_wanted()
        return stages.begin_slimming(plan, work, is_wanted)

    def ask_model(plan: Plan, _early: object) -> Plan:
        assert started.wait(20)
        asked.set()
        return stages.ask_model(plan)

    monkeypatch.setattr(build, "begin_slimming", begin)
    monkeypatch.setattr(build, "ask_model", ask_model)

    run(tmp_path)

    # the round with what was missing begins anew
    assert stages.begun == ["begun", ""]
    assert [plan.keep for plan in stages.slimmed] == [(), ("x/*",)]
    assert all(plan.asked for plan in stages.slimmed)


def test_a_tree_that_the_answers_changed_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")

    def begin(plan: Plan, work: Path, is_wanted: Callable[[], bool]) -> str:
        while is_wanted():
            time.sleep(0.01)
        raise ToolError("it was ended")

    monkeypatch.setattr(build, "begin_slimming", begin)

    run(tmp_path)

    assert stages.begun == [""]


def test_what_stops_the_asking_stops_what_was_begun_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.stop_at, stages.stop_with = "ask_model", UnprovenError("It refuses everything.")
    ended = threading.Event()

    def begin(_plan: Plan, _work: Path, is_wanted: Callable[[], bool]) -> str:
        while is_wanted():
            time.sleep(0.01)
        ended.set()
        raise ToolError("it was ended")

    monkeypatch.setattr(build, "begin_slimming", begin)

    with pytest.raises(UnprovenError):
        run(tmp_path)
    assert ended.is_set()
    assert [*tmp_path.iterdir()] == []


def test_beside_a_large_model_nothing_is_slimmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    stages.same_tree, stages.leaves_memory = True, False

    run(tmp_path)

    assert stages.begun == [""]
    assert len(stages.asked) == len(stages.measured) == 1


def test_what_stops_the_asking_ends_each_program_that_is_still_started_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native")
    begun = threading.Event()
    codes: list[int] = []

    def begin(_plan: Plan, _work: Path, _is_wanted: Callable[[], bool]) -> str:
        begun.set()
        sleep = ["sleep", "20"]
        codes.extend(process.run(sleep, timeout_seconds=60, check=False).returncode for _ in "abc")
        raise ToolError("it was ended")

    def ask_model(_: Plan, _early: object) -> Plan:
        assert begun.wait(20)
        raise UnprovenError("It refuses everything.")

    monkeypatch.setattr(build, "begin_slimming", begin)
    monkeypatch.setattr(build, "ask_model", ask_model)

    with pytest.raises(UnprovenError):
        run(tmp_path)
    assert codes == [-9, -9, -9]
    assert stages.slimmed == []


def test_what_stops_the_slimming_beside_the_asking_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch, "native", "stub")
    stages.same_tree = True

    def begin(*_: object) -> str:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(build, "begin_slimming", begin)

    with pytest.raises(StorageError, match="full"):
        run(tmp_path)
    assert stages.slimmed == []
