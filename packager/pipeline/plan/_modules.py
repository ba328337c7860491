"""Distributions that the model's own files name, out of the author's environment.

MLflow brings about eighty distributions along, and a model's code finds them all. Those that it
names are installed though nobody listed them; a module that is nowhere is refused here.
"""

from __future__ import annotations

import re
import sys
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from packager.errors import PlanError
from packager.facts.modules import ModuleNames, is_own_code
from packager.models.code_imports import Need
from packager.models.model_imports import ImportedModule, ModelImports, list_code_folders
from packager.pipeline.plan import _names
from packager.pipeline.plan.requirements import _requirements
from packager.pipeline.plan.requirements._requirements import MLFLOW
from packager.types import ResolvedModel

_OLD: Final = frozenset(
    {"asynchat", "asyncore", "binhex", "distutils", "formatter", "imp", "parser", "smtpd", "symbol"}
)
"""Modules that Python had until 3.8 to 3.11: the author's may have them."""
_ARTIFACTS: Final = frozenset({"__main__", "__mp_main__", "handlers", "mlflow"})
_MODULES: Final = frozenset({".py", ".pyc", ".pyd", ".so"})
_NAMED_MOST: Final = 10
_FINDING: Final = re.compile(
    rb"sys\s*\.\s*(?:path|modules|meta_path)|from\s+sys\s+import|addsitedir|__path__|importlib|runpy|exec"
)
"""What code says that has modules found elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Names in the model's own files of what the author's environment has."""

    distributions: Mapping[str, str] = field(default_factory=dict)
    """Name -> why, as the end of a sentence: `code/steps.py:3 imports anyio`."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """MLflow's own distributions that code asks importlib.metadata for -> version."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Groups of entry points that the model's code asks for -> where."""
    open_at: str = ""
    """Where the model's code imports what only running it tells, if anywhere."""
    notes: tuple[str, ...] = ()


def name_distributions(
    model: ResolvedModel,
    imports: ModelImports,
    declared: Mapping[str, str],
    names: ModuleNames,
    *,
    shipped: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> Named:
    """List the author's distributions that the model's own files name.

    `shipped` are distributions that a loader needs and brings itself, `kept` those that were asked
    for.
    `declared` has their versions; where it is empty only what is listed is known, and nothing is
    refused. Raises PlanError for modules that loading needs and nothing has.
    """
    listed = {each.name for each in _requirements.parse_lines(model.requirements.lines)}
    there = {*declared, *listed}
    by_module = _by_module(there, names)
    # a file of the model's that is called as a library (`churn/xgboost.py`) does not stand for it
    found, absent = _match(_foreign(model, imports, list_importable(model)), by_module)
    own = list_own_modules(model)
    deeper = [each for each in absent if each.name.partition(".")[0] in own]
    absent = [each for each in absent if each.name.partition(".")[0] not in own]
    found = _match_alike(absent, there, names) | _match_families(imports, by_module) | found
    kept_names = {canonicalize_name(name) for name in kept}
    found |= dict.fromkeys(kept_names, "--keep-package names it")
    for name, why in _find_used(imports, by_module, names):
        found.setdefault(name, why)
    asked: dict[str, str] = {
        canonicalize_name(text): place
        for text, place in imports.distributions.items()
        if text != "importlib.metadata"
    }
    for name in sorted(asked.keys() & there):
        found.setdefault(name, f"{asked[name]} asks for its version")
    brought = _list_tops((*shipped, *kept_names), names)
    missing = [each for each in absent if each.name.partition(".")[0] not in brought]
    # one that is kept by its name may have any module
    if declared and not kept_names - names.by_distribution.keys() and not _brings_unknown(model):
        _refuse_absent(missing, there, names)
        known = [each for each in deeper if not any(names.may_have(n, each.name) for n in there)]
        _refuse_deeper(model, known)
    return Named(
        distributions={name: why for name, why in found.items() if name not in MLFLOW},
        versions=_versions(model, asked, declared),
        groups=imports.groups,
        open_at=_find_open(imports, by_module),
        notes=tuple(_note_absent(missing)),
    )


def _list_tops(distributions: Iterable[str], names: ModuleNames) -> set[str]:
    modules = {module for name in distributions for module in names.modules_of(name)}
    return {module.partition(".")[0] for module in modules}


def _find_used(
    imports: ModelImports, by_module: Mapping[str, str], names: ModuleNames
) -> Iterator[tuple[str, str]]:
    """Distributions that an attribute imports when the model's files use it, each with why."""
    for attribute, modules in sorted(names.uses.items()):
        place = _find_use(attribute, imports)
        for module in modules:
            if place and (name := _find(module, by_module)) is not None:
                yield name, f"{place} uses {attribute}, which imports {module}"


def _find_use(attribute: str, imports: ModelImports) -> str:
    """Where an attribute is used, by its name or by one that begins as it does; "" for nowhere."""
    if place := imports.attributes.get(attribute):
        return place
    stars = (name for name in imports.attributes if name.endswith("*"))
    begun = (imports.attributes[name] for name in stars if attribute.startswith(name[:-1]))
    return next(begun, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Needs of the author's distributions that the function may have, as far as reading tells."""

    model: ResolvedModel
    imports: ModelImports
    names: ModuleNames
    required: Collection[str]
    """Distributions of the attempts' loaders."""
    kept: frozenset[str]
    """Distributions that --keep-package names."""
    is_known: bool
    """True where the flavor's loader states all that it imports."""

    def explain(self, name: str) -> str:
        """Say by what a distribution is needed; empty where nothing names it."""
        if name in self.required:
            return "the model's loader needs it"
        if name in self.kept:
            return "--keep-package names it"
        return find_need(self.model, self.imports, name, self.names)

    def explain_unseen(self, name: str, *, is_published: bool = False) -> str:
        """Say the same of one whose code nobody has read, and whose modules may have any name.

        One that `is_published` on an index has none that authors give to code of their own.
        """
        if self._is_open():
            return "only running the model tells what it imports"
        if why := self.explain(name):
            return why
        if name in self.names.by_distribution:
            return ""
        listed = {each.name for each in _requirements.parse_lines(self.model.requirements.lines)}
        there = {*listed, *self.required} - {name}
        why = find_unmatched(self.model, self.imports, there, self.names, is_own=not is_published)
        return why and f"{why}, which it may have"

    def explain_listed(self, name: str) -> str:
        """Say the same of a package of conda's, whose code has the modules that are known."""
        if why := self.explain(name):
            return why
        if self._is_open() and name in self.names.by_distribution:
            return "only running the model tells what it imports"
        return ""

    def explain_wheelless(self, name: str) -> str:
        """Say the same of one that no index which was asked has a wheel of."""
        if self.model.requirements.unused_indexes:
            return "an index that only the model names was not asked for it"
        return self.explain_unseen(name, is_published=True)

    def _is_open(self) -> bool:
        listed = {each.name for each in _requirements.parse_lines(self.model.requirements.lines)}
        by_module = _by_module({*listed, *self.required}, self.names)
        return not self.is_known or bool(_find_open(self.imports, by_module))


def find_need(model: ResolvedModel, imports: ModelImports, name: str, names: ModuleNames) -> str:
    """Where the model's files name a distribution in any way, or may; empty for nowhere."""
    tops = {module.partition(".")[0].lower() for module in names.modules_of(name)}
    importers = (
        _explain(each)
        for each in _foreign(model, imports)
        if each.name.partition(".")[0].lower() in tops
    )
    users = (
        f"{place} uses {attribute}, which imports {module}"
        for attribute, modules in names.uses.items()
        for module in modules
        if module.partition(".")[0].lower() in tops
        if (place := _find_use(attribute, imports))
    )
    askers = (
        f"{place} asks for its version"
        for text, place in imports.distributions.items()
        if canonicalize_name(text) == name
    )
    return next(chain(importers, users, askers), "")


def find_unmatched(
    model: ResolvedModel,
    imports: ModelImports,
    there: Iterable[str],
    names: ModuleNames,
    *,
    is_own: bool = True,
) -> str:
    """Where the model's files import a module that none of `there` is known, or alike, to have.

    A distribution of which only the name is known may be the one that has it. Without `is_own`
    modules that are called as authors' own code do not count.
    """
    by_module = _by_module(there, names)
    _, absent = _match(_foreign(model, imports), by_module)
    return next(
        (
            _explain(each)
            for each in absent
            if is_own or not is_own_code(each.name)
            if not any(names.may_have(name, each.name) for name in there)
        ),
        "",
    )


def _brings_unknown(model: ResolvedModel) -> bool:
    """True where packages come from an index or address of the author's own.

    Their names say nothing about their modules; what is missing shows when the model is loaded.
    """
    requirements = model.requirements
    return bool(requirements.options) or any(
        "://" in line or " @ " in line for line in requirements.lines
    )


def _foreign(
    model: ResolvedModel, imports: ModelImports, own: Collection[str] | None = None
) -> Iterator[ImportedModule]:
    """Modules that are neither Python's, nor the model's `own`, nor the artifact's; by place.

    Without `own`, a name of any file or folder of the model is its own.
    """
    own = {*(list_own_modules(model) if own is None else own), *_ARTIFACTS}
    for each in sorted(imports.modules, key=lambda each: (each.place, each.name)):
        top = each.name.partition(".")[0]
        if top not in own and not _is_python(top):
            yield each


def _match(
    modules: Iterable[ImportedModule], by_module: Mapping[str, str]
) -> tuple[dict[str, str], list[ImportedModule]]:
    """(distribution -> why it is needed, modules that no distribution is known to have)."""
    found: dict[str, str] = {}
    absent: list[ImportedModule] = []
    # `from azure.storage import blob`: the first part is a folder that distributions share
    shared = {module.rpartition(".")[0] for module in by_module}
    shared |= {name.rpartition(".")[0] for name in shared}
    for each in modules:
        if (name := _find(each.name, by_module)) is not None:
            found.setdefault(name, _explain(each))
        elif not each.is_guess and each.name not in shared:
            absent.append(each)
    return found, absent


def _by_module(there: Iterable[str], names: ModuleNames) -> dict[str, str]:
    return {module: name for name in sorted(there) for module in names.modules_of(name)}


def _match_families(imports: ModelImports, by_module: Mapping[str, str]) -> dict[str, str]:
    """Distribution -> why it is needed: those with a package that begins a computed name."""
    return {
        name: f"{place} imports a module of {family}"
        for family, place in sorted(imports.elsewhere.items())
        for module, name in by_module.items()
        if f"{family}.".startswith(f"{module}.") or module.startswith(f"{family}.")
    }


def _find_open(imports: ModelImports, by_module: Mapping[str, str]) -> str:
    """Where code imports what only running it tells: by a name of which no package is known."""
    unknown = (
        place
        for family, place in sorted(imports.elsewhere.items())
        if not _is_python(family.partition(".")[0]) and _find(family, by_module) is None
    )
    return imports.open_at or next(unknown, "")


def _match_alike(
    absent: Iterable[ImportedModule], there: Iterable[str], names: ModuleNames
) -> dict[str, str]:
    """Distribution -> why it is needed: those of which only the name is known, and is alike."""
    return {
        name: f"{_explain(each)}, which it may have"
        for each in absent
        for name in sorted(there)
        if names.may_have(name, each.name)
    }


def explain_named(named: Named, model: ResolvedModel, installed: Iterable[str]) -> list[str]:
    """Say what is taken along though it is not listed, and what code may miss."""
    listed = {each.name for each in _requirements.parse_lines(model.requirements.lines)}
    more = sorted(named.distributions.keys() & {*installed} - listed)
    reasons = [
        f"{name} is taken along from the author's environment: {named.distributions[name]}."
        for name in more
    ]
    return [*reasons, *named.notes]


def _versions(
    model: ResolvedModel, asked: Mapping[str, str], declared: Mapping[str, str]
) -> dict[str, str]:
    own = model.mlflow_version or ""
    family = {name: declared.get(name, own) for name in sorted(MLFLOW & asked.keys())}
    return {name: version for name, version in family.items() if version}


def _find(module: str, by_module: Mapping[str, str]) -> str | None:
    """The distribution of the longest part of the name that is known."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if (found := by_module.get(name) or by_module.get(name.lower())) is not None:
            return found
    return None


def _is_python(top: str) -> bool:
    return top in sys.stdlib_module_names or top in _OLD or top in IMPORT_MAPPING


def list_importable(model: ResolvedModel) -> frozenset[str]:
    """Top-level modules of the model's folders of code and its wheels, as MLflow imports them."""
    return frozenset(name for _, name in _names.list_modules(model))


def list_own_modules(model: ResolvedModel) -> frozenset[str]:
    """Top-level modules of the model's files and wheels; code may add any folder to the path."""
    wheels = {
        name
        for line in model.requirements.lines
        if line.endswith(".whl") and "@" not in line
        for name in _names.wheel_names(model.root / line)
    }
    files = [path for path in model.root.rglob("*") if path.suffix in _MODULES]
    stems = {path.name.partition(".")[0] for path in files}
    return frozenset({*wheels, *stems, *_folders(files, model.root)})


def _folders(files: Iterable[Path], root: Path) -> Iterator[str]:
    for path in files:
        yield from path.relative_to(root).parent.parts


def _explain(each: ImportedModule) -> str:
    verb = "imports" if ":" in each.place else "names"
    return f"{each.place} {verb} {each.name}"


def _refuse_absent(
    absent: Iterable[ImportedModule], there: Iterable[str], names: ModuleNames
) -> None:
    """Raises PlanError for what loading imports and no distribution can be thought to have."""
    missing = {
        each.name.partition(".")[0]: each
        for each in reversed(list(absent))
        if each.need is Need.LOAD and not any(names.may_have(name, each.name) for name in there)
    }
    if not missing:
        return
    lines = [f"  - {_explain(each)}" for _, each in sorted(missing.items())][:_NAMED_MOST]
    first = min(missing)
    raise PlanError(
        "Loading the model needs modules that neither its requirements nor its code have:\n"
        + "\n".join(lines)
        + f"\nLog the model again: with code_paths=['path/to/{first}'] where {first} is your own, "
        f"or with the distribution that has it, as in extra_pip_requirements=['{first}'], where "
        "it is on a package index. Where one of its requirements has it under another name, pass "
        "--keep-package with that requirement's name."
    )


def _refuse_deeper(model: ResolvedModel, deeper: Iterable[ImportedModule]) -> None:
    """Raises PlanError for what loading imports and has in a folder below the code's own alone.

    MLflow 3 puts the folder of the code on the path, and none below it, as earlier ones did. Where
    any of the model's files names the path, its code may put others there.
    """
    named = {each.name.partition(".")[0]: each for each in deeper if each.need is Need.LOAD}
    places = {top: place for top in sorted(named) if (place := _find_deeper(model, top))}
    if not places or not (model.mlflow_version or "").startswith("3.") or _names_path(model):
        return
    lines = [
        f"  - {_explain(named[top])}, which is in {place}"
        for top, place in [*places.items()][:_NAMED_MOST]
    ]
    wanted = ", ".join(f"'path/to/{top}'" for top in places)
    raise PlanError(
        "Loading the model needs modules that lie too deep in its code for MLflow, which puts the "
        "folder `code` itself on the path and copies a code path (as '.') by its folder's name:\n"
        + "\n".join(lines)
        + f"\nLog the model again with the modules themselves, as in code_paths=[{wanted}], in "
        "place of the folder that holds them."
    )


def _find_deeper(model: ResolvedModel, top: str) -> str:
    """Find the folder below the code's own that has a module; empty where there is none."""
    for folder in list_code_folders(model):
        found = chain(folder.glob(f"*/**/{top}.py"), folder.glob(f"*/**/{top}/**/*.py"))
        path = min(found, default=None)
        if path is not None:
            inside = path.relative_to(folder).parts
            at = next(at for at, part in enumerate(inside) if part.partition(".")[0] == top)
            return folder.joinpath(*inside[:at]).relative_to(model.root).as_posix()
    return ""


def _names_path(model: ResolvedModel) -> bool:
    """Tell whether a file of the model may put folders on the path, or modules in their places."""
    for path in model.root.rglob("*"):
        if path.suffix in _MODULES - {".py"} and path.parent.name != "__pycache__":
            return True
        if path.suffix in {".py", ".pth"} and path.is_file() and _FINDING.search(path.read_bytes()):
            return True
    return False


def _note_absent(absent: Iterable[ImportedModule]) -> Iterator[str]:
    said = set()
    for each in absent:
        top = each.name.partition(".")[0]
        if top not in said and each.need is not Need.LOAD:
            said.add(top)
            yield (
                f"{_explain(each)}, which the model's environment does not have: as under MLflow, "
                "it fails where that is reached."
                if each.need is Need.LATER
                else f"{_explain(each)} where it is there; the model's environment does not have "
                "it."
            )
