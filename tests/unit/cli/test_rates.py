"""`--rate`: requests by the second, or by another time that a person counts in."""

from __future__ import annotations

import pytest
import typer

from packager.cli._choices.rates import read_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("0.5", 0.5),
        (0.25, 0.25),
        ("10/s", 10),
        ("30/min", 0.5),
        ("3600 / h", 1),
        ("86400/day", 1),
        ("2628000/month", 1),
        ("1e6", 1e6),
        ("0.000001", 1e-6),
    ],
)
def test_a_rate_is_read_in_requests_a_second(text: str | float, rate: float) -> None:
    assert read_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", "no rate above 0"),
        ("-3", "no rate above 0"),
        ("nan", "no rate above 0"),
        ("often", "is no rate. Give requests a second"),
        ("", "is no rate"),
        ("/s", "is no rate"),
        ("1,000", "is no rate"),
        ("1e9", "is 1e+09 requests a second, and costs are estimated from 0.000001"),
        ("inf", "is inf requests a second"),
        ("1/month", "is 3.80518e-07 requests a second"),
        ("5/", "'' is no unit of a rate"),
        ("1e6/moth", "Did you mean 'month'?"),
    ],
)
def test_what_is_no_rate_is_refused_with_what_is(text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"requests a second|units?") as refused:
        read_rate(text)
    assert said in refused.value.message
