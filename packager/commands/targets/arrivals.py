"""Requests that arrive at random: how many instances they meet, and how often none is started.

Arrivals are a Poisson process. An instance answers one request at a time; a request goes to the
first instance, in their order, that is free, as Lambda takes the one that was used last. What
finds the first n busy overflows to the next (Erlang's loss formula), and an instance that has not
been asked for `idle_seconds` is gone. The overflow of a Poisson process is taken to be one too.
It comes in bursts, and the more so the further down an instance stands: where several instances
are at work the share of cold starts is a lower bound. It is small there: a simulation of the same
(tests/unit/commands/test_arrivals.py) has 1.3 % where this has 0.7 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

_REFUSED: Final = 0.01
"""The share of requests that may find every instance busy, where instances are kept started."""
_NEGLIGIBLE: Final = 1e-9
_MOST: Final = 100_000
"""Instances that are counted: far more than a region gives anybody."""


def list_overflow(load: float) -> Iterator[float]:
    """Yield the share of requests that find 0, 1, 2 ... instances busy; `load` is in Erlang."""
    share = 1.0
    for instances in range(1, _MOST):
        yield share
        if share < _NEGLIGIBLE:
            return
        share = load * share / (instances + load * share)


def find_overflow(load: float, instances: int) -> float:
    """Return the share of requests that find so many instances busy."""
    for count, share in enumerate(list_overflow(load)):
        if count == instances:
            return share
    return 0.0


def count_instances(load: float) -> int | None:
    """Return how many instances take all but a hundredth of the requests; at least one.

    None where they are more than are counted.
    """
    for count, share in enumerate(list_overflow(load)):
        if count and share <= _REFUSED:
            return count
    return None


def estimate_cold_share(
    rate: float, seconds: float, idle_seconds: float, started: int = 0
) -> float:
    """Return the share of all requests that wait for an instance to start.

    `rate` is in requests a second, `seconds` the time of one. The first `started` instances are
    always there.
    """
    cold = 0.0
    for count, (before, after) in enumerate(pairwise(list_overflow(rate * seconds))):
        if count >= started:
            cold += (before - after) * math.exp(-rate * before * idle_seconds)
    return cold
