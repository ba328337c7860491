"""Lines that no wheel answers, each taken alone: under a target's Python, and the author's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from packager.environments import lockfile
from packager.environments.lockfile import Wanted
from packager.pipeline.plan import _locks
from packager.pipeline.plan._locks import Setting
from packager.pipeline.plan.requirements import _pins
from packager.pipeline.plan.requirements._requirements import Needed
from packager.types import Frame, LoaderSpec


def list_lines(setting: Setting, loaders: Iterable[tuple[LoaderSpec, Frame]]) -> frozenset[str]:
    """The lines of all attempts, the author's choices kept."""
    return frozenset(
        line
        for loader, frame in loaders
        for line in _locks.list_needed(setting, loader, frame, substitute=False).lines
    )


def list_certain(setting: Setting, loader: LoaderSpec, frame: Frame) -> frozenset[str]:
    """The lines that an attempt needs whatever is left out or stands in for another."""
    needed = _locks.list_needed(setting, loader, frame, serving=True, substitute=False)
    replaced = {fact.name for fact in setting.builds.substitutes}
    return frozenset(
        line
        for line in needed.lines
        # a build of its own is read as the version where no index has it
        if "+" not in line and _pins.name_line(line) not in replaced
    )


def list_missing(setting: Setting, loader: LoaderSpec, frame: Frame) -> tuple[str, ...]:
    """The lines of an attempt that have no wheel; empty where only their combination fails."""
    return list_wheelless(setting, sorted(list_lines(setting, [(loader, frame)])))


def list_wheelless(setting: Setting, lines: Sequence[str]) -> tuple[str, ...]:
    """Those of `lines` that, each taken alone, no wheel answers under this Python."""
    return lockfile.unavailable(_ask(setting, lines))


def list_unbuilt(setting: Setting, lines: Sequence[str]) -> tuple[str, ...]:
    """Those of `lines` without a wheel for the author's Python too; () where it is not known."""
    version = setting.model.python_version
    if version is None:
        return ()
    minor = ".".join(version.split(".")[:2])
    return lockfile.unavailable(replace(_ask(setting, lines), python_minor=minor))


def _ask(setting: Setting, lines: Sequence[str]) -> Wanted:
    needed = Needed(lines=tuple(lines), excluded=(), substituted=(), reasons=())
    return _locks.make_lock_request(setting, needed, ())
