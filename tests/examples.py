"""The fast tests draw a quarter of the examples, and ask a few cases of a costly table."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

ALL = 100
"""Of a test that asks for no other number, as hypothesis itself has it."""
FEW = ALL // 4


def choose_number(*, fast: bool) -> None:
    """Call it before a test module is imported: a test's settings are made then."""
    # how long an example takes, or is drawn, is the machine's affair: the first text is drawn of a
    # table of all characters, and to make that takes more than a second on a machine that is busy
    settings.register_profile(
        "steady",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=FEW if fast else ALL,
    )
    settings.load_profile("steady")


def count(most: int) -> int:
    """Return how many of these examples are drawn here."""
    return max(1, most * settings().max_examples // ALL)


def spread(cases: int, count: int) -> range:
    """Return which of so many cases are left where about `count` are: the first, and so on."""
    return range(0, cases, -(-cases // count)) if count else range(0)
