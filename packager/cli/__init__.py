"""Command line: arguments to a request, errors to an exit code; nothing else."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
from inspect import getdoc
from typing import Annotated, Final, NoReturn

import typer

from packager import __version__
from packager.cli._ask import batch, demo, invoke, serve
from packager.cli._build import build, inspect
from packager.cli._build.several import BuildCommand
from packager.cli._cache import cache
from packager.cli._choices.models import ModelCommand
from packager.cli._common import explain_full_disk, join_lines
from packager.cli._configuration import init
from packager.cli._doctor import doctor, facts
from packager.cli._operate import (
    FollowCommand,
    audit,
    diff,
    follow,
    push_weights,
    replay,
    report,
    rollback,
    sign,
    traffic,
    verify,
    versions,
)
from packager.cli._signals import answer_signals
from packager.commands import console
from packager.errors import PackagerError, StorageError, is_disk_full
from packager.system.redaction import escape_json

app = typer.Typer(
    name="packager",
    help="Turn a model registered in MLflow into a small, proven, deployable serverless artifact.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(init)
app.command(cls=ModelCommand)(inspect)
app.command(cls=BuildCommand)(build)
_CLASSES: Final = {"follow": FollowCommand, "serve": ModelCommand}
for _command in (
    sign,
    verify,
    audit,
    diff,
    report,
    invoke,
    batch,
    serve,
    push_weights,
    replay,
    versions,
    traffic,
    rollback,
    follow,
    demo,
    doctor,
    facts,
):
    app.command(cls=_CLASSES.get(_command.__name__))(_command)
app.add_typer(cache)
for _each in (*app.registered_commands, *cache.registered_commands):
    # typer keeps the line breaks of a docstring, and breaks the lines of a narrow terminal again
    _each.help = join_lines(getdoc(_each.callback) or "")


def _print_version(*, asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _run_top(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def _is_output_broken(error: OSError) -> bool:
    """Tell whether it is standard output that is full.

    The error of a write names no file, and what could not be written is not kept: a blank is
    written to see, which JSON and a reader bear. A terminal is never full.
    """
    if error.filename is not None or not is_disk_full(error):
        return False
    try:
        if not sys.stdout.isatty():
            os.write(sys.stdout.fileno(), b" ")
    except OSError as failure:
        return is_disk_full(failure)
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
    return False


def _explain_broken_output(error: OSError) -> StorageError:
    return StorageError(
        f"Standard output cannot be written: {error.strerror}. What was found is not printed "
        "whole. Send the output where there is space, and ask again."
    )


def _end_failed(error: PackagerError) -> NoReturn:
    """Say what failed, and end with its exit code."""
    if "--json" in sys.argv:
        kind = type(error).__name__.removesuffix("Error")
        message = str(error).encode("utf-8", "backslashreplace").decode()
        told = json.dumps({"error": kind, "message": message}, ensure_ascii=False)
        with contextlib.suppress(OSError):  # standard output may be what failed
            typer.echo(escape_json(told))
    console.show_error(error)
    sys.exit(error.exit_code)


def main() -> None:
    """Run a command; a PackagerError becomes its exit code and, with --json, an object."""
    answer_signals()
    try:
        app()
    except PackagerError as error:
        _end_failed(error)
    except OSError as error:
        if _is_output_broken(error):
            _end_failed(_explain_broken_output(error))
        if not is_disk_full(error):
            raise
        _end_failed(explain_full_disk(error))
    except SystemExit as end:
        if isinstance(end.__context__, OSError) and end.__context__.errno == errno.EPIPE:
            # as a program that nobody reads ends; typer makes 1 of it
            sys.exit(128 + signal.SIGPIPE)
        # typer makes an exit of an interrupt
        interrupted = isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt)
        if interrupted or console.is_changing():
            console.show_interrupted()
        raise
