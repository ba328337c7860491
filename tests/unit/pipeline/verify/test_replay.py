"""Every answer held to the recorded one, over an emulator that says what the test wants."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Self

import pytest

from packager.errors import EmulatorError
from packager.pipeline.verify import replay
from packager.pipeline.verify.missing import find_absent_modules
from packager.pipeline.verify.oracle import Recorded
from packager.pipeline.verify.replay import Replayed
from packager.probes import Probe
from packager.system import file_tree
from packager.targets.hosts import ProcessStats, runtime_interface_client
from packager.targets.lambda_emulator import Invocation
from packager.types import Bundle, Distances, Door, EmulatedPython, Json, Removal, change_request
from tests import fake_plan

Answer = Callable[[Json], Invocation]


class FakeEmulator:
    """Answers each event by the function given; its log is fixed."""

    read_only = "not at all"

    def __init__(self, answer: Answer, log: str = "") -> None:
        self._answer, self._log = answer, log

    def __call__(self, *_: Any, **__: Any) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def invoke(self, payload: bytes) -> Invocation:
        return self._answer(json.loads(payload))

    def stats(self) -> ProcessStats:
        return ProcessStats(init_wall_ms=100.0, cpu_ms=90.0, peak_rss_bytes=1 << 20)

    def log(self) -> str:
        return self._log

    def read_exceeded(self) -> str:
        return ""

    def protections(self) -> tuple[str, ...]:
        return ()


def direct(value: Json, status: int = 200) -> Invocation:
    return Invocation(status=status, body=json.dumps(value).encode(), seconds=0.15)


def http(value: Json, status: int = 200, *, encoded: bool = False) -> Invocation:
    text = json.dumps(value)
    body = base64.b64encode(text.encode()).decode() if encoded else text
    return direct({"statusCode": status, "body": body, "isBase64Encoded": encoded})


def probe(door: Door = "http", rows: int = 2, body: bytes = b'{"inputs": [1, 2]}') -> Probe:
    return Probe(name="p", body=body, content_type="application/json", rows=rows, door=door)


def recorded(value: Json = None, status: int = 200) -> Recorded:
    return Recorded(status=status, body=json.dumps(value))


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Replayed]:
    (tmp_path / "x").write_text("as it was")
    bundle = Bundle(
        root=tmp_path,
        files=tuple(file_tree.records(tmp_path)),
        removed=(Removal(PurePosixPath("p/tests/__init__.py"), 1, "tests"),),
    )

    def run(answer: Answer, *pairs: tuple[Probe, Recorded], log: str = "") -> Replayed:
        monkeypatch.setattr(runtime_interface_client, "Emulator", FakeEmulator(answer, log))
        probes, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return replay.check(bundle, fake_plan.plan(), probes, answers, tmp_path)

    return run


GOOD = {"predictions": [1.5, float("nan")]}


def test_requests_are_counted_through_to_the_last(
    check: Callable[..., Replayed], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "packager")
    unseen = (replace(probe(), unseen=True), recorded(GOOD))
    check(lambda _: http(GOOD), (probe(), recorded(GOOD)), unseen, (probe(), recorded(GOOD)))
    said = [each for each in caplog.messages if each.startswith("Replayed")]
    assert said == [f"Replayed {number} of 3 requests" for number in (0, 1, 2, 3)]
    # a pipe's progress leaves out counts, never the last one
    assert not hasattr(caplog.records[-1], "counted")


@pytest.mark.parametrize(
    ("door", "answer"),
    [
        ("direct", direct(GOOD)),
        ("http", http(GOOD)),
        ("http", http(GOOD, encoded=True)),
    ],
)
def test_the_same_answer_counts_its_rows(
    check: Callable[..., Replayed], door: Door, answer: Invocation
) -> None:
    done = check(lambda _: answer, (probe(door), recorded(GOOD)))
    assert done.findings == ()
    assert (
        done.replay.rows_compared,
        done.replay.requests_compared,
        done.replay.refusals_agreed,
        done.replay.mismatches,
    ) == (2, 1, 0, 0)
    assert done.replay.cold_start is not None
    assert done.replay.cold_start.init_cpu_ms == 90.0
    assert done.replay.cold_start.first_invoke_ms == pytest.approx(50.0)
    assert done.replay.cold_start.response_bytes == len(json.dumps(GOOD))


def test_what_an_early_mlflow_does_not_take_is_compared_with_nothing(
    check: Callable[..., Replayed],
) -> None:
    early = replace(recorded({}, 400), lacks_form=True)

    answered = check(lambda _: http(GOOD), (probe(), early), (probe(), recorded(GOOD)))
    refused = check(lambda _: http({}, 400), (probe(), early))

    assert answered.findings == refused.findings == ()
    assert (answered.replay.requests_compared, answered.replay.rows_compared) == (1, 2)
    assert refused.replay.refusals_agreed == 1


@pytest.mark.parametrize(
    ("door", "answer"),
    [
        ("http", http({"error_code": "BAD_REQUEST"}, 400)),
        ("direct", direct({"errorType": "ScoringError", "errorMessage": "no"})),
    ],
)
def test_refusing_together_is_agreement_without_rows(
    check: Callable[..., Replayed], door: Door, answer: Invocation
) -> None:
    done = check(lambda _: answer, (probe(door), recorded({}, 400)))
    assert done.findings == ()
    assert (done.replay.rows_compared, done.replay.refusals_agreed) == (0, 1)


@pytest.mark.parametrize(
    ("door", "expected", "answer", "said"),
    [
        ("http", recorded(GOOD), http({"predictions": [1.25, float("nan")]}),
         "p: predictions, row 0: expected 1.5, got 1.25 (0.25 apart)."),
        ("http", recorded(GOOD), http({"error_code": "BAD", "message": "[1, 2]"}, 400),
         "p: expected status 200, got 400 (BAD)."),
        ("http", recorded({}, 400), http(GOOD), "p: expected status 400, got 200."),
        ("http", recorded({}, 400), http({"error_code": "ODD"}, 500),
         "p: expected status 400, got 500 (ODD)."),
        ("direct", recorded({}, 400), direct(GOOD), "p: expected status 400, got 200."),
        ("direct", recorded(GOOD), direct({"errorType": "KeyError", "errorMessage": "[1, 2]"}),
         "p: expected status 200, got 500 (KeyError)."),
        ("http", recorded(GOOD), direct(GOOD),
         "p: expected status 200, got 502 (an answer that is no HTTP response)."),
    ],
)  # fmt: skip
def test_what_differs_is_said_without_the_request(
    check: Callable[..., Replayed], door: Door, expected: Recorded, answer: Invocation, said: str
) -> None:
    done = check(lambda _: answer, (probe(door), expected))
    assert [finding.message for finding in done.findings] == [said]
    assert done.findings[0].check == "replay"
    assert done.replay.mismatches == 1


def test_what_is_random_in_the_model_itself_is_compared_by_kind_alone(
    check: Callable[..., Replayed],
) -> None:
    first, again, ours = (
        {"predictions": [{"mean": 1.5, "low": low}, {"mean": 2.5, "low": low + 1}]}
        for low in (0.25, 0.5, 0.75)
    )
    drawn = replace(recorded(first), again=(json.dumps(again),))
    done = check(lambda _: http(ours), (probe(), drawn), (probe(), recorded(first)))
    assert (done.findings, done.replay.rows_compared, done.replay.max_abs_error) == ((), 4, 0.0)
    (note,) = done.replay.notes
    assert "draws at random" in note
    assert "predictions, any row, 'low' (by 0.25)." in note

    other_kind = json.loads(json.dumps(ours).replace("0.75", '"0.75"'))
    assert check(lambda _: http(other_kind), (probe(), drawn)).replay.mismatches == 1


def test_an_answer_that_is_random_throughout_shows_nothing(check: Callable[..., Replayed]) -> None:
    drawn = replace(recorded({"predictions": [1.5]}), again=('{"predictions": [2.5]}',))
    done = check(lambda _: http({"predictions": [3.5]}), (probe(rows=1), drawn))
    assert (done.findings, done.replay.rows_compared, done.replay.requests_compared) == ((), 0, 1)


def test_values_are_counted_by_how_far_apart_they_are(check: Callable[..., Replayed]) -> None:
    first, again, ours = (
        {"predictions": [{"mean": mean, "low": low, "label": "a"}, {"mean": 8.0, "low": low}]}
        for mean, low in ((1.0, 0.25), (1.0 + 2**-52, 0.5), (1.0 + 2**-51, 0.75))
    )
    drawn = replace(recorded(first), again=(json.dumps(again),))

    done = check(
        lambda _: http(ours),
        (probe(), drawn),
        (probe(), recorded(ours)),
        (probe(), recorded({}, 400)),
    ).replay.differences

    # label, 8.0 and the second answer's 1.0 + 2**-51 too; the low ones are random
    assert (done.equal, done.random, done.by_power) == (2 + 3, 4, {-16: 1})


def test_an_answer_that_differs_counts_no_values(check: Callable[..., Replayed]) -> None:
    done = check(lambda _: http({"predictions": [1.5, 9.0]}), (probe(), recorded(GOOD))).replay

    assert (done.mismatches, done.differences) == (1, Distances())


SEGV = {
    "errorType": "Runtime.ExitError",
    "errorMessage": "Error: Runtime exited with error: signal: segmentation fault",
}
STARTED = "INIT START(type: on-demand)\nINIT RTDONE(status: success)\n"
DUMP = (
    "Fatal Python error: Segmentation fault\n\n"
    "Current thread 0x0001 (most recent call first):\n"
    '  File "/usr/lib/python3.12/ctypes/__init__.py", line 1 in string_at\n'
    '  File "/var/task/model/code/net.py", line 8 in predict\n\n'
)


@pytest.mark.parametrize(
    ("answer", "log", "message", "kind"),
    [
        (
            Invocation(status=200, body=b"Task timed out after 60.00 seconds", seconds=60.0),
            STARTED,
            "While it answered p, the function's process was still busy after 60.00 seconds.",
            "platform",
        ),
        (
            direct(SEGV, 502),
            STARTED + DUMP,
            (
                "While it answered p, the function's process was ended by SIGSEGV "
                "(a fault in native code) at predict (net.py, line 8)."
            ),
            "replay",
        ),
        (
            Invocation(status=502, body=b"", seconds=0.1),
            f"INIT START()\n{DUMP}Process runtime-4 exited: signal: segmentation fault\n",
            (
                "While it loaded the model, the function's process was ended by SIGSEGV "
                "(a fault in native code) at predict (net.py, line 8)."
            ),
            "boot",
        ),
        (
            Invocation(status=502, body=b"", seconds=0.1),
            "INIT START()\nProcess runtime-4 exited: exit status 3\n",
            "While it loaded the model, the function's process ended itself with exit code 3.",
            "boot",
        ),
    ],
)
@pytest.mark.parametrize("good", [0, 2])
def test_a_function_that_ends_or_hangs_is_asked_no_more(
    good: int,
    answer: Invocation,
    log: str,
    message: str,
    kind: str,
    check: Callable[..., Replayed],
) -> None:
    calls: list[Json] = []

    def ask(event: Json) -> Invocation:
        calls.append(event)
        return http(GOOD) if len(calls) <= good else answer

    done = check(ask, *[(probe(), recorded(GOOD))] * 9, log=log)
    assert len(calls) == good + 1
    (finding,) = done.findings
    assert (finding.message, finding.check) == (message, kind)
    assert finding.hint


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        ("OSError: [Errno 30] Read-only file system: '/var/task/x'", "writes /var/task/x"),
        ("PermissionError: [Errno 13] Permission denied: 'cache'", "writes cache"),
        ("OSError: [Errno 38] Function not implemented", "makes a lock"),
        ("OSError: [Errno 28] No space left on device", "writes more to /tmp"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "needs the network"),
        ("sqlite3.OperationalError: unable to open database file", "writes an SQLite database"),
        ("RuntimeError: can't start new thread", "starts more processes"),
    ],
)
def test_what_the_platform_refuses_while_it_answers_is_named(
    raised: str, words: str, check: Callable[..., Replayed]
) -> None:
    trace = f'Traceback\n  File "/var/task/model/code/net.py", line 8, in predict\n{raised}\n'
    failed = http({"error_code": "BAD_REQUEST", "message": "no", "stack_trace": trace}, 400)
    done = check(lambda _: failed, *[(probe(), recorded(GOOD))] * 9)
    (finding,) = done.findings
    assert finding.check == "platform"
    assert finding.message == "p: expected status 200, got 400 (BAD_REQUEST)."
    assert f"predict (net.py, line 8) {words}" in finding.hint


def test_many_differences_are_counted_not_listed(check: Callable[..., Replayed]) -> None:
    done = check(lambda _: http({"predictions": [9]}), *[(probe(), recorded(GOOD))] * 9)
    assert len(done.findings) == 6
    assert done.findings[-1].message == "4 more requests of 9 differ."
    assert done.replay.mismatches == 9


def test_a_function_that_does_not_start_shows_its_log_and_what_to_keep(
    check: Callable[..., Replayed],
) -> None:
    dead = direct({"errorType": "Runtime.ImportModuleError", "errorMessage": "p"}, 502)
    done = check(lambda _: dead, (probe(), recorded(GOOD)), log="No module named 'p.tests'")
    (finding,) = done.findings
    assert finding.check == "boot"
    assert "Runtime.ImportModuleError" in finding.message
    assert "No module named 'p.tests'" in finding.hint
    assert finding.missing == "p/tests"
    assert done.replay.cold_start is None


def test_a_later_miss_becomes_a_keep_rule_too(check: Callable[..., Replayed]) -> None:
    failed = http({"error_code": "BAD_REQUEST", "message": "No module named 'p.tests'"}, 400)
    done = check(lambda _: failed, (probe(), recorded(GOOD)))
    assert [finding.missing for finding in done.findings] == [None, "p/tests"]


def test_an_emulator_that_dies_ends_the_replay(check: Callable[..., Replayed]) -> None:
    calls: list[Json] = []

    def answer(event: Json) -> Invocation:
        calls.append(event)
        if len(calls) > 1:
            raise EmulatorError("it is gone")
        return http(GOOD)

    unseen = (replace(probe(), unseen=True), recorded(GOOD))
    done = check(answer, *[(probe(), recorded(GOOD))] * 5, unseen)
    assert len(calls) == 2
    (finding,) = done.findings
    assert "it is gone" in finding.message


def test_without_probes_it_must_still_boot(check: Callable[..., Replayed]) -> None:
    asked: list[Json] = []

    def answer(event: Json) -> Invocation:
        asked.append(event)
        return http("\n")

    done = check(answer)
    assert asked[0]["rawPath"] == "/ping"
    assert done.findings == ()
    assert done.replay.cold_start is not None


def test_a_request_beyond_the_targets_limit_is_not_sent_and_said(
    check: Callable[..., Replayed],
) -> None:
    large = probe(body=b'{"inputs": [' + b"1," * 4_000_000 + b"1]}")
    done = check(lambda _: http(GOOD), (probe(), recorded(GOOD)), (large, recorded(GOOD)))
    assert done.replay.requests_compared == 1
    assert done.replay.notes == ("p was not sent: it is larger than the target allows.",)


def test_a_changed_file_is_a_finding(check: Callable[..., Replayed], tmp_path: Path) -> None:
    def answer(_: Json) -> Invocation:
        (tmp_path / "x").write_text("changed")
        (tmp_path / "y").write_text("added")
        return http(GOOD)

    done = check(answer, (probe(), recorded(GOOD)))
    assert [finding.check for finding in done.findings] == ["read-only"]
    assert "changed x, y (2 files in all)" in done.findings[0].message


def test_unseen_requests_are_counted_apart_and_misses_by_whom(
    check: Callable[..., Replayed], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def answer(event: Json) -> Invocation:
        lines.append(f'{{"message":"compressed store: p/module{len(lines)}.py","level":"WARNING"}}')
        return http(GOOD)

    monkeypatch.setattr(FakeEmulator, "log", lambda _: "\n".join(lines[:3]))
    unseen = replace(probe(rows=5), unseen=True)
    done = check(answer, (probe(), recorded(GOOD)), (unseen, recorded(GOOD)))
    assert (done.replay.rows_compared, done.replay.requests_compared) == (2, 1)
    assert (done.replay.unseen_rows, done.replay.unseen_requests) == (5, 1)
    # the first request is sent twice: it also starts the function
    assert done.replay.cold_store_misses == ("p/module0.py", "p/module1.py", "p/module2.py")
    assert done.replay.unseen_cold_store_misses == 1


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("ModuleNotFoundError: No module named 'anyio'", ("anyio",)),
        ("No module named \\'yaml.nodes\\'", ("yaml.nodes",)),
        ("Missing optional dependency 'openpyxl'.  Use pip", ("openpyxl",)),
        ("No module named 'there.part' and no module named 'taken.part'", ()),
        ("No module named 'compiled'", ()),
    ],
)
def test_a_module_is_absent_where_nothing_installed_has_it(
    tmp_path: Path, text: str, absent: tuple[str, ...]
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "compiled.cpython-313-x86_64-linux-gnu.so").touch()
    removed = [Removal(PurePosixPath("taken/x.py"), 1, "tests")]
    assert find_absent_modules(text, removed, tmp_path) == absent


@pytest.mark.parametrize(
    "text",
    [
        "sklearn needs to be installed in order to use this module",
        "scikit-learn is required for lightgbm.sklearn. You must install it.",
        "You must install scikit-learn and restart your session to use this module.",
        "`Import scikit-learn` failed.  Use pip to install the scikit-learn package.",
        "required package 'sklearn' not found. Please install it",
        "Setting output container to 'x' requires scikit-learn to be installed",
        "run: pip install -U scikit-learn",
        "Error: scikit-learn not found, please install it.",
        "cannot fit: the package \\'scikit-learn\\' is not available",
        "this requires package `sklearn` to be present",
        "Scikit-Learn must be installed",
        "missing module sklearn",
    ],
)
def test_what_the_author_has_is_asked_for_in_any_words(tmp_path: Path, text: str) -> None:
    unshipped = frozenset({"scikit-learn", "sklearn", "rich"})
    found = {word.lower() for word in find_absent_modules(text, (), tmp_path, unshipped)}
    assert found & unshipped
    assert "rich" not in found
    assert not {*find_absent_modules(text, (), tmp_path)} - unshipped


@pytest.mark.parametrize(
    "text",
    ["it fits rich data", "rich: unknown plan", "the rich column is of type text", "no rich rows"],
)
def test_a_word_alone_asks_for_nothing(tmp_path: Path, text: str) -> None:
    assert find_absent_modules(text, (), tmp_path, {"rich"}) == ()


@pytest.mark.few(4)
@pytest.mark.parametrize("filler", ["a", "a ", "install ", "is ", "a- ", "a\n", "'", "not "])
def test_a_long_log_is_searched_in_no_time(tmp_path: Path, filler: str) -> None:
    text = filler * (1_000_000 // len(filler))
    began = time.process_time()
    assert find_absent_modules(text, (), tmp_path, {"rich"}) == ()
    assert time.process_time() - began < 5


_EMULATED = EmulatedPython(
    program=Path("/usr/bin/qemu-aarch64"),
    options=("-cpu", "neoverse-n1"),
    version="qemu-aarch64 9.2.1",
    root=Path("/sysroot"),
    python=Path("/sysroot/usr/bin/python3.13"),
    source="a test's Python 3.13.5",
)


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        replay, "choose_interpreter", lambda own, *_: replace(own, emulated=_EMULATED)
    )


@pytest.mark.usefixtures("emulated")
def test_an_emulated_processor_is_told_of_and_nothing_of_it_is_timed(
    check: Callable[..., Replayed],
) -> None:
    done = check(
        lambda _: http({"predictions": [1.5, 2.0 + 1e-15 * 2]}),
        (probe(), recorded({"predictions": [1.5, 2.0]})),
    )

    assert done.findings == ()
    assert done.replay.emulated == "qemu-aarch64 9.2.1"
    assert done.replay.cold_start is None
    assert done.replay.host.endswith(
        "qemu-aarch64 9.2.1 as neoverse-n1, in a test's Python 3.13.5."
    )
    assert "a relative difference of 1e-05 and an absolute one of 1e-06" in done.replay.notes[0]
    assert 0 < done.replay.max_abs_error < 1e-14


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("other", [[1.5, 2.1], ["b", 2.0]], ids=["number", "label"])
def test_a_wrong_answer_of_an_emulated_processor_is_found(
    check: Callable[..., Replayed], other: list[Json]
) -> None:
    expected = [1.5 if isinstance(other[0], float) else "a", 2.0]

    done = check(
        lambda _: http({"predictions": other}), (probe(), recorded({"predictions": expected}))
    )

    assert done.replay.mismatches == 1
    assert done.findings


@pytest.mark.usefixtures("emulated")
def test_an_emulated_function_has_more_time_and_memory(tmp_path: Path) -> None:
    plan = fake_plan.plan()
    request = change_request(plan.request, memory_mb=256, timeout_seconds=90)

    boot = replay.prepare_boot(replace(plan, request=request), tmp_path)

    assert (boot.memory_mb, boot.memory_limit_mb, boot.timeout_seconds) == (256, 768, 900)
