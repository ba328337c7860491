"""Artifacts that a file asks for: a build of it on each of its targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperOption

from packager.cli._configuration.file import (
    TARGETS,
    ConfigurationFile,
    Setting,
    TargetTable,
)
from packager.cli._configuration.options import MODEL, TARGET, Faults, check_settings
from packager.errors import ConfigurationError, suggest_name

_OUT: Final = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One artifact of a file, with what the file says of it."""

    file: ConfigurationFile
    build: str
    """Name of the build; empty for a model's address, which has the defaults alone."""
    target: str = ""
    """Target, where the build lists several: it is a folder of the output's."""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    is_listed: bool = False
    """It is one of those that a run makes, and the run's result is a list."""
    is_of_all: bool = False
    """The run makes every build of the file."""

    @property
    def folder(self) -> Path:
        """The folder that it goes to where nobody names another."""
        return Path(*filter(None, (self.build, self.target)))

    def choose_output(self, given: Path, source: str) -> Path:
        """Return the output's folder; `source` says where `given` is from, as typer names it.

        A folder that was named for a whole build, or a whole run, has a folder for each artifact.
        """
        if source == "COMMANDLINE":
            return Path(given, *filter(None, (self.build if self.is_of_all else "", self.target)))
        table = self.file.targets.get(self.build, {}).get(self.target)
        named = _OUT in self.settings and (table is None or _OUT not in table.settings)
        # a model's address has the command's own default
        if named or (source == "DEFAULT" and not self.build):
            return given / self.target
        return given


def list_jobs(
    file: ConfigurationFile, build: str, chosen: str | None, *, is_of_all: bool = False
) -> Iterator[Job]:
    """Yield a build's artifacts: one, or one for each target that it lists.

    `chosen` is the target of the command line, which stands for all that the file lists. Raises
    ConfigurationError.
    """
    own = {key: each for key, each in file.builds.get(build, {}).items() if key != MODEL}
    general = {**file.defaults, **own}
    listed = read_targets(file, build)
    if listed is None:
        yield Job(
            file=file, build=build, settings=general, is_listed=is_of_all, is_of_all=is_of_all
        )
        return
    general.pop(TARGET, None)
    tables = file.targets.get(build, {})
    for name in [chosen] if chosen else listed:
        setting = {TARGET: listed[name]} if name in listed else {}
        yield Job(
            file=file,
            build=build,
            target=name,
            settings={**general, **setting, **(tables[name].settings if name in tables else {})},
            is_listed=is_of_all or not chosen,
            is_of_all=is_of_all,
        )


def read_targets(file: ConfigurationFile, build: str) -> dict[str, Setting] | None:
    """Return the targets that a build lists, each with its place; None where it lists none.

    They are those of the list `target`, or else of the tables `[build.NAME.targets.TARGET]`. Raises
    ConfigurationError for what is no target, and for a table of a target that is not in the list.
    """
    own, tables = file.builds.get(build, {}), file.targets.get(build, {})
    setting = own.get(TARGET) or (None if tables else file.defaults.get(TARGET))
    if setting is None and not tables:
        return None
    if setting is not None and not tables and not isinstance(setting.value, list):
        _check_name(setting.value, setting.place, may_choose=True)
        return None
    listed = _read_list(setting) if setting is not None else {}
    for name, table in tables.items():
        _check_name(name, table.place)
        if setting is not None and name not in listed:
            raise ConfigurationError(
                f"{table.place}: {name} is no target of the build, which has {', '.join(listed)}. "
                "Add it to target, or leave its table out."
            )
        listed.setdefault(name, Setting(name, f"build.{build}.{TARGETS}", table.place))
    return listed


def check_file(
    file: ConfigurationFile, options: Mapping[str, TyperOption], ctx: typer.Context
) -> None:
    """Hold the whole file to what there is, so that a mistake shows before anything is built.

    Raises ConfigurationError with all that is wrong.
    """
    faults = Faults()
    with faults.collecting():
        check_settings(_drop_lists(file.defaults), file, options, ctx)
    for build, own in file.builds.items():
        with faults.collecting():
            read_targets(file, build)
        with faults.collecting():
            check_settings(_drop_lists(own), file, options, ctx)
        for table in file.targets.get(build, {}).values():
            with faults.collecting():
                _check_table(table, build)
                check_settings(table.settings, file, options, ctx)
    with faults.collecting():
        read_targets(file, "")
    faults.check()


def _check_table(table: TargetTable, build: str) -> None:
    """Raises ConfigurationError for a key that a target's table cannot have."""
    for key in sorted({MODEL, TARGET, TARGETS} & table.settings.keys()):
        raise ConfigurationError(
            f"{table.settings[key].place}: {key} is of the whole build: write it in "
            f"[build.{build}]."
        )


def _drop_lists(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """Leave out the model, and a list of targets: neither is an option's value."""
    return {
        key: each
        for key, each in settings.items()
        if key != MODEL and not (key == TARGET and isinstance(each.value, list))
    }


def _read_list(setting: Setting) -> dict[str, Setting]:
    """Return the targets of a list, or of a name, with their places. Raises ConfigurationError."""
    values = setting.value if isinstance(setting.value, list) else [setting.value]
    places = setting.items or (setting.place,) * len(values)
    if not values:
        raise ConfigurationError(
            f"{setting.place}: target is an empty list. Name a target in it, for example "
            '["aws-lambda"], or leave it out.'
        )
    found: dict[str, Setting] = {}
    for value, place in zip(values, places, strict=True):
        name = _check_name(value, place)
        if name in found:
            raise ConfigurationError(f"{place}: target has {name} twice. Leave one out.")
        found[name] = Setting(name, setting.table, place)
    return found


def _check_name(value: object, place: str, *, may_choose: bool = False) -> str:
    """Return the name of a target. Raises ConfigurationError."""
    from packager.targets import AUTO
    from packager.targets import TARGETS as KNOWN

    if not isinstance(value, str):
        raise ConfigurationError(
            f"{place}: target has to be a text, or a list of them, and {value!r:.60} is none."
        )
    if value == AUTO and not may_choose:
        raise ConfigurationError(
            f"{place}: auto chooses one target by itself, and cannot be one of several. Write "
            'target = "auto" alone, or name the targets.'
        )
    if value in KNOWN or value == AUTO:
        return value
    raise ConfigurationError(
        f"{place}: {value!r:.60} is no target.{suggest_name(value, (*KNOWN, AUTO))} "
        f"There are {', '.join(KNOWN)} and {AUTO}."
    )
