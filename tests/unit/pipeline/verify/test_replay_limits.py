"""Every limit of a replay: what is sent, how much is said, and what a message must bring."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from packager.errors import EmulatorError
from packager.pipeline.verify import replay
from packager.pipeline.verify.answer_comparison import Measure, compare_answer, compare_message
from packager.pipeline.verify.oracle import Recorded
from packager.pipeline.verify.replay import Replayed
from packager.probes import Probe
from packager.system import file_tree, sandbox
from packager.targets.hosts import Answered, Boot, Call, ProcessStats
from packager.targets.hosts._host import Delivered
from packager.types import BuildPlan, Bundle, Check, Json
from tests import fake_plan

GOOD: Json = {"predictions": [1.5]}
TEXT = json.dumps(GOOD)


class FakeHost:
    """Gives one answer to all; what it was booted with and asked is kept."""

    about = "A host of the tests' own."
    read_only = "Not at all"

    def __init__(self, answers: Sequence[Answered] | Answered, came: Delivered | None) -> None:
        self._answers = [answers] if isinstance(answers, Answered) else list(answers)
        self._came = came
        self.sent: list[Call] = []
        self.delivered: list[tuple[str, bytes]] = []
        self.words = ""
        self.limit = ""

    def __call__(self, boot: Boot) -> Self:
        self.boot = boot
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, call: Call) -> Answered:
        self.sent.append(call)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def size_bytes(self, call: Call) -> int:
        return len(call.body)

    def stats(self) -> ProcessStats:
        return ProcessStats(init_wall_ms=100.0, cpu_ms=90.0, peak_rss_bytes=7)

    def log(self) -> str:
        return self.words

    def read_exceeded(self) -> str:
        return self.limit

    def protections(self) -> tuple[str, ...]:
        return ("Held.",)

    def deliver(self, source: str, body: bytes) -> Delivered:
        self.delivered.append((source, body))
        assert self._came is not None
        return self._came


def answered(value: Json = GOOD, seconds: float = 0.2, **changes: Any) -> Answered:
    found = Answered(status=200, text=json.dumps(value), body=value, seconds=seconds)
    return replace(found, **changes)


def probe(name: str = "p", body: bytes = b"{}", **changes: Any) -> Probe:
    made = Probe(name=name, body=body, content_type="application/json", rows=2, door="direct")
    return replace(made, **changes)


def recorded(value: Json = GOOD, **changes: Any) -> Recorded:
    return replace(Recorded(status=200, body=json.dumps(value)), **changes)


Run = Callable[..., Replayed]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "x").write_text("as it was")
    bundle = Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path)))

    def replay_pairs(
        host: FakeHost, *pairs: tuple[Probe, Recorded], plan: BuildPlan | None = None
    ) -> Replayed:
        plan = plan or fake_plan.plan()
        monkeypatch.setattr(replay, "HOSTS", {plan.target.program.host: host})
        probes, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return replay.check(bundle, plan, probes, answers, tmp_path)

    return replay_pairs


@pytest.mark.parametrize(
    ("asked", "size", "booted"),
    [
        ({}, 20_000 << 20, (1024, 10_240, 60, False)),
        ({}, (10_240 << 20) + 1, (1024, 10_240, 60, False)),
        # a machine that has no more than the most sets no other bound
        ({}, 10_240 << 20, (1024, None, 60, False)),
        ({"memory_mb": 512, "timeout_seconds": 9, "allow_network": True}, 0, (512, 512, 9, True)),
    ],
)
def test_a_function_is_booted_with_its_own_size(
    asked: dict[str, Any],
    size: int,
    booted: tuple[Any, ...],
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sandbox, "machine_memory_bytes", lambda: size)
    host = FakeHost(answered(), None)
    run(host, (probe(), recorded()), plan=fake_plan.plan(request=fake_plan.request(**asked)))
    boot = host.boot
    assert booted == (*(boot.memory_mb, boot.memory_limit_mb, boot.timeout_seconds, boot.network),)


@pytest.mark.parametrize(
    ("request_bytes", "response_bytes", "size", "sent"),
    [(30, 90, 30, 1), (29, 90, 30, 0), (90, len(TEXT), 2, 1), (90, len(TEXT) - 1, 2, 0)],
)
def test_what_is_at_the_target_s_limit_is_sent(
    request_bytes: int, response_bytes: int, size: int, sent: int, run: Run
) -> None:
    limits = replace(fake_plan.LIMITS, request_bytes=request_bytes, response_bytes=response_bytes)
    plan = fake_plan.plan(target=replace(fake_plan.TARGET, limits=limits))
    done = run(FakeHost(answered(), None), (probe(body=b"x" * size), recorded()), plan=plan)
    assert done.replay.requests_compared == sent
    assert len(done.replay.notes) == 1 - sent


@pytest.mark.parametrize(("count", "findings"), [(4, 4), (5, 5), (6, 6), (7, 6)])
def test_five_that_differ_are_named_and_the_rest_counted(
    count: int, findings: int, run: Run
) -> None:
    done = run(FakeHost(answered({"predictions": [2]}), None), *[(probe(), recorded())] * count)
    assert (len(done.findings), done.replay.mismatches) == (findings, count)
    said = done.findings[-1].message
    assert said.startswith(f"{count - 5} more requests" if count > 5 else "p: predictions")


@pytest.mark.parametrize(("count", "more"), [(3, ""), (4, "; and 1 more"), (5, "; and 2 more")])
def test_three_differences_of_a_request_are_listed(count: int, more: str, run: Run) -> None:
    host = FakeHost(answered({"predictions": [0.5] * count}), None)
    (found,) = run(host, (probe(), recorded({"predictions": [1.5] * count}))).findings
    assert found.message.count("expected 1.5") == 3
    assert found.message.endswith(f"apart){more}.")


def test_a_process_that_was_killed_is_told_only_where_something_differs(run: Run) -> None:
    host = FakeHost(answered({"predictions": [2]}), None)
    host.limit = "it had 512 MB"
    differs, killed = run(host, (probe(), recorded())).findings
    assert (differs.check, killed.check) == ("replay", "platform")
    assert "it had 512 MB" in killed.message
    well = FakeHost(answered(), None)
    well.limit = "it had 512 MB"
    assert run(well, (probe(), recorded())).findings == ()


@pytest.mark.parametrize("ends", ["over a request", ""])
@pytest.mark.parametrize(
    ("level", "path", "check"),
    [
        ("landlock", "/tmp/x", Check.SANDBOX),  # noqa: S108 - the function's
        ("landlock", "/var/x", Check.PLATFORM),
        ("", "/tmp/x", Check.PLATFORM),  # noqa: S108 - the function's
    ],
)
def test_what_only_this_machine_refuses_is_no_fault_of_the_model_s(
    level: str, path: str, check: str, ends: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "weak_level", lambda: level)
    why = f"PermissionError: [Errno 13] Permission denied: '{path}'"
    answer = answered({"stack_trace": why}, status=500, failure=why if ends else None)
    (found,) = run(FakeHost(answer, None), (probe(), recorded())).findings
    assert found.check == check
    assert ("tells nothing of the model" in found.hint) is (check == Check.SANDBOX)


def test_starts_are_measured_by_the_median_of_seven(run: Run) -> None:
    warm = [answered(seconds=each) for each in (0.009, 0.001, 0.003, 0.002, 0.004, 0.008, 0.007)]
    host = FakeHost(
        [answered(seconds=0.25), answered(), *warm, answered(status=500), answered()], None
    )
    start = run(host, (probe(), recorded())).replay.cold_start
    assert start is not None
    # and one more of a single row, for the time by rows, and one after a start from a snapshot
    assert len(host.sent) == 2 + 7 + 2
    assert start.invoke_ms_by_rows == {}
    assert (start.first_invoke_ms, start.warm_invoke_ms) == pytest.approx((150.0, 4.0))
    assert (start.init_wall_ms, start.init_cpu_ms, start.peak_rss_bytes) == (100.0, 90.0, 7)
    assert start.response_bytes == len(TEXT)


def test_it_is_started_once_more_as_from_a_snapshot_and_asked_by_each_way_in(run: Run) -> None:
    host = FakeHost(answered(), None)
    by_http = probe("h", door="http")
    found = run(host, (probe(), recorded()), (by_http, recorded()), (probe("q"), recorded()))

    assert found.findings == ()
    assert found.replay.snapshot == "its hooks ran, and direct and http answered the same"
    assert host.boot.snapshot
    assert [call.door for call in host.sent[-2:]] == ["direct", "http"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (answered({"predictions": [2.5]}), "Started as from a snapshot (SnapStart): "),
        (answered(status=502, failure="a hook failed"), "a hook failed"),
    ],
)
def test_another_answer_after_a_restore_is_found(wrong: Answered, said: str, run: Run) -> None:
    host = FakeHost([*[answered()] * (2 + 7), answered(status=500), wrong], None)
    found = run(host, (probe(), recorded()))

    (finding, *_) = found.findings
    assert finding.message.startswith("Started as from a snapshot (SnapStart): ")
    assert said in finding.message
    assert found.replay.snapshot == ""


def test_a_runtime_without_snapshots_is_started_once(run: Run) -> None:
    host = FakeHost(answered(), None)
    plan = fake_plan.plan(runtime=fake_plan.OLD_RUNTIME)
    found = run(host, (probe(), recorded()), plan=plan)

    assert (found.replay.snapshot, host.boot.snapshot) == ("", False)


def test_a_first_answer_is_never_quicker_than_nothing(run: Run) -> None:
    start = run(FakeHost(answered(seconds=0.05), None), (probe(), recorded())).replay.cold_start
    assert start is not None
    assert start.first_invoke_ms == 0.0


def test_what_it_ran_in_is_kept(run: Run) -> None:
    done = run(FakeHost(answered(), None), (probe(), recorded()))
    assert (done.replay.host, done.replay.protections) == ("A host of the tests' own.", ("Held.",))
    assert done.replay.read_only == "Not at all; all 1 files were as before after the replay"


def test_a_log_is_shown_by_its_end(run: Run) -> None:
    host = FakeHost(answered(failure="Runtime.Unknown"), None)
    host.words = "a" * 9 + "b" * 2500 + "\n"
    (found,) = run(host, (probe(), recorded())).findings
    assert found.check == "boot"
    assert found.hint == "Its log ends:\n" + "b" * 2500


@pytest.mark.parametrize("failure", ["Runtime.Unknown", "It is gone."])
def test_what_a_function_died_of_is_a_sentence_before_the_next(failure: str, run: Run) -> None:
    host = FakeHost(answered(failure=failure), None)
    host.words = "line"
    (found,) = run(host, (probe(), recorded())).findings
    ended = f"{failure.rstrip('.')}."
    assert str(found) == f"boot: The function does not start: {ended} Its log ends:\nline"


def test_a_function_s_own_files_are_named_by_their_paths_in_it(tmp_path: Path, run: Run) -> None:
    host = FakeHost(answered(failure=f"OSError: no file '{tmp_path}/model/a.log'"), None)
    host.words = f'  File "{tmp_path}/handlers/x.py", line 9'
    (found,) = run(host, (probe(), recorded())).findings
    assert found.message == "The function does not start: OSError: no file 'model/a.log'."
    assert found.hint == 'Its log ends:\nFile "handlers/x.py", line 9'


@pytest.mark.parametrize(
    ("error", "mismatches"), [(0.0, 0), (0.01, 0), (-0.01, 0), (0.03, 1), (-0.03, 1)]
)
def test_only_a_compiled_model_may_part_by_what_was_allowed(error: float, mismatches: int) -> None:
    ours = answered({"predictions": [1.5 + error]})
    held = compare_answer(probe(), recorded(), ours, Measure(tolerance=(0.01, 0.005)))
    assert (held.finding is not None) == bool(mismatches)
    assert held.error == pytest.approx(abs(error))
    assert held.rows == (0 if mismatches else 2)
    bare = compare_answer(probe(), recorded(), ours, Measure())
    assert (bare.finding is None) == (error == 0.0)
    assert bare.error == pytest.approx(abs(error))


@pytest.mark.parametrize("door", ["direct", "http"])
@pytest.mark.parametrize(
    ("expected", "actual", "agreed"),
    [(400, 400, True), (400, 500, None), (400, 200, False), (200, 400, False), (500, 400, None)],
)
def test_refusals_agree_by_status_but_where_there_is_none(
    *, door: Any, expected: int, actual: int, agreed: bool | None
) -> None:
    """A direct invocation fails or does not."""
    done = compare_answer(
        probe(door=door), recorded(status=expected), answered(status=actual), Measure()
    )
    agrees = door == "direct" if agreed is None else agreed
    assert (done.finding is None, done.refused) == (agrees, agrees)
    assert done.rows == 0


def events_plan(*events: str) -> BuildPlan:
    return fake_plan.plan(request=fake_plan.request(events=events))


def test_each_source_is_asked_once_with_the_first_that_a_message_can_carry(run: Run) -> None:
    host = FakeHost(answered(), Delivered(answers=({"id": 1, **GOOD},)))
    pairs = (
        (probe(body=b"1", door="http"), recorded()),
        (probe(body=b"2"), recorded()),
        (probe(body=b"3"), recorded()),
    )
    done = run(host, *pairs, plan=events_plan("sqs", "kinesis"))
    assert host.delivered == [("sqs", b"2"), ("kinesis", b"2")]
    assert done.findings == ()
    assert done.replay.doors == "one message each by sqs, kinesis: answered as over HTTP"


@pytest.mark.parametrize("events", [(), ("sqs",)])
def test_no_source_is_asked_where_none_is_named_or_something_differs(
    events: tuple[str, ...], run: Run
) -> None:
    host = FakeHost(answered({"predictions": [2.5]} if events else GOOD), Delivered())
    done = run(host, (probe(), recorded()), plan=events_plan(*events))
    assert (host.delivered, done.replay.doors) == ([], "")


@pytest.mark.parametrize(
    ("came", "said"),
    [
        (Delivered(failure="it came back"), "a message of sqs: it came back"),
        (Delivered(answers=(GOOD,), failure="half"), "a message of sqs: half"),
        (Delivered(), "a message of sqs: nothing was sent to the destination"),
        (Delivered(answers=({"predictions": [1.25]},)), "a message of sqs: predictions, row 0"),
        (Delivered(answers=(GOOD, {"error": "x"})), "a message of sqs: predictions"),
    ],
)
def test_a_message_that_is_not_answered_as_a_request_is_a_finding(
    came: Delivered, said: str, run: Run
) -> None:
    done = run(FakeHost(answered(), came), (probe(), recorded()), plan=events_plan("sqs"))
    (found,) = done.findings
    assert found.message.startswith(said)
    assert done.replay.doors == ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (probe(door="http"), recorded()),
        (probe(), recorded(status=400)),
        (probe(), recorded([1.5])),
        (probe(), recorded({"outputs": [1.5]})),
        (probe(), recorded({"predictions": [float("nan")]})),
    ],
)
def test_what_no_message_can_carry_is_not_sent_as_one(asked: Probe, expected: Recorded) -> None:
    assert replay._deliverable(asked, expected) is None


@pytest.mark.parametrize(("tolerance", "findings"), [(None, 1), ((0.0, 0.01), 1), ((0.0, 0.5), 0)])
def test_messages_of_a_compiled_model_part_by_what_was_allowed(
    tolerance: tuple[float, float] | None, findings: int
) -> None:
    came = Delivered(answers=({"predictions": [1.25]},))
    measure = Measure(tolerance=tolerance)
    assert len(compare_message("sqs", came, GOOD["predictions"], measure)) == findings


def test_a_file_that_is_gone_and_many_that_changed_are_told(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / str(number)).write_text("before")
    bundle = Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path)))
    (tmp_path / "6").unlink()
    for number in range(1, 6):
        (tmp_path / str(number)).write_text("after!")
    _, (finding,) = replay._compare_tree(bundle, tmp_path, "Mounted")
    assert "changed 1, 2, 3, 4, 5 (6 files in all)" in finding.message


FAILED = {"error_code": "BAD_REQUEST", "message": "An unexpected error."}
TRACE = """Traceback (most recent call last):
  File "/var/task/handlers/scoring/scorer.py", line 9, in predict
    return self._predictor.predict(data, params)
  File "/var/task/model/mine.py", line 7, in predict
    {line}
  File "/usr/lib/python3.13/{file}", line 98, in __init__
    made = make(
        name,
    )
{raised}
"""


@pytest.mark.parametrize(
    ("file", "raised", "check", "said"),
    [
        (
            "multiprocessing/shared_memory.py",
            "FileNotFoundError: [Errno 2] No such file or directory: '/psm_1'",
            Check.PLATFORM,
            "predict (mine.py, line 7) makes a lock, queue, pool or shared memory",
        ),
        (
            "pathlib/_local.py",
            "OSError: [Errno 30] Read-only file system: '/home/x'",
            Check.PLATFORM,
            "predict (mine.py, line 7) writes /home/x",
        ),
        (
            "socket.py",
            "socket.gaierror: [Errno -2] Name or service not known",
            Check.PLATFORM,
            "predict (mine.py, line 7) needs the network",
        ),
        (
            "json/decoder.py",
            "mine.errors.OddError: the row of\nsecret: 5\nowner: me",
            Check.REPLAY,
            "The model raised OddError in predict (mine.py, line 7). The artifact must answer",
        ),
    ],
)
def test_what_a_model_raises_is_asked_of_another_instance(
    file: str, raised: str, check: Check, said: str, run: Run
) -> None:
    """Nothing of it is in an answer of the one that is proven, as it will be deployed."""
    refused = answered(FAILED, status=400, words="BAD_REQUEST")
    trace = TRACE.format(line="make()", file=file, raised=raised)
    whole = answered({**FAILED, "stack_trace": trace}, status=400)
    host = FakeHost([refused, refused, whole, refused], None)

    found = run(host, *[(probe(), recorded())] * 3).findings

    assert (found[0].check, said in found[0].hint) == (check, True), found[0].hint
    assert len(found) == (1 if check == Check.PLATFORM else 3)
    assert host.boot.env["PACKAGER_ERROR_DETAILS"] == "1"
    assert [call.door for call in host.sent].count("http") == 1
    assert not any("secret" in str(each) or "owner" in str(each) for each in found)


def test_another_instance_that_does_not_start_is_no_fault(run: Run) -> None:
    class Once(FakeHost):
        boots = 0

        def __enter__(self) -> Self:
            self.boots += 1
            if self.boots > 1:
                raise EmulatorError("no port is left")
            return self

    host = Once(answered(FAILED, status=400, words="BAD_REQUEST"), None)
    (found,) = run(host, (probe(), recorded())).findings
    assert found.message == "p: expected status 200, got 400 (BAD_REQUEST)."
    assert host.boots == 2
