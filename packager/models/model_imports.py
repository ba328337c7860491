"""Modules that a model's own files name: its scripts, its code, its pickles; none of it is run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from packager.errors import ModelFormatError
from packager.models.code_imports import (
    COMPUTED,
    ENGINES,
    EVALUATORS,
    FILE_LOADERS,
    FINDERS,
    GETTERS,
    RESOLVERS,
    RUNNERS,
    CodeImports,
    Need,
    list_imports_of_text,
    list_modules,
    read_imports,
    read_words,
    resolve_relative,
)
from packager.models.flavors import _look
from packager.models.pickles.pickle_files import (
    find_codec,
    has_pickle_suffix,
    is_pickle,
    read_names,
)
from packager.models.pickles.pickle_names import PickleNames
from packager.models.pickles.pickled_code import IMPORTERS, READ, read_named_imports
from packager.types import LoaderSpec, ResolvedModel

_CODE: Final = frozenset({"CodeType", "_builtin_type", "_make_function", "subimport"})
"""Globals of a pickle that holds functions by value, or modules by name."""
_OUTPUT: Final = "_sklearn_output_config"
"""Attribute of estimators by which `set_output` has them import a library when they are called."""
_CONTAINERS: Final = frozenset({"pandas", "polars"})
_NAMING: Final = RESOLVERS | {"spacy"}
"""Words of functions that take a module's name, or an object's."""
_RUNNING: Final = RUNNERS | EVALUATORS | {"resolve_name", "runpy", "subprocess"}
_METADATA: Final = frozenset({"importlib.metadata", "importlib_metadata", "pkg_resources"})
_GIVING: Final = frozenset({"builtins", "importlib", "importlib_metadata", "pkgutil"})
"""Where importers, and what finds modules, are from."""
_DOTTED: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_IN_BRACKETS: Final = re.compile(r"(?:^|\[)(pyarrow)(?:$|\]|_)")
"""`string[pyarrow]`: pandas' types that another library keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModule:
    """A module that the model names, and the first place where it does."""

    name: str
    """Dotted."""
    place: str
    """`code/churn/steps.py:12`, or a pickle's name."""
    need: Need
    is_guess: bool = False
    """Its last part may be no module but a name in one; or a word that may be something else."""


@dataclass(slots=True)
class ModelImports:
    """All that a model's own files ask for, by place."""

    modules: list[ImportedModule] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    """Names of attributes that code uses -> where."""
    distributions: dict[str, str] = field(default_factory=dict)
    """Texts of code that asks importlib.metadata -> where; some name distributions."""
    families: dict[str, str] = field(default_factory=dict)
    """Packages any module of which may be imported -> where."""
    walked: dict[str, str] = field(default_factory=dict)
    """Packages whose modules are listed when the code runs -> where."""
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Those of them that are not in the model's own code -> where."""
    groups: dict[str, str] = field(default_factory=dict)
    """Groups of entry points that are asked for -> where."""
    open_at: str = ""
    """Where code imports what only running it tells, if anywhere."""
    loads_files: bool = False
    """Code runs files of Python by their paths."""


def read_model_imports(
    model: ResolvedModel,
    loaders: Iterable[LoaderSpec],
    rewritten: Mapping[str, Path] = MappingProxyType({}),
) -> ModelImports:
    """Read the files that `loaders` load, and the code that these reach.

    `rewritten` has the files that are read in the place of the model's pickles, by their paths.
    """
    found = ModelImports()
    start: dict[str, bool] = {}
    """Modules that are asked for -> whether loading asks for them."""
    specs = tuple(loaders)
    if name := str(model.pyfunc.get("loader_module") or ""):
        start[name] = True
        if not name.startswith("mlflow"):
            found.modules.append(ImportedModule(name=name, place="MLmodel", need=Need.LOAD))
    loaded = {name for spec in specs for name in spec.unpickled if (model.root / name).is_file()}
    for path in list_pickles(model, loaded):
        place = path.relative_to(model.root).as_posix()
        read = rewritten.get(place, path)
        _read_pickle_into(read, place, found, start, model, is_loaded=place in loaded)
    named = {str(spec.options.get("file")) for spec in specs}
    for path in _skops_files(model):
        place = path.relative_to(model.root).as_posix()
        _read_skops_into(path, place, found, start, is_loaded=place in named)
    for path in _scripts(model, specs):
        _read_file_into(path, model.root, "", found, start, Need.LOAD)
    _read_compiled(model, found)
    _follow(_OwnCode(model), found, start)
    return found


def list_pickles(model: ResolvedModel, loaded: Collection[str]) -> Iterator[Path]:
    """Yield the model's pickles: those that are `loaded`, and what is one by how it begins."""
    for name in sorted({*loaded, *(file.path.as_posix() for file in model.files)}):
        path = model.root / name
        if path.is_file() and (name in loaded or is_pickle(path)):
            yield path


def _skops_files(model: ResolvedModel) -> Iterator[Path]:
    for file in model.files:
        if file.path.suffix == ".skops" and (model.root / file.path).is_file():
            yield model.root / file.path


def _scripts(model: ResolvedModel, specs: Iterable[LoaderSpec]) -> Iterator[Path]:
    names = {str(name) for spec in specs if (name := spec.options.get("model_code"))}
    if script := model.pyfunc.get("model_code_path"):
        names.add(PurePosixPath(str(script).replace("\\", "/")).name)
    yield from (model.root / name for name in sorted(names) if (model.root / name).is_file())


def list_code_folders(model: ResolvedModel) -> list[Path]:
    """List the folders of code that any of the model's flavors names, within its own folder."""
    named = (config.get("code") for config in model.flavors.values() if isinstance(config, dict))
    folders = {
        str(folder)
        for each in named
        for folder in (each if isinstance(each, list) else [each])
        if folder
    }
    root = model.root.resolve()
    places = (model.root / folder for folder in sorted(folders))
    return [place for place in places if place.resolve().is_relative_to(root) and place.is_dir()]


class _OwnCode:
    """The model's files of Python: those that are on the path by their names, and the others."""

    def __init__(self, model: ResolvedModel) -> None:
        self.root = model.root
        self.modules = list_modules(list_code_folders(model))
        self._within: dict[str, list[str]] = {}
        for name in self.modules:
            parts = name.split(".")
            for count in range(1, len(parts)):
                self._within.setdefault(".".join(parts[count:]), []).append(name)
        on_path = {*self.modules.values()}
        paths = [model.root / file.path for file in model.files if file.path.suffix == ".py"]
        self._others = [path for path in paths if path not in on_path and path.is_file()]

    def find(self, module: str) -> tuple[list[str], bool]:
        """The modules of that name; those of folders that code puts on the path are not certain."""
        if module in self.modules:
            return [module], True
        return self._within.get(module, []), False

    def read(self, module: str, found: ModelImports, need: Need) -> dict[str, bool]:
        """Read a module; the modules that it asks for -> whether loading asks for them."""
        path, more = self.modules[module], dict[str, bool]()
        package = module if path.stem == "__init__" else module.rpartition(".")[0]
        _read_file_into(path, self.root, package, found, more, need)
        return more

    def read_others(self, found: ModelImports) -> dict[str, bool]:
        """Read, once, the files that are not on the path: code may run them by their paths."""
        more = dict[str, bool]()
        while self._others:
            _read_file_into(self._others.pop(), self.root, "", found, more, Need.LATER)
        return more

    def list_members(self, found: ModelImports, followed: set[str]) -> Iterator[tuple[str, bool]]:
        """The modules of packages whose names begin a computed one; others are noted."""
        for family in sorted(found.families.keys() - followed):
            followed.add(family)
            members = [name for name in self.modules if name.startswith(f"{family}.")]
            yield from ((name, False) for name in members)
            if not members and family not in self.modules:
                found.elsewhere[family] = found.families[family]
        for package, place in found.walked.items():
            members = [name for name in self.modules if name.startswith(f"{package}.")]
            yield from ((name, False) for name in members if name not in followed)
            followed.update(members)
            if not members:
                found.open_at = place  # what a library's modules are is not known here


def _follow(code: _OwnCode, found: ModelImports, start: dict[str, bool]) -> None:
    """Read the modules of the model's code that are asked for, directly or not."""
    done: dict[str, bool] = {}
    followed: set[str] = set()
    waiting = [*start.items(), *code.list_members(found, followed)]
    while waiting:
        name, certain = waiting.pop()
        parts = name.split(".")
        for asked in (".".join(parts[:count]) for count in range(1, len(parts) + 1)):
            modules, is_whole = code.find(asked)
            sure = certain and is_whole
            for module in modules:
                if done.get(module) in {sure, True}:
                    continue
                done[module] = sure
                more = code.read(module, found, Need.LOAD if sure else Need.LATER)
                waiting.extend((*more.items(), *code.list_members(found, followed)))
        if found.loads_files and not waiting:
            waiting.extend((module, False) for module in code.modules if module not in done)
            waiting.extend(code.read_others(found).items())


def _read_compiled(model: ResolvedModel, found: ModelImports) -> None:
    """Note the words of code that has no source: it may import what is called so."""
    folders = list_code_folders(model)
    paths = sorted(path for folder in folders for path in folder.rglob("*"))
    for path in paths:
        if path.suffix in {".pyc", ".pyd", ".so"} and path.parent.name != "__pycache__":
            place = path.relative_to(model.root).as_posix()
            found.modules += (
                ImportedModule(name=word, place=place, need=Need.LATER, is_guess=True)
                for word in sorted(read_words(path))
            )


def _read_file_into(
    path: Path, root: Path, package: str, found: ModelImports, start: dict[str, bool], need: Need
) -> None:
    read = read_imports(path)
    where = path.relative_to(root).as_posix()
    for each in sorted(read.modules):
        name = resolve_relative(each.name, package)
        if not name:
            continue
        own = need if each.need is Need.LOAD else each.need
        start[name] = start.get(name, False) or own is Need.LOAD
        found.modules.append(
            ImportedModule(
                name=name, place=f"{where}:{each.line}", need=own, is_guess=each.is_guess
            )
        )
    for named in _named_by_text(read, where):
        found.modules.append(named)
        start.setdefault(named.name, False)
    for attribute, line in read.attributes.items():
        found.attributes.setdefault(attribute, f"{where}:{line}")
    _note_computed(read, where, package, found)
    if read.asks_metadata:
        for text, line in read.texts.items():
            found.distributions.setdefault(text, f"{where}:{line}")


def _note_computed(read: CodeImports, where: str, package: str, found: ModelImports) -> None:
    """Take over what a file imports by names that it computes, or finds."""
    found.loads_files |= read.loads_files
    if read.open_line:
        found.open_at = f"{where}:{read.open_line}"
    for family, line in read.families.items():
        if name := resolve_relative(family, package):
            found.families.setdefault(name, f"{where}:{line}")
        else:
            found.open_at = f"{where}:{line}"
    for walked, line in read.walked.items():
        if name := resolve_relative(walked, package):
            found.walked.setdefault(name, f"{where}:{line}")
        else:
            found.open_at = f"{where}:{line}"
    for group, line in read.groups.items():
        found.groups.setdefault(group, f"{where}:{line}")


def _named_by_text(read: CodeImports, where: str) -> Iterator[ImportedModule]:
    for text, line in sorted(read.texts.items()):
        inside = _IN_BRACKETS.search(text)
        if inside or (read.imports_by_text and _DOTTED.fullmatch(text)):
            name = inside.group(1) if inside else text
            yield ImportedModule(name=name, place=f"{where}:{line}", need=Need.LATER, is_guess=True)
        for name in sorted(list_imports_of_text(text)) if read.imports_by_text else ():
            yield ImportedModule(name=name, place=f"{where}:{line}", need=Need.LATER, is_guess=True)


def _read_pickle_into(
    path: Path,
    place: str,
    found: ModelImports,
    start: dict[str, bool],
    model: ResolvedModel,
    *,
    is_loaded: bool,
) -> None:
    """Take over what the pickle's globals and its code name; all of a broken one is a guess."""
    names, whole = read_names(path)
    certain = whole and is_loaded
    need = Need.LOAD if certain else Need.LATER
    modules = {name.rpartition(".")[0] for name in names.globals if not name.startswith("None.")}
    for name in sorted(module for module in modules if _DOTTED.fullmatch(module)):
        found.modules.append(
            ImportedModule(name=name, place=place, need=need, is_guess=not certain)
        )
        start[name] = start.get(name, False) or certain
    _note_opaque(path, place, names, need, found)
    for name in sorted(_guesses(names)):
        found.modules.append(ImportedModule(name=name, place=place, need=Need.LATER, is_guess=True))
        start.setdefault(name, False)
    if _holds_code(names):
        _note_code(names, place, found)
        if any(not READ.isdisjoint(each) for each in names.tuples):
            _read_code_into(path, place, found, start, model)


def _note_opaque(
    path: Path, place: str, names: PickleNames, need: Need, found: ModelImports
) -> None:
    """Note what loading a pickle imports though it names no module for it."""
    for name in names.globals:
        found.attributes.setdefault(name.rpartition(".")[2], place)
    if codec := find_codec(path):
        found.modules.append(ImportedModule(name=codec, place=place, need=need, is_guess=True))
    if names.is_open or (codec and has_pickle_suffix(path)):
        found.open_at = place


def _note_code(names: PickleNames, place: str, found: ModelImports) -> None:
    """Take over what the names that pickled functions use tell."""
    words = {word for each in names.tuples for word in each}
    for word in sorted(words):
        found.attributes.setdefault(word, place)
    if not words.isdisjoint(FINDERS - READ) or _hands_on(names, words):
        found.open_at = place
    _note_texts_of_code(names, words, place, found)
    if not words.isdisjoint(_METADATA):
        for text in sorted(names.words):
            found.distributions.setdefault(text, place)


def _note_texts_of_code(
    names: PickleNames, words: set[str], place: str, found: ModelImports
) -> None:
    """Take over what pickled functions reach by a text: attributes, files, more code."""
    if not words.isdisjoint(GETTERS):
        for text in sorted(names.words):
            found.attributes.setdefault(text, place)
    if not words.isdisjoint(EVALUATORS) and any(map(COMPUTED.search, names.words)):
        found.open_at = place
    found.loads_files |= not words.isdisjoint(FILE_LOADERS)
    if not words.isdisjoint(_RUNNING):
        found.loads_files |= any(text.endswith(".py") for text in names.words)


def _hands_on(names: PickleNames, words: set[str]) -> bool:
    """True where functions call an importer by another name than its own."""
    return any(
        name.rpartition(".")[2] in (IMPORTERS | FINDERS) - words
        for name in names.globals
        if name.partition(".")[0] in _GIVING
    )


def _read_code_into(
    path: Path, place: str, found: ModelImports, start: dict[str, bool], model: ResolvedModel
) -> None:
    """Take over what the pickle's functions import by name."""
    named = read_named_imports(path, model.python_version)
    if named.is_open:
        found.open_at = place
    for group in named.groups:
        found.groups.setdefault(group, place)
    for family in named.families:
        found.families.setdefault(family, place)
    for name in named.modules:
        found.modules.append(ImportedModule(name=name, place=place, need=Need.LATER, is_guess=True))
        start.setdefault(name, False)


def _read_skops_into(
    path: Path, place: str, found: ModelImports, start: dict[str, bool], *, is_loaded: bool
) -> None:
    with contextlib.suppress(ModelFormatError):  # its loader says what is wrong with it
        for full in sorted(_look.skops(path).names - {"?"}):
            name = full.rpartition(".")[0] or full
            need = Need.LOAD if is_loaded else Need.LATER
            found.modules.append(
                ImportedModule(name=name, place=place, need=need, is_guess=not is_loaded)
            )
            start[name] = start.get(name, False) or is_loaded


def _guesses(names: PickleNames) -> Iterator[str]:
    """Words that pickled code may import by."""
    brackets = (_IN_BRACKETS.search(word) for word in names.words)
    yield from {inside.group(1) for inside in brackets if inside}
    yield from (word for word in names.inner if _DOTTED.fullmatch(word))
    if names.is_persistent:
        yield from filter(_DOTTED.fullmatch, names.words)
    if _OUTPUT in names.words:
        yield from names.words & _CONTAINERS
    if _holds_code(names):
        yield from filter(_DOTTED.fullmatch, _list_words_of_code(names))


def _list_words_of_code(names: PickleNames) -> set[str]:
    """Words of pickled functions, and those that they may import by."""
    words = {word for each in names.tuples for word in each} | (names.words & ENGINES)
    if not words.isdisjoint(IMPORTERS | _NAMING):
        words |= names.words
    if not words.isdisjoint(_RUNNING):
        words |= {name for text in names.words for name in list_imports_of_text(text)}
    return words


def _holds_code(names: PickleNames) -> bool:
    return any(name.rpartition(".")[2] in _CODE for name in names.globals)
