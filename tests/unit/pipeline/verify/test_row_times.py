"""Times by rows: asked of the booted function, as far as it answers them in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest

from packager.errors import EmulatorError
from packager.pipeline.verify.row_times import SIZES, measure_by_rows
from packager.probes import Probe, of_sizes
from packager.targets.hosts import Answered, Call, Host
from packager.types import SavedExample
from tests import fake_plan

SIGNATURE = {"inputs": [{"type": "double", "name": "x"}, {"type": "string", "name": "y"}]}


class TimedHost:
    """Answers with the seconds that a function of the rows gives."""

    def __init__(self, answer: Callable[[int], Answered]) -> None:
        self.answer = answer
        self.rows: list[int] = []

    def ask(self, call: Call) -> Answered:
        self.rows.append(call.body.count(b"row"))
        return self.answer(self.rows[-1])


def make_requests() -> list[Probe]:
    return [
        Probe(name=str(n), body=b"row" * n, content_type="application/json", rows=n, door="http")
        for n in SIZES
    ]


def measure(host: TimedHost) -> dict[str, float]:
    return measure_by_rows(cast(Host, host), make_requests())


def answered(seconds: float, status: int = 200) -> Answered:
    return Answered(status=status, text="", body=None, seconds=seconds)


def test_each_size_is_asked_until_the_median_is_one() -> None:
    host = TimedHost(lambda rows: answered(0.001 * rows**0.5))

    found = measure(host)

    assert found == pytest.approx({str(rows): rows**0.5 for rows in SIZES})
    assert [host.rows.count(rows) for rows in SIZES] == [6] * len(SIZES)


def test_a_size_that_would_take_too_long_is_not_asked() -> None:
    host = TimedHost(lambda rows: answered(0.05 * rows))

    assert measure(host) == pytest.approx({"1": 50.0, "10": 500.0, "100": 5000.0})
    assert host.rows.count(100) == 1
    assert 1000 not in host.rows


@pytest.mark.parametrize(
    "refused", [answered(0.1, 413), Answered(status=200, text="", body=None, failure="it ended")]
)
def test_it_ends_where_the_function_does_not_answer(refused: Answered) -> None:
    host = TimedHost(lambda rows: refused if rows > 10 else answered(0.001))

    assert sorted(measure(host)) == ["1", "10"]
    assert host.rows.count(100) == 1


def test_a_host_that_is_gone_costs_no_build() -> None:
    def answer(rows: int) -> Answered:
        if rows > 1:
            raise EmulatorError("it is gone")
        return answered(0.001)

    assert sorted(measure(TimedHost(answer))) == ["1"]


def test_requests_are_of_the_sizes_that_were_asked_for() -> None:
    found = of_sizes(fake_plan.model(signature=SIGNATURE, example=None), SIZES, seed=0)

    assert [probe.rows for probe in found] == list(SIZES)
    assert {(probe.door, probe.content_type) for probe in found} == {("http", "application/json")}
    again = of_sizes(fake_plan.model(signature=SIGNATURE, example=None), SIZES, seed=0)
    assert found == again


def test_without_a_signature_the_example_s_rows_are_drawn() -> None:
    example = SavedExample(
        body=b'{"inputs": [[1.0], [2.0]]}', content_type="application/json", source="logged"
    )
    found = of_sizes(fake_plan.model(signature=None, example=example), SIZES, seed=0)
    assert [probe.rows for probe in found] == list(SIZES)
    assert of_sizes(fake_plan.model(signature=None, example=None), SIZES, seed=0) == ()


def test_a_size_whose_body_would_be_too_large_is_left_out() -> None:
    wide = {
        "inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2000]}}]
    }
    found = of_sizes(fake_plan.model(signature=wide, example=None), SIZES, seed=0)

    assert 1 in {probe.rows for probe in found}
    assert 1000 not in {probe.rows for probe in found}


@pytest.mark.parametrize(("columns", "most"), [(30, 1000), (100, 1000), (300, 100)])
def test_a_table_is_timed_at_every_size_that_a_request_may_have(columns: int, most: int) -> None:
    """By the size of its rows in a request, whose columns are named once."""
    names = [f"mean radius of the measurement number {number}" for number in range(columns)]
    wide = {"inputs": [{"name": name, "type": "double"} for name in names]}
    found = of_sizes(fake_plan.model(signature=wide, example=None), SIZES, seed=0)

    assert max(probe.rows for probe in found) == most
    assert max(len(json.dumps(probe.body.decode())) for probe in found) < 6_291_456
