"""Builds of distributions that suit a device: facts of cpu.toml and gpu.toml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from packager.errors import ConfigurationError, suggest_name
from packager.facts import read
from packager.facts._table import Table
from packager.types import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitute:
    """A distribution that has the same code in a build without a GPU's."""

    name: str
    by: str
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """Distributions that a machine without a GPU has no use for, as a glob over their names."""

    pattern: str
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A distribution whose usual build does not load without the excluded ones."""

    name: str
    instead: str
    """Where its build for a CPU is to be had, as the end of a sentence."""
    source: str
    as_of: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Builds of distributions that suit a device, where there are several."""

    substitutes: tuple[Substitute, ...]
    excluded: tuple[Excluded, ...] = ()
    bound: tuple[Bound, ...] = ()
    about: str = "built without a GPU's code"
    """Of what stands in for another."""
    binding: bool = False
    """Whether a model cannot do with what is replaced, where its stand-in has no wheel."""
    requires: tuple[str, ...] = ()
    """What serving on that device needs beside the model's own."""
    options: tuple[str, ...] = ()
    """Index options, as uv takes them, for those that list one of `indexed`."""
    indexed: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuda:
    """A CUDA that is shipped, and the oldest driver that runs it."""

    major: int
    version: str
    """The least that a driver must report: `12.0`."""
    least_driver: int
    source: str
    as_of: date


def builds(device: Device, driver: str | None, folder: Path | None = None) -> Builds:
    """Raises ConfigurationError for a driver that runs no CUDA that is known."""
    return (
        _list_cpu_builds(folder)
        if device is Device.CPU
        else _list_gpu_builds(cuda(driver, folder), folder)
    )


def cuda(driver: str | None, folder: Path | None = None) -> Cuda:
    """The newest that the driver runs: `580`, or a known host's name; None is the newest of all.

    Raises ConfigurationError for a driver that is too old, or no driver's version at all.
    """
    root = read("gpu", folder)
    known = [
        Cuda(
            major=table.whole("major"),
            version=table.text("version"),
            least_driver=table.whole("least_driver"),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("cuda")
    ]
    hosts = {table.text("name"): table.whole("driver") for table in root.tables("hosts")}
    root.done()
    known.sort(key=lambda each: -each.major)
    if driver is None:
        return known[0]
    version = hosts.get(driver) or (int(driver) if driver.isdecimal() else 0)
    if not version:
        raise ConfigurationError(
            f"--driver {driver}: give a driver's major version, such as "
            f"{known[0].least_driver}, or a host that is known: {', '.join(sorted(hosts))}."
            f"{suggest_name(driver, hosts)}"
        )
    for each in known:
        if version >= each.least_driver:
            return each
    raise ConfigurationError(
        f"--driver {driver}: driver {version} runs no CUDA that there are wheels of; "
        f"{known[-1].least_driver} is the oldest that does ({known[-1].source})."
    )


def _list_gpu_builds(chosen: Cuda, folder: Path | None) -> Builds:
    root = read("gpu", folder)
    substitutes = _list_substitutes(root)
    indexes = [table for table in root.tables("indexes") if table.whole("major") == chosen.major]
    urls = [table.text("url") for table in indexes]
    indexed = frozenset(name for table in indexes for name in table.texts("packages"))
    root.done()
    note = (
        f"CUDA {chosen.version}: the newest that a driver of {chosen.least_driver} or later runs "
        f"({chosen.source}, {chosen.as_of})."
    )
    return Builds(
        substitutes=substitutes,
        about="built for a GPU",
        binding=True,
        requires=("nvidia-ml-py>=12.535",),
        options=tuple(f"--extra-index-url {url}" for url in urls),
        indexed=indexed,
        notes=(note,),
    )


def _list_substitutes(root: Table) -> tuple[Substitute, ...]:
    return tuple(
        Substitute(
            name=table.text("name"),
            by=table.text("by"),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("substitutes")
    )


def _list_cpu_builds(folder: Path | None = None) -> Builds:
    root = read("cpu", folder)
    found = Builds(
        substitutes=_list_substitutes(root),
        excluded=tuple(
            Excluded(pattern=table.text("pattern"), source=table.source(), as_of=table.day("as_of"))
            for table in root.tables("excluded")
        ),
        bound=tuple(
            Bound(
                name=table.text("name"),
                instead=table.text("instead"),
                source=table.source(),
                as_of=table.day("as_of"),
            )
            for table in root.tables("bound")
        ),
    )
    root.done()
    return found


def gpu_only(folder: Path | None = None) -> frozenset[str]:
    """Distributions, normalised names, that run on a GPU alone."""
    root = read("gpu", folder)
    found = frozenset(name for table in root.tables("needs") for name in table.texts("names"))
    root.done()
    return found
