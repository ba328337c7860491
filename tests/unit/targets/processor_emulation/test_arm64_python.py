"""Which Python a function for arm64 is booted in, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from packager.environments.machine import qemu
from packager.errors import ToolError
from packager.targets import processor_emulation
from packager.targets.lambda_emulator import parts
from packager.targets.processor_emulation import arm64_python, debian_archive
from packager.types import EmulatedPython, HostKind, Interpreter
from tests.tiny_elf import library
from tests.unit.targets.processor_emulation.debian_mirror import make_deb, serve_mirror

_QEMU = """#!/bin/sh
case "$1 $2" in
  "--version ") echo "qemu-aarch64 version 9.2.1 (Debian)";;
  "-cpu help") echo "Available CPUs:"; echo "  cortex-a72"; echo "  neoverse-n1";;
  *) while [ "$1" != -L ]; do shift; done; echo "$(tail -n 1 "$3") aarch64";;
esac
"""
"""Says of what it is to run the version that is written in the file."""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of programs of a machine with x86_64, which has a qemu."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "qemu-aarch64").write_text(_QEMU)
    (folder / "qemu-aarch64").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(arm64_python.VARIABLE, raising=False)
    monkeypatch.setattr(parts, "host_architecture", lambda: "x86_64")
    monkeypatch.setattr(debian_archive, "KEYRING", Path("/nonexistent"))
    for cached in (qemu.find_qemu, arm64_python.provide_python):
        cached.cache_clear()
    yield folder
    for cached in (qemu.find_qemu, arm64_python.provide_python):
        cached.cache_clear()


def _describe(minor: str) -> Interpreter:
    """Return our own, by the version that is wanted: it compiles what is there to compile."""
    return Interpreter(path=Path(sys.executable), version=f"{minor}.0", found_by="a test")


def _name_folder(monkeypatch: pytest.MonkeyPatch, folder: Path, python: str, version: str) -> Path:
    path = _write_python(folder / python, version)
    monkeypatch.setenv(arm64_python.VARIABLE, str(folder))
    return path


def _write_python(path: Path, version: str, architecture: str = "arm64") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(library(architecture=architecture) + f"\n{version}".encode())
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("place", ["usr/bin", "usr/local/bin", "var/lang/bin"])
def test_a_named_folder_is_taken_as_debian_and_images_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = _name_folder(monkeypatch, tmp_path / "image", f"{place}/python3.12", "3.12.9")

    found = arm64_python.provide_python(_describe("3.12"))

    assert (found.root, found.python) == (tmp_path / "image", path)
    assert (found.version, found.options) == ("qemu-aarch64 9.2.1", ("-cpu", "neoverse-n1"))


def test_a_named_python_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _name_folder(monkeypatch, tmp_path / "image", "usr/bin/python3.12", "3.13.1")

    with pytest.raises(ToolError, match=r"is no Python 3\.12 for arm64 that starts .* 3\.13\.1"):
        arm64_python.provide_python(_describe("3.12"))


def test_a_link_out_of_the_named_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _name_folder(monkeypatch, tmp_path / "image", "usr/bin/python3.12", "3.12.9")
    path.unlink()
    (tmp_path / "elsewhere").write_text("3.12.9")
    path.symlink_to(tmp_path / "elsewhere")

    assert "has none at usr/bin" in (arm64_python.explain_lack("3.12") or "")


def _break(folder: Path) -> dict[str, Callable[[], object]]:
    """Folders that an option may name and nothing can be booted in, by what is said of them."""
    python = folder / "usr/bin/python3.12"
    return {
        "which is no folder that can be read": folder.touch,
        "has no Python at usr/bin": folder.mkdir,
        "has Python 3.11, 3.13, and none of 3.12": lambda: [
            _write_python(python.with_name(f"python{each}"), each)
            for each in ("3.13", "3.11", "3.13-config")
        ],
        "is no program for Linux": lambda: (
            _write_python(python, "3.12.9"),
            python.write_text("#!/bin/sh\n"),
        ),
        "is for x86_64, not for arm64": lambda: _write_python(python, "3.12.9", "x86_64"),
        "may not be executed: `chmod +x` it": lambda: _write_python(python, "3.12.9").chmod(0o644),
    }


@pytest.mark.parametrize("words", list(_break(Path("a/b"))))
def test_a_folder_that_cannot_be_booted_in_is_named_before_anything_is_built(
    tmp_path: Path, words: str
) -> None:
    folder = tmp_path / "images" / "arm64"
    folder.parent.mkdir()
    _break(folder)[words]()

    lacking = parts.why_not_provable("arm64", HostKind.LAMBDA, "3.12", folder) or ""

    assert words in lacking
    assert "--arm64-python" in lacking
    with pytest.raises(ToolError, match="--arm64-python"):
        arm64_python.provide_python(_describe("3.12"), folder)


def test_an_option_comes_before_the_variable_and_debian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _name_folder(monkeypatch, tmp_path / "image", "usr/bin/python3.13", "3.13.1")
    named = _write_python(tmp_path / "own" / "usr/bin/python3.13", "3.13.2")

    found = arm64_python.provide_python(_describe("3.13"), tmp_path / "own")

    assert (found.python, found.source) == (named, "Python 3.13 of a named folder")
    assert arm64_python.digest_named(tmp_path / "own") != arm64_python.digest_named(None) != ""


def test_a_folder_of_the_variable_without_this_version_leaves_it_to_debian(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _name_folder(monkeypatch, tmp_path / "image", "usr/bin/python3.12", "3.12.9")

    assert arm64_python.explain_lack("3.13") is None
    assert "--arm64-python" in (arm64_python.explain_lack("3.10") or "")


def test_a_variable_that_names_no_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(arm64_python.VARIABLE, str(tmp_path / "none"))

    assert f"{arm64_python.VARIABLE} names" in (arm64_python.explain_lack("3.13") or "")


def test_debians_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = make_deb({"./usr/bin/python3.13": b"3.13.5"})
    needed = ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6", "libgcc-s1")
    with serve_mirror(tmp_path / "mirror") as mirror:
        monkeypatch.setenv(debian_archive.VARIABLE, mirror.address)
        mirror.publish("trixie", dict.fromkeys(needed, (content, "")))
        assert arm64_python.explain_lack("3.13") is None
        assert mirror.asked == []

        found = arm64_python.provide_python(_describe("3.13"))
        asked = len(mirror.asked)
        arm64_python.provide_python.cache_clear()
        again = arm64_python.provide_python(_describe("3.13"))

    assert found == again
    assert len(mirror.asked) == asked
    assert found.source == (
        "Debian trixie's Python 1.0-18 (its signature was not checked, as this machine "
        "lacks /nonexistent)"
    )
    assert (found.root / "lib").readlink() == Path("usr/lib")


def test_nothing_is_kept_where_the_mirror_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(debian_archive.VARIABLE, "http://127.0.0.1:9")

    with pytest.raises(ToolError, match=r"127\.0\.0\.1:9/.* cannot be fetched.*HTTPS_PROXY"):
        arm64_python.provide_python(_describe("3.13"))

    assert not [*(tmp_path / "cache").rglob("root")]


def test_without_qemu_the_refusal_says_how_to_get_it(machine: Path) -> None:
    (machine / "qemu-aarch64").unlink()
    lacking = parts.why_not_provable("arm64", HostKind.LAMBDA, "3.13") or ""
    if qemu.find_qemu() is None:
        assert "cannot boot it" in lacking
        assert "apt-get install qemu-user" in lacking


def test_a_python_that_nobody_has_is_named_before_anything_is_fetched() -> None:
    lacking = parts.why_not_provable("arm64", HostKind.LAMBDA, "3.12") or ""

    assert "No Python 3.12 for arm64 can be had: Debian has 3.11, 3.13, 3.14" in lacking
    assert arm64_python.VARIABLE in lacking
    assert parts.why_not_provable("arm64", HostKind.LAMBDA, "3.13") is None


def test_only_lambda_functions_are_emulated() -> None:
    assert "Only a Lambda function" in (
        processor_emulation.why_not_emulated(HostKind.SERVER, "3.13") or ""
    )


def test_the_other_way_round_is_refused_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "host_architecture", lambda: "arm64")

    assert parts.why_not_provable("x86_64", HostKind.LAMBDA, "3.13") == (
        "The function is for x86_64, and this machine (arm64) cannot boot it."
    )
    assert parts.why_not_provable("arm64", HostKind.SERVER, "3.12") is None


def test_an_emulated_python_is_started_by_qemu_and_called_by_its_environments_name() -> None:
    own = Interpreter(path=Path("/usr/bin/python3"), version="3.13.0", found_by="PATH")
    environment = Path("/cache/environment/bin/python")

    assert processor_emulation.list_command(own, environment) == (environment,)

    emulated = EmulatedPython(
        program=Path("/usr/bin/qemu-aarch64"),
        options=("-cpu", "neoverse-n1"),
        version="qemu-aarch64 9.2.1",
        root=Path("/sysroot"),
        python=Path("/sysroot/usr/bin/python3.13"),
        source="a test",
    )
    command = processor_emulation.list_command(replace(own, emulated=emulated), environment)
    assert [str(each) for each in command] == [
        *("/usr/bin/qemu-aarch64", "-cpu", "neoverse-n1", "-L", "/sysroot"),
        *("-0", "/cache/environment/bin/python", "/sysroot/usr/bin/python3.13"),
    ]


def test_a_function_that_brings_its_runtime_client_has_an_environment_without_wheels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        processor_emulation, "install_wheels", lambda *_, **__: pytest.fail("installed")
    )
    emulated = EmulatedPython(
        program=Path("/usr/bin/qemu-aarch64"),
        options=(),
        version="qemu-aarch64 9.2.1",
        root=Path("/sysroot"),
        python=Path("/sysroot/usr/bin/python3.13"),
        source="a test",
    )

    made = processor_emulation.ensure_environment(_describe("3.13"), emulated, [], "client")

    assert (made.parent.parent / "pyvenv.cfg").read_text().startswith("home = /sysroot/usr/bin\n")
