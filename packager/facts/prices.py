"""Prices of running: facts of prices.toml."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from packager.facts import OLD_DAYS, read
from packager.facts._table import Table

_Price = TypeVar("_Price")
_ANY_CPU: Final = "x86_64"
"""Of a price that names none: what a target is built for by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourced:
    """A figure of the world, in dollars where it is a price."""

    source: str
    unchecked: str
    """Where the figure was read in place of its source; empty where it was read there."""
    as_of: date

    def is_old(self, today: date) -> bool:
        return (today - self.as_of).days > OLD_DAYS

    @property
    def told(self) -> str:
        """Tell where it is from, how old it is, and whether anybody has checked it."""
        read = f", unchecked: read at {self.unchecked}" if self.unchecked else ""
        return f"{self.source}, {self.as_of}{read}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function(Sourced):
    """Paid by use, on instances that come and go."""

    architecture: str
    gb_second: float
    million_requests: float
    billed_step_seconds: float
    """A period is rounded up to a multiple of it; 0 where it is not rounded."""
    billed_least_seconds: float
    """A period of an instance's work is billed this much at least, whatever it answers in it."""
    start_is_billed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby(Sourced):
    """Instances that are kept started, paid by time and by use."""

    architecture: str
    name: str
    """As the platform calls them."""
    standby_gb_second: float
    gb_second: float
    million_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Sourced):
    """A started instance's memory, kept for a version and started from."""

    name: str
    cache_gb_second: float
    restore_gb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch(Sourced):
    """Size of /tmp beyond what is free, for the time that a function is billed."""

    gb_second: float
    free_mb: int

    def price_second(self, tmp_mb: int) -> float:
        """Return the dollars of a second of an instance whose /tmp has this size."""
        return max(0, tmp_mb - self.free_mb) / 1024 * self.gb_second


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFront(Sourced):
    """HTTP endpoint that stands before a function."""

    million_requests: float
    metered_bytes: int
    """A request counts once for each so many bytes; 0 where it counts once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle(Sourced):
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine(Sourced):
    """Paid by the hour."""

    name: str
    hour: float
    vcpu: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed(Sourced):
    """Instances of the account that a platform manages: paid by the hour, and by request."""

    architecture: str
    name: str
    hour: float
    """Of an instance, without the fee."""
    fee_percent: float
    vcpu: int
    memory_gib: int
    least: int
    """Instances that are kept started, whatever is asked."""
    million_requests: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Every price that is known of one target."""

    functions: tuple[Function, ...] = ()
    """One for each architecture; () where it is a machine's."""
    standby: tuple[Standby, ...] = ()
    managed: tuple[Managed, ...] = ()
    snapshot: Snapshot | None = None
    scratch: Scratch | None = None
    idle: Idle | None = None
    machine: Machine | None = None

    def price_tmp(self, tmp_mb: int) -> float:
        """Return the dollars of a second of an instance whose /tmp has this size."""
        return 0.0 if self.scratch is None else self.scratch.price_second(tmp_mb)


def read_prices(target: str, folder: Path | None = None) -> Prices:
    """Raises FactsError for a file that does not hold together."""
    root = read("prices", folder)
    functions = [(each.text("target"), _read_function(each)) for each in root.tables("functions")]
    machines = [
        (each.text("target"), _read_machine(each))
        for each in root.tables("machines", optional=True)
    ]
    standby = _read_all(root, "standby", target, _read_standby)
    managed = _read_all(root, "managed", target, _read_managed)
    snapshots = _read_all(root, "snapshots", target, _read_snapshot)
    idle = _read_all(root, "idle", target, _read_idle)
    scratch = _read_all(root, "scratch", target, _read_scratch)
    root.done()
    return Prices(
        functions=tuple(found for name, found in functions if name == target),
        standby=standby,
        managed=managed,
        snapshot=next(iter(snapshots), None),
        scratch=next(iter(scratch), None),
        idle=next(iter(idle), None),
        machine=next((found for name, found in machines if name == target), None),
    )


def _read_all(
    root: Table, key: str, target: str, read_one: Callable[[Table], _Price]
) -> tuple[_Price, ...]:
    """Those of a target; the others are read too, so that what is wrong with them is said."""
    found = [(each.texts("targets"), read_one(each)) for each in root.tables(key, optional=True)]
    return tuple(price for targets, price in found if target in targets)


def read_fronts(folder: Path | None = None) -> dict[str, HttpFront]:
    """Return the HTTP endpoints that cost something, by name."""
    root = read("prices", folder)
    found = {
        each.text("name"): HttpFront(
            million_requests=each.number("million_requests"),
            metered_bytes=each.whole("metered_bytes", optional=True),
            source=each.source(),
            unchecked=each.text("unchecked", optional=True),
            as_of=each.day("as_of"),
        )
        for each in root.tables("fronts", optional=True)
    }
    root.done()
    return found


def _read_function(table: Table) -> Function:
    return Function(
        architecture=table.text("architecture", optional=True) or _ANY_CPU,
        gb_second=table.number("gb_second"),
        million_requests=table.number("million_requests"),
        billed_step_seconds=table.number("billed_step_seconds", optional=True),
        billed_least_seconds=table.number("billed_least_seconds", optional=True),
        start_is_billed=table.flag("start_is_billed", optional=True),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_standby(table: Table) -> Standby:
    return Standby(
        architecture=table.text("architecture", optional=True) or _ANY_CPU,
        name=table.text("name"),
        standby_gb_second=table.number("standby_gb_second"),
        gb_second=table.number("gb_second"),
        million_requests=table.number("million_requests"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_managed(table: Table) -> Managed:
    return Managed(
        architecture=table.text("architecture", optional=True) or _ANY_CPU,
        name=table.text("name"),
        hour=table.number("hour"),
        fee_percent=table.number("fee_percent", optional=True),
        vcpu=table.whole("vcpu"),
        memory_gib=table.whole("memory_gib"),
        least=table.whole("least"),
        million_requests=table.number("million_requests"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_snapshot(table: Table) -> Snapshot:
    return Snapshot(
        name=table.text("name"),
        cache_gb_second=table.number("cache_gb_second"),
        restore_gb=table.number("restore_gb"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_scratch(table: Table) -> Scratch:
    return Scratch(
        gb_second=table.number("gb_second"),
        free_mb=table.whole("free_mb"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_idle(table: Table) -> Idle:
    return Idle(
        seconds=table.number("seconds"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )


def _read_machine(table: Table) -> Machine:
    return Machine(
        name=table.text("name"),
        hour=table.number("hour"),
        vcpu=table.whole("vcpu"),
        source=table.source(),
        unchecked=table.text("unchecked", optional=True),
        as_of=table.day("as_of"),
    )
