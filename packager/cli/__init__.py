"""Command line: arguments to a request, errors to an exit code; nothing else."""

from __future__ import annotations

import json
import signal
import sys
from typing import Annotated, NoReturn

import typer

from packager import __version__, _console
from packager.cli._ask import batch, demo, invoke, serve
from packager.cli._build import build, inspect
from packager.cli._cache import cache
from packager.errors import PackagerError

app = typer.Typer(
    name="packager",
    help="Turn a model registered in MLflow into a small, proven, deployable serverless artifact.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _command in (inspect, build, invoke, batch, serve, demo):
    app.command()(_command)
app.add_typer(cache)


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _top(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _terminated(*_: object) -> NoReturn:
    """Unwind as for an interrupt, so that nothing half-made stays behind."""
    raise SystemExit(143)


def main() -> None:
    """Run a command; a PackagerError becomes its exit code and, with --json, an object."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except PackagerError as error:
        if "--json" in sys.argv:
            kind = type(error).__name__.removesuffix("Error")
            typer.echo(json.dumps({"error": kind, "message": str(error)}, ensure_ascii=False))
        _console.show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _console.show_interrupted()
        sys.exit(130)
