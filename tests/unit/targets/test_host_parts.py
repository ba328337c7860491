"""What boots a function is fetched before it is booted: just what a boot then asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.environments import virtual_environments
from packager.pipeline.verify import work_ahead
from packager.pipeline.verify.replay import prepare_boot
from packager.system import cache
from packager.targets.hosts import fetch_parts, functions_worker_library
from packager.targets.hosts.runtime_interface_client import LambdaHost
from packager.targets.lambda_emulator import Emulator, parts
from packager.types import HostKind, Interpreter
from tests import fake_plan

PYTHON = Interpreter(path=Path("/python3.13"), version="3.13.1", found_by="test")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """The cache's entries that are asked for."""
    found: list[tuple[str, object]] = []

    def ensure(_: object, wanted: list[str], *, label: str, **__: Any) -> Path:
        found.append((label, tuple(wanted)))
        return Path()

    def ensure_tool(kind: str, key: str, _: object) -> Path:
        found.append((kind, key))
        return Path()

    monkeypatch.setattr(virtual_environments, "ensure", ensure)
    monkeypatch.setattr(cache, "ensure", ensure_tool)
    return found


def test_a_lambda_function_is_booted_with_what_was_fetched(
    asked: list[tuple[str, object]],
) -> None:
    fetch_parts(HostKind.LAMBDA, PYTHON, ("botocore",))
    fetched, asked[:] = {*asked}, []
    parts.emulator_binary(PYTHON)
    parts.runtime_client(PYTHON, ("botocore",))
    assert fetched == {*asked}
    assert {name for name, _ in asked} == {"runtime-client", "tools"}


@pytest.mark.parametrize(
    ("minor", "pinned"), [("3.13", "4.2.2"), ("3.9", "4.0.4"), ("3.8", "2.2.1")]
)
def test_the_runtime_client_has_a_wheel_for_its_python(
    asked: list[tuple[str, object]], minor: str, pinned: str
) -> None:
    python = Interpreter(path=Path(f"/python{minor}"), version=f"{minor}.1", found_by="test")
    parts.runtime_client(python)
    assert asked == [("runtime-client", (f"awslambdaric=={pinned}",))]


@pytest.mark.parametrize(
    ("target", "name", "brought"),
    [
        ("aws-lambda-image", "python3.10", True),
        ("aws-lambda-image", "python3.13", False),
        # one among a zip's requirements is not what calls it there
        ("aws-lambda", "python3.13", False),
    ],
)
def test_a_function_is_booted_by_the_client_that_its_runtime_uses(
    target: str,
    name: str,
    *,
    brought: bool,
    asked: list[tuple[str, object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = targets.load(target)
    runtime = next(each for each in found.runtimes if each.name == name)
    plan = fake_plan.plan(target=found, runtime=runtime, interpreter=PYTHON)
    (tmp_path / "awslambdaric").mkdir()
    started: list[str | Path] = []
    monkeypatch.setattr(Emulator, "_start", lambda _, argv, **__: started.extend(argv))
    monkeypatch.setattr(Emulator, "_listens", lambda _: True)
    monkeypatch.setattr(Emulator, "_end", lambda _: None)

    monkeypatch.setattr("packager.pipeline.verify.ask.why_not_provable", lambda *_: None)

    work_ahead(plan)
    fetched, asked[:] = {*asked}, []
    with LambdaHost(prepare_boot(plan, tmp_path)):
        pass

    assert {*asked} == fetched
    (wanted,) = (wanted for label, wanted in asked if label == "runtime-client")
    assert ("awslambdaric==4.2.2" in str(wanted)) is not brought
    assert ("-m" in started) is brought


def test_an_azure_function_is_booted_with_what_was_fetched(
    asked: list[tuple[str, object]],
) -> None:
    fetch_parts(HostKind.WORKER, PYTHON, ())
    fetched, asked[:] = {*asked}, []
    functions_worker_library.native(PYTHON)
    functions_worker_library.client(PYTHON)
    assert fetched == {*asked}
    assert {name for name, _ in asked} == {"worker", "tools"}


def test_a_server_needs_nothing(asked: list[tuple[str, object]]) -> None:
    fetch_parts(HostKind.SERVER, PYTHON, ())
    assert asked == []
