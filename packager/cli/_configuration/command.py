"""A command whose options may be kept in a file: `packager build NAME`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import typer
from typer.core import TyperCommand

from packager.cli._configuration.file import (
    ConfigurationFile,
    Setting,
    find_configuration,
    read_configuration,
)
from packager.cli._configuration.options import MODEL, check_settings, list_options
from packager.errors import ConfigurationError, suggest_name
from packager.types import OptionRow

_GIVEN: Final = "packager.configuration"
"""Of a context: the places of what the file set, by parameter."""
_ARGUMENT: Final = "model_uri"
_BARE: Final = re.compile(r"[\w.-]+")


class ConfiguredCommand(TyperCommand):
    """Takes the name of a build in a file as MODEL, and its options from there."""

    # typer makes every context one of its own
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Raises ConfigurationError for a file, a name or a value that cannot be used."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if given.get("help"):
            return super().parse_args(ctx, args)
        file = _find_file(given)
        if file is None:
            return super().parse_args(ctx, args)
        named = given.get(_ARGUMENT)
        name = named if isinstance(named, str) else _choose_only(file)
        options = list_options(self)
        entry = _find_build(file, name)
        for each in (*([entry] if entry else []), *file.builds.values()):
            # all of the file is held to what there is: a mistake shows before it is built
            check_settings(_drop_model(each), file, options, ctx)
        settings = {**file.defaults, **_drop_model(entry or {})}
        ctx.default_map = check_settings(settings, file, options, ctx)
        ctx.meta[_GIVEN] = {options[key].name: each for key, each in settings.items()}
        if entry is None:
            return super().parse_args(ctx, args)
        ctx.default_map.setdefault("out_dir", str(file.folder / "dist" / name))
        left = super().parse_args(ctx, args if isinstance(named, str) else [name, *args])
        ctx.params[_ARGUMENT] = _read_model(file, name, entry)
        return left


def list_given(ctx: typer.Context) -> list[OptionRow]:
    """List the options of a run that are not the command's defaults, each with where it is from."""
    places: Mapping[str, Setting] = ctx.meta.get(_GIVEN, {})
    found: list[OptionRow] = []
    for key, option in list_options(cast("TyperCommand", ctx.command)).items():
        name = option.name or ""
        source = getattr(ctx.get_parameter_source(name), "name", "")
        value = ctx.params.get(name)
        if source == "COMMANDLINE":
            found.append({"option": key, "value": _show(value), "source": "command line"})
        elif source == "DEFAULT_MAP":
            setting = places.get(name)
            place = f"{setting.place}, [{setting.table}]" if setting else "name of the build"
            found.append({"option": key, "value": _show(value), "source": place})
    return found


def _show(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _find_file(given: Mapping[str, object]) -> ConfigurationFile | None:
    """Raises ConfigurationError for a file that is named, and cannot or should not be read."""
    named = given.get("config")
    if given.get("no_config"):
        if isinstance(named, str):
            raise ConfigurationError("--config and --no-config exclude each other: give one.")
        return None
    if isinstance(named, str):
        return read_configuration(Path(named).absolute())
    return find_configuration(Path.cwd())


def _choose_only(file: ConfigurationFile) -> str:
    """The name of the only build. Raises ConfigurationError where there are several, or none."""
    if len(file.builds) == 1:
        return next(iter(file.builds))
    has = f"name one of {', '.join(file.builds)}, or" if file.builds else "it has no build:"
    raise ConfigurationError(
        f"No model was given. {file.path.name} was read; {has} give a model's address."
    )


def _find_build(file: ConfigurationFile, name: str) -> Mapping[str, Setting] | None:
    """The build of that name; None for a model's address.

    Raises ConfigurationError for what is neither.
    """
    if name in file.builds:
        return file.builds[name]
    if _BARE.fullmatch(name) and file.builds and not Path(name).exists():
        raise ConfigurationError(
            f"{name!r} is no build of {file.path} (it has {', '.join(file.builds)}), no folder, "
            f"and no model's address, as models:/{name}/1.{suggest_name(name, file.builds)}"
        )
    return None


def _drop_model(entry: Mapping[str, Setting]) -> dict[str, Setting]:
    return {key: each for key, each in entry.items() if key != MODEL}


def _read_model(file: ConfigurationFile, name: str, entry: Mapping[str, Setting]) -> str:
    """The model's address; a folder's starts from the file. Raises ConfigurationError."""
    setting = entry.get(MODEL)
    if setting is None:
        raise ConfigurationError(
            f"{file.path.name}: [build.{name}] has no model. Give it one, as "
            f'model = "models:/{name}@champion".'
        )
    if not isinstance(setting.value, str) or not setting.value.strip():
        raise ConfigurationError(
            f"{setting.place}: model has to be a model's address, as models:/{name}@champion."
        )
    folder = file.folder / Path(setting.value).expanduser()
    return str(folder) if ":" not in setting.value and folder.exists() else setting.value
