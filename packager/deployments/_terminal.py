"""Progress for a person at a command line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from packager.commands import console


@contextlib.contextmanager
def progress() -> Iterator[None]:
    """Under the `mlflow` command, show what the stages say; a program has logging for it."""
    if click.get_current_context(silent=True) is None:
        yield
        return
    with console.progress(verbose=False):
        yield
