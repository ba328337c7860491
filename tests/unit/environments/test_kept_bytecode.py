"""Bytecode of what models import: compiled here, by names that their processes gave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from packager.environments import kept_bytecode, virtual_environments
from packager.environments.kept_bytecode import keep_imported, lending_bytecode, provide_bytecode
from packager.errors import ToolError
from packager.system import process
from packager.types import Interpreter

TAG = sys.implementation.cache_tag
USE = "oracle.py sklearn"


@pytest.fixture
def interpreter() -> Interpreter:
    base = Path(getattr(sys, "_base_executable", sys.executable))
    return Interpreter(path=base, version="3.11.0", found_by="here")


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python of an environment with two modules, one of which does not compile."""
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    packages = tmp_path / "venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "good.py").write_text("VALUE = 'from the source'\n")
    (packages / "bad.py").write_text("def\n")
    (packages / "unused.py").write_text("")
    return tmp_path / "venv" / "bin" / "python"


def _write(written: Path, source: Path, content: bytes = b"") -> None:
    """As a process leaves it that has imported `source`."""
    folder = written / source.parent.relative_to("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{source.stem}.{TAG}.pyc").write_bytes(content)


def _list(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.pyc"))


def test_what_was_imported_once_is_compiled_for_the_next_build(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    packages = tmp_path / "venv" / "lib" / "site-packages"
    for name in ("good", "bad"):
        _write(tmp_path / "written", packages / f"{name}.py", b"a stranger's code")
    assert provide_bytecode(python, interpreter, USE) is None

    keep_imported(python, interpreter, USE, tmp_path / "written")
    store = provide_bytecode(python, interpreter, USE)

    assert store is not None
    assert _list(store) == [f"good.{TAG}.pyc"]
    assert b"a stranger's code" not in next(store.rglob("*.pyc")).read_bytes()
    said = subprocess.run(
        [interpreter.path, "-v", "-c", "import good; print(good.VALUE)"],
        env={"PYTHONPATH": str(packages), "PYTHONPYCACHEPREFIX": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "from the source\n"
    assert f"matches {packages / 'good.py'}" in said.stderr


def test_a_source_that_has_changed_is_not_taken_from_its_bytecode(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    source = tmp_path / "venv" / "lib" / "site-packages" / "good.py"
    _write(tmp_path / "written", source)
    keep_imported(python, interpreter, USE, tmp_path / "written")
    store = provide_bytecode(python, interpreter, USE)
    source.write_text("VALUE = 'from another source'\n")

    said = subprocess.run(
        [interpreter.path, "-c", "import good; print(good.VALUE)"],
        env={"PYTHONPATH": str(source.parent), "PYTHONPYCACHEPREFIX": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "from another source\n"


def test_only_the_environment_s_own_sources_are_named(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    (tmp_path / "secret.py").write_text("")
    (tmp_path / "venv" / "lib" / "outside.py").symlink_to(tmp_path / "secret.py")
    standard = Path(os.__file__)
    for source in (
        tmp_path / "secret.py",
        tmp_path / "venv" / "lib" / "missing.py",
        tmp_path / "venv" / "lib" / ".." / "good.py",
        standard,
    ):
        _write(tmp_path / "written", source)

    names = kept_bytecode._list_sources(python, interpreter, tmp_path / "written")

    assert [*names] == [str(standard)]


def test_another_use_or_environment_has_its_own(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    _write(tmp_path / "written", tmp_path / "venv" / "lib" / "site-packages" / "good.py")
    keep_imported(python, interpreter, USE, tmp_path / "written")

    assert provide_bytecode(python, interpreter, "oracle.py xgboost") is None
    assert provide_bytecode(tmp_path / "other" / "bin" / "python", interpreter, USE) is None


def test_what_a_process_adds_to_the_store_goes_away(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    packages = tmp_path / "venv" / "lib" / "site-packages"
    _write(tmp_path / "written", packages / "good.py")
    keep_imported(python, interpreter, USE, tmp_path / "written")
    store = provide_bytecode(python, interpreter, USE)
    assert store is not None
    _write(store, packages / "unused.py", b"planted")
    next(store.rglob("good*")).write_bytes(b"planted")

    again = provide_bytecode(python, interpreter, USE)

    assert again == store
    assert _list(store) == [f"good.{TAG}.pyc"]
    assert next(store.rglob("*.pyc")).read_bytes() != b"planted"


def test_a_compiler_that_is_killed_leaves_no_half_of_the_bytecode(
    python: Path, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "venv" / "lib" / "site-packages" / "good.py"
    _write(tmp_path / "written", source, b"")
    keep_imported(python, interpreter, USE, tmp_path / "written")
    killed = process.Done(returncode=-9, stdout="", stderr="")
    with monkeypatch.context() as changed:
        changed.setattr(process, "run", lambda *_, **__: killed)
        with pytest.raises(ToolError, match="ended with exit code -9"):
            provide_bytecode(python, interpreter, USE)
        with pytest.raises(ToolError, match="ended with exit code -9"):
            virtual_environments._compile_files(tmp_path, interpreter)

    store = provide_bytecode(python, interpreter, USE)
    assert store is not None
    assert _list(store) == [f"good.{TAG}.pyc"]


def test_what_another_program_of_the_environment_imports_is_compiled_once(
    python: Path, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "venv" / "lib" / "site-packages"
    _write(tmp_path / "theirs", packages / "good.py")
    keep_imported(python, interpreter, "machine_code sklearn", tmp_path / "theirs")
    assert provide_bytecode(python, interpreter, "machine_code sklearn") is not None
    for name in ("good", "unused"):
        _write(tmp_path / "ours", packages / f"{name}.py")
    keep_imported(python, interpreter, USE, tmp_path / "ours")
    compiled: list[list[str]] = []

    def compile_sources(names: list[str], interpreter: Interpreter, folder: Path) -> None:
        compiled.append([Path(name).name for name in names])
        real(names, interpreter, folder)

    real = kept_bytecode._compile_sources
    monkeypatch.setattr(kept_bytecode, "_compile_sources", compile_sources)
    store = provide_bytecode(python, interpreter, USE)
    assert store is not None
    assert _list(store) == [f"good.{TAG}.pyc", f"unused.{TAG}.pyc"]
    assert compiled == [["unused.py"]]


def test_a_process_is_lent_what_is_known_and_else_what_it_writes_to(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    packages = tmp_path / "venv" / "lib" / "site-packages"
    with lending_bytecode(python, interpreter, USE) as (folder, is_written):
        assert (_list(folder), is_written) == ([], True)
        _write(folder, packages / "good.py", b"a stranger's code")
    assert not folder.exists()
    with lending_bytecode(python, interpreter, USE) as (folder, is_written):
        assert (_list(folder), is_written) == ([f"good.{TAG}.pyc"], False)
        assert b"a stranger's code" not in next(folder.rglob("*.pyc")).read_bytes()
    # another program begins with that, in a folder of its own
    with lending_bytecode(python, interpreter, "onnx sklearn") as (other, is_written):
        assert (_list(other), is_written) == ([f"good.{TAG}.pyc"], True)
        assert other != folder
        next(other.rglob("*.pyc")).write_bytes(b"a stranger's code")
    with lending_bytecode(python, interpreter, USE) as (folder, _):
        assert b"a stranger's code" not in next(folder.rglob("*.pyc")).read_bytes()


def test_what_a_process_imported_is_not_kept_where_it_failed(
    python: Path, interpreter: Interpreter, tmp_path: Path
) -> None:
    packages = tmp_path / "venv" / "lib" / "site-packages"

    def fail(folder: Path) -> None:
        _write(folder, packages / "good.py")
        raise ToolError("It was ended.")

    with pytest.raises(ToolError), lending_bytecode(python, interpreter, USE) as (folder, _):
        fail(folder)
    assert provide_bytecode(python, interpreter, USE) is None


def test_a_use_is_named_by_the_program_and_the_flavors_in_any_order() -> None:
    assert kept_bytecode.name_use("oracle.py", ["sklearn", "python_function"]) == (
        kept_bytecode.name_use("oracle.py", ("python_function", "sklearn"))
    )
