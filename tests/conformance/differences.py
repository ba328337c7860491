"""Where ours answers otherwise than MLflow's server does, on purpose; docs/protocol.md says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.conformance.cases import Case


@dataclass(frozen=True)
class Difference:
    name: str
    """The first cell of its row in docs/protocol.md."""
    asks: Callable[[Case], bool]
    theirs: int
    ours: int
    before: tuple[int, int] = (99, 0)
    """The version of MLflow from which on there is none."""

    def applies(self, case: Case, version: str) -> bool:
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) < self.before and self.asks(case)


DIFFERENCES = (
    Difference("JSON nested too deeply", lambda case: case.body.startswith(b"[[[["), 500, 400),
    Difference(
        "an integer of 4,300 digits or more", lambda case: b"9" * 4300 in case.body, 500, 400
    ),
    Difference(
        "an unnamed column given twice, before 3.12",
        lambda case: b'["a", "a", "b"]' in case.body and case.name.startswith("unnamed"),
        400,
        400,
        before=(3, 12),
    ),
    Difference(
        "labels for rows of plain and nested columns, before 3.17",
        lambda case: case.name == "labels: plain and nested",
        200,
        200,
        before=(3, 17),
    ),
)


def difference(case: Case, version: str) -> Difference | None:
    return next((found for found in DIFFERENCES if found.applies(case, version)), None)
