"""Commands to type next: each a line that a shell takes as it is, wherever the artifact lies."""

from __future__ import annotations

import shlex
from pathlib import Path

from packager.system.resources import own_command


def run_command(name: str, folder: Path) -> str:
    """The command `packager NAME` on the artifact in `folder`."""
    return shlex.join([own_command(), name, _shorten_path(folder)])


def deploy_command(folder: Path, deploy: str) -> str:
    """`deploy` is a line of shell that is run in the artifact's folder."""
    return f"cd {shlex.quote(_shorten_path(folder))} && {deploy}"


def _shorten_path(folder: Path) -> str:
    """From the folder where one is, where it lies below that; never what looks like an option."""
    here = Path.cwd()
    if not folder.is_relative_to(here):
        return str(folder)
    near = str(folder.relative_to(here))
    return f"./{near}" if near.startswith("-") else near
