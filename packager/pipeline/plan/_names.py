"""Names of the model's own modules that something else of the artifact has."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from packager.errors import PlanError
from packager.facts.modules import module_names
from packager.models.model_imports import list_code_folders
from packager.types import ResolvedModel, Target

_COMPILED = frozenset({".py", ".pyc", ".so"})


def find_clashes(model: ResolvedModel, target: Target) -> tuple[str, ...]:
    """Modules that the artifact has too, so that the model would be given the artifact's.

    `handlers` answers the entry points, which are names that templates and users write down;
    `mlflow` is MLflow's or what stands for it; the rest is what the target's host reads, and what
    the handlers themselves import. A wheel in the model may be one of these.
    """
    taken = {"handlers", "mlflow", *(name.partition(".")[0] for name in target.tree.reserved)}
    beside, required = {*taken, "model"}, {*taken, *_list_required(target)}
    return tuple(
        f"{where} is imported as `{name}`, which is the artifact's own"
        for where, name in list_modules(model)
        if name in (beside if where.endswith(".whl") else required)
    )


def _list_required(target: Target) -> Iterator[str]:
    """Modules of the distributions that the target's handlers require."""
    known = module_names()
    for line in target.program.requires:
        name = canonicalize_name(Requirement(line).name)
        # `aws.lambda.powertools` is only a guess
        yield from (each for each in known.modules_of(name) if "." not in each)


def refuse_clashes(clashes: tuple[str, ...]) -> None:
    """Raises PlanError where there are any."""
    if clashes:
        raise PlanError(
            "The model brings modules that it could not import in the artifact:\n"
            + "\n".join(f"  - {clash}" for clash in clashes)
            + "\nRename them, in the code that imports them too, and log the model again."
        )


def explain_shadows(model: ResolvedModel) -> tuple[str, ...]:
    """Explain which of the model's modules are called as ones of Python's own."""
    found = sorted(
        {where for where, name in list_modules(model) if name in sys.stdlib_module_names}
    )
    if not found:
        return ()
    line = (
        f"{', '.join(found)}: Python has a module of that name. Which of the two is imported "
        "depends on what was imported before; replay shows whether it is the same as under MLflow."
    )
    return (line,)


def list_modules(model: ResolvedModel) -> Iterator[tuple[str, str]]:
    """Find where each top-level module lies, and its name."""
    for place in list_code_folders(model):
        folder = place.relative_to(model.root)
        for path in sorted(place.iterdir()):
            if name := _module_name(path):
                yield f"{folder}/{path.name}", name
    for line in model.requirements.lines:
        if line.endswith(".whl") and "@" not in line:
            for name in sorted(wheel_modules(model.root / line)):
                yield f"{name} of {line}", name


def _module_name(path: Path) -> str | None:
    """Return what a file or folder is imported as; a folder may have no __init__.py."""
    if path.is_dir():
        holds = any(each.suffix in _COMPILED for each in path.rglob("*"))
        return path.name if holds and path.name.isidentifier() else None
    return path.name.partition(".")[0] if path.suffix in _COMPILED else None


def wheel_modules(path: Path) -> set[str]:
    """List a wheel's top-level modules. Raises PlanError for a file that is none."""
    return {name.parts[0].partition(".")[0] for name in _list_compiled(path)}


def wheel_names(path: Path) -> set[str]:
    """List all that a wheel's modules may be imported as: a .pth puts folders on the path.

    Raises PlanError for a file that is none.
    """
    return {part.partition(".")[0] for name in _list_compiled(path) for part in name.parts}


def _list_compiled(path: Path) -> list[PurePosixPath]:
    try:
        with zipfile.ZipFile(path) as wheel:
            names = [PurePosixPath(name) for name in wheel.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise PlanError(
            f"{path.name} cannot be read as a wheel: {error}. Build it again with `pip wheel`."
        ) from error
    return [name for name in names if name.suffix in _COMPILED]
