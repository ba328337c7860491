"""Times of answers by the rows of a request: what cost and limits are reckoned with."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from typing import Final

from packager.errors import EmulatorError
from packager.probes import Probe
from packager.targets.hosts import Call, Host

_LOG = logging.getLogger(__name__)

SIZES: Final = (1, 10, 100, 1000)
_TIMES: Final = 5
_ENOUGH_SECONDS: Final = 1.0
"""A size that took so long in all is not asked again."""
_MOST_SECONDS: Final = 10.0
"""A size that is expected to take longer is left out: a build waits for it."""


def measure_by_rows(function: Host, requests: Sequence[Probe]) -> dict[str, float]:
    """Ask requests of growing size, each several times; rows as text -> median in milliseconds.

    It ends at the first that the function does not answer with 200, or would take too long for.
    """
    found: dict[str, float] = {}
    rows, seconds = 0, 0.0
    for request in requests:
        if rows and seconds * request.rows / rows > _MOST_SECONDS:
            break
        try:
            times = _ask_often(function, Call.of(request))
        except EmulatorError as error:
            _LOG.debug("No time of %d rows: %s", request.rows, error)
            break
        if not times:
            break
        rows, seconds = request.rows, statistics.median(times)
        found[str(rows)] = seconds * 1000
    return found


def _ask_often(function: Host, call: Call) -> list[float]:
    """Seconds of each answer; [] where one was no answer. The first, which loads, is left out."""
    times: list[float] = []
    for _ in range(1 + _TIMES):
        answer = function.ask(call)
        if answer.failure or answer.status != 200:
            return []
        times.append(answer.seconds)
        if sum(times) > _ENOUGH_SECONDS:
            break
    return times[1:] or times
