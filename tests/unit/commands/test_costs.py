"""Dollars of each way to run a model, reckoned again by hand from the vendors' own examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packager import targets
from packager.commands.targets.costs import MONTH_SECONDS, Way, list_ways
from packager.commands.targets.workload import Measured, Workload
from packager.facts import prices
from packager.types import Front

# 1,769 MB have a whole CPU, so that what was measured is what it takes there
SMALL = Measured(
    unzipped_bytes=50_000_000,
    memory_bytes=int(1769 * (1 << 20) / 1.3) - 8_000_000,
    init_seconds=1.5,
    answer_seconds=0.1,
    request_bytes=500,
    response_bytes=100,
)
MONTH = MONTH_SECONDS


def find_way(
    target: str, name: str, workload: Workload, measured: Measured = SMALL, cpu: str = "x86_64"
) -> Way:
    (found,) = (
        way
        for way in list_ways(measured, workload, targets.load(target))
        if (way.name, way.architecture) == (name, cpu)
    )
    return found


@pytest.mark.parametrize(
    ("front", "dollars"),
    [
        # 2.628 million requests a month, at one a second
        (Front.HTTP_API, 2.628 * 1.00),
        (Front.REST_API, 2.628 * 3.50),
        (Front.FUNCTION_URL, 0.0),
        (Front.NONE, 0.0),
        (None, 2.628 * 1.00),
    ],
)
def test_the_http_endpoint_is_paid_for(front: Front | None, dollars: float) -> None:
    way = find_way("aws-lambda", "on demand", Workload(front=front))

    assert way.http == pytest.approx(dollars)
    assert way.dollars == pytest.approx(way.compute + dollars + way.starts)


def test_an_http_api_counts_a_large_request_once_for_each_512_kb() -> None:
    large = replace(SMALL, request_bytes=524_289)

    ways = [
        find_way("aws-lambda", "on demand", Workload(front=front), large).http
        for front in (Front.HTTP_API, Front.REST_API)
    ]
    assert ways == pytest.approx([2 * 2.628, 3.5 * 2.628])


def test_a_function_pays_its_requests_and_its_time() -> None:
    way = find_way("aws-lambda", "on demand", Workload())
    arm = find_way("aws-lambda", "on demand", Workload(), cpu="arm64")

    assert way.memory_mb == 1792
    assert way.compute == pytest.approx(2.628 * 0.20 + MONTH * 1.75 * 0.1 * 0.0000166667)
    assert arm.compute == pytest.approx(2.628 * 0.20 + MONTH * 1.75 * 0.1 * 0.0000133334)


def test_time_is_rounded_up_to_the_step_that_is_billed() -> None:
    quick = replace(SMALL, answer_seconds=0.0001)
    way = find_way("aws-lambda", "on demand", Workload(), quick)

    assert way.compute == pytest.approx(2.628 * 0.20 + MONTH * 1.75 * 0.001 * 0.0000166667)


def test_rare_requests_start_cold_and_pay_for_the_start() -> None:
    """One every 20 minutes, where an instance is kept for 10: exp(-0.5) of them."""
    way = find_way("aws-lambda", "on demand", Workload(requests_per_second=1 / 1200))

    assert way.cold_share == pytest.approx(0.6065, abs=0.001)
    starts = MONTH / 1200 * 0.6065
    assert way.starts == pytest.approx(starts * 1.5 * 1.75 * 0.0000166667, rel=0.01)


def test_a_snapshot_is_paid_for_while_it_is_kept_and_each_time_it_is_started_from() -> None:
    """As AWS's own example: 1 GB for 31 days is $4.03, 74,400 restores are $10.40."""
    snapshot = prices.read_prices("aws-lambda").snapshot
    assert snapshot is not None
    assert snapshot.cache_gb_second * 2_678_400 == pytest.approx(4.03, abs=0.005)
    assert snapshot.restore_gb * 74_400 == pytest.approx(10.40, abs=0.005)

    way = find_way("aws-lambda", "SnapStart", Workload(requests_per_second=1 / 1200))
    assert way.standby == pytest.approx(1.75 * MONTH * 0.0000015046)
    assert way.starts == pytest.approx(MONTH / 1200 * 0.6065 * 1.75 * 0.0001397998, rel=0.01)


def test_provisioned_instances_are_paid_for_all_the_time_and_less_for_work() -> None:
    """As AWS's own example: 28 GB for a day are $10.08, 2,240,000 GB-s of work $21.78."""
    (standby, arm) = prices.read_prices("aws-lambda").standby
    assert standby.standby_gb_second * 2_419_200 == pytest.approx(10.08, abs=0.005)
    assert standby.gb_second * 2_240_000 == pytest.approx(21.78, abs=0.005)
    assert arm.unchecked

    way = find_way("aws-lambda", "provisioned", Workload(requests_per_second=10))
    # 10 a second of 0.1 s are 1 Erlang: five instances refuse 0.3 %, four would 1.5 %
    assert way.instances == 5
    assert way.standby == pytest.approx(5 * 1.75 * MONTH * 0.0000041667)
    within, beyond = 1 - 0.00307, 0.00307
    gb_seconds = 10 * MONTH * 0.1 * 1.75
    assert way.compute == pytest.approx(
        26.28 * 0.20 + gb_seconds * (within * 0.0000097222 + beyond * 0.0000166667), rel=1e-3
    )


def test_managed_instances_are_paid_for_whole_with_their_fee() -> None:
    """Three c7i.xlarge at least; each has 4 vCPU, of which 70 % are used, and the fee is 15 %."""
    rare = find_way("aws-lambda", "managed c7i.xlarge", Workload(requests_per_second=0.01))
    often = find_way("aws-lambda", "managed c7i.xlarge", Workload(requests_per_second=280))
    arm = find_way("aws-lambda", "managed c7g.xlarge", Workload(), cpu="arm64")

    hour = 0.1785 * 1.15
    assert (rare.instances, rare.cold_share, rare.starts) == (3, 0.0, 0.0)
    assert rare.standby == pytest.approx(3 * 730 * hour)
    # 280 a second of 0.1 s of a whole CPU are 28 CPUs
    assert often.instances == 10
    assert often.dollars == pytest.approx(10 * 730 * hour + 280 * 2.628 * 1.20)
    assert arm.standby == pytest.approx(3 * 730 * 0.145 * 1.15)
    assert not rare.is_checked
    assert rare.beside == "the fee of 15 % is in it; 3 are kept started at least"


def test_memory_bounds_the_processes_of_a_managed_instance() -> None:
    """3 GB and what a template adds: two of such processes are all that 8 GiB hold."""
    large = replace(SMALL, memory_bytes=3 << 30)
    way = find_way("aws-lambda", "managed c7i.xlarge", Workload(requests_per_second=280), large)

    assert way.instances == 14


@pytest.mark.parametrize(
    "changes",
    [{"memory_bytes": 8 << 30}, {"needs_gpu": "it was logged for cuda"}, {"python_minor": "3.12"}],
)
def test_what_no_managed_instance_runs_has_no_such_way(changes: dict[str, Any]) -> None:
    ways = list_ways(replace(SMALL, **changes), Workload(), targets.load("aws-lambda"))

    assert ways
    assert not [way for way in ways if way.name.startswith("managed")]


def test_an_instance_of_flex_consumption_is_billed_a_second_at_least() -> None:
    rare = find_way("azure-functions", "on demand", Workload(requests_per_second=0.001))
    often = find_way("azure-functions", "on demand", Workload(requests_per_second=200))

    assert (rare.memory_mb, rare.http, rare.starts) == (2048, 0.0, 0.0)
    # alone in its second
    each = rare.compute / rare.requests
    assert each == pytest.approx(2 * 1.0 * 0.000026 + 0.40 / 1e6, rel=0.01)
    # many in each: no more than the instances that are at work
    seconds = (often.compute / MONTH - 200 * 0.40 / 1e6) / (2 * 0.000026)
    assert 200 * 0.1 <= seconds <= 31


def test_always_ready_instances_are_never_cold_where_one_is_enough() -> None:
    way = find_way("azure-functions", "always ready", Workload(requests_per_second=0.001))

    assert way.instances == 1
    assert way.cold_share < 0.001
    assert way.standby == pytest.approx(2 * MONTH * 0.000004)


def test_a_machine_is_paid_by_the_hour_and_by_how_many_it_takes() -> None:
    (one,) = list_ways(SMALL, Workload(requests_per_second=0.01), targets.load("gpu-container"))
    (two,) = list_ways(SMALL, Workload(requests_per_second=50), targets.load("gpu-container"))

    # 50 requests of 0.1 s are 5 CPUs; a machine has 4, and 0.7 of them are used
    assert [one.instances, two.instances] == [1, 2]
    assert one.dollars == pytest.approx(1.006 * 730)
    assert one.per_million == pytest.approx(1.006 / 3600 / 0.01 * 1e6)


@pytest.mark.parametrize(
    ("target", "standby"), [("aws-lambda", "provisioned"), ("azure-functions", "always ready")]
)
def test_more_instances_than_are_counted_are_not_priced_as_those_that_are(
    target: str, standby: str
) -> None:
    def list_names(rate: float) -> set[str]:
        workload = Workload(requests_per_second=rate)
        return {way.name for way in list_ways(SMALL, workload, targets.load(target))}

    assert standby in list_names(1e5)  # 10,000 at work
    assert standby not in list_names(1e7)
    assert "on demand" in list_names(1e7)


def test_the_cheapest_way_comes_first() -> None:
    for name in targets.TARGETS:
        for rate in (1e-4, 1.0, 300.0):
            workload = Workload(requests_per_second=rate)
            found = [way.dollars for way in list_ways(SMALL, workload, targets.load(name))]
            assert found == sorted(found)
            assert found


def test_times_between_two_that_were_measured_are_on_the_line_between_them() -> None:
    timed = replace(SMALL, seconds_by_rows={1: 0.010, 10: 0.019, 100: 0.100, 1000: 0.550})

    found = [timed.estimate_seconds(rows) for rows in (1, 4, 10, 55, 100, 1000, 2000)]
    assert found == pytest.approx([0.010, 0.013, 0.019, 0.0595, 0.100, 0.550, 1.050])
    assert timed.explain_seconds(100) == "measured"
    assert timed.explain_seconds(55) == "by those measured at 1, 10, 100, 1,000 rows"
    assert SMALL.explain_seconds(55) == "scaled from 1 rows"


def test_a_larger_request_that_was_timed_faster_gives_no_time_below_what_was_measured() -> None:
    timed = replace(SMALL, seconds_by_rows={1: 0.010, 10: 0.009})
    assert timed.estimate_seconds(100_000) == 0.010


def test_a_runtime_without_snapshots_or_arm_has_no_such_way() -> None:
    def names(minor: str) -> set[str]:
        measured = replace(SMALL, python_minor=minor)
        return {way.name for way in list_ways(measured, Workload(), targets.load("aws-lambda"))}

    assert "SnapStart" in names("3.13")
    assert "SnapStart" not in names("3.11")
    azure = list_ways(SMALL, Workload(), targets.load("azure-functions"))
    assert {way.architecture for way in azure} == {"x86_64"}


def test_a_price_that_no_vendor_s_page_stands_behind_is_marked() -> None:
    ways = list_ways(SMALL, Workload(), targets.load("aws-lambda"))
    checked = {(way.name, way.architecture): way.is_checked for way in ways}

    assert checked["on demand", "arm64"] is checked["provisioned", "x86_64"] is True
    assert checked["provisioned", "arm64"] is False
    azure = list_ways(SMALL, Workload(), targets.load("azure-functions"))
    assert not any(way.is_checked for way in azure)
    assert all("unchecked: read at" in way.prices[0].told for way in azure)


def test_prices_of_an_earlier_file_are_read_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        '[[functions]]\ntarget = "aws-lambda"\ngb_second = 1.0\nmillion_requests = 0.1\n'
        'source = "https://example.org"\nas_of = 2026-01-01\n',
        encoding="utf-8",
    )
    (way,) = list_ways(SMALL, Workload(), targets.load("aws-lambda"), tmp_path)

    assert (way.name, way.cold_share, way.http, way.starts) == ("on demand", 0.0, 0.0, 0.0)
    assert way.compute == pytest.approx(MONTH * (1.75 * 0.1 + 0.1e-6))
    assert list_ways(SMALL, Workload(), targets.load("azure-functions"), tmp_path) == ()


def test_tmp_beyond_what_is_free_is_paid_for_while_a_function_is_billed() -> None:
    """2 GB of fetched weights need 2,560 MB of /tmp or so, of which 512 are free."""
    large = replace(SMALL, weights_bytes=2_000_000_000, reading_seconds=40.0)
    plain = replace(SMALL, init_seconds=1.5 + 40.0)
    tmp_mb = large.choose_tmp_mb(targets.load("aws-lambda"))
    second = (tmp_mb - 512) / 1024 * 0.0000000309
    rare = Workload(requests_per_second=1 / 1200)

    way = find_way("aws-lambda", "on demand", rare, large)
    without = find_way("aws-lambda", "on demand", rare, plain)

    assert tmp_mb > 2000
    assert not way.is_checked
    assert way.compute - without.compute == pytest.approx(MONTH / 1200 * 0.1 * second, rel=1e-3)
    starts = MONTH / 1200 * way.cold_share
    assert way.starts - without.starts == pytest.approx(starts * 41.5 * second, rel=1e-2)


@pytest.mark.parametrize("changes", [{"mounts_weights": True}, {"weights_bytes": 100_000_000}, {}])
def test_the_tmp_that_is_free_costs_nothing(changes: dict[str, Any]) -> None:
    measured = replace(SMALL, **{"weights_bytes": 0, **changes})
    found = prices.read_prices("aws-lambda").scratch

    assert found is not None
    assert found.price_second(measured.choose_tmp_mb(targets.load("aws-lambda"))) == 0
    assert found not in find_way("aws-lambda", "on demand", Workload(), measured).prices
