"""Formulas for requests that arrive at random, held to a simulation of the same."""

from __future__ import annotations

import random

import pytest

from packager.commands.targets.arrivals import (
    count_instances,
    estimate_cold_share,
    find_overflow,
)


def simulate(rate: float, seconds: float, idle_seconds: float, count: int) -> tuple[float, float]:
    """Share of cold starts, and of requests that found the first instance busy.

    Each instance is a time: when it ended its last answer. A request goes to the first that is
    free; one that was idle for too long has to start anew.
    """
    draw = random.Random(7)
    ends: list[float] = []
    now, cold, busy = 0.0, 0, 0
    for _ in range(count):
        now += draw.expovariate(rate)
        at = next((at for at, end in enumerate(ends) if end <= now), None)
        busy += bool(ends) and ends[0] > now
        if at is None:
            at = len(ends)
            ends.append(now)
            cold += 1
        elif now - ends[at] > idle_seconds:
            cold += 1
        ends[at] = now + seconds
    return cold / count, busy / count


@pytest.mark.parametrize(
    ("rate", "seconds", "idle_seconds"),
    [
        (0.001, 0.05, 600.0),
        (0.005, 2.0, 600.0),
        (0.5, 0.5, 600.0),
        (1.0, 0.02, 60.0),
    ],
)
def test_the_share_of_cold_starts_is_a_simulation_s(
    rate: float, seconds: float, idle_seconds: float
) -> None:
    cold, busy = simulate(rate, seconds, idle_seconds, 60_000)

    assert estimate_cold_share(rate, seconds, idle_seconds) == pytest.approx(
        cold, rel=0.1, abs=4e-4
    )
    assert find_overflow(rate * seconds, 1) == pytest.approx(busy, rel=0.05, abs=4e-4)


@pytest.mark.parametrize(("rate", "seconds", "idle_seconds"), [(5.0, 1.0, 20.0), (40.0, 0.25, 5.0)])
def test_where_many_are_at_work_it_is_a_small_share_and_at_most_a_simulation_s(
    rate: float, seconds: float, idle_seconds: float
) -> None:
    cold, _ = simulate(rate, seconds, idle_seconds, 60_000)

    assert cold / 4 < estimate_cold_share(rate, seconds, idle_seconds) < cold < 0.02


def test_one_request_an_hour_is_almost_always_cold_and_one_a_second_almost_never() -> None:
    assert estimate_cold_share(1 / 3600, 0.1, 600) == pytest.approx(0.846, abs=0.01)
    assert estimate_cold_share(1.0, 0.001, 600) < 0.002


@pytest.mark.parametrize(
    # Erlang B's own tables: the offered load that so many lines take with 1 % refused
    ("load", "instances"), [(0.0, 1), (0.0101, 1), (0.152, 2), (1.36, 5), (4.46, 10), (12.03, 20)]
)  # fmt: skip
def test_the_instances_for_a_load_are_those_of_erlang_s_table(load: float, instances: int) -> None:
    assert count_instances(load) == instances
    assert count_instances(load + 0.02 + load * 0.02) == instances + 1


def test_instances_that_are_always_there_are_never_cold() -> None:
    assert estimate_cold_share(0.0001, 0.01, 600) > 0.9
    assert estimate_cold_share(0.0001, 0.01, 600, started=1) < 1e-5
