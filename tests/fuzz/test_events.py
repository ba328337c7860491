"""A slice of tests/fuzz/events.py."""

from __future__ import annotations

import pytest

from handlers.events import azure_triggers
from handlers.events.event_processor import EventProcessor
from tests.fuzz import events


@pytest.mark.slow
def test_eight_seconds_of_every_source_find_nothing() -> None:
    assert events.fuzz(8, seed=1, each=5).startswith("No crash")


def test_a_crash_is_told_with_its_event(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EventProcessor, "answer", broken)

    with pytest.raises(Exception, match="ZeroDivisionError") as raised:
        events.fuzz(5, seed=0, each=5)

    (note,) = raised.value.__notes__
    assert note.startswith("seed 0, ")


def test_every_trigger_can_be_asked() -> None:
    apps = events.Azure()
    for name in azure_triggers.TRIGGERS:
        apps.ask(name, {})
