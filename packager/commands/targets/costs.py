"""Dollars that each way of running an artifact costs, at a rate of requests.

A way is a target, a processor, and what is kept started: nothing, a snapshot, or instances. Prices
are facts, with their source and date. `docs/guides/costs.md` states what is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.targets.arrivals import (
    count_instances,
    estimate_cold_share,
    find_overflow,
)
from packager.commands.targets.workload import Measured, Workload
from packager.facts import instances, read_minor
from packager.facts.prices import (
    Function,
    HttpFront,
    Idle,
    Machine,
    Managed,
    Prices,
    Sourced,
    Standby,
    read_fronts,
    read_prices,
)
from packager.types import Runtime, Target

_MB: Final = 1 << 20
_HEADROOM: Final = 1.3
"""As the templates' own default memory has it."""
_LEAST_MB: Final = 512
_USED: Final = 0.7
"""Of a machine's capacity: what can be used before requests wait for each other."""
MONTH_SECONDS: Final = 730 * 3600
_ON_DEMAND: Final = "on demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of running an artifact; dollars are of a month."""

    target: str
    name: str
    """What is kept started, as its platform calls it."""
    architecture: str
    memory_mb: int | None
    """None on a machine, which is paid for whole."""
    request_seconds: float
    cold_share: float
    """Of the requests, those that wait for a start; from a snapshot, for the snapshot."""
    instances: int
    """Kept started."""
    compute: float
    http: float
    starts: float
    standby: float
    requests: float
    """Requests of a month."""
    rows: int
    prices: tuple[Sourced, ...]
    idle: Idle | None = None
    """How long an instance is taken to be kept that nobody asks."""
    beside: str = ""
    """What is to be known of its machines, which are paid for whole."""

    @property
    def dollars(self) -> float:
        return self.compute + self.http + self.starts + self.standby

    @property
    def at_work(self) -> float:
        """Instances that are at work at once on average, kept started or not."""
        return self.requests / MONTH_SECONDS * self.request_seconds

    @property
    def per_million(self) -> float:
        """Dollars for a million predictions."""
        return self.dollars / self.requests / self.rows * 1e6

    @property
    def is_checked(self) -> bool:
        """Tell whether every price was read at its vendor's page."""
        return not any(each.unchecked for each in self.prices)

    @property
    def label(self) -> str:
        if self.instances >= 100_000:
            return f"{self.name} x{self.instances / 1e6:.3g}M"
        return f"{self.name} x{self.instances}" if self.instances > 1 else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """A function's requests on one target, and what they take there."""

    target: Target
    rate: float
    rows: int
    memory_mb: int
    seconds: float
    init_seconds: float
    idle: Idle | None
    front: HttpFront | None
    http: float
    tmp_second: float
    """Dollars of a second of what its /tmp has beyond the size that is free."""

    @property
    def memory_gb(self) -> float:
        return self.memory_mb / 1024

    @property
    def busy(self) -> float:
        """Instances that are at work on average."""
        return self.rate * self.seconds

    def price_second(self, gb_second: float) -> float:
        """Return the dollars of a second that is billed, /tmp in it."""
        return self.memory_gb * gb_second + self.tmp_second

    def find_cold(self, started: int = 0) -> float:
        if self.idle is None:
            return 0.0
        return estimate_cold_share(self.rate, self.seconds, self.idle.seconds, started)


def list_ways(
    measured: Measured, workload: Workload, target: Target, facts_dir: Path | None = None
) -> tuple[Way, ...]:
    """List the ways to run it on a target, the cheapest first; () where no answer was timed."""
    whole = measured.estimate_seconds(workload.rows)
    if whole is None:
        return ()
    known = read_prices(target.name, facts_dir)
    if known.machine is not None:
        return (_reckon_machine(whole, workload, target, known.machine),)
    memory = choose_memory_mb(measured, target)
    share = min(1.0, memory / target.limits.whole_cpu_mb)
    fronts = read_fronts(facts_dir) if target.deployment.makes_endpoint else {}
    front = fronts.get(workload.front or measured.front)
    load = _Load(
        target=target,
        rate=workload.requests_per_second,
        rows=workload.rows,
        memory_mb=memory,
        seconds=whole / share,
        init_seconds=(measured.init_seconds or 0.0) / share
        + measured.estimate_fetch_seconds(target),
        idle=known.idle,
        front=front,
        http=_reckon_front(front, measured, workload),
        tmp_second=known.price_tmp(measured.choose_tmp_mb(target)),
    )
    runtimes = measured.list_runtimes(target)
    snapshots = measured.can_snapshot(target)
    # built for managed instances, it is deployed to nothing else
    functions = known.functions if target.machine.instances is None else ()
    found = [
        way
        for function in functions
        if any(function.architecture in runtime.platforms for runtime in runtimes)
        for way in _list_function_ways(load, function, known, snapshots=snapshots)
    ]
    if not measured.needs_gpu:
        found += _list_managed_ways(load, whole, measured, known.managed, facts_dir)
    return tuple(sorted(found, key=lambda way: way.dollars))


def choose_memory_mb(measured: Measured, target: Target) -> int:
    """Return the memory that its template would give it."""
    need = max(_LEAST_MB, math.ceil((measured.memory_bytes or 0) * _HEADROOM / _MB / 64) * 64)
    sizes = target.limits.memory_sizes_mb or (need,)
    return min((size for size in sizes if size >= need), default=max(sizes))


def estimate_need_mb(memory_bytes: int) -> float:
    """Return the memory that it needs at least, in MB."""
    # the headroom is what a template would add: without it the first large request ends it
    return memory_bytes * _HEADROOM / _MB


def _reckon_front(front: HttpFront | None, measured: Measured, workload: Workload) -> float:
    """Dollars of a month."""
    if front is None:
        return 0.0
    share = workload.rows / measured.rows
    largest = max(measured.request_bytes or 0, measured.response_bytes or 0) * share
    units = max(1, math.ceil(largest / front.metered_bytes)) if front.metered_bytes else 1
    return workload.requests_per_second * MONTH_SECONDS / 1e6 * front.million_requests * units


def _list_function_ways(
    load: _Load, function: Function, known: Prices, *, snapshots: bool
) -> Iterator[Way]:
    cold = load.find_cold()
    work = _reckon_work(load, function, load.rate, function.gb_second, function.million_requests)
    start = _reckon_start(load, function)
    scratch = known.scratch if load.tmp_second else None
    fixed = tuple(each for each in (function, load.front, scratch) if each is not None)
    yield _make_way(
        load, function, _ON_DEMAND, cold,
        compute=work, starts=load.rate * cold * start, standby=0.0, paid=fixed,
    )  # fmt: skip
    if known.snapshot is not None and snapshots:
        yield _make_way(
            load, function, known.snapshot.name, cold,
            compute=work,
            starts=load.rate * cold * load.memory_gb * known.snapshot.restore_gb,
            standby=load.memory_gb * known.snapshot.cache_gb_second,
            paid=(*fixed, known.snapshot),
        )  # fmt: skip
    for each in known.standby:
        count = count_instances(load.busy)
        if each.architecture == function.architecture and count is not None:
            yield _reckon_standby(load, function, each, count, start, fixed)


def _reckon_standby(
    load: _Load,
    function: Function,
    standby: Standby,
    count: int,
    start: float,
    fixed: tuple[Sourced, ...],
) -> Way:
    """`count` take all but a hundredth of the requests; the rest is on demand."""
    beyond = find_overflow(load.busy, count)
    cold = load.find_cold(count)
    within = _reckon_work(
        load, function, load.rate * (1 - beyond), standby.gb_second, standby.million_requests, count
    )
    rest = _reckon_work(
        load, function, load.rate * beyond, function.gb_second, function.million_requests
    )
    return _make_way(
        load, function, standby.name, cold,
        compute=within + rest,
        starts=load.rate * cold * start,
        standby=count * load.memory_gb * standby.standby_gb_second,
        paid=(*fixed, standby),
        instances=count,
    )  # fmt: skip


def _list_managed_ways(
    load: _Load,
    whole: float,
    measured: Measured,
    managed: Iterable[Managed],
    facts_dir: Path | None,
) -> Iterator[Way]:
    """By the CPU and the memory of their processes, of which each answers a request at a time."""
    need_mb = max(1.0, estimate_need_mb(measured.memory_bytes or 0))
    for each in managed:
        runtimes = _list_managed_runtimes(load.target, measured, facts_dir)
        at_once = min(each.vcpu * _USED, each.memory_gib * 1024 // need_mb)
        if at_once < 1 or not any(each.architecture in one.platforms for one in runtimes):
            continue
        count = max(each.least, math.ceil(load.rate * whole / at_once))
        hour = each.hour * (1 + each.fee_percent / 100)
        yield Way(
            target=load.target.name,
            name=each.name,
            architecture=each.architecture,
            memory_mb=None,
            request_seconds=whole,
            cold_share=0.0,
            instances=count,
            compute=load.rate / 1e6 * each.million_requests * MONTH_SECONDS,
            http=load.http,
            starts=0.0,
            standby=hour * count * MONTH_SECONDS / 3600,
            requests=load.rate * MONTH_SECONDS,
            rows=load.rows,
            prices=(each, *((load.front,) if load.front is not None else ())),
            beside=f"the fee of {each.fee_percent:g} % is in it; "
            f"{each.least} are kept started at least",
        )


def _list_managed_runtimes(
    target: Target, measured: Measured, facts_dir: Path | None
) -> list[Runtime]:
    least = read_minor(instances("aws-lambda", facts_dir).python)
    return [
        each for each in measured.list_runtimes(target) if read_minor(each.python_minor) >= least
    ]


def _make_way(
    load: _Load,
    function: Function,
    name: str,
    cold: float,
    *,
    compute: float,
    starts: float,
    standby: float,
    paid: tuple[Sourced, ...],
    instances: int = 0,
) -> Way:
    """`compute`, `starts` and `standby` are dollars of a second."""
    return Way(
        target=load.target.name,
        name=name,
        architecture=function.architecture,
        memory_mb=load.memory_mb,
        request_seconds=load.seconds,
        cold_share=cold,
        instances=instances,
        compute=compute * MONTH_SECONDS,
        http=load.http,
        starts=starts * MONTH_SECONDS,
        standby=standby * MONTH_SECONDS,
        requests=load.rate * MONTH_SECONDS,
        rows=load.rows,
        prices=paid,
        idle=load.idle,
    )


def _reckon_work(
    load: _Load,
    function: Function,
    rate: float,
    gb_second: float,
    million_requests: float,
    instances: int | None = None,
) -> float:
    """Dollars of a second for answering `rate` requests a second."""
    seconds = _count_billed_seconds(load, function, rate, instances)
    return rate / 1e6 * million_requests + seconds * load.price_second(gb_second)


def _count_billed_seconds(
    load: _Load, function: Function, rate: float, instances: int | None
) -> float:
    """Seconds of instances that are billed in a second.

    Where a period of work is billed some time at least, requests that come within it are in it:
    an instance is billed its periods, which begin at the first request after the last has ended.
    """
    step = function.billed_step_seconds
    period = math.ceil(load.seconds / step - 1e-9) * step if step else load.seconds
    least = function.billed_least_seconds
    if period >= least:
        return rate * period
    # so many that none can be counted are at work all the time
    count = instances or count_instances(rate * load.seconds) or math.ceil(rate * load.seconds)
    each = rate / count * least
    return max(rate * load.seconds, count * each / (1 + each))


def _reckon_start(load: _Load, function: Function) -> float:
    """Dollars of a start."""
    if not function.start_is_billed:
        return 0.0
    return load.init_seconds * load.price_second(function.gb_second)


def _reckon_machine(whole: float, workload: Workload, target: Target, machine: Machine) -> Way:
    """By its CPUs' speed, as its GPU was not measured: the most that it can cost."""
    busy = workload.requests_per_second * whole / machine.vcpu / _USED
    count = max(1, math.ceil(busy))
    return Way(
        target=target.name,
        name=machine.name,
        architecture="x86_64",
        memory_mb=None,
        request_seconds=whole,
        cold_share=0.0,
        instances=count,
        compute=0.0,
        http=0.0,
        starts=0.0,
        standby=machine.hour * count * MONTH_SECONDS / 3600,
        requests=workload.requests_per_second * MONTH_SECONDS,
        rows=workload.rows,
        prices=(machine,),
        beside="a GPU that answers faster takes fewer; without a load balancer",
    )
