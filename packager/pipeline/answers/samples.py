"""Requests of the proof that go along, so that the deployed function can be asked them again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from packager.probes import Probe
from packager.types import ReplaySample

MOST_BYTES: Final = 1_000_000
"""Of all samples together, as JSON."""
MOST_REQUESTS: Final = 40
_LARGEST_BYTES: Final = 100_000
"""Of one sample, so that a few large ones do not take all the room."""


def choose_samples(answered: Iterable[tuple[Probe, str]]) -> tuple[ReplaySample, ...]:
    """Choose the example and, evenly spread over all others, what can be asked again.

    `answered` has requests and the registered model's answers, JSON. Requests hold nothing that
    was not in the example or generated. What only HTTP can carry is left out.
    """
    made = [sample for probe, body in answered for sample in _make_sample(probe, body)]
    usable = [each for each in made if _count_bytes(each) <= _LARGEST_BYTES]
    chosen, room = [], MOST_BYTES
    for sample in _spread_evenly(usable):
        if (size := _count_bytes(sample)) <= room:
            chosen.append(sample)
            room -= size
    return tuple(chosen)


def _make_sample(probe: Probe, body: str) -> Iterator[ReplaySample]:
    """Yield one sample, or none."""
    if probe.door != "direct" or not probe.rows:
        return
    found = json.loads(body)
    if isinstance(found, dict) and "predictions" in found:
        request = json.dumps(json.loads(probe.body), separators=(",", ":"))
        yield ReplaySample(
            name=probe.name,
            rows=probe.rows,
            request=request,
            answer=json.dumps(found, separators=(",", ":")),
        )


def _count_bytes(sample: ReplaySample) -> int:
    return len(sample.request) + len(sample.answer)


def _spread_evenly(samples: Sequence[ReplaySample]) -> list[ReplaySample]:
    if len(samples) <= MOST_REQUESTS:
        return list(samples)
    step = len(samples) / MOST_REQUESTS
    return [samples[int(number * step)] for number in range(MOST_REQUESTS)]
