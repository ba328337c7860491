"""The options that a file may set: those of `packager build`, by their long names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from packager.cli._configuration.file import ConfigurationFile, Setting
from packager.errors import ConfigurationError, suggest_name
from packager.system.redaction import drop_users

MODEL: Final = "model"
TARGET: Final = "target"
_OF_A_RUN: Final = frozenset(
    {"help", "json", "verbose", "quiet", "dry-run", "config", "no-config", "all"}
)
"""Options that are of one run, not of a build."""
_JOINED: Final = frozenset({"passes"})
"""Options that take several names in one text."""
_PLACEHOLDER: Final = re.compile(r"<[^<>]+>")
"""What `packager init` writes for an option without a default."""
_KINDS: Final[Mapping[object, str]] = {int: "integer", float: "number", Path: "path"}
_FITTING: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "path": (str,),
    "string": (str,),
}
_WANTED: Final = {"boolean": "true or false", "integer": "a whole number", "number": "a number"}


def find_build_command(ctx: typer.Context) -> TyperCommand:
    """Return `packager build`, whose options a file has."""
    top = ctx.find_root().command
    found = top.get_command(ctx, "build") if isinstance(top, TyperGroup) else None
    if not isinstance(found, TyperCommand):
        raise TypeError("the command line has no build")
    return found


def list_options(command: TyperCommand) -> dict[str, TyperOption]:
    """Return what a file may set, by its key there."""
    found = {}
    for each in command.params:
        if isinstance(each, TyperOption):
            key = max(each.opts, key=len).removeprefix("--")
            if key not in _OF_A_RUN:
                found[key] = each
    return found


def check_settings(
    settings: Mapping[str, Setting],
    file: ConfigurationFile,
    options: Mapping[str, TyperOption],
    ctx: typer.Context,
) -> dict[str, object]:
    """Return the values by the parameters that they are for.

    Raises ConfigurationError for all keys that are no option, and all values that theirs refuses.
    """
    found: dict[str, object] = {}
    faults = Faults()
    for key, setting in settings.items():
        with faults.collecting():
            option = options.get(key)
            if option is None or option.name is None:
                raise ConfigurationError(
                    f"{setting.place}: [{setting.table}] has {key!r}, which is no option of "
                    f"`packager build`.{_explain_unknown(key, options)}"
                )
            found[option.name] = _check_value(option, key, setting, file.folder, ctx)
    faults.check()
    return found


class Faults:
    """Faults of a file, so that all of them are said at once."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    @contextlib.contextmanager
    def collecting(self) -> Iterator[None]:
        """Take up what the block refuses, and go on."""
        try:
            yield
        except ConfigurationError as error:
            self._lines.update(dict.fromkeys(str(error).splitlines()))

    def check(self) -> None:
        """Raises ConfigurationError with a line for each fault, in the order of the file."""
        if self._lines:
            raise ConfigurationError("\n".join(self._lines))


def _explain_unknown(key: str, options: Mapping[str, TyperOption]) -> str:
    if key in _OF_A_RUN:
        return f" --{key} is of one run: give it on the command line."
    if (dashed := key.replace("_", "-")) in options:
        return f" Did you mean {dashed!r}?"
    if (positive := key.removeprefix("no-")) in options:
        return f" Did you mean {positive} = false?"
    return suggest_name(key, (MODEL, *options))


def _check_value(
    option: TyperOption, key: str, setting: Setting, folder: Path, ctx: typer.Context
) -> object:
    value = setting.value
    if isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
        raise ConfigurationError(
            f"{setting.place}: {key} has no value yet. Write yours in the place of {value}."
        )
    wanted = _describe_wanted(option, key)
    items = value if isinstance(value, list) else [value]
    if (isinstance(value, list) and not takes_several(option, key)) or not all(
        _fits(option, each) for each in items
    ):
        raise ConfigurationError(
            f"{setting.place}: {key} has to be {wanted}, and it is {_show(value)}."
        )
    for each in items:
        if isinstance(each, str) and drop_users(each) != each:
            raise ConfigurationError(
                f"{setting.place}: {key} has a user or a password, which no file should have. "
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or a credential helper."
            )
    if name_kind(option) == "path":
        items = [str(folder / Path(str(each)).expanduser()) for each in items]
    read = ",".join(map(str, items)) if key in _JOINED else items if option.multiple else items[0]
    try:
        option.process_value(ctx, read)
    except typer.BadParameter as error:
        raise ConfigurationError(f"{setting.place}: {key}: {error.message}") from error
    return read


def name_kind(option: TyperOption) -> str:
    """Name the kind of an option's values: `integer`, `number`, `path`, `boolean` or `string`."""
    if option.is_flag:
        return "boolean"
    return _KINDS.get(option.type_descriptor.annotation, "string")


def takes_several(option: TyperOption, key: str) -> bool:
    """Tell whether a list can be its value."""
    return option.multiple or key in _JOINED


def _fits(option: TyperOption, value: object) -> bool:
    fitting = _FITTING[name_kind(option)]
    return isinstance(value, fitting) and (bool in fitting or not isinstance(value, bool))


def _describe_wanted(option: TyperOption, key: str) -> str:
    wanted = _WANTED.get(name_kind(option), "a text")
    return "a text, or a list of them" if takes_several(option, key) else wanted


def _show(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
