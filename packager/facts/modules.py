"""Names that distributions are imported as: facts of modules.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.facts import read

_ALIKE: Final = 3
"""Letters of a distribution's name that its module has too, where nothing is known of it."""
_OWN: Final = frozenset(
    {
        *("app", "classes", "code", "common", "config", "constants", "core", "data", "features"),
        *("functions", "helper", "helpers", "inference", "lib", "main", "model", "modeling"),
        *("models", "module", "modules", "pipeline", "pipelines", "predict", "preprocess"),
        *("preprocessing", "project", "schemas", "scoring", "scripts", "serving", "settings"),
        *("source", "src", "tests", "train", "training", "transform", "util", "utils"),
    }
)
"""Names that authors give to code of their own: statsmodels has no module `models`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleNames:
    """Distributions whose modules have other names, and modules that a use imports."""

    by_distribution: Mapping[str, tuple[str, ...]]
    uses: Mapping[str, tuple[str, ...]]
    """Name of a library's function or attribute -> the modules that it may import when used."""

    def modules_of(self, distribution: str) -> tuple[str, ...]:
        """Dotted names; a distribution that is not known is imported by its own name."""
        known = self.by_distribution.get(distribution)
        return known or (distribution.replace("-", "_"), distribution.replace("-", "."))

    def may_have(self, distribution: str, module: str) -> bool:
        """True where nothing is known of a distribution but its name, and that is like a module's.

        `scikit-surprise` may be imported as `surprise`. What authors call their own code is only
        of a distribution that has the very name.
        """
        if distribution in self.by_distribution:
            return False
        if is_own_code(module):
            return distribution == module.partition(".")[0].lower()
        word = module.partition(".")[0].lower().replace("_", "")
        parts = (*distribution.split("-"), distribution.replace("-", ""))
        return len(word) >= _ALIKE and any(
            len(part) >= _ALIKE and (part in word or word in part) for part in parts
        )


def is_own_code(module: str) -> bool:
    """Tell whether a module is called as authors call code of their own: models, utils."""
    return module.partition(".")[0].lower() in _OWN


def companions(folder: Path | None = None) -> Mapping[str, frozenset[str]]:
    """Distribution -> those that change how it works by being there, without being required.

    Raises FactsError for a file that does not hold together.
    """
    root = read("modules", folder)
    table = root.table("companions")
    table.source()
    table.day("as_of")
    names = table.texts_by_name("names")
    root.done()
    return {name: frozenset(text.split()) for name, text in names.items()}


def conda_names(folder: Path | None = None) -> Mapping[str, str]:
    """Package of conda -> distribution of the same code; empty where there is none.

    Raises FactsError for a file that does not hold together.
    """
    root = read("modules", folder)
    table = root.table("conda")
    table.source()
    table.day("as_of")
    names = table.texts_by_name("names")
    root.done()
    return names


def module_names(folder: Path | None = None) -> ModuleNames:
    """Raises FactsError for a file that does not hold together."""
    root = read("modules", folder)
    modules, uses = root.table("modules"), root.table("uses")
    for table in (modules, uses):
        table.source()
        table.day("as_of")
    names = modules.texts_by_name("names")
    found = ModuleNames(
        by_distribution={name: tuple(text.split()) for name, text in names.items()},
        uses={name: tuple(text.split()) for name, text in uses.texts_by_name("names").items()},
    )
    root.done()
    return found
