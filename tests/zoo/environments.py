"""The environments of the zoo's authors, and the models that are logged in them."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.environments import interpreters, uv_command

HERE: Final = Path(__file__).resolve().parent
_PROJECT: Final = """\
[project]
name = "churn-project"
version = "0.3.0"
requires-python = ">=3.12"
dependencies = {packages}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    name: str
    about: str
    python: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    locked: bool = False
    """A uv project: MLflow logs what its lock says."""


def read_environments() -> tuple[Environment, ...]:
    read = tomllib.loads((HERE / "environments.toml").read_text(encoding="utf-8"))
    return tuple(
        Environment(
            name=name,
            about=told["about"],
            python=told["python"],
            modules=tuple(told["modules"]),
            packages=tuple(told["packages"]),
            locked=told.get("locked", False),
        )
        for name, told in read.items()
    )


def find_python(folder: Path) -> Path:
    return folder / ".venv" / "bin" / "python"


def make_environment(environment: Environment, work: Path) -> Path:
    """Make an author's folder and environment, unless they are there; answers with the folder.

    Raises InterpreterNotFoundError where its Python is not on this machine, and CalledProcessError
    where uv cannot install it.
    """
    folder = work / environment.name
    if (folder / "requirements.txt").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    python = str(interpreters.find(environment.python).path)
    if environment.locked:
        packages = "[" + ", ".join(f'"{each}"' for each in environment.packages) + "]"
        (folder / "pyproject.toml").write_text(_PROJECT.format(packages=packages), encoding="utf-8")
        _run("uv", "sync", "-q", "--python", python, cwd=folder)
    else:
        _run("uv", "venv", "-q", "--python", python, ".venv", cwd=folder)
        _run("uv", "pip", "install", "-q", *environment.packages, cwd=folder)
    frozen = _run("uv", "pip", "freeze", cwd=folder)
    (folder / "requirements.txt").write_text(frozen, encoding="utf-8")
    return folder


def log_models(
    environment: Environment, folder: Path, registry: Path, names: Iterable[str], python: Path
) -> bool:
    """Log models by their author's `python`, in its folder; False where one could not be."""
    registry.mkdir(parents=True, exist_ok=True)
    variables = {
        **_list_variables(),
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
        "ZOO_MODULES": " ".join(environment.modules),
    }
    if not environment.locked:
        variables["ZOO_REQUIREMENTS"] = str(folder / "requirements.txt")
    command = [str(python), str(HERE / "log.py"), str(registry), *names]
    done = subprocess.run(command, cwd=folder, env=variables, check=False)
    return done.returncode == 0


def _list_variables() -> dict[str, str]:
    """Those of this process, with uv on the path: MLflow asks it what a project's lock has."""
    variables = {each: value for each, value in os.environ.items() if each != "VIRTUAL_ENV"}
    path = f"{uv_command.path().parent}{os.pathsep}{variables.get('PATH', '')}"
    return variables | {"PATH": path}


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=_list_variables(), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout
