"""What the registered model had of this machine's system is said where the function lacks it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packager.errors import VerificationError
from packager.pipeline import verify as stage
from packager.pipeline.verify import ask, oracle, replay
from packager.pipeline.verify.oracle import Answers, Recorded
from packager.pipeline.verify.replay import Replayed
from packager.pipeline.verify.system_libraries import (
    describe_lacking,
    list_lacking,
    list_used,
    name_origin,
)
from packager.system import file_tree
from packager.types import BuildPlan, Bundle, Check, Finding, Interpreter, Replay
from packager.workers import oracle as worker
from tests import fake_plan
from tests.tiny_elf import library, write

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="libraries are Linux's")
HERE = Interpreter(path=Path(sys.executable), version="3.11.7", found_by="test")


def bundle_of(folder: Path, *names: str) -> Bundle:
    write(folder, {name: library() for name in names} or {"a.so": library()})
    return Bundle(root=folder, files=tuple(file_tree.records(folder)))


def plan_with(*names: str) -> BuildPlan:
    return fake_plan.plan(system_libraries=names, interpreter=HERE)


def test_a_library_that_a_program_loads_is_listed_by_its_soname(tmp_path: Path) -> None:
    write(tmp_path, {"libodd.so.1.2.3": library(soname="libodd.so.1")})
    mapped = [str(tmp_path / "libodd.so.1.2.3"), "/gone/libgone.so.7"]
    assert list_used(mapped, HERE) == ("libgone.so.7", "libodd.so.1")
    assert list_used([], Interpreter(path=Path("/none"), version="3.11.7", found_by="x")) == ()


def test_what_python_itself_runs_on_is_not_listed() -> None:
    import _sqlite3  # noqa: F401
    import _ssl  # noqa: F401 - it loads libraries of the system

    mapped = [each for each in worker.list_system_libraries("/model") if "libgcc" not in each]
    used = list_used([each for each in mapped if "ssl" in each or "sqlite" in each], HERE)
    assert used == ()


def test_libraries_of_wheels_and_of_the_model_are_not_the_system_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    libc = next(each for each in worker.list_system_libraries("/model") if "libc.so" in each)
    (tmp_path / "link").symlink_to(Path(libc).parent)
    for folder in (Path(libc).parent, tmp_path / "link"):
        assert libc not in worker.list_system_libraries(str(folder))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "prefix", str(folder))
            assert libc not in worker.list_system_libraries("/model")
    assert libc in worker.list_system_libraries(str(Path(libc).parent)[:-1])


@pytest.mark.parametrize(
    ("used", "brought", "lacking"),
    [
        ((), (), ()),
        (("libGL.so.1", "libc.so.6"), (), ("libGL.so.1",)),
        (("libGL.so.1", "libgomp.so.1"), ("lib/libgomp.so.1",), ("libGL.so.1",)),
        (("libgomp.so.1",), ("x.libs/libgomp.so.1",), ()),
    ],
)
def test_what_the_platform_or_the_bundle_brings_is_not_lacking(
    used: tuple[str, ...], brought: tuple[str, ...], lacking: tuple[str, ...], tmp_path: Path
) -> None:
    assert list_lacking(bundle_of(tmp_path, *brought), plan_with(*used)) == lacking


def test_it_is_said_once_at_the_finding_that_names_it() -> None:
    first = Finding(check=Check.REPLAY, message="row 1.", hint="")
    second = Finding(check=Check.PLATFORM, message="x.", hint="It loads libGL.so.1.")
    said = describe_lacking(["libGL.so.1"])
    assert said == (
        "The registered model loaded libGL.so.1 from this machine's system, and the function does "
        "not have it."
    )
    assert "have them." in describe_lacking(["a.so", "b.so"])
    assert describe_lacking([]) == ""
    told = name_origin([first, second], ["libGL.so.1"])
    assert [each.hint for each in told] == ["", f"It loads libGL.so.1. {said}"]
    assert name_origin([first], ["libGL.so.1"])[0].hint == said
    assert name_origin([first], []) == [first]
    assert name_origin([], ["libGL.so.1"]) == []


def answer(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """The oracle answers everything, with a library of the system; the replay has `findings`."""

    def record(_model: object, probes: tuple[object, ...], *_: object, **__: object) -> Answers:
        return Answers(
            answers=(Recorded(status=200, body="{}"),) * len(probes),
            oracle="Python", declared_bytes=9, start_cpu_ms=8.0,
            system_libraries=("libGL.so.1",),
        )  # fmt: skip

    monkeypatch.setattr(oracle, "record", record)
    monkeypatch.setattr(
        replay, "check", lambda *_: Replayed(replay=Replay(rows_compared=9), findings=findings)
    )
    monkeypatch.setattr(ask, "why_not_provable", lambda *_: None)


def test_evidence_and_failures_say_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch)
    plan = ask.ask_model(fake_plan.plan(interpreter=HERE))
    assert plan.system_libraries == ("libGL.so.1",)
    proven = stage.verify(bundle_of(tmp_path), plan, tmp_path)
    assert describe_lacking(["libGL.so.1"]) in proven.evidence.describe()["notes"]
    answer(monkeypatch, Finding(check=Check.REPLAY, message="row 1 differs.", hint=""))
    with pytest.raises(VerificationError, match=r"row 1 differs.*loaded libGL\.so\.1 from this"):
        stage.verify(bundle_of(tmp_path), plan, tmp_path)
    (tmp_path / "b.so").write_bytes(library(needed=("libGL.so.1",)))
    needing = Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path)))
    with pytest.raises(VerificationError, match=r"linkage: .*loaded libGL\.so\.1 from this"):
        stage.verify(needing, plan, tmp_path)
