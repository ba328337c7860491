"""Install wheels by uv, as copies that are compared with what each wheel lists.

uv keeps every wheel unpacked in a cache that all of a user's projects share, by hard links where
the file system has them: a program that edits an installed package edits it for all of them, under
the digest of the archive that it came from.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packager.environments import uv_command
from packager.environments.wheel_record import Compared, Fault, compare_record
from packager.errors import IndexUnavailableError, ToolError
from packager.system import cache, file_tree

_LOG = logging.getLogger(__name__)
_KIND: Final = "lists"
_LISTS: Final = "lists.json"
_CLEAN_SECONDS: Final = 120
_NAMED: Final = 5
_OF_UV: Final = frozenset({".lock"})
"""What uv leaves in a folder that it installs into."""


def install_wheels(
    arguments: Sequence[str | Path],
    into: Path,
    *,
    identity: str | None = None,
    options: Sequence[str] = (),
    cwd: Path | None = None,
    timeout_seconds: float | None = None,
) -> Mapping[str, str]:
    """Run `uv pip install` of chosen versions into the folder `into`, and check what came.

    From uv's cache where it has them all: an index that lets no answer be kept would give the same
    files each time. Where a file is not the one that its wheel lists, uv's copy of that wheel is
    dropped and fetched again; so is one whose list is another than when the same was installed
    before, where `identity` says what that is. `options` are those of `_uv.run_pip`.

    Returns the sha256 of the files that are listed, by their names below `into`. Raises ToolError
    where uv fails, or where a file is not as listed in the wheel that was fetched again either.
    """
    before = _list_files(into)
    asked = ("--link-mode", "copy", *arguments)

    def run(*more: str) -> Compared:
        uv_command.run_pip(
            "install",
            [*asked, *more],
            options=options,
            cwd=cwd,
            timeout_seconds=timeout_seconds,
        )
        for name in _OF_UV:
            (into / name).unlink(missing_ok=True)
        return compare_record(into, before=before)

    try:
        compared = run("--offline")
    except (IndexUnavailableError, ToolError):
        compared = run()
    if faults := (*compared.wrong, *compared.unlisted, *_find_changed_lists(compared, identity)):
        _LOG.warning("Fetched again, because uv's copy was changed: %s", _name_some(faults))
        _empty_folder(into, before)
        compared = run(*_drop_copies(faults, compared.packages))
        if identity is not None:
            cache.forget(_KIND, identity)
    if compared.wrong:
        raise ToolError(
            f"What was installed is not what its wheel lists: {_name_some(compared.wrong)}.\n"
            "The wheel was fetched again and it stays so. Choose another version of this package, "
            "or tell its maintainers."
        )
    for kind, names in (("in no wheel's list", compared.unlisted), ("listed", compared.unhashed)):
        if names:
            _LOG.debug("Without a digest, %s: %s", kind, _name_some(names))
    if identity is not None:
        _keep_lists(compared, identity)
    return compared.digests


def _find_changed_lists(compared: Compared, identity: str | None) -> list[Fault]:
    """Lists that are not those of the first time; none where this is the first time."""
    if identity is None or compared.wrong:
        return []
    path = _keep_lists(compared, identity)
    before: dict[str, str] = json.loads(path.read_bytes())
    return [
        Fault(package, "RECORD", "is not the list that was installed before")
        for package, digest in sorted(compared.lists.items())
        if before.get(package) != digest
    ]


def _keep_lists(compared: Compared, identity: str) -> Path:
    """The file with what was listed when this was first installed; now, where it never was."""

    def make(folder: Path) -> None:
        text = json.dumps(dict(compared.lists), sort_keys=True)
        (folder / _LISTS).write_text(text, encoding="utf-8")

    return cache.ensure(_KIND, identity, make) / _LISTS


def _drop_copies(faults: Sequence[Fault], packages: Sequence[str]) -> tuple[str, ...]:
    """Have uv forget its copies of the wheels at fault; of all, where it is not known which.

    Returns what uv is to be told where it cannot, because another uv is at work.
    """
    names = {fault.package for fault in faults}
    wanted = sorted(packages if "" in names else names)
    try:
        uv_command.run(["cache", "clean", *wanted], timeout_seconds=_CLEAN_SECONDS)
    except ToolError as error:
        _LOG.debug("uv's cache stays as it is: %s", error)
        return ("--no-cache",)
    return ()


def _list_files(folder: Path) -> frozenset[str]:
    return frozenset(path.as_posix() for path in file_tree.walk(folder))


def _empty_folder(into: Path, before: frozenset[str]) -> None:
    """Remove all that was installed; uv would go by a list that may have been changed too."""
    for path in into.iterdir():
        if path.is_dir() and not path.is_symlink():
            if not any(name.startswith(f"{path.name}/") for name in before):
                shutil.rmtree(path)
        elif path.name not in before:
            path.unlink()


def _name_some(things: Sequence[object]) -> str:
    more = f", and {len(things) - _NAMED} more" if len(things) > _NAMED else ""
    return ", ".join(map(str, things[:_NAMED])) + more
