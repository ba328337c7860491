"""Find and read packager.toml, or the table `[tool.packager]` of pyproject.toml.

Every value keeps the line that it is from, so that what is wrong with it can be found.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packager.cli._configuration.positions import Keys, list_positions
from packager.errors import ConfigurationError, suggest_name

FILENAME: Final = "packager.toml"
_PROJECT: Final = "pyproject.toml"
_PROJECT_TABLE: Final = ("tool", "packager")
_TABLES: Final = ("defaults", "build")
_MOST_BYTES: Final = 1_000_000
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Of a build: it is a folder's name too."""
TARGETS: Final = "targets"
"""The key of a build's tables by target."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value of the file, as TOML has it."""

    value: object
    table: str
    """`build.churn` or `defaults`."""
    place: str
    """`packager.toml, line 4, column 1`."""
    items: tuple[str, ...] = ()
    """Places of a list's items."""


@dataclass(frozen=True, slots=True)
class TargetTable:
    """Options of a build for one target, in the place of the build's own."""

    place: str
    settings: Mapping[str, Setting]


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """The tables of a file, not yet held to the options that there are."""

    path: Path
    defaults: Mapping[str, Setting]
    builds: Mapping[str, Mapping[str, Setting]]
    targets: Mapping[str, Mapping[str, TargetTable]] = field(default_factory=dict)
    """Tables of a build by target."""

    @property
    def folder(self) -> Path:
        """The folder that its relative paths start from."""
        return self.path.parent

    @property
    def build_table(self) -> str:
        """The table of a build as this file writes it, for example `[build.NAME]`."""
        return _write_table(self.path, "build.NAME")


def find_configuration(folder: Path) -> ConfigurationFile | None:
    """Return the file of the folder, or of the closest one above it in the same repository.

    Raises ConfigurationError for a file that cannot be read.
    """
    for each in _list_folders(folder.absolute()):
        own, project = each / FILENAME, each / _PROJECT
        try:
            has_own, has_project = own.is_file(), project.is_file()
        except OSError as error:
            raise ConfigurationError(
                f"{each} cannot be read: {error.strerror}. It may have a {FILENAME}: name one with "
                "--config, or give --no-config."
            ) from error
        if own.is_dir():
            raise ConfigurationError(
                f"{own} is a folder. Give it another name, or name a file with --config."
            )
        if has_own:
            return read_configuration(own)
        if has_project and _has_table(project):
            return read_configuration(project)
    return None


def read_configuration(path: Path) -> ConfigurationFile:
    """Read a file. Raises ConfigurationError, which names the line."""
    text = _read_text(path)
    try:
        found: object = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
    prefix = _PROJECT_TABLE if path.name == _PROJECT else ()
    for key in prefix:
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    lines = list_positions(text)
    top = _Table(path, prefix, lines).read(found)
    for key, setting in top.items():
        if key not in _TABLES:
            raise ConfigurationError(
                f"{setting.place}: {key!r} is no table of it. It has "
                f"{_write_table(path, 'defaults')}, for every build, and "
                f"{_write_table(path, 'build.NAME')}.{suggest_name(key, _TABLES)}"
            )
    defaults = _Table(path, (*prefix, "defaults"), lines).read(_value(top, "defaults"))
    builds: dict[str, Mapping[str, Setting]] = {}
    targets: dict[str, Mapping[str, TargetTable]] = {}
    for name, setting in _Table(path, (*prefix, "build"), lines).read(_value(top, "build")).items():
        table = _Table(path, (*prefix, "build", name), lines)
        builds[name], tables = _read_build(table, setting)
        if tables is not None:
            targets[name] = tables
    return ConfigurationFile(path=path, defaults=defaults, builds=builds, targets=targets)


def _read_build(
    table: _Table, setting: Setting
) -> tuple[dict[str, Setting], dict[str, TargetTable] | None]:
    """Return a build's settings, and its tables by target. Raises ConfigurationError."""
    name = table.keys[-1]
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"{setting.place}: {name!r} cannot name a build. Take letters, digits, '.', '-' "
            "and '_', 64 of them at most; the first is a letter or a digit."
        )
    if not isinstance(setting.value, Mapping):
        raise ConfigurationError(
            f"{setting.place}: {name!r} has to be a table: every build has a name and a table "
            f"of its own, for example [{'.'.join((*table.keys[:-1], 'churn'))}]."
        )
    build = table.read(setting.value)
    tables = build.pop(TARGETS, None)
    if tables is None:
        return build, None
    keys = (*table.keys, TARGETS)
    return build, {
        key: TargetTable(
            each.place, _Table(table.path, (*keys, key), table.positions).read(each.value)
        )
        for key, each in _Table(table.path, keys, table.positions).read(tables.value).items()
    }


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's place in the file."""

    path: Path
    keys: tuple[str, ...]
    positions: Mapping[Keys, tuple[int, int]]

    def read(self, value: object) -> dict[str, Setting]:
        """Return its values with their places. Raises ConfigurationError for what is no table."""
        if not isinstance(value, Mapping):
            raise ConfigurationError(
                f"{self._find_place(self.keys)}: {self.keys[-1]!r} has to be a table, for example "
                f"[{'.'.join(self.keys)}]."
            )
        return {
            key: Setting(
                each,
                _name_table(self.keys),
                self._find_place((*self.keys, key)),
                tuple(
                    self._find_place((*self.keys, key, number))
                    for number in range(len(each) if isinstance(each, list) else 0)
                ),
            )
            for key, each in value.items()
        }

    def _find_place(self, keys: Keys) -> str:
        """Name the line and the column of a key, or of the closest table around it."""
        for length in range(len(keys), 0, -1):
            if position := self.positions.get(keys[:length]):
                return f"{self.path.name}, line {position[0]}, column {position[1]}"
        return self.path.name


def _name_table(keys: tuple[str, ...]) -> str:
    own = keys[len(_PROJECT_TABLE) :] if keys[: len(_PROJECT_TABLE)] == _PROJECT_TABLE else keys
    return ".".join(own)


def _value(table: Mapping[str, Setting], key: str) -> object:
    return table[key].value if key in table else {}


def _list_folders(folder: Path) -> list[Path]:
    """The folder, and those above it as far as its repository goes; without one, it alone."""
    above = [folder, *folder.parents]
    for count, each in enumerate(above, start=1):
        try:
            if (each / ".git").exists():
                return above[:count]
        except OSError:
            break  # a folder above that nobody may look into is no repository of the user's
    return above[:1]


def _has_table(project: Path) -> bool:
    """Tell whether a pyproject.toml speaks of builds; one that is broken is not ours to judge."""
    try:
        tools = tomllib.loads(_read_text(project)).get("tool", {})
    except (ConfigurationError, tomllib.TOMLDecodeError, RecursionError):
        return False
    return isinstance(tools, Mapping) and "packager" in tools


def _write_table(path: Path, name: str) -> str:
    prefix = _PROJECT_TABLE if path.name == _PROJECT else ()
    return f"[{'.'.join((*prefix, name))}]"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            read = file.read(_MOST_BYTES + 1)
        if len(read) > _MOST_BYTES:
            raise ConfigurationError(f"{path} has more than a megabyte: it is no configuration.")
        # an editor of Windows may write a mark of byte order, which TOML does not know
        return read.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error}. Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
