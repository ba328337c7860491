"""Checks of this machine for `packager doctor`, each with what is lost without it and a remedy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from packager.environments import disk_room, interpreters, uv_command
from packager.environments.machine import installation
from packager.environments.machine.qemu import find_qemu
from packager.errors import PackagerError, ToolError
from packager.system import process, sandbox
from packager.types import MachineCheck, MachineReport

_PROGRAMS: Final[Mapping[str, tuple[str, str]]] = {
    "docker": (
        "you cannot build the image of a container target; packager itself does not need it",
        "install Docker Engine or Podman",
    ),
    "sam": ("you cannot deploy to AWS Lambda with `sam deploy`", "uv tool install aws-sam-cli"),
    "func": (
        "you cannot publish to Azure with `func azure functionapp publish`, but with `azd up`",
        "npm install -g azure-functions-core-tools@4",
    ),
    "azd": ("you cannot deploy to Azure with `azd up`", "install the Azure Developer CLI"),
}
_WITHOUT: Final[Mapping[str, str]] = {
    "aws": "you cannot use `mlflow deployments`, a store on S3, or what asks AWS (`packager "
    "batch`)",
    "audit": "you cannot use `packager audit` and `packager build --audit`",
    "azure-keys": "you cannot sign by a key in Azure Key Vault",
    "demo": "you cannot run `packager demo`",
    "keyless": "you cannot use `packager sign --keyless` and `packager verify --identity`",
    "parquet": "drift is not measured from a Parquet file",
    "sign": "you cannot use `packager sign` and `packager verify --key`",
    "terraform": "you cannot use `packager build --emit`",
}
"""Extras of this package, and what is lost without each."""
_ENGINE_SECONDS: Final = 10.0


def check_machine(minors: Sequence[str], folder: Path) -> MachineReport:
    """Check everything at once; `folder` is where an artifact would be written.

    `minors` are the Python versions that some target runs.
    """
    tasks: list[Callable[[], Iterable[MachineCheck]]] = [
        _check_system,
        lambda: _check_pythons(minors),
        _check_sandbox,
        _check_index,
        lambda: _check_room(folder),
        _check_programs,
        _check_emulation,
        _check_extras,
    ]
    with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
        checks = [each for found in pool.map(lambda task: [*task()], tasks) for each in found]
    return MachineReport(
        ready=all(each["works"] for each in checks if each["needed"]), checks=checks
    )


def _check_system() -> Iterable[MachineCheck]:
    yield MachineCheck(
        name="Linux",
        works=sys.platform.startswith("linux"),
        needed=True,
        found=f"{sys.platform}, {os.uname().machine}",
        lost="nothing can be booted, so nothing can be proven",
        remedy="build on Linux; on Windows use WSL 2, on macOS a Linux virtual machine or "
        "packager's container (docs/guides/container.md)",
    )


def _check_pythons(minors: Sequence[str]) -> Iterable[MachineCheck]:
    """Check each Python; one of them is enough to build."""
    found = {each.version.rpartition(".")[0]: each for each in interpreters.available((*minors,))}
    for minor in minors:
        has = found.get(minor)
        yield MachineCheck(
            name=f"Python {minor}",
            works=has is not None,
            needed=not found,
            found=f"{has.version} at {has.path}" if has else "not found",
            lost=f"you cannot build for Python {minor}",
            remedy=f"uv python install {minor}",
        )


def _check_sandbox() -> Iterable[MachineCheck]:
    level = sandbox.name_level()
    yield MachineCheck(
        name="sandbox",
        works=level in {"namespaces", "privileged"},
        needed=False,
        found=f"level {level}",
        lost="a model's code is kept apart less strictly, and the proof is less strict",
        remedy="set sysctl user.max_user_namespaces above 0 and "
        "kernel.apparmor_restrict_unprivileged_userns to 0; in Docker, add "
        "--security-opt seccomp=unconfined --security-opt systempaths=unconfined",
    )


def _check_index() -> Iterable[MachineCheck]:
    try:
        uv_command.check_index()
        failure = ""
    except PackagerError as error:
        # a program's own words begin on the second line
        failure = " ".join(str(error).splitlines()[: 2 if isinstance(error, ToolError) else 1])
    yield MachineCheck(
        name="package index",
        works=not failure,
        needed=True,
        found=failure or "answers",
        lost="no package can be installed, so nothing can be built",
        remedy="set UV_DEFAULT_INDEX to an index that this machine reaches, and HTTPS_PROXY or "
        "SSL_CERT_FILE if it needs them",
    )


def _check_room(folder: Path) -> Iterable[MachineCheck]:
    """Check the three places that a build writes to."""
    for room in disk_room.list_rooms(folder):
        free = room.free_bytes
        yield MachineCheck(
            name=f"disk, {room.name}",
            works=room.is_enough,
            needed=free is None,
            found=room.about if free is None else f"{free / 1e9:.1f} GB free in {room.path}",
            lost="a build of a large model stops with exit code 9",
            remedy=disk_room.REMEDY,
        )


def _check_programs() -> Iterable[MachineCheck]:
    for name, (lost, remedy) in _PROGRAMS.items():
        path = shutil.which(name)
        silent = path is not None and name == "docker" and not _has_engine(path)
        yield MachineCheck(
            name=name,
            works=path is not None and not silent,
            needed=False,
            found=f"{path}, and its engine does not answer" if silent else path or "not found",
            lost=lost,
            remedy="start Docker, or let your user reach its socket" if silent else remedy,
        )


def _check_emulation() -> Iterable[MachineCheck]:
    """Check what runs programs for arm64, on a machine that does not itself."""
    if _read_machine() != "x86_64":
        return
    qemu = find_qemu()
    yield MachineCheck(
        name="qemu-aarch64",
        works=qemu is not None,
        needed=False,
        found=f"{qemu[0]}, {qemu[2].partition(' ')[2]}" if qemu else "not found",
        lost="a function for arm64 cannot be proven here: --arch arm64 needs --allow-unproven",
        remedy="apt-get install qemu-user, or what your system calls QEMU's user emulation",
    )


def _read_machine() -> str:
    return os.uname().machine


def _has_engine(docker: str) -> bool:
    """Tell whether an engine answers Docker's client, which is often there without one."""
    argv = [docker, "version", "--format", "{{.Server.Version}}"]
    settings = process.inherit(
        ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
    )
    env = {**process.basic_environment(), **settings}
    try:
        asked = process.run(argv, env=env, check=False, timeout_seconds=_ENGINE_SECONDS)
    except ToolError:
        return False
    return asked.returncode == 0


def _check_extras() -> Iterable[MachineCheck]:
    has = installation.list_extras()
    for extra, lost in _WITHOUT.items():
        yield MachineCheck(
            name=f"extra {extra}",
            works=extra in has,
            needed=False,
            found="installed" if extra in has else "not installed",
            lost=lost,
            remedy=installation.name_install(extra=extra),
        )
