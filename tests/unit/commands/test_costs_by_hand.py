"""Dollars at three rates on three targets, by the figures of prices.toml and formulas of its own.

Nothing of packager is used but what is tested: the file is read as TOML, and Erlang's formula is
the one with factorials.
"""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest

from packager import targets
from packager.commands.targets.costs import Way, list_ways
from packager.commands.targets.workload import Measured, Workload
from packager.system.resources import FACTS

PRICES: Any = tomllib.loads((FACTS / "prices.toml").read_text(encoding="utf-8"))
MONTH = 730 * 3600
SECONDS = 0.1234
INIT = 2.5
# what a template gives for it is 1,792 MB on Lambda, and 2,048 MB on Azure: a whole CPU each
BUILT = Measured(
    unzipped_bytes=1,
    memory_bytes=1_440_000_000,
    init_seconds=INIT,
    answer_seconds=SECONDS,
    request_bytes=600_000,
    response_bytes=100,
    python_minor="3.13",
)
RATES = (0.0005, 0.3, 25.0)


def price(table: str, **wanted: str) -> Any:
    """The table that says it is of all that is wanted."""
    (found,) = (
        each
        for each in PRICES[table]
        if all(each.get(key, value) == value for key, value in wanted.items())
    )
    return found


def blocked(load: float, instances: int) -> float:
    """Erlang's B, of its definition."""
    terms = [load**k / math.factorial(k) for k in range(instances + 1)]
    return terms[-1] / sum(terms)


def cold(rate: float, idle: float, kept: int = 0) -> float:
    """Requests that find n instances busy and the next one gone, of all."""
    found = [blocked(rate * SECONDS, n) for n in range(80)]
    return sum(
        (found[n] - found[n + 1]) * math.exp(-rate * found[n] * idle) for n in range(kept, 79)
    )


def ways(target: str, rate: float) -> dict[tuple[str, str], Way]:
    found = list_ways(BUILT, Workload(requests_per_second=rate), targets.load(target))
    assert [way.dollars for way in found] == sorted(way.dollars for way in found)
    return {(way.name, way.architecture): way for way in found}


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
@pytest.mark.parametrize("rate", RATES)
def test_lambda(rate: float, architecture: str) -> None:
    found = ways("aws-lambda", rate)
    on_demand, snapshot, kept = (
        found[name, architecture] for name in ("on demand", "SnapStart", "provisioned")
    )
    paid = price("functions", target="aws-lambda", architecture=architecture)
    gb, requests = 1792 / 1024, rate * MONTH
    starts = requests * cold(rate, 600)
    # 123.4 ms are billed as 124; a body of 600,000 bytes counts as two requests of the HTTP API
    compute = requests * (0.2 / 1e6 + 0.124 * gb * paid["gb_second"])
    http = 2 * requests / 1e6 * price("fronts", name="http-api")["million_requests"]
    assert on_demand.compute == pytest.approx(compute)
    assert on_demand.http == pytest.approx(http)
    assert on_demand.starts == pytest.approx(starts * INIT * gb * paid["gb_second"], abs=0.01)
    assert on_demand.dollars == pytest.approx(compute + http + on_demand.starts)

    cache = price("snapshots", name="SnapStart")
    assert snapshot.standby == pytest.approx(gb * cache["cache_gb_second"] * MONTH)
    assert snapshot.starts == pytest.approx(starts * gb * cache["restore_gb"], abs=0.01)

    count = next(n for n in range(1, 80) if blocked(rate * SECONDS, n) <= 0.01)
    beyond = blocked(rate * SECONDS, count)
    fee = price("standby", name="provisioned", architecture=architecture)
    assert kept.instances == count
    assert kept.standby == pytest.approx(count * gb * fee["standby_gb_second"] * MONTH)
    assert kept.compute == pytest.approx(
        requests * 0.2 / 1e6
        + requests * 0.124 * gb * ((1 - beyond) * fee["gb_second"] + beyond * paid["gb_second"])
    )


@pytest.mark.parametrize("rate", RATES)
def test_azure(rate: float) -> None:
    found = ways("azure-functions", rate)["on demand", "x86_64"]
    paid = price("functions", target="azure-functions")
    gb, requests = 2048 / 1024, rate * MONTH
    # an instance works at least a second at a time: of so many as take 99 % of the requests, each
    # has its share of them, and rests from the end of a second to its next request
    count = next(n for n in range(1, 80) if blocked(rate * SECONDS, n) <= 0.01)
    rest = count / rate
    seconds = max(rate * SECONDS, count * 1.0 / (1.0 + rest))
    compute = requests * paid["million_requests"] / 1e6 + seconds * gb * paid["gb_second"] * MONTH
    assert found.compute == pytest.approx(compute)
    assert (found.http, found.starts, found.standby) == (0, 0, 0)
    assert found.cold_share == pytest.approx(cold(rate, 1200), abs=1e-8)


@pytest.mark.parametrize("rate", RATES)
def test_a_container(rate: float) -> None:
    (found,) = ways("gpu-container", rate).values()
    paid = price("machines", target="gpu-container")
    # four CPUs, of which seven tenths are used
    machines = max(1, math.ceil(rate * SECONDS / (4 * 0.7)))
    assert found.instances == machines
    assert found.dollars == pytest.approx(machines * paid["hour"] * 730)
    assert found.per_million == pytest.approx(found.dollars / (rate * MONTH) * 1e6)
