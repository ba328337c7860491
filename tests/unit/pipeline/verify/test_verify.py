"""When a bundle is proven, when it is refused, and when it may ship unproven."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.errors import UnprovenError, VerificationError
from packager.pipeline import verify
from packager.pipeline.verify import ask, oracle, replay
from packager.pipeline.verify.oracle import Answers, Recorded
from packager.pipeline.verify.replay import Replayed
from packager.probes import Probe
from packager.system import file_tree
from packager.types import (
    BuildPlan,
    Bundle,
    Check,
    ColdStart,
    Finding,
    LoaderSpec,
    Lock,
    LockedPackage,
    Machine,
    Replay,
    Spread,
    VerifiedBundle,
)
from tests import fake_plan
from tests.tiny_elf import library, write

ODD = Finding(check=Check.REPLAY, message="row 1 differs.", hint="")
START = ColdStart(
    init_wall_ms=11_000.0, init_cpu_ms=1, first_invoke_ms=1, warm_invoke_ms=1, peak_rss_bytes=1
)


class Outcome:
    """What the replay will come to; a test changes it."""

    def __init__(self, **figures: Any) -> None:
        self.replay = Replay(**figures)
        self.findings: list[Finding] = []

    def change(self, **figures: Any) -> None:
        self.replay = replace(self.replay, **figures)

    def read(self, *_: object) -> Replayed:
        return Replayed(replay=self.replay, findings=tuple(self.findings))


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What the replay will come to; the oracle answers everything."""
    done = Outcome(
        rows_compared=1000,
        requests_compared=20,
        refusals_agreed=3,
        cold_start=START,
        read_only="mounted",
        host="A host.",
    )

    def record(_model: Any, probes: Sequence[Probe], *_: Any, **held: Any) -> Answers:
        assert held == {
            "threads": None,
            "one_thread": False,
            "network": False,
            "request_seconds": None,
            "early": None,
        }
        return Answers(
            answers=(Recorded(status=200, body="{}"),) * len(probes),
            oracle="Python 3.11.7, mlflow 3.17.2",
            declared_bytes=9,
            start_cpu_ms=8.0,
        )

    monkeypatch.setattr(oracle, "record", record)
    monkeypatch.setattr(replay, "check", done.read)
    monkeypatch.setattr(ask, "why_not_provable", lambda *_: None)
    return done


def verified(
    tmp_path: Path, plan: BuildPlan | None = None, files: dict[str, bytes] | None = None
) -> VerifiedBundle:
    write(tmp_path, files or {"a.so": library(needed=("libc.so.6",))})
    bundle = Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path)))
    return verify.verify(bundle, plan or fake_plan.plan(), tmp_path)


def unproven_allowed(**changes: Any) -> BuildPlan:
    return fake_plan.plan(request=fake_plan.request(allow_unproven=True), **changes)


BARE = fake_plan.model(signature=None, example=None)
TIGHT = replace(fake_plan.TARGET, limits=replace(fake_plan.LIMITS, unzipped_bytes=10))


def test_evidence_says_what_was_compared_and_with_what(tmp_path: Path, replayed: Outcome) -> None:
    evidence = verified(tmp_path).evidence
    assert evidence.proven
    assert evidence.replay.rows_compared == 1000
    assert evidence.replay.refusals_agreed == 3
    assert evidence.oracle == "Python 3.11.7, mlflow 3.17.2"
    assert evidence.declared_bytes == 9
    assert evidence.declared_start_cpu_ms == 8.0
    assert evidence.replay.cold_start == START
    assert evidence.replay.read_only == "mounted"
    assert set(evidence.describe()["checks"]) == {"budget", "linkage", "glibc", "host"}
    assert evidence.describe()["notes"] == ("Init took 11.0 s here; the target allows 10 s.",)


def test_findings_of_size_and_replay_come_together(tmp_path: Path, replayed: Outcome) -> None:
    replayed.findings.append(ODD)
    with pytest.raises(VerificationError) as caught:
        verified(tmp_path, fake_plan.plan(target=TIGHT))
    assert [finding.check for finding in caught.value.findings] == ["budget", "replay"]


def test_a_rejected_bundle_goes_with_its_evidence(tmp_path: Path, replayed: Outcome) -> None:
    replayed.findings.append(ODD)
    replayed.change(rows_compared=0)
    with pytest.raises(VerificationError) as caught:
        verified(tmp_path)
    rejected = caught.value.rejected
    assert rejected is not None
    assert rejected.unzipped_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert (rejected.evidence.proven, rejected.evidence.replay.cold_start) == (True, START)


def test_all_that_a_replay_came_to_is_in_the_evidence(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = oracle.record

    def record(*args: Any, **more: Any) -> Answers:
        held = {**more, "one_thread": False}
        return replace(recorded(*args, **held), protections=("Of the oracle.",))

    monkeypatch.setattr(oracle, "record", record)
    replayed.change(
        spread=Spread(rounding={"predictions, any row": 1e-16}),
        protections=("Of the boot.",),
        doors="by sqs",
        notes=("p was not sent.",),
    )
    evidence = verified(tmp_path, fake_plan.plan(threads=1)).evidence
    assert evidence.replay == replayed.replay
    told = evidence.describe()
    assert told["rounding"] == {"predictions, any row": 1e-16}
    assert told["sandbox"] == {"oracle": ("Of the oracle.",), "boot": ("Of the boot.",)}
    assert (told["checks"]["doors"], told["checks"]["host"]) == ("by sqs", "A host.")
    assert (told["rows_compared"], told["threads"]) == (1000, 1)
    assert evidence.seed == fake_plan.request().proof.seed
    unsent, init = told["notes"]
    assert (unsent, init[:9]) == ("p was not sent.", "Init took")


@pytest.mark.parametrize(("init_wall_ms", "notes"), [(10_000.0, 0), (10_000.5, 1)])
def test_an_init_at_the_limit_is_within_it(
    init_wall_ms: float, notes: int, tmp_path: Path, replayed: Outcome
) -> None:
    replayed.change(cold_start=replace(START, init_wall_ms=init_wall_ms))
    assert len(verified(tmp_path).evidence.describe()["notes"]) == notes


def test_a_host_that_shares_packages_is_checked_for_them(tmp_path: Path, replayed: Outcome) -> None:
    target = targets.load("azure-functions")
    shared = fake_plan.plan(target=target, runtime=target.runtimes[0])
    said = verified(tmp_path, shared).evidence.checks["shadowing"]
    assert said.startswith("Nothing older than protobuf")


def test_what_does_not_link_is_not_booted(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(replay, "check")
    with pytest.raises(VerificationError) as caught:
        verified(tmp_path, files={"a.so": library(needed=("libodd.so",))})
    assert [finding.check for finding in caught.value.findings] == ["linkage"]


def test_what_its_host_would_break_on_is_refused_and_not_booted(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(replay, "check")
    target = targets.load("azure-functions")
    shadowing = fake_plan.plan(
        target=target,
        runtime=next(each for each in target.runtimes if each.python_minor == "3.12"),
        lock=Lock(text="", packages=(LockedPackage(name="protobuf", version="3.19.6"),)),
    )
    with pytest.raises(VerificationError) as caught:
        verified(tmp_path, shadowing)
    assert [finding.check for finding in caught.value.findings] == ["shadowing"]


def test_another_architecture_is_unproven(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "why_not_provable", lambda *_: "Not on this machine.")
    with pytest.raises(UnprovenError, match=r"Not on this machine\."):
        verified(tmp_path)
    evidence = verified(tmp_path, unproven_allowed()).evidence
    assert (evidence.proven, evidence.why_unproven) == (False, "Not on this machine.")
    assert evidence.replay.cold_start is None


def test_nothing_to_replay_must_be_asked_for_and_still_boots(
    tmp_path: Path, replayed: Outcome
) -> None:
    with pytest.raises(UnprovenError, match="neither a signature nor a saved example"):
        verified(tmp_path, fake_plan.plan(model=BARE))
    evidence = verified(tmp_path, unproven_allowed(model=BARE)).evidence
    assert not evidence.proven
    assert "neither a signature nor a saved example" in evidence.why_unproven
    assert evidence.replay.cold_start == START


def test_an_oracle_that_cannot_answer_is_unproven(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Answers:
        raise UnprovenError("The environment cannot be installed.")

    monkeypatch.setattr(oracle, "record", refuse)
    with pytest.raises(UnprovenError, match="cannot be installed"):
        verified(tmp_path)
    evidence = verified(tmp_path, unproven_allowed()).evidence
    assert evidence.why_unproven == "The environment cannot be installed."


def test_only_refusals_prove_nothing(tmp_path: Path, replayed: Outcome) -> None:
    replayed.change(rows_compared=0)
    with pytest.raises(UnprovenError, match=r"refused every one of \d+ requests, its own example"):
        verified(tmp_path)


def test_only_refusals_may_ship_unproven_where_that_is_asked_for(
    tmp_path: Path, replayed: Outcome
) -> None:
    replayed.change(rows_compared=0)
    evidence = verified(tmp_path, unproven_allowed()).evidence
    assert not evidence.proven
    assert "refused every one of" in evidence.why_unproven


def test_answers_that_are_all_chance_prove_nothing(tmp_path: Path, replayed: Outcome) -> None:
    replayed.change(rows_compared=0)
    replayed.change(spread=Spread(chance={"predictions, any row": 0.25}))
    with pytest.raises(UnprovenError, match=r"otherwise each time .*predictions, any row"):
        verified(tmp_path)


@pytest.mark.parametrize(("raised", "said"), [("", "."), ("KeyError", " with KeyError.")])
def test_an_example_that_the_model_refuses_is_said(
    raised: str, said: str, tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = oracle.record

    def record(*args: Any, **held: Any) -> Answers:
        found = recorded(*args, **held)
        first = Recorded(status=400, body="{}", raised=raised)
        return replace(found, answers=(first, *found.answers[1:]))

    monkeypatch.setattr(oracle, "record", record)
    note, _ = verified(tmp_path).evidence.describe()["notes"]
    assert note == f"The registered model refuses its own example{said}"
    plain = fake_plan.plan(model=fake_plan.model(example=None))
    assert len(verified(tmp_path, plain).evidence.describe()["notes"]) == 1


def test_fewer_rows_than_asked_for_are_said(tmp_path: Path, replayed: Outcome) -> None:
    replayed.change(rows_compared=800)
    notes = verified(tmp_path).evidence.describe()["notes"]
    assert notes[0].startswith("800 rows were compared, fewer than the 1000 asked for")


def test_a_known_finding_outweighs_having_no_proof(tmp_path: Path, replayed: Outcome) -> None:
    with pytest.raises(VerificationError) as caught:
        verified(tmp_path, fake_plan.plan(model=BARE, target=TIGHT))
    assert [finding.check for finding in caught.value.findings] == ["budget"]


def test_unseen_requests_are_sent_after_the_others(
    tmp_path: Path, replayed: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Sequence[Probe]] = []
    replayed.change(unseen_rows=1003)

    def check(_bundle: Any, _plan: Any, probes: Sequence[Probe], *_: Any) -> Replayed:
        sent.append(probes)
        return replayed.read()

    monkeypatch.setattr(replay, "check", check)
    evidence = verified(tmp_path).evidence
    assert evidence.replay.unseen_rows == 1003
    kinds = [probe.unseen for probe in sent[0]]
    assert kinds == sorted(kinds)
    assert {True, False} == set(kinds)


@pytest.mark.parametrize(
    ("loader", "told_memory", "memory_mb", "threads"),
    [
        ("onnx", True, None, 1),
        ("onnx", True, 3 * 1769, 3),
        ("onnx", True, 10_240, 4),
        ("onnx", False, None, 4),
        ("sklearn", True, None, None),
    ],
)
def test_a_graph_is_summed_on_the_threads_of_the_function(
    monkeypatch: pytest.MonkeyPatch,
    *,
    loader: str,
    told_memory: bool,
    memory_mb: int | None,
    threads: int | None,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    plan = fake_plan.plan(
        request=fake_plan.request(memory_mb=memory_mb),
        loader=LoaderSpec(loader=loader, options={}),
        target=replace(fake_plan.TARGET, machine=Machine(told_memory=told_memory)),
    )
    assert ask._graph_threads(plan) == threads


def test_what_only_this_machine_s_sandbox_refused_leaves_it_unproven(
    tmp_path: Path, replayed: Outcome
) -> None:
    weaker = Finding(check=Check.SANDBOX, message="row 1 failed.", hint="At the level 'landlock'.")
    replayed.findings.append(weaker)
    with pytest.raises(UnprovenError, match=r"row 1 failed\. At the level 'landlock'"):
        verified(tmp_path)
    allowed = verified(tmp_path, unproven_allowed())
    assert not allowed.evidence.proven
    assert "landlock" in allowed.evidence.why_unproven
    replayed.findings.append(ODD)
    with pytest.raises(VerificationError, match="row 1 differs"):
        verified(tmp_path, unproven_allowed())
