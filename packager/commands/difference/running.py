"""Both artifacts, started as their targets would start them, and asked."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packager.commands.difference.documents import Compared, make_amounts
from packager.commands.difference.requests import Asked
from packager.commands.difference.result import Amounts
from packager.commands.local_boot import prepare_boot
from packager.errors import ConfigurationError, EmulatorError
from packager.system.redaction import take_end
from packager.targets.hosts import HOSTS, PING, Answered, Call, ProcessStats
from packager.targets.lambda_emulator import why_not_provable
from packager.targets.lambda_emulator.parts import host_architecture
from packager.types import Door, Json

_LOG = logging.getLogger(__name__)
STARTS: Final = 3
"""Of each artifact, by turns: one start's time says little on a busy machine."""
_LOG_TAIL: Final = 3000
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """Predictions, or why there are none."""

    predictions: Json = None
    refusal: str = ""


def check_bootable(side: Compared) -> None:
    """Raises ConfigurationError where this machine cannot start the artifact."""
    host, minor = side.target.program.host, side.manifest.python
    if why := why_not_provable(side.built.architecture, host, minor):
        raise ConfigurationError(
            f"{side.given}: {why} Add --files-only to compare what the artifacts hold, and start "
            "nothing."
        )


def is_emulated(side: Compared) -> bool:
    """Tell whether its processor is another than this machine's: its times say nothing."""
    return side.built.architecture == "arm64" != host_architecture()


def ask_both(
    before: Compared, after: Compared, requests: Sequence[Asked], *, network: bool
) -> tuple[list[Reply], list[Reply], dict[str, Amounts]]:
    """Return the replies of each to the requests, in their order, and what their starts took.

    Raises EmulatorError for a function that does not start, and as `prepare_boot` does.
    """
    sides = before, after
    replies: list[list[Reply]] = []
    started: tuple[list[ProcessStats], list[ProcessStats]] = [], []
    starts = 1 if any(map(is_emulated, sides)) else STARTS
    for number in range(starts):
        for side, stats in zip(sides, started, strict=True):
            asked = requests if number == 0 else requests[:1]
            _LOG.info("Starting %s (%d of %d)", side.given, number + 1, starts)
            found, took = _ask_one(side, asked, network=network)
            stats.append(took)
            if number == 0:
                replies.append(found)
    figures = {
        "cpu_ms": [statistics.median(each.cpu_ms for each in stats) for stats in started],
        "peak_rss_bytes": [
            statistics.median(each.peak_rss_bytes for each in stats) for stats in started
        ],
    }
    return replies[0], replies[1], {name: make_amounts(*each) for name, each in figures.items()}


def _ask_one(
    side: Compared, requests: Sequence[Asked], *, network: bool
) -> tuple[list[Reply], ProcessStats]:
    """The statistics are those just after the first answer: until then some functions load."""
    door: Door = "direct" if "direct" in side.target.doors else "http"
    with (
        prepare_boot(side.built, side.target, side.manifest.python, network=network) as boot,
        HOSTS[side.target.program.host](boot) as running,
    ):
        calls = [
            Call(body=each.encode(), content_type="application/json", door=door)
            for each in requests
        ]
        first = running.ask(calls[0] if calls else PING)
        if first.failure is not None and first.loading:
            raise EmulatorError(
                f"{side.given} does not start: {first.failure}\n"
                f"{take_end(running.log(), _LOG_TAIL)}"
            )
        stats = running.stats()
        answers = [first, *map(running.ask, calls[1:])] if calls else []
    return [_read_reply(each) for each in answers], stats


def _read_reply(answer: Answered) -> Reply:
    if answer.failure is not None:
        return Reply(refusal=answer.failure[:_LONGEST])
    if answer.status >= 400:
        return Reply(refusal=(answer.text or f"status {answer.status}")[:_LONGEST])
    if not isinstance(answer.body, dict) or "predictions" not in answer.body:
        return Reply(refusal="an answer without predictions")
    return Reply(predictions=answer.body["predictions"])
