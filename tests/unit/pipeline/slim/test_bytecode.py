"""Bytecode that is taken as it is, and is the same wherever it was made."""

from __future__ import annotations

import importlib.util
import marshal
import os
import shutil
import sys
import time
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from packager.errors import StorageError, ToolError
from packager.pipeline.slim.storing import bytecode
from packager.system import file_tree, process
from packager.system.process import Done
from packager.types import Bundle, Interpreter
from tests import fake_plan, tiny_elf

HERE = Interpreter(
    path=Path(sys.executable), version=".".join(map(str, sys.version_info[:3])), found_by="test"
)
TAG = sys.implementation.cache_tag
SOURCES = {
    "pkg/__init__.py": b"NAMES = {'b', 'a', 'c', None, 1.5, (1, 'x')}\n",
    "pkg/mod.py": b"def f(x):\n    return x in {'one', 'two', 'three'} or f'{x}'\n",
    "pkg/broken.py": b"def f(:\n",
    "pkg/data.txt": b"",
}


def compiled(root: Path, interpreter: Interpreter = HERE) -> Bundle:
    tiny_elf.write(root, SOURCES)
    bundle = Bundle(root=root, files=tuple(file_tree.records(root)))
    return bytecode.PASS.apply(bundle, fake_plan.plan(interpreter=interpreter))


def code_of(path: Path) -> CodeType:
    loaded = marshal.loads(path.read_bytes()[16:])  # noqa: S302 - made just now
    assert isinstance(loaded, CodeType)
    return loaded


def test_two_builds_on_two_paths_give_the_same_bytes(tmp_path: Path) -> None:
    # real sources, large enough to show an order that is left to chance
    for name in ("one", "a longer path/two"):
        source = Path(importlib.util.__file__).parent.parent / "json"
        shutil.copytree(source, tmp_path / name / "json", ignore=shutil.ignore_patterns("*.pyc"))
    first, second = (compiled(tmp_path / name) for name in ("one", "a longer path/two"))
    assert first.files == second.files
    assert len([file for file in first.files if file.path.suffix == ".pyc"]) > 6


def test_nothing_more_is_compiled_once_one_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"pkg{top}/m{each}.py": b"x = 1\n" for top in range(40) for each in range(20)}
    tiny_elf.write(tmp_path, many)
    bundle = Bundle(root=tmp_path, files=tuple(file_tree.records(tmp_path)))
    started: list[int] = []

    def run(*_: object, **__: object) -> Done:
        started.append(1)
        time.sleep(0.05)
        return Done(returncode=-9, stdout="", stderr="")

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(ToolError):
        bytecode.PASS.apply(bundle, fake_plan.plan(interpreter=HERE))
    assert len(started) <= 4 * (os.cpu_count() or 1)


def test_it_is_unchecked_and_names_where_it_will_lie(tmp_path: Path) -> None:
    root = compiled(tmp_path).root
    written = root / "pkg" / "__pycache__" / f"mod.{TAG}.pyc"
    assert written.read_bytes()[:8] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0"
    assert code_of(written).co_filename == "/var/task/pkg/mod.py"
    assert str(tmp_path).encode() not in written.read_bytes()
    assert written.stat().st_mode & 0o777 == 0o644


def test_python_takes_it_whatever_the_source_says_now(tmp_path: Path) -> None:
    root = compiled(tmp_path).root
    (root / "pkg" / "mod.py").write_text("raise SystemExit('compiled anew')")
    done = process.run(
        [sys.executable, "-B", "-c", "import pkg.mod; print(pkg.mod.f('two'))"],
        env={"PYTHONPATH": str(root)},
    )
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("level", "doc", "value"), [(0, "Said.", 1), (1, "Said.", 2), (2, None, 2)]
)
def test_a_level_of_optimization_is_taken_without_asking_python_for_it(
    tmp_path: Path, level: int, doc: str | None, value: int
) -> None:
    source = b"'Said.'\ntry:\n    assert False\n    V = 2\nexcept AssertionError:\n    V = 1\n"
    root = tiny_elf.write(tmp_path, {"mod.py": source})
    plan = fake_plan.plan(interpreter=HERE, request=fake_plan.request(optimize=level))
    bundle = bytecode.PASS.apply(Bundle(root=root, files=tuple(file_tree.records(root))), plan)
    names = [file.path.as_posix() for file in bundle.files]
    assert names == [f"__pycache__/mod.{TAG}.pyc", "mod.py"]
    done = process.run(
        [sys.executable, "-B", "-c", "import mod; print(mod.__doc__, mod.V)"],
        env={"PYTHONPATH": str(root)},
    )
    assert done.stdout == f"{doc} {value}\n"
    assert (f"-O level {level}" in bundle.ledger[-1].proof) is (level > 0)


def test_what_does_not_compile_is_left_as_source_and_said(tmp_path: Path) -> None:
    bundle = compiled(tmp_path)
    assert not (bundle.root / "pkg" / "__pycache__" / f"broken.{TAG}.pyc").exists()
    assert bundle.ledger[-1].proof.startswith("2 of 3 sources have unchecked-hash bytecode")
    assert bundle.ledger[-1].proof.endswith("1 do not compile")


@pytest.mark.parametrize(
    ("done", "error"),
    [
        (Done(returncode=1, stdout="OSError: No space left on device", stderr=""), StorageError),
        (Done(returncode=2, stdout="", stderr="usage: compileall"), ToolError),
    ],
)
def test_a_full_disk_is_no_syntax_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: Done, error: type[Exception]
) -> None:
    monkeypatch.setattr(process, "run", lambda *_, **__: done)
    with pytest.raises(error):
        compiled(tmp_path)


def test_a_package_is_compiled_once_for_all_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    started: list[int] = []
    run = process.run

    def count(argv: list[str], **options: Any) -> Done:
        started.append(1)
        return run(argv, **options)

    monkeypatch.setattr(process, "run", count)
    many = {f"many/m{at}.py": b"X = {'a', 'b'}\n" for at in range(30)} | {"many/no.py": b"def ("}

    def build(name: str, level: int = 0, more: dict[str, bytes] | None = None) -> dict[str, str]:
        root = tiny_elf.write(tmp_path / name, {**SOURCES, **many, **(more or {})})
        plan = fake_plan.plan(interpreter=HERE, request=fake_plan.request(optimize=level))
        bundle = Bundle(root=root, files=tuple(file_tree.records(root)))
        after = bytecode.PASS.apply(bundle, plan)
        assert "2 do not compile" in after.ledger[-1].proof
        return {str(f.path): f.sha256 for f in after.files if f.path.suffix == ".pyc"}

    first = build("one")
    assert (len(started), len(first)) == (2, 32)
    assert build("two") == first
    assert len(started) == 3
    assert build("three", 1).keys() == first.keys()
    assert len(started) == 5
    build("four", more={"many/m1.py": b"Y = 1\n"})
    assert len(started) == 7
