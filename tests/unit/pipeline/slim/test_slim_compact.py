"""The pass over a tree: what no longer loads is put back, what a keep-rule names is not touched."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from packager.environments import interpreters
from packager.errors import ToolError
from packager.pipeline.slim.native import strip_libraries
from packager.system import file_tree
from packager.system.elf.compact import compact_library
from packager.types import BuildPlan, Bundle, change_request
from tests import fake_plan

SOURCE = min(
    (Path(np.__file__).parent / "_core").glob("*.so"), key=lambda path: path.stat().st_size
)
OWN = interpreters.find(f"{sys.version_info.major}.{sys.version_info.minor}")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    root = tmp_path / "function"
    for name in ("one.so", "two.so"):
        target = root / "package" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # as a linker leaves it: with something behind the last segment that nobody maps
        target.write_bytes(SOURCE.read_bytes() + b"debug" * 4000)
    (root / "package" / "data.so.txt").write_text("no library")
    return Bundle(root=root, files=tuple(file_tree.records(root)))


def plan(**changes: object) -> BuildPlan:
    return replace(fake_plan.plan(), interpreter=OWN, **changes)  # type: ignore[arg-type]


def sizes(bundle: Bundle) -> dict[str, int]:
    return {file.path.name: file.size_bytes for file in bundle.files}


def test_every_library_shrinks_and_loads(bundle: Bundle) -> None:
    done = strip_libraries.PASS.apply(bundle, plan())

    assert sizes(done)["one.so"] <= sizes(bundle)["one.so"] - 20_000
    assert sizes(done)["data.so.txt"] == 10
    assert done.ledger[-1].reverted == ()
    assert "2 of 2 load in a clean process" in done.ledger[-1].proof


def test_a_library_whose_process_is_killed_is_not_taken_for_one_that_does_not_load(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loading, killing = "ctypes.CDLL(path, mode=os.RTLD_NOW)", "os.kill(os.getpid(), 9)"
    worker, text = tmp_path / "worker.py", strip_libraries._WORKER.read_text()
    assert loading in text
    worker.write_text(text.replace(loading, killing))
    monkeypatch.setattr(strip_libraries, "_WORKER", worker)

    with pytest.raises(ToolError, match=r"one.so was ended by SIGKILL"):
        strip_libraries.PASS.apply(bundle, plan())


def test_a_library_that_no_longer_loads_is_put_back(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = compact_library
    spoiled = iter([True, False, True, False])

    def spoil(data: bytes, excise: tuple[str, ...]) -> bytes:
        return data[:5000] if next(spoiled) else real(data, excise)

    monkeypatch.setattr("packager.pipeline.slim.native.strip_libraries.compact_library", spoil)
    done = strip_libraries.PASS.apply(bundle, plan())

    assert done.ledger[-1].reverted == ("package/one.so",)
    assert sizes(done)["one.so"] == sizes(bundle)["one.so"]
    assert sizes(done)["two.so"] < sizes(bundle)["two.so"]


def test_a_keep_rule_is_obeyed(bundle: Bundle) -> None:
    done = strip_libraries.PASS.apply(bundle, plan(keep=("package/one.so",)))

    assert sizes(done)["one.so"] == sizes(bundle)["one.so"]
    assert sizes(done)["two.so"] < sizes(bundle)["two.so"]


def test_for_another_machine_nothing_is_loaded_and_that_is_said(bundle: Bundle) -> None:
    base = plan()
    other = replace(base, request=change_request(base.request, architecture="arm64"))
    done = strip_libraries.PASS.apply(bundle, other)

    assert "not loaded" in done.ledger[-1].proof
