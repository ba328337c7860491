"""A model that is asked before all its requests are known answers as if it were asked at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager.errors import UnprovenError
from packager.models import registered_model
from packager.models.registered_model import WaitingRun
from packager.pipeline.verify import ask, oracle_runs
from packager.pipeline.verify.oracle_runs import ANSWERS, FIRST, Asked, EarlyAnswers
from packager.probes import Probe
from packager.system import process
from packager.types import Architecture, Engine, Interpreter
from tests import fake_plan

HERE = Interpreter(path=Path("/opt/python3.13"), version="3.13.0", found_by="test")


def _probe(name: str) -> Probe:
    return Probe(
        name=name, body=name.encode(), content_type="application/json", rows=1, door="http"
    )


A, B, C, D = map(_probe, "ABCD")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(
        python=tmp_path / "venv" / "bin" / "python",
        interpreter=HERE,
        root=tmp_path,
        flavors=("sklearn",),
        probes=(A, D),
    )


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """A stand-in for the model's process, which answers each request with its body; its runs."""
    runs: list[str] = []

    def run(argv: list[Any], **_: Any) -> process.Done:
        given = list(map(str, argv))
        runs.append(" ".join(each for each in given if each.startswith("--")))
        lines = Path(given[4]).read_text(encoding="utf-8").splitlines()
        if "--rest" in given:
            rest = Path(given[given.index("--rest") + 1])
            while not rest.exists():
                time.sleep(0.001)
            if not rest.stat().st_size:
                return process.Done(returncode=0, stdout="", stderr="")
            lines += filter(None, rest.read_text(encoding="utf-8").splitlines())
        answers = [{"status": 200, "body": json.loads(line)["body"]} for line in lines]
        written = [{"first_answer_cpu_ms": 7.0}, *answers]
        Path(given[5]).write_text("".join(json.dumps(each) + "\n" for each in written))
        return process.Done(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(registered_model, "run", run)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    return iter((runs,))


@pytest.fixture
def runs(worker: Iterator[list[str]]) -> list[str]:
    return next(worker)


def _begin(asked: Asked, folder: Path) -> EarlyAnswers:
    folder.mkdir()
    return EarlyAnswers(folder, lambda: asked)


def _read(folder: Path) -> list[str]:
    run, *answers = (folder / ANSWERS).read_text().splitlines()
    assert json.loads(run) == {"first_answer_cpu_ms": 7.0}
    assert (folder / FIRST).is_file()
    return [json.loads(line)["body"] for line in answers]


def _write_bodies(*probes: Probe) -> list[str]:
    return [json.loads(oracle_runs.write_probe(probe))["body"] for probe in probes]


@pytest.mark.parametrize(
    "wanted", [(A, B, C, D), (A, D), (A, D, B), (B, A, D), (A, A, D), (A, B, D, B)]
)
def test_answers_are_in_the_order_of_the_requests(
    wanted: tuple[Probe, ...], asked: Asked, tmp_path: Path, runs: list[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with _begin(asked, tmp_path / "early") as early:
        assert early.take(replace(asked, probes=wanted), out)
    assert _read(out) == _write_bodies(*wanted)
    assert runs == ["--rest", "--first"]


def test_what_was_told_before_is_not_told_again(
    asked: Asked, tmp_path: Path, runs: list[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with _begin(asked, tmp_path / "early") as early:
        early.ask_rest((B, C))
        assert early.take(replace(asked, probes=(A, B, C, D)), out)
    assert _read(out) == _write_bodies(A, B, C, D)
    assert runs == ["--rest", "--first"]


@pytest.mark.parametrize(
    "other",
    [{"probes": (A,)}, {"probes": (B, D)}, {"options": ("--one-thread",)}, {"network": True}],
)
def test_who_asks_otherwise_asks_anew(
    other: dict[str, Any], asked: Asked, tmp_path: Path, runs: list[str]
) -> None:
    with _begin(asked, tmp_path / "early") as early:
        assert not early.take(replace(asked, **other), tmp_path)
    assert not (tmp_path / ANSWERS).exists()
    assert runs == ["--rest"]  # and no second start for a figure that nobody reads


def test_rows_that_were_told_and_are_not_asked_for_are_not_taken(
    asked: Asked, tmp_path: Path, runs: list[str]
) -> None:
    with _begin(asked, tmp_path / "early") as early:
        early.ask_rest((B,))
        assert not early.take(replace(asked, probes=(A, C, D)), tmp_path)
    assert runs[0] == "--rest"


def test_answers_are_taken_once(asked: Asked, tmp_path: Path, runs: list[str]) -> None:
    with _begin(asked, tmp_path / "early") as early:
        assert early.take(asked, tmp_path)
        assert not early.take(asked, tmp_path)
    assert runs == ["--rest", "--first"]


def test_an_environment_that_cannot_be_made_is_for_who_asks(tmp_path: Path) -> None:
    def fail() -> Asked:
        raise UnprovenError("There is no such Python.")

    (tmp_path / "early").mkdir()
    with EarlyAnswers(tmp_path / "early", fail) as early:
        early.ask_rest((A,))


def test_an_early_process_that_fails_has_the_model_asked_alone(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside others it may have had too little memory; what a run alone comes to counts."""
    dead = process.Done(returncode=-9, stdout="", stderr="")
    monkeypatch.setattr(registered_model, "run", lambda *_, **__: dead)
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    with _begin(asked, tmp_path / "early") as early:
        assert not early.take(asked, tmp_path)
    assert not (tmp_path / ANSWERS).exists()
    with pytest.raises(UnprovenError, match="the registered model's process"):
        oracle_runs.write_answers(asked, tmp_path)


@pytest.mark.parametrize(
    ("engine", "architecture"), [(Engine.NATIVE, "x86_64"), (Engine.MACHINE_CODE, "arm64")]
)
def test_nothing_is_begun_where_nothing_is_compiled_or_asked(
    engine: Engine, architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "why_not_provable", lambda arch, *_: arch if arch == "arm64" else None)
    plan = fake_plan.plan(engine=engine)
    target = replace(plan.request.target, architecture=architecture)
    plan = replace(plan, request=replace(plan.request, target=target))
    with ask.asking_early(plan) as early:
        assert early is None
        ask.ask_rows_early(early, plan, [{"x": [1.0]}])


def test_a_program_that_waits_is_told_once_and_whole(tmp_path: Path) -> None:
    told, made = tmp_path / "told", tmp_path / "made"
    seen: list[str] = []

    def run() -> None:
        made.touch()
        while not told.exists():
            time.sleep(0.001)
        seen.append(told.read_text())

    with WaitingRun(run, told, "test") as waiting:
        assert waiting.wait_for(made)
        waiting.tell("the rest")
        waiting.join()
    assert seen == ["the rest"]


def test_a_program_that_is_not_told_ends_with_the_block(tmp_path: Path) -> None:
    told = tmp_path / "told"
    ended = threading.Event()

    def run() -> None:
        while not told.exists():
            time.sleep(0.001)
        ended.set()

    with WaitingRun(run, told, "test") as waiting:
        pass
    assert ended.is_set()
    assert told.read_text() == ""
    assert not waiting.wait_for(tmp_path / "nothing")


def test_an_interrupt_ends_a_program_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = threading.Event()
    monkeypatch.setattr(process, "kill_current", killed.set)

    def run() -> None:
        killed.wait()

    def interrupt() -> None:
        with WaitingRun(run, tmp_path / "told", "test"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert killed.is_set()


def test_a_link_in_place_of_what_is_waited_for_is_none(tmp_path: Path) -> None:
    made, told = tmp_path / "made", tmp_path / "told"
    made.symlink_to("/etc/passwd")

    def run() -> None:
        while not told.exists():
            time.sleep(0.001)

    with WaitingRun(run, told, "test") as waiting:
        threading.Timer(0.1, waiting.tell, [""]).start()
        assert not waiting.wait_for(made)
