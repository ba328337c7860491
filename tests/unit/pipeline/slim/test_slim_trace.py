"""What a function is seen to import and open while it starts, answers and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

import packager.pipeline.slim
from packager.errors import ToolError
from packager.pipeline.plan import _locked_plans
from packager.pipeline.slim import slim
from packager.pipeline.slim.passes import account_for
from packager.pipeline.slim.tracing import trace
from packager.system.file_tree import records
from packager.system.resources import WORKERS
from packager.targets import processor_emulation
from packager.types import BuildPlan, Bundle, EmulatedPython, Removal, change_request
from tests import fake_plan

WORKER = WORKERS / "trace.py"
_EMULATED = EmulatedPython(
    program=Path("/usr/bin/qemu-aarch64"),
    options=("-cpu", "neoverse-n1"),
    version="qemu-aarch64 9.2.1",
    root=Path("/sysroot"),
    python=Path("/sysroot/usr/bin/python3.13"),
    source="a test's Python 3.13.5",
)
ENTRY = b"""\
import pkg.eager

open("read.txt").close()


def handler(event, context):
    if "native" in event:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.fopen.restype = ctypes.c_void_p
        assert libc.fopen(event["native"].encode(), b"r")
    if event.get("open"):
        try:
            open(event["open"])
        except FileNotFoundError:
            pass
    if event.get("import"):
        __import__(event["import"])
    if event.get("raise"):
        raise ValueError(context.aws_request_id)
"""
TREE = {
    "entry.py": ENTRY,
    "pkg/__init__.py": b"",
    "pkg/eager.py": b"import pkg.slow\n",
    "pkg/slow.py": b"import time\nend = time.process_time() + 0.05\n"
    b"while time.process_time() < end:\n    pass\n",
    "pkg/late.py": b"",
    "pkg/error.py": b"",
    "pkg/never.py": b"",
    "read.txt": b"",
    "data/table.bin": b"",
    "data/unread.bin": b"",
}


def traced(folder: Path, *events: dict[str, Any], entry: str = "entry.handler") -> dict[str, Any]:
    root = folder / "function"
    for name, content in TREE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    asked, answered = folder / "events.json", folder / "trace.json"
    asked.write_text(json.dumps(events))
    subprocess.run(
        [sys.executable, "-s", "-B", WORKER, root, entry, asked, answered],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        check=True,
    )
    found: dict[str, Any] = json.loads(answered.read_text())
    return found


def test_modules_go_by_the_moment_that_first_loads_them(tmp_path: Path) -> None:
    found = traced(
        tmp_path,
        {"event": {"import": "pkg.error", "raise": True}, "refused": True},
        {"event": {"import": "pkg.late"}, "refused": False},
        {"event": {"import": "pkg.late"}, "refused": True},
    )
    ours = [name for name in found["init"] if name in found["files"]]
    assert ours == ["pkg", "pkg.slow", "pkg.eager", "entry"]
    assert found["answering"] == ["pkg.late"]
    assert found["refusing"] == ["pkg.error"]
    assert found["files"]["pkg"] == "pkg/__init__.py"
    assert found["answers"] == [
        "ValueError: 00000000-0000-4000-8000-000000000000",
        "null",
        "null",
    ]


def test_files_are_those_that_python_and_native_code_open(tmp_path: Path) -> None:
    found = traced(tmp_path, {"event": {"native": "data/table.bin"}, "refused": False})
    assert found["opened"] == [
        *("data/table.bin", "entry.py", "pkg/__init__.py", "pkg/eager.py", "pkg/slow.py"),
        "read.txt",
    ]


def test_what_is_asked_for_and_absent_is_told(tmp_path: Path) -> None:
    gone = str(tmp_path / "function" / "data" / "gone.h")
    found = traced(
        tmp_path,
        {"event": {"native": "read.txt", "open": gone}, "refused": False},
        {"event": {"import": "pkg.tests.help"}, "refused": False},
    )
    assert found["absent_files"] == ["data/gone.h"]
    assert "pkg.tests" in found["absent_modules"]


@pytest.mark.parametrize(
    ("absent", "rules"),
    [
        ({"absent_files": (PurePosixPath("p/inner/x.h"),)}, ("p/**/*.h",)),
        ({"absent_files": (PurePosixPath("p/inner/y.h"),)}, ()),
        ({"absent_files": (PurePosixPath("top.a"),)}, ("top.a",)),
        ({"absent_modules": ("p.tests.help",)}, ("p/tests/__init__.py", "p/tests/help.py")),
        ({"absent_modules": ("p.tests.other", "p.fast")}, ()),
    ],
)
def test_what_a_pass_took_out_and_serving_asks_for_is_kept(
    absent: dict[str, Any], rules: tuple[str, ...]
) -> None:
    names = ("p/inner/x.h", "p/other/z.h", "top.a", "p/tests/__init__.py", "p/tests/help.py")
    removed = tuple(Removal(PurePosixPath(name), 1, "rule") for name in names)
    seen = fake_plan.trace(**absent)
    bundle = Bundle(root=Path("unused"), files=(), removed=removed, trace=seen)
    assert trace.missed_files(bundle) == rules


def test_the_tree_is_made_anew_with_what_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[tuple[str, ...]] = []

    def stage(plan: BuildPlan, root: Path) -> Bundle:
        root.mkdir()
        rounds.append(plan.keep)
        gone = () if plan.keep else (Removal(PurePosixPath("p/x.h"), 1, "sources"),)
        return Bundle(root=root, files=(), removed=gone)

    def apply(bundle: Bundle, plan: BuildPlan) -> Bundle:
        asked = (PurePosixPath("p/x.h"),)
        seen = fake_plan.trace(absent_files=asked)
        return replace(account_for(bundle, trace.PASS, proof=""), trace=seen)

    monkeypatch.setattr(packager.pipeline.slim, "stage", stage)
    passes = {"trace": replace(trace.PASS, apply=apply)}
    monkeypatch.setattr(packager.pipeline.slim, "PASSES", passes)
    plain = replace(fake_plan.plan().loader, options={})
    slim(fake_plan.plan(passes=("trace",), loader=plain), tmp_path)
    assert rounds == [(), ("p/**/*.h",)]


def test_a_module_is_charged_for_its_own_time_alone(tmp_path: Path) -> None:
    own = traced(tmp_path)["own_cpu_ms"]
    assert own["pkg.slow"] >= 50
    assert own["pkg.eager"] < own["pkg.slow"]


def test_each_module_of_a_start_is_told_with_its_importer(tmp_path: Path) -> None:
    importers = traced(tmp_path, {"event": {"import": "pkg.late"}, "refused": False})["importers"]

    ours = {name: importers[name] for name in ("entry", "pkg", "pkg.eager", "pkg.slow")}
    assert ours == {"entry": "", "pkg": "entry", "pkg.eager": "entry", "pkg.slow": "pkg.eager"}
    assert "pkg.late" not in importers


def test_what_is_no_time_is_left_out() -> None:
    told = {"a": 1.5, "b": float("nan"), "c": "x", "d": 2, "e": None}

    assert trace._read_times(told) == {"a": 1.5, "d": 2.0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "arm64"}, "cannot boot it"),
        ({}, "neither a signature nor a saved example"),
    ],
)
def test_a_function_that_cannot_be_traced_is_left_alone_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(processor_emulation, "find_qemu", lambda: None)
    plan = fake_plan.plan()
    plan = replace(
        plan,
        request=change_request(plan.request, **changes),
        model=replace(plan.model, signature=None, example=None),
    )
    root = fake_plan.tree(tmp_path, plan)
    before = Bundle(root=root, files=tuple(records(root)))
    after = trace.PASS.apply(before, plan)
    assert (after.trace, after.files) == (None, before.files)
    assert words in after.untraced
    assert words in after.ledger[-1].proof


def test_one_that_ends_under_the_recorder_says_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path, script: Path, arguments: list[str], **_: Any) -> Any:
        raise ToolError("python was stopped: it ran past 300 seconds.")

    monkeypatch.setattr(trace, "run_script", run)
    plan = fake_plan.plan()
    root = fake_plan.tree(tmp_path, plan)
    bundle = trace.PASS.apply(Bundle(root=root, files=tuple(records(root))), plan)
    assert bundle.untraced == "python was stopped: it ran past 300 seconds."


@pytest.mark.parametrize("emulated", [False, True])
def test_nothing_is_timed_on_a_processor_that_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, emulated: bool
) -> None:
    told = {
        **{name: [] for name in ("init", "answering", "refusing", "opened", "answers")},
        **{name: [] for name in ("absent_files", "absent_modules")},
        "files": {},
        "asked": {},
        "importers": {"numpy": ""},
        "own_cpu_ms": {"numpy": 9.0},
    }

    def run(folder: Path, script: Path, arguments: list[Any], **given: Any) -> Any:
        assert bool(given["interpreter"].emulated) is emulated
        Path(arguments[3]).write_text(json.dumps(told))
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(trace, "run_script", run)
    if emulated:
        monkeypatch.setattr(
            trace, "choose_interpreter", lambda own, *_: replace(own, emulated=_EMULATED)
        )
    plan = fake_plan.plan()
    root = fake_plan.tree(tmp_path, plan)
    bundle = trace.PASS.apply(Bundle(root=root, files=tuple(records(root))), plan)

    assert bundle.trace is not None
    assert bundle.trace.own_cpu_ms == ({} if emulated else {"numpy": 9.0})
    assert bool(bundle.imports) is not emulated


@pytest.mark.parametrize("wanted", [True, False])
def test_the_trace_can_be_left_out(*, wanted: bool) -> None:
    request = change_request(fake_plan.plan().request, trace=wanted)
    assert ("trace" in _locked_plans._passes(request, fake_plan.TARGET, "sklearn")) is wanted
