"""`packager init`: begin a packager.toml, with every option and what it is for."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.core import TyperCommand, TyperOption

from packager.cli import _options as opt
from packager.cli._choices import complete_target, read_target
from packager.cli._choices.models import complete_model
from packager.cli._configuration.file import FILENAME, NAME, read_configuration
from packager.cli._configuration.options import (
    TARGET,
    find_build_command,
    list_options,
    name_kind,
    takes_several,
)
from packager.cli._panels import Panel
from packager.errors import ConfigurationError, is_disk_full
from packager.system.atomic_output import replace_file
from packager.system.redaction import drop_users, escape_json
from packager.types import OSV

Name = Annotated[
    str | None,
    typer.Option(
        metavar="<name>",
        rich_help_panel=Panel.OUTPUT,
        help="Name of the build, as in `packager build NAME`. Without it, the model's own.",
        show_default=False,
    ),
]
Config = Annotated[
    Path,
    typer.Option(
        "--config",
        dir_okay=False,
        metavar="<file>",
        rich_help_panel=Panel.OUTPUT,
        help="File to write. If it is there, the build is added to it.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        metavar="<target>",
        parser=read_target,
        autocompletion=complete_target,
        rich_help_panel=Panel.TARGET,
        help="Where the artifact will run: aws-lambda, aws-lambda-image, azure-functions, "
        "gpu-container or auto. Without it, aws-lambda. Repeatable: a build has an artifact for "
        "each.",
        show_default=False,
    ),
]
_USUAL: Final = "aws-lambda"
_EXAMPLES: Final = {
    "tracking-uri": '"https://mlflow.example.org"',
    "registry-uri": '"https://mlflow.example.org"',
    "python": '"3.13"',
    "memory": "1024",
    "timeout": "30",
    "base-image": '"public.ecr.aws/lambda/python:3.13"',
    "driver": '"550"',
    "rtol": "1e-6",
    "atol": "1e-6",
    "output-to": '"s3://predictions/churn"',
    "passes": '"bytecode"',
    "osv-url": f'"{OSV}"',
}
"""Values of options that have no default, so that a line holds once its # is taken away."""
Schema = Annotated[
    bool,
    typer.Option(
        "--schema",
        is_eager=True,
        rich_help_panel=Panel.OUTPUT,
        help="Print the file's JSON schema instead, for an editor.",
    ),
]


def init(
    ctx: typer.Context,
    model_uris: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            autocompletion=complete_model,
            help="Addresses of models, as `build` takes them.",
        ),
    ] = None,
    *,
    name: Name = None,
    target: Targets = None,
    config: Config = Path(FILENAME),
    schema: Schema = False,
    as_json: opt.AsJson = False,
) -> None:
    """Begin a packager.toml: a build of each model, and every option with what it is for.

    Asks no registry and installs nothing. A file that is there keeps what it has.
    """
    command = find_build_command(ctx)
    if schema:
        typer.echo(json.dumps(make_schema(command), indent=2, ensure_ascii=False))
        return
    named = _name_builds(model_uris or [], name)
    targets = _check_targets(target or [_USUAL])
    path = config.absolute()
    text = _read_before(path, [*named])
    text += "\n".join(
        # every option is explained once
        write_build(called, uri, targets, command, is_first=number == 0)
        for number, (called, uri) in enumerate(named.items())
    )
    _check_whole(path, text, ", ".join(named))
    _replace(path, text)
    if as_json:
        one = {"build": next(iter(named))} if len(named) == 1 else {}
        told = {"file": str(path), **one, "builds": [*named]}
        typer.echo(escape_json(json.dumps(told, ensure_ascii=False)))
        return
    tables = ", ".join(f"[build.{each}]" for each in named)
    following = next(iter(named)) if len(named) == 1 else "--all"
    file = "" if path == Path(FILENAME).absolute() else f" --config {shlex.quote(str(config))}"
    typer.echo(f"Wrote {tables} to {config}. Next: packager build {following}{file} --dry-run")


def _check_targets(names: Sequence[str]) -> list[str]:
    """Return each once. Raises ConfigurationError for auto among others."""
    targets = list(dict.fromkeys(names))
    if "auto" in targets and len(targets) > 1:
        raise ConfigurationError(
            "--target auto chooses one target by itself: give it alone, or name the targets."
        )
    return targets


def _name_builds(model_uris: Sequence[str], name: str | None) -> dict[str, str]:
    """Return the models by the names of their builds. Raises ConfigurationError."""
    if not model_uris:
        raise ConfigurationError("No model was given: `packager init MODEL`.")
    if name is not None and len(model_uris) > 1:
        raise ConfigurationError(
            "--name names one build, and several models were given. Leave it out: each is called "
            "as its model."
        )
    named: dict[str, str] = {}
    for uri in model_uris:
        if drop_users(uri) != uri:
            raise ConfigurationError(
                "The model's address has a user or a password, which no file should have. Set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        called = name or _name_model(uri)
        if not NAME.fullmatch(called):
            raise ConfigurationError(
                f"{called!r} cannot name a build. Give another with --name: letters, digits, '.', "
                "'-' and '_', 64 of them at most; the first is a letter or a digit."
            )
        if called in named:
            raise ConfigurationError(
                f"{named[called]} and {uri} would both be called {called!r}. Add one of them by "
                "itself, with --name."
            )
        named[called] = uri
    return named


def write_build(
    name: str, model_uri: str, targets: Sequence[str], command: TyperCommand, *, is_first: bool
) -> str:
    """Return the table of one build; the first has each option of the command as a comment."""
    value = _quote(targets[0]) if len(targets) == 1 else f"[{', '.join(map(_quote, targets))}]"
    if not is_first:
        return f"[build.{_quote_key(name)}]\nmodel = {_quote(model_uri)}\ntarget = {value}\n"
    lines = [
        f"# `packager build {name}` builds this. The command line wins over this file, and this",
        "# table over [defaults]. Take the # from an option's line to set it. A value in <> is",
        "# yours to write.",
        f"[build.{_quote_key(name)}]",
        f"model = {_quote(model_uri)}",
        f"target = {value}",
    ]
    panel = ""
    for key, option in list_options(command).items():
        if key == "target":
            continue
        own = str(getattr(option, "rich_help_panel", "") or "")
        if own != panel:
            panel = own
            lines += ["", f"# -- {panel} --"]
        lines += textwrap.wrap(option.help or "", 96, initial_indent="# ", subsequent_indent="# ")
        lines.append(f"# {key} = {_show_default(key, option)}")
    return "\n".join(lines) + "\n"


def make_schema(command: TyperCommand) -> dict[str, object]:
    """Return the JSON schema of packager.toml, of the options that the command has."""
    from packager.targets import AUTO, TARGETS

    options = {key: _describe(key, option) for key, option in list_options(command).items()}
    model = {"type": "string", "description": "Address of the model, or a folder from the file."}
    of_target = {key: each for key, each in options.items() if key != TARGET}
    names = {"type": "string", "enum": list(TARGETS)}
    several = {"type": "array", "items": names, "minItems": 1, "uniqueItems": True}
    options[TARGET] = {
        "anyOf": [{"type": "string", "enum": [*TARGETS, AUTO]}, several],
        "description": options[TARGET]["description"],
    }
    targets = {
        "type": "object",
        "description": "Options of one target, in the place of the build's own.",
        "propertyNames": names,
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "properties": of_target,
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "packager.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "defaults": {
                "type": "object",
                "description": "Options of every build.",
                "additionalProperties": False,
                "properties": options,
            },
            "build": {
                "type": "object",
                "description": "Builds, by their names.",
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": {
                    "type": "object",
                    "required": ["model"],
                    "additionalProperties": False,
                    "properties": {"model": model, "targets": targets} | options,
                },
            },
        },
    }


def _describe(key: str, option: TyperOption) -> dict[str, object]:
    """The schema of one option's value."""
    kind = "string" if name_kind(option) == "path" else name_kind(option)
    value: dict[str, object] = {"type": kind}
    limits = {"minimum": option.min, "maximum": option.max}
    value |= {bound: limit for bound, limit in limits.items() if limit is not None}
    if (names := _list_choices(option)) and not option.is_flag:
        value["enum"] = names
    if takes_several(option, key):
        value = {"anyOf": [value, {"type": "array", "items": value}]}
    return value | {"description": option.help or ""}


def _list_choices(option: TyperOption) -> list[str]:
    """The names that a choice's parser takes: it completes an empty beginning with all of them."""
    context = typer.Context(TyperCommand("build"))
    return [str(getattr(each, "value", each)) for each in option.shell_complete(context, "")]


def _name_model(uri: str) -> str:
    """Propose a name: of models:/churn@champion it is churn."""
    found = re.match(r"models:/([^/@]+)", uri)
    name = found[1] if found else uri.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:64]


def _read_before(path: Path, names: Sequence[str]) -> str:
    """Return what the file has. Raises ConfigurationError where it has one of these builds."""
    try:
        if not path.exists():
            return ""
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    if path.name == "pyproject.toml":
        raise ConfigurationError(
            f"{path} is left alone: write [tool.packager.build.{names[0]}] into it by hand, or "
            "give --config another file."
        )
    if taken := [each for each in names if each in read_configuration(path).builds]:
        raise ConfigurationError(
            f"{path} has a build {taken[0]!r} already, and keeps it. Give this one another name "
            "with --name."
        )
    before = path.read_text(encoding="utf-8-sig")
    return before.rstrip("\n") + "\n\n" if before.strip() else ""


def _check_whole(path: Path, text: str, name: str) -> None:
    """Raises ConfigurationError where a table cannot follow what the file has."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"{path} cannot get a table [build.{name}], as `build` is written as one value there "
            f"({error}). Write its builds as tables, [build.NAME], or give --config another file."
        ) from error


def _replace(path: Path, text: str) -> None:
    """Write the file whole, or leave it as it is. Raises ConfigurationError."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        replace_file(path, text.encode(), mode)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _quote_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quote(name)


def _quote(text: str) -> str:
    """A text as TOML has it; its escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _make_example(key: str, option: TyperOption) -> str:
    """A value as TOML that the option takes; of a file of yours, its place to be filled in."""
    if key in _EXAMPLES:
        return _EXAMPLES[key]
    if names := _list_choices(option):
        return _quote(names[0])
    if name_kind(option) in {"integer", "number"}:
        return str(max(int(option.min or 0), 1))
    return _quote(str(option.metavar))


def _show_default(key: str, option: TyperOption) -> str:
    """The default as TOML; of an option that has none, an example."""
    value = option.default() if callable(option.default) else option.default
    if option.is_flag:
        return "true" if value else "false"
    if option.multiple:
        return "[]"
    if value is None:
        return _make_example(key, option)
    return str(value) if isinstance(value, int | float) else _quote(str(value))
