"""What the fast tests leave to the slow ones."""

from __future__ import annotations

import pytest

from tests import examples


@pytest.mark.parametrize(
    ("cases", "count", "left"),
    [
        (10, 2, [0, 5]),
        (10, 3, [0, 4, 8]),
        (10, 1, [0]),
        (10, 0, []),
        (2, 5, [0, 1]),
        (1, 1, [0]),
        (1, 0, []),
    ],
)
def test_a_few_cases_are_spread_over_the_table(cases: int, count: int, left: list[int]) -> None:
    assert list(examples.spread(cases, count)) == left


@pytest.mark.few(2)
@pytest.mark.parametrize("case", range(6))
def test_the_others_are_slow(case: int, request: pytest.FixtureRequest) -> None:
    is_slow = request.node.get_closest_marker("slow") is not None
    alone = len([each for each in request.session.items if each.path == request.path]) == 1
    assert is_slow == (case not in {0, 3}) or alone
