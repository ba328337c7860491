"""A command whose options may be kept in a file: `packager build NAME`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final, TypeAlias, cast

import typer
from typer.core import TyperCommand

from packager.cli._choices.models import ModelCommand
from packager.cli._configuration.file import (
    ConfigurationFile,
    Setting,
    find_configuration,
    read_configuration,
)
from packager.cli._configuration.jobs import Job, check_file, list_jobs
from packager.cli._configuration.options import (
    MODEL,
    check_settings,
    find_build_command,
    list_options,
)
from packager.errors import ConfigurationError, suggest_name
from packager.types import OptionRow

Jobs: TypeAlias = tuple[typer.Context, ...]
"""The context of each artifact, where a run makes several."""
_ARGUMENT: Final = "model_uri"
_OUTPUT: Final = "out_dir"
_COMMAND_LINE: Final = "command line"
_BUILD_NAME: Final = "name of the build"
_OPTION: Final = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
_BARE: Final = re.compile(r"[\w.-]+")


class ConfiguredCommand(ModelCommand):
    """Takes the name of a build in a file as MODEL, and its options from there."""

    output: ClassVar[str] = "dist"
    """Folder beside the file that has a folder for each build."""
    takes_output: ClassVar[bool] = True
    """The file's `out` is meant for this command."""
    unneeded: ClassVar[frozenset[str]] = frozenset()
    """Keys of the file that change nothing of what this command does."""
    hint: ClassVar[str] = "or all with --all, "
    """What may be done where several builds could be meant."""

    # typer makes every context one of its own
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Raises ConfigurationError for a file, a name or a value that cannot be used."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if isinstance(ctx.obj, Job):
            return self._parse_job(ctx, args, ctx.obj)
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if given.get("help"):
            return super().parse_args(ctx, args)
        file = _find_file(given)
        if file is None:
            return super().parse_args(ctx, args)
        check_file(file, list_options(find_build_command(ctx)), ctx)
        jobs = self.choose_jobs(file, given)
        if len(jobs) == 1 and not jobs[0].is_listed:
            ctx.obj = jobs[0]
            return self._parse_job(ctx, args, jobs[0])
        ctx.obj = self._parse_each(ctx, args, jobs)
        return []

    # as above
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Raises what the command does; of a setting that it refuses the place is named too."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            places = [*_list_places(str(error), ctx)]
            if not places or type(error) is not ConfigurationError:
                raise
            raise ConfigurationError("\n".join([str(error), *places])) from error

    def _parse_each(self, ctx: typer.Context, args: list[str], jobs: tuple[Job, ...]) -> Jobs:
        """Read the options of every artifact, before the first is built."""
        from packager.pipeline.output.place import check_outputs

        contexts: Jobs = tuple(
            cast("typer.Context", self.make_context(ctx.info_name, [*args], ctx.parent, obj=job))
            for job in jobs
        )
        titles = {
            " for ".join(filter(None, (job.build or "the model", job.target))): each
            for job, each in zip(jobs, contexts, strict=True)
        }
        check_outputs({title: each.params[_OUTPUT] for title, each in titles.items()})
        return contexts

    def choose_jobs(self, file: ConfigurationFile, given: Mapping[str, object]) -> tuple[Job, ...]:
        """List what the command line asks of the file. Raises ConfigurationError."""
        named, chosen = given.get(_ARGUMENT), given.get("target")
        target = chosen if isinstance(chosen, str) else None
        if given.get("every"):
            if isinstance(named, str):
                raise ConfigurationError(
                    f"--all builds every build of {file.path.name}: leave {named!r} out, or --all."
                )
            if not file.builds:
                raise ConfigurationError(
                    f"{file.path} has no build. Write a table {file.build_table}."
                )
            return tuple(
                job for each in file.builds for job in list_jobs(file, each, target, is_of_all=True)
            )
        name = named if isinstance(named, str) else _choose_only(file, hint=self.hint)
        return tuple(list_jobs(file, name if _has_build(file, name) else "", target))

    def _parse_job(self, ctx: typer.Context, args: list[str], job: Job) -> list[str]:
        """Read the options of one artifact: the command line's, then the file's."""
        options = list_options(find_build_command(ctx))
        self._check_taken(job, ctx)
        taken = {key: each for key, each in job.settings.items() if key not in self.unneeded}
        checked = check_settings(taken, job.file, options, ctx)
        if not self.takes_output:
            checked.pop(_OUTPUT, None)
        ctx.default_map = checked
        if job.build:
            folder = job.file.folder / self.output / job.folder
            ctx.default_map.setdefault(_OUTPUT, str(folder))
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        named = given.get(_ARGUMENT)
        left = super().parse_args(ctx, args if isinstance(named, str) else [job.build, *args])
        if job.build:
            ctx.params[_ARGUMENT] = _read_model(job.file, job.build, job.file.builds[job.build])
        source = getattr(ctx.get_parameter_source(_OUTPUT), "name", "")
        if self.takes_output:
            ctx.params[_OUTPUT] = job.choose_output(ctx.params[_OUTPUT], source)
        return left

    def _check_taken(self, job: Job, ctx: typer.Context) -> None:
        """Raises ConfigurationError for what a build would heed, and this command would not."""
        own = list_options(self).keys() | self.unneeded
        if dropped := [(key, each) for key, each in job.settings.items() if key not in own]:
            key, setting = dropped[0]
            raise ConfigurationError(
                f"{setting.place}: [{setting.table}] has {key!r}, which `packager {ctx.info_name}` "
                "does not take: what it builds would not be what you ask for there. Leave it out, "
                "or build with `packager build`."
            )


def list_given(ctx: typer.Context) -> list[OptionRow]:
    """List the options of a run that are not the command's defaults, each with where it is from."""
    places: Mapping[str, Setting] = ctx.obj.settings if isinstance(ctx.obj, Job) else {}
    return [*_list_given(ctx, places)]


def _list_places(message: str, ctx: typer.Context) -> Iterator[str]:
    """Tell where the options that a message names were set, if a file has them."""
    named = {*_OPTION.findall(message)}
    for row in list_given(ctx):
        if row["option"] in named and row["source"] not in {_COMMAND_LINE, _BUILD_NAME}:
            yield f"{row['option']} is set in {row['source']}."


def _list_given(ctx: typer.Context, places: Mapping[str, Setting]) -> Iterator[OptionRow]:
    for key, option in list_options(cast("TyperCommand", ctx.command)).items():
        name = option.name or ""
        source = getattr(ctx.get_parameter_source(name), "name", "")
        value = ctx.params.get(name)
        if source == "COMMANDLINE":
            yield {"option": key, "value": _show(value), "source": _COMMAND_LINE}
        elif source == "DEFAULT_MAP":
            setting = places.get(key)
            place = f"{setting.place}, [{setting.table}]" if setting else _BUILD_NAME
            yield {"option": key, "value": _show(value), "source": place}


def _show(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _find_file(given: Mapping[str, object]) -> ConfigurationFile | None:
    """Raises ConfigurationError for a file that is named, and cannot or should not be read."""
    named = given.get("config")
    if given.get("no_config") and isinstance(named, str):
        raise ConfigurationError("--config and --no-config exclude each other: give one.")
    file = None
    if isinstance(named, str):
        file = read_configuration(Path(named).absolute())
    elif not given.get("no_config"):
        file = find_configuration(Path.cwd())
    if file is None and given.get("every"):
        raise ConfigurationError(
            "--all builds every build of a packager.toml, and none was read. Begin one with "
            "`packager init MODEL`, or name it with --config."
        )
    return file


def _choose_only(file: ConfigurationFile, hint: str) -> str:
    """The name of the only build. Raises ConfigurationError where there are several, or none."""
    if len(file.builds) == 1:
        return next(iter(file.builds))
    has = f"name one of {', '.join(file.builds)}, {hint}or" if file.builds else "it has no build:"
    raise ConfigurationError(
        f"No model was given. {file.path.name} was read; {has} give a model's address."
    )


def _has_build(file: ConfigurationFile, name: str) -> bool:
    """Tell whether it is the name of a build, and not a model's address.

    Raises ConfigurationError for what is neither.
    """
    if name in file.builds:
        return True
    if _BARE.fullmatch(name) and file.builds and not Path(name).exists():
        raise ConfigurationError(
            f"{name!r} is no build of {file.path} (it has {', '.join(file.builds)}), no folder, "
            f"and no model's address, as models:/{name}/1.{suggest_name(name, file.builds)}"
        )
    return False


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
