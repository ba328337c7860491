"""Cached virtual environments: where the registered model answers, where tools live."""

from __future__ import annotations

import contextlib
import hashlib
import platform as host
import re
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from packager.environments import interpreters, lockfile, uv_command
from packager.environments.kept_bytecode import check_compiled
from packager.environments.lockfile import Wanted
from packager.errors import InterpreterNotFoundError, ToolError, UnresolvableError
from packager.system import cache, file_tree, process
from packager.system.redaction import redact
from packager.types import Interpreter, Requirements, ResolvedModel

# MLflow's own switches: whether pickles and model code may be loaded at all, and on which device
_KIND: Final = "environments"
_WITH_PKG_RESOURCES: Final = "setuptools<81"
"""https://setuptools.pypa.io/en/latest/history.html"""
_SWITCHES: Final = ("MLFLOW_ALLOW_", "MLFLOW_DEFAULT_PREDICTION_DEVICE", "MLFLOW_DISABLE_SCHEMA_")


def ensure(
    interpreter: Interpreter,
    requirements: Sequence[str],
    *,
    options: Sequence[str] = (),
    constraints: Sequence[str] = (),
    overrides: Sequence[str] = (),
    digests: Mapping[str, frozenset[str]] | None = None,
    platform: str | None = None,
    base: Path | None = None,
    label: str = "env",
    compiled: bool = False,
) -> Path:
    """A virtual environment with exactly these requirements; returns its python.

    `requirements` are PEP 508 lines or paths relative to `base`; their versions are such as have
    wheels for `platform`, None for this machine. Made once per interpreter version
    and set of lines, wherever the paths lie, and reused; what is written to it later goes away. For
    what is started often all bytecode is `compiled` at once. Of a model's environment that is half
    a minute of CPU, and a quarter of it is imported: who runs that keeps bytecode in a folder of
    its own (`variables`).
    Raises ToolError with uv's own words where they do not resolve.
    """
    wanted = Wanted(
        requirements=tuple(requirements),
        constraints=tuple(constraints),
        overrides=tuple(overrides),
        options=tuple(options),
        digests=digests or {},
        interpreter=interpreter,
        platform=platform,
        base=base,
    )

    def make(folder: Path) -> Mapping[str, str]:
        digests = _fill_environment(folder, wanted)
        if compiled:
            _compile_files(folder / "venv" / "lib", interpreter)
        return digests

    folder = cache.ensure(_KIND, _name_entry(wanted, label), make)
    return folder / "venv" / "bin" / "python"


def _name_entry(wanted: Wanted, label: str) -> str:
    """One name for the same lines and files, wherever they lie, on the same Python."""
    local = _digests((*wanted.requirements, *wanted.constraints), wanted.options, wanted.base)
    held = [f"{name} {sorted(each)}" for name, each in sorted(wanted.digests.items())]
    parts = (wanted.requirements, wanted.constraints, wanted.options, held)
    lines = "\0".join("\n".join(part) for part in parts)
    lines += f"\0{wanted.platform}" if wanted.platform else ""
    lines += "".join(f"\0override {each}" for each in wanted.overrides)
    whole = f"{wanted.interpreter.version}\0{lines}\0{''.join(local)}"
    return f"{label}-{hashlib.sha256(whole.encode()).hexdigest()[:20]}"


def _fill_environment(folder: Path, wanted: Wanted) -> Mapping[str, str]:
    """Versions are chosen first, by the index as it is now, and installed then.

    Returns the sha256 of the files that are known from their wheels, by their names below `folder`.
    """
    venv = folder / "venv"
    uv_command.run(["venv", "--relocatable", "--python", wanted.interpreter.path, venv])
    try:
        lock = lockfile.lock(wanted)
    except UnresolvableError as error:
        raise ToolError(_explain_failure(error)) from error
    (folder / "pylock.toml").write_text(redact(lock.text), encoding="utf-8")
    python = venv / "bin" / "python"
    digests = lockfile.install_environment(lock, python, cwd=wanted.base, options=wanted.options)
    return {f"{venv.name}/{name}": digest for name, digest in digests.items()}


def _compile_files(packages: Path, interpreter: Interpreter) -> None:
    """Bytecode of all that is installed; a file that is no valid Python for this one has none.

    Not by the environment's own Python, which would run what packages have it do at each start.
    """
    check_compiled(
        process.run([interpreter.path, "-I", "-S", "-m", "compileall", "-q", packages], check=False)
    )


def _explain_failure(error: UnresolvableError) -> str:
    """With what to do where the resolver found sources alone."""
    names = sorted(set(re.findall(r"Wheels are required for `([^`]+)`", error.words)))
    if not names:
        return str(error)
    return (
        f"{error}\n{', '.join(names)}: there is no wheel for this Python, and sources are never "
        "built, as their code would run on this machine. Build a wheel with `pip wheel` and list "
        "it as code/NAME.whl, or take a version that has one."
    )


def _digests(lines: Sequence[str], options: Sequence[str], base: Path | None) -> list[str]:
    """sha256 of each wheel that lies below `base` or in a folder that is searched for wheels."""
    found = [base / line for line in lines if line.endswith(".whl")] if base is not None else []
    for folder in _folders(options):
        found += sorted(((base or Path()) / folder).glob("*.whl"))
    return [file_tree.sha256(path) for path in found if path.is_file()]


def _folders(options: Sequence[str]) -> list[str]:
    """Those that --find-links names."""
    pairs = [option.partition(" ")[::2] for option in options]
    return [value for name, value in pairs if name == "--find-links" and "://" not in value]


def interpreter_of(model: ResolvedModel, otherwise: Interpreter) -> tuple[Interpreter, str]:
    """The author's minor version, or `otherwise` with a note that says why."""
    if not model.python_version:
        return otherwise, "; the model does not say which Python it is for"
    minor = ".".join(model.python_version.split(".")[:2])
    try:
        return interpreters.find(minor), ""
    except InterpreterNotFoundError:
        return otherwise, f"; the author's Python {model.python_version} is not on this machine"


def of_model(
    model: ResolvedModel,
    interpreter: Interpreter,
    platform: str,
    *,
    more: Sequence[str] = (),
    label: str = "model",
) -> Path:
    """The environment that the model declares, MLflow and `more` in it; returns its python.

    Where the requirements leave a version open it is the one that they lead to on the target's
    `platform`: its newest pandas may be older than this machine's, and answer otherwise. Preferred
    versions hold where the rest allows them.
    Raises ToolError with uv's own words where they do not resolve, DigestError where a file is
    not the one that a --hash names.
    """

    def make(wanted: Wanted) -> Path:
        return ensure(
            interpreter,
            (*wanted.requirements, *more),
            options=wanted.options,
            constraints=wanted.constraints,
            overrides=wanted.overrides,
            digests=wanted.digests,
            platform=wanted.platform,
            base=wanted.base,
            label=label,
        )

    *nearer, last = _list_environments(model, interpreter, platform)
    for wanted in nearer:
        try:
            return make(wanted)
        except ToolError as error:
            if not isinstance(error.__cause__, UnresolvableError):
                raise
    return make(last)


def check_model(model: ResolvedModel, interpreter: Interpreter, platform: str) -> None:
    """Check that `of_model` could make the environment, with nothing installed.

    Raises what that raises.
    """
    every = _list_environments(model, interpreter, platform)
    if (cache.root() / _KIND / _name_entry(every[0], "model")).is_dir():
        return
    for wanted in every[:-1]:
        with contextlib.suppress(UnresolvableError):
            lockfile.lock(wanted)
            return
    try:
        lockfile.lock(every[-1])
    except UnresolvableError as error:
        raise ToolError(str(error)) from error


def choose_platform(platform: str) -> str | None:
    """Return `platform` where this machine runs what is made for it, else None.

    It does on the same processor, with a glibc that is as new.
    https://peps.python.org/pep-0600/
    """
    machine, _, glibc = platform.partition("-manylinux_")
    name, version = host.libc_ver()
    if machine != host.machine() or name != "glibc" or not glibc:
        return None
    here = tuple(map(int, version.split(".")[:2]))
    return platform if tuple(map(int, glibc.split("_"))) <= here else None


def _list_environments(
    model: ResolvedModel, interpreter: Interpreter, platform: str
) -> tuple[Wanted, ...]:
    """The environment that the model declares, the nearest to the function's first."""
    requirements = model.requirements
    platforms = dict.fromkeys((choose_platform(platform), None))
    preferences = dict.fromkeys((requirements.preferred, ()))
    return tuple(
        Wanted(
            requirements=list_requirements(model),
            constraints=(*requirements.constraints, *preferred),
            overrides=requirements.overrides,
            options=requirements.options,
            digests=lockfile.read_digests(requirements),
            interpreter=interpreter,
            platform=each,
            base=model.root if _has_paths(requirements) else None,
        )
        for each, preferred in product(platforms, preferences)
    )


def explain_failure(model: ResolvedModel, interpreter: Interpreter, error: ToolError) -> str:
    """Explain what follows where the environment of a model cannot be made."""
    return (
        "There is nothing to compare with: the environment that the model declares "
        f"({model.requirements.source}) cannot be installed on Python {interpreter.version}.\n"
        f"{error}"
    )


def variables(home: Path) -> Mapping[str, str]:
    """Return what a process that runs a model's code sees of this one's environment.

    Its bytecode goes below `home`: the environment that it runs in is for other builds too.
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPYCACHEPREFIX": str(home / ".bytecode"),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **process.inherit(prefixes=_SWITCHES),
        **process.numeric_environment(),
    }


def list_requirements(model: ResolvedModel) -> tuple[str, ...]:
    """The lines of the author's whole environment: MLflow is in it though nobody lists it.

    So is setuptools, whose pkg_resources MLflow imported before its version 3.
    """
    lines = pin_mlflow(model)
    names = {_name(line) for line in lines}
    if not names & {"mlflow", "mlflow-skinny"}:
        pin = f"=={model.mlflow_version}" if model.mlflow_version else ""
        lines = (*lines, f"mlflow{pin}")
    if re.match(r"[0-2]\.", model.mlflow_version or "") and "setuptools" not in names:
        lines = (*lines, _WITH_PKG_RESOURCES)
    return lines


def pin_mlflow(model: ResolvedModel) -> tuple[str, ...]:
    """The author's lines, MLflow's own at the version that the model says."""
    return tuple(_pin_mlflow(line, model.mlflow_version) for line in model.requirements.lines)


def _pin_mlflow(line: str, version: str | None) -> str:
    """MLflow 2 names itself by its minor version, or by a range: the model says which it was."""
    try:
        wanted, release = Requirement(line), Version(version or "")
    except (InvalidRequirement, InvalidVersion):
        return line
    is_open = wanted.name.lower() == "mlflow" and not wanted.url and not release.is_prerelease
    minor = SpecifierSet(f"=={release.major}.{release.minor}")
    if not is_open or not (release in wanted.specifier or wanted.specifier == minor):
        return line
    wanted.specifier = SpecifierSet(f"=={release}")
    return str(wanted)


def _name(line: str) -> str:
    for at, letter in enumerate(line):
        if not (letter.isalnum() or letter in "-_."):
            line = line[:at]
            break
    return line.lower().replace("_", "-").replace(".", "-")


def _has_paths(requirements: Requirements) -> bool:
    every = (*requirements.lines, *requirements.constraints)
    inside = any(not Path(folder).is_absolute() for folder in _folders(requirements.options))
    return inside or any("/" in line and "://" not in line for line in every)
