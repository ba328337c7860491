"""Rates of requests: how an option reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import typer

from packager.errors import suggest_name

_SECONDS: Final[Mapping[str, float]] = {
    "s": 1, "min": 60, "h": 3600, "day": 86400, "month": 730 * 3600,
}  # fmt: skip
_LEAST: Final = 1e-6
_MOST: Final = 1e6
_FORMS: Final = "requests a second, as 0.5, or with a unit: 30/min, 1000/h, 20000/day, 1e6/month"


def read_rate(text: str | float) -> float:
    """Return requests per second. Raises BadParameter for what costs cannot be told of."""
    number, slash, unit = str(text).strip().partition("/")
    try:
        value = float(number.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no rate. Give {_FORMS}.") from error
    unit = unit.strip() if slash else "s"
    if unit not in _SECONDS:
        known = ", ".join(_SECONDS)
        raise typer.BadParameter(
            f"{text!r}: {unit!r} is no unit of a rate, which are {known}."
            f"{suggest_name(unit, (*_SECONDS,))}"
        )
    rate = value / _SECONDS[unit]
    if not rate > 0:
        raise typer.BadParameter(
            f"{text!r} is no rate above 0. Give {_FORMS}. Without any request you pay for what is "
            "kept started alone."
        )
    if not _LEAST <= rate <= _MOST:
        raise typer.BadParameter(
            f"{text!r} is {rate:g} requests a second, and costs are estimated from {_LEAST:f} (one "
            f"request in 11 days) to {_MOST:,.0f} a second."
        )
    return rate
