"""Facts about the world, as data: each with the page that states it and the day it was read.

A folder given by the caller (`TargetOptions.facts_dir`) overrides file by file: a file that is
there replaces ours whole. What is wrong with a file is said all together, as a FactsError.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final, cast

from packager.errors import FactsError
from packager.facts._table import Table
from packager.system.resources import FACTS
from packager.types import (
    Architecture,
    BaseImage,
    Device,
    Instances,
    Limits,
    Runtime,
    Shadow,
    Surroundings,
    Weights,
    WeightsSupport,
)

_ARCHITECTURES: Final = {"x86_64", "arm64"}
OLD_DAYS: Final = 90
"""Facts that were read longer ago are said to be old."""
_COMMON: Final = ("prices", "tools", "libraries", "modules")
"""Files that a build for any target goes by."""
_DEVICES: Final = {Device.CPU: "cpu", Device.CUDA: "gpu"}
_ABOUT: Final = frozenset({"source", "unchecked", "as_of"})
_TITLES: Final = (
    "name", "target", "targets", "architecture", "library", "distribution", "version", "pattern",
    "major", "suite", "names",
)  # fmt: skip
"""What a table of a list is of, by the first three of these that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A pinned distribution that a build runs, and the digests of files inside its wheel."""

    name: str
    version: str
    sha256: str | None
    """Of the wheel, where one wheel serves every platform."""
    files: Mapping[str, str]
    """Path inside the wheel -> sha256."""
    source: str
    as_of: date

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Donor:
    """A wheel that carries a copy of a library that another one expects of the system."""

    library: str
    """SONAME."""
    distribution: str
    version: str
    """Fetched where the distribution is not installed."""
    glob: str
    """Of the copy, relative to where the wheel is installed."""
    source: str
    as_of: date


def limits(target: str, folder: Path | None = None) -> Limits:
    table = read(_name_file(target), folder).table("limits")
    found = Limits(
        unzipped_bytes=table.whole("unzipped_bytes"),
        zipped_bytes=table.whole("zipped_bytes", optional=True) or None,
        request_bytes=table.whole("request_bytes"),
        response_bytes=table.whole("response_bytes"),
        memory_mb=table.pair("memory_mb"),
        memory_sizes_mb=table.wholes("memory_sizes_mb"),
        whole_cpu_mb=table.whole("whole_cpu_mb"),
        timeout_seconds=table.whole("timeout_seconds"),
        tmp_bytes=table.whole("tmp_bytes"),
        init_seconds=table.number("init_seconds"),
        source=table.source(),
        as_of=table.day("as_of"),
    )
    table.done()
    return found


def instances(target: str, folder: Path | None = None) -> Instances:
    """Read what a function may have on managed instances."""
    root = read(_name_file(target), folder)
    widest, python, gpu = (
        root.table(name) for name in ("managed_instances", "instance_environments", "accelerators")
    )
    for table in (python, gpu):
        table.source()
        table.day("as_of")
    found = Instances(
        python=python.text("python"),
        timeout_seconds=widest.whole("timeout_seconds"),
        memory_mb=(python.whole("least_memory_mb"), widest.pair("memory_mb")[1]),
        tmp_mb=widest.pair("tmp_mb"),
        concurrency=widest.whole("concurrency"),
        usual_concurrency=python.whole("usual_concurrency"),
        memory_gib_per_vcpu=widest.pair("memory_gib_per_vcpu"),
        accelerator_gb=gpu.wholes("memory_gb"),
        source=widest.source(),
        as_of=widest.day("as_of"),
    )
    root.done()
    return found


def surroundings(target: str, folder: Path | None = None) -> Surroundings:
    table = read(_name_file(target), folder).table("surroundings")
    architectures = table.texts("cpu_files")
    if set(architectures) - _ARCHITECTURES:
        table.wrong("cpu_files", f"may name {' and '.join(sorted(_ARCHITECTURES))}")
    found = Surroundings(
        user=table.text("user"),
        uid=table.whole("uid"),
        gid=table.whole("gid"),
        home=table.text("home"),
        shared_memory_bytes=table.whole("shared_memory_bytes", optional=True),
        cpu_files=frozenset(architectures),
        commands=table.texts("commands"),
        processes=table.whole("processes"),
        open_files=table.whole("open_files"),
        source=table.source(),
        as_of=table.day("as_of"),
    )
    table.done()
    return found


def runtimes(target: str, folder: Path | None = None) -> tuple[Runtime, ...]:
    """Every managed runtime, in the order of its Python."""
    root = read(_name_file(target), folder)
    systems = {table.text("name"): table for table in root.tables("systems")}
    found = []
    for table in root.tables("runtimes"):
        name = table.text("system")
        if name not in systems:
            table.wrong("system", f"{name!r} is not one of {', '.join(sorted(systems))}")
            continue
        system = systems[name]
        system.source()
        system.day("as_of")
        platforms = system.texts_by_name("platforms")
        if not platforms or set(platforms) - _ARCHITECTURES:
            system.wrong("platforms", f"must name {' or '.join(sorted(_ARCHITECTURES))}, or both")
        found.append(
            Runtime(
                name=table.text("name"),
                python_minor=table.text("python_minor"),
                os=system.text("os"),
                glibc=system.pair("glibc"),
                end_of_life=table.day("end_of_life"),
                snapstart=table.flag("snapstart"),
                platforms=cast(dict[Architecture, str], platforms),
                provides=frozenset(table.texts("provides")),
                libraries=frozenset(system.texts("libraries")),
                source=table.source(),
                as_of=table.day("as_of"),
                base_image=table.text("base_image", optional=True),
                requires=table.texts("requires", optional=True),
                requires_for_events=table.texts("requires_for_events", optional=True),
                keep=table.texts("keep", optional=True),
            )
        )
    root.done()
    return tuple(sorted(found, key=lambda runtime: read_minor(runtime.python_minor)))


def explain_left_out(target: str, python_minor: str, folder: Path | None = None) -> str:
    """Say why a Python that the platform has is not built for, and who states that it has it.

    Empty where nothing is known of such a runtime.
    """
    root = read(_name_file(target), folder)
    if "left_out" not in root.values:
        return ""
    table = root.table("left_out")
    why, source, day = table.text("why"), table.source(), table.day("as_of")
    names = table.texts("runtimes")
    root.done()
    return f"{why} ({source}, {day})" if f"python{python_minor}" in names else ""


def base_image(target: str, folder: Path | None = None) -> BaseImage:
    table = read(_name_file(target), folder).table("base_image")
    found = BaseImage(
        reference=table.text("reference"),
        size_bytes=table.whole("size_bytes"),
        source=table.source(),
        as_of=table.day("as_of"),
    )
    table.done()
    return found


def shadows(target: str, folder: Path | None = None) -> tuple[Shadow, ...]:
    """() where the target's host keeps its own packages apart."""
    root = read(_name_file(target), folder)
    if "shadows" not in root.values:
        return ()
    found = tuple(
        Shadow(
            name=table.text("name"),
            least=table.text("least"),
            below_python=table.text("below_python"),
            why=table.text("why"),
            hint=table.text("hint"),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("shadows")
    )
    root.done()
    return found


def weights(
    target: str, ways: tuple[Weights, ...], handlers: tuple[str, ...], folder: Path | None = None
) -> WeightsSupport:
    """Read what the target gives a function for weights outside of it, had in one of `ways`."""
    table = read(_name_file(target), folder).table("weights")
    fetched = Weights.FETCH in ways
    found = WeightsSupport(
        ways=ways,
        handlers=handlers,
        tmp_most_bytes=table.whole("tmp_most_bytes") if fetched else 0,
        fetch_bytes_per_second=table.whole("fetch_bytes_per_second") if fetched else 0,
        source=table.source(),
        as_of=table.day("as_of"),
    )
    table.done()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Speed at which a start has weights from where they lie; nobody measured it here."""

    bytes_per_second: int
    source: str
    as_of: date

    @property
    def told(self) -> str:
        return f"{self.bytes_per_second / 1e6:.0f} MB/s ({self.source}, {self.as_of})"


def speeds(target: str, folder: Path | None = None) -> Mapping[str, Speed]:
    """Read how fast a start of the target has weights that it does not fetch.

    They are `mount` (of a file system), `read` (of an image that is loaded as it is read) and
    `pull` (of an image that a machine has whole before it starts it).
    """
    root = read(_name_file(target), folder)
    found = {
        table.text("name"): Speed(
            bytes_per_second=table.whole("bytes_per_second"),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("speeds", optional=True)
    }
    root.done()
    return found


def tools(folder: Path | None = None) -> Mapping[str, Tool]:
    """The pinned tools by name; of one that is for one Python alone, `NAME 3.14`."""
    root = read("tools", folder)
    found = {
        f"{table.text('name')} {table.text('python', optional=True)}".strip(): Tool(
            name=table.text("name"),
            version=table.text("version"),
            sha256=table.text("sha256", optional=True) or None,
            files=table.texts_by_name("files", optional=True),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("tools")
    }
    _read_suites(root)
    root.done()
    return found


def debian_suites(folder: Path | None = None) -> Mapping[str, str]:
    """The suite of Debian's that has a Python for arm64, by its minor version."""
    return _read_suites(read("tools", folder))


def _read_suites(root: Table) -> Mapping[str, str]:
    found = {}
    for table in root.tables("debian_suites", optional=True):
        found[table.text("python")] = table.text("suite")
        table.source()
        table.day("as_of")
    return found


def donors(folder: Path | None = None) -> tuple[Donor, ...]:
    """In the order of preference: the first that is installed gives the copy."""
    root = read("libraries", folder)
    found = tuple(
        Donor(
            library=table.text("library"),
            distribution=table.text("distribution"),
            version=table.text("version"),
            glob=table.text("glob"),
            source=table.source(),
            as_of=table.day("as_of"),
        )
        for table in root.tables("donors")
    )
    root.done()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One table of a file of facts, as it is."""

    file: str
    name: str
    """`limits`, or of a list's table what it is of: `runtimes python3.13`."""
    values: Mapping[str, object]
    """Without its source and date."""
    source: str
    unchecked: str
    """Where it was read in place of its source; empty where it was read there."""
    as_of: date

    def count_days(self, today: date) -> int:
        """Return its age."""
        return (today - self.as_of).days

    def is_old(self, today: date) -> bool:
        return self.count_days(today) > OLD_DAYS

    def is_of(self, target: str) -> bool:
        """Tell whether it is of this target: what names none, as an HTTP API's price, is of all."""
        named = self.values.get("targets", self.values.get("target"))
        return named is None or target == named or (isinstance(named, list) and target in named)


def list_facts(folder: Path | None = None, files: Sequence[str] | None = None) -> tuple[Fact, ...]:
    """List every dated table of every file, or of the named ones, a folder's own in its place.

    Raises FactsError for a table without a source or a day.
    """
    found: list[Fact] = []
    for stem in files or sorted(path.stem for path in FACTS.glob("*.toml")):
        root = read(stem, folder)
        for key, value in root.values.items():
            tables = root.tables(key) if isinstance(value, list) else (root.table(key),)
            found += [_describe_fact(root.where, key, table) for table in tables]
        root.done()
    return tuple(found)


def list_old(
    target: str, device: Device, today: date, folder: Path | None = None
) -> tuple[Fact, ...]:
    """List what a build for a target goes by, and was last read too long ago.

    That is what is known of the target and its prices, of pins and of modules. The other targets'
    limits and prices decide nothing there; the tables that compare them have each one's day.
    """
    own = {f"{stem}.toml" for stem in (_name_file(target), _DEVICES[device], *_COMMON)}
    return tuple(
        fact
        for fact in list_facts(folder)
        if fact.is_old(today) and fact.file in own and fact.is_of(target)
    )


def describe_old(old: Sequence[Fact], today: date) -> str:
    """Name the oldest of some facts, and say how many there are and how to have them all."""
    oldest = max(old, key=lambda fact: fact.count_days(today))
    more = f", and {len(old) - 1} more more than {OLD_DAYS} days ago" if len(old) > 1 else ""
    return (
        f"{oldest.file} {oldest.name} was last read {oldest.count_days(today)} days ago{more}: "
        "what is said by it may be wrong. `packager facts --check` lists what is old, and "
        "--facts-dir takes a file of yours in its place"
    )


def _describe_fact(file: str, key: str, table: Table) -> Fact:
    found = [table.values[name] for name in _TITLES if name in table.values]
    words = [", ".join(each) if isinstance(each, list) else str(each) for each in found[:3]]
    # `names` is a table of its own in some files
    about = "" if any(isinstance(each, dict) for each in found) else " ".join(words)
    return Fact(
        file=file,
        name=f"{key} {about}".strip(),
        values={name: value for name, value in table.values.items() if name not in _ABOUT},
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _name_file(target: str) -> str:
    return target.replace("-", "_")


def read_minor(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def read(stem: str, folder: Path | None) -> Table:
    own = folder / f"{stem}.toml" if folder is not None else None
    path = own if own is not None and own.is_file() else FACTS / f"{stem}.toml"
    return Table(path.name, _read_toml(path), [])


@cache
def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FactsError(f"There are no facts for it: {path.name} does not exist.") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FactsError(f"{path} cannot be read as TOML: {error}.") from error
