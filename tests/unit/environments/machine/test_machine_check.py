"""`packager doctor` says what works, what is lost without the rest, and if a build can begin."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from packager import cli
from packager.environments import interpreters, uv_command
from packager.environments.disk_room import LEAST_FREE_BYTES
from packager.environments.machine import check, installation
from packager.environments.machine.check import check_machine
from packager.errors import IndexUnavailableError
from packager.system import sandbox
from packager.types import Interpreter, MachineCheck, MachineReport

NOTHING = "nothing can be built"
QEMU = Path("/usr/bin/qemu-aarch64"), ("-cpu", "neoverse-n1"), "qemu-aarch64 7.2.22"


class Usage(NamedTuple):
    free: int


@pytest.fixture
def look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[MachineReport, dict[str, MachineCheck]]]:
    """Look over a machine that has everything but what a test takes away."""

    def run(
        *,
        pythons: tuple[str, ...] = ("3.12.1", "3.13.0"),
        index: str = "",
        free: int = LEAST_FREE_BYTES,
        programs: tuple[str, ...] = ("docker", "sam", "func", "azd"),
        level: str = "namespaces",
        engine: bool = True,
        extras: tuple[str, ...] | None = None,
        qemu: tuple[Path, tuple[str, ...], str] | None = QEMU,
        machine: str = "x86_64",
    ) -> tuple[MachineReport, dict[str, MachineCheck]]:
        def compile_probe(*_: object, **__: object) -> None:
            if index:
                raise IndexUnavailableError(index)

        has = [Interpreter(path=Path("/python"), version=each, found_by="PATH") for each in pythons]
        monkeypatch.setattr(interpreters, "available", lambda _minors: tuple(has))
        monkeypatch.setattr(uv_command, "check_index", compile_probe)
        monkeypatch.setattr(sandbox, "name_level", lambda: level)
        monkeypatch.setattr(check, "_has_engine", lambda _: engine)
        monkeypatch.setattr(check, "find_qemu", lambda: qemu)
        monkeypatch.setattr(check, "_read_machine", lambda: machine)
        if extras is not None:
            monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in extras or None)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(free))
        monkeypatch.setattr(
            shutil, "which", lambda name: f"/bin/{name}" if name in programs else None
        )
        report = check_machine(("3.12", "3.13"), tmp_path / "not" / "there")
        return report, {each["name"]: each for each in report["checks"]}

    return run


Look = Callable[..., tuple[MachineReport, dict[str, MachineCheck]]]


def test_a_machine_with_everything_is_ready(look: Look) -> None:
    report, _ = look()

    assert report["ready"]
    # extras hang on what is installed beside the tests
    assert [each["name"] for each in report["checks"] if not each["works"]] == []


def test_one_python_is_enough(look: Look) -> None:
    report, checks = look(pythons=("3.13.0",))

    assert report["ready"]
    assert (checks["Python 3.12"]["works"], checks["Python 3.12"]["needed"]) == (False, False)
    assert checks["Python 3.12"]["remedy"] == "uv python install 3.12"


def test_no_python_is_too_few(look: Look) -> None:
    report, checks = look(pythons=())

    assert not report["ready"]
    assert checks["Python 3.13"]["needed"]


def test_an_index_that_does_not_answer_is_named(look: Look) -> None:
    report, checks = look(index="The package index at there did not answer: why.\nuv's own words")

    assert not report["ready"]
    assert checks["package index"]["found"] == "The package index at there did not answer: why."
    assert NOTHING in checks["package index"]["lost"]


@pytest.mark.parametrize(
    ("taken", "names"),
    [
        ({"programs": ("docker",)}, {"sam", "func", "azd"}),
        ({"free": LEAST_FREE_BYTES - 1}, {"disk, TMPDIR", "disk, output folder", "disk, cache"}),
        ({"level": "landlock"}, {"sandbox"}),
        ({"engine": False}, {"docker"}),
        ({"qemu": None}, {"qemu-aarch64"}),
        (
            {"extras": ("boto3", "skops", "pyarrow")},
            {"extra audit", "extra azure-keys", "extra keyless", "extra sign", "extra terraform"},
        ),
    ],
)
def test_what_a_build_can_do_without_is_told(
    look: Look, taken: dict[str, object], names: set[str]
) -> None:
    report, checks = look(**taken)

    assert report["ready"]
    assert {name for name, each in checks.items() if not each["works"]} == names
    assert all(checks[name]["lost"] and checks[name]["remedy"] for name in names)


def test_qemu_is_looked_for_where_it_is_of_use(look: Look) -> None:
    _, checks = look()
    assert checks["qemu-aarch64"]["found"] == "/usr/bin/qemu-aarch64, 7.2.22"

    _, checks = look(machine="aarch64", qemu=None)
    assert "qemu-aarch64" not in checks


def test_every_extra_is_looked_at(look: Look) -> None:
    """`s3` brings what `aws` does, and a build installs what `onnx` names by itself."""
    _, checks = look()
    declared = metadata("serverless-model-packager").get_all("Provides-Extra") or []

    assert {f"extra {name}" for name in declared} - checks.keys() == {"extra onnx", "extra s3"}


def test_an_extra_is_added_by_the_tool_that_installed_packager(look: Look) -> None:
    _, checks = look(extras=("boto3", "skops"))

    assert installation.list_extras() == ("aws", "demo")
    assert checks["extra sign"]["remedy"] == installation.name_install(extra="sign")
    assert checks["extra demo"]["remedy"] == installation.name_install(extra="demo")


@pytest.mark.parametrize(("code", "answers"), [(0, True), (1, False)])
def test_docker_without_an_engine_is_told_from_one(
    tmp_path: Path, code: int, *, answers: bool
) -> None:
    client = tmp_path / "docker"
    client.write_text(f"#!/bin/sh\nexit {code}\n")
    client.chmod(0o755)

    assert check._has_engine(str(client)) is answers
    assert not check._has_engine(str(tmp_path / "none"))


@pytest.mark.parametrize("ready", [True, False])
def test_the_command_ends_with_1_where_a_build_cannot_begin(
    ready: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = MachineCheck(
        name="package index", works=ready, needed=True, found="so", lost=NOTHING, remedy="set it"
    )
    report = MachineReport(ready=ready, checks=[row])
    monkeypatch.setattr(check, "check_machine", lambda *_: report)

    as_json = CliRunner().invoke(cli.app, ["doctor", "--json"])
    shown = CliRunner().invoke(cli.app, ["doctor"])

    assert as_json.exit_code == shown.exit_code == (0 if ready else 1)
    assert json.loads(as_json.stdout) == report
    assert (NOTHING in shown.stdout, "set it" in shown.stdout) == (not ready, not ready)
