"""Azure's worker library and what it runs beside, fetched from the package index.

Microsoft publishes the half of the worker that runs functions for Python 3.13 and later
(azure-functions-runtime), and its message classes inside azure-functions-runtime-v1. Below 3.13
the platform runs an older worker, which is not on any index; there the same library, whose wheels
hold no compiled code, is run under the target's Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packager import facts
from packager.environments import virtual_environments
from packager.environments.install import install_wheels
from packager.system import cache
from packager.types import Interpreter

_LIBRARY: Final = (
    "azure-functions-runtime",
    "azure-functions-runtime-v1",
    "azurefunctions-extensions-base",
)
_LIBRARY_PYTHON: Final = (3, 13)
_NATIVE: Final = ("protobuf", "grpcio")
_SDK: Final = (
    "azure-functions==1.26.0; python_version < '3.13'",
    "azure-functions==2.3.0; python_version >= '3.13'",
)
"""What the worker has for an app that brings none."""


def about(interpreter: Interpreter) -> str:
    said = "Indexed and invoked by the worker library that Azure publishes for Python 3.13 and on"
    if _minor(interpreter) >= _LIBRARY_PYTHON:
        return f"{said}."
    return f"{said}; Azure runs {interpreter.minor} in an older worker, which is on no index."


def _minor(interpreter: Interpreter) -> tuple[int, ...]:
    return tuple(int(part) for part in interpreter.minor.split("."))


def native(interpreter: Interpreter) -> Path:
    """The Python of an environment with what the worker has beside its library."""
    tools = facts.tools()
    own = (tools.get(f"{name} {interpreter.minor}", tools[name]) for name in _NATIVE)
    wanted = [*(tool.requirement for tool in own), *_SDK]
    return virtual_environments.ensure(interpreter, wanted, label="worker", compiled=True)


def client(interpreter: Interpreter) -> Path:
    """A folder with the worker's library, whose wheels are tagged for Python 3.13 and later."""
    tools = facts.tools()
    wanted = [tools[name].requirement for name in _LIBRARY]
    minor = ".".join(map(str, max(_minor(interpreter), _LIBRARY_PYTHON)))

    def make(folder: Path) -> None:
        install_wheels(
            [
                *("--no-deps", "--python", interpreter.path, "--python-version", minor),
                *("--target", folder / "library"),
                *wanted,
            ],
            folder / "library",
            timeout_seconds=600,
        )

    versions = "-".join(tools[name].version for name in _LIBRARY)
    return cache.ensure("tools", f"azure-worker-{versions}-{minor}", make) / "library"
