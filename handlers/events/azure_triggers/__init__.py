"""One module a trigger of Azure Functions, beside HTTP: how it is bound, and how it is read.

Each is a `handlers.events.records.Reader` and offers besides:

    TYPES               by argument of the function, what the worker hands over in it
    ANSWER              the answer's name in a container: one of the platform's binding expressions
    BURIES              whether what can never be answered goes to PACKAGER_FAILURES; where it is
                        False the platform itself tries a few times and puts the message aside
    make_decorators(app)  what binds the function to the trigger

Names of queues, containers and hubs are application settings (`%PACKAGER_QUEUE%`), so that an
artifact is the same wherever it is deployed; connections are AzureWebJobsStorage,
PACKAGER_SERVICEBUS and PACKAGER_EVENTHUBS.

https://learn.microsoft.com/en-us/azure/azure-functions/functions-triggers-bindings
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from handlers.events.records import Outcome, Reader, all_or_nothing
from handlers.scoring.errors import suggest_name

if TYPE_CHECKING:
    from typing import TypeAlias

    from azure.functions import Blueprint

_LOG = logging.getLogger(__name__)

TRIGGERS = ("queue", "blob", "eventgrid", "servicebus", "topic", "eventhubs", "timer")
BATCHES, PART = "batches", "batches_score"
"""Beside these: functions of Durable Functions, which answer for themselves; PART scores."""
OUTPUTS = ("blob", "queue", "servicebus")
"""Where answers can go: PACKAGER_OUTPUT names the container and folder, or the queue."""
STORAGE = "AzureWebJobsStorage"
SERVICE_BUS = "PACKAGER_SERVICEBUS"
EVENT_HUBS = "PACKAGER_EVENTHUBS"

Arguments: TypeAlias = "Mapping[str, Any]"
"""By name, as the worker hands them over; `context` is the invocation's."""
Decorator: TypeAlias = "Callable[[Any], Any]"


class Trigger(Reader, Protocol):
    TYPES: Mapping[str, Any]
    ANSWER: str
    BURIES: bool

    def make_decorators(self, app: Blueprint) -> tuple[Decorator, ...]: ...


def load(names: Iterable[str]) -> tuple[Trigger, ...]:
    """The modules of these triggers and no other. Raises ValueError for a name that is none."""
    wanted = tuple(names)
    if unknown := sorted(set(wanted) - set(TRIGGERS)):
        raise ValueError(
            f"There is no trigger {', '.join(unknown)}; there are {', '.join(TRIGGERS)}."
            f"{suggest_name(unknown[0], TRIGGERS)}"
        )
    return tuple(
        cast(Trigger, importlib.import_module(f"handlers.events.azure_triggers.{n}"))
        for n in wanted
    )


def make_reply(_: Arguments, outcomes: Sequence[Outcome]) -> None:
    """No trigger takes a partial answer: raises RecordsFailedError where one must come again.

    The log says why a record that comes again can never be answered: what puts it aside in the end
    does not.
    """
    for outcome in outcomes:
        if outcome.retry and outcome.error is not None:
            _LOG.error(
                "A record cannot be answered, whenever it comes again: %s. The platform puts it "
                "aside when its deliveries are used up.",
                outcome.error.error_code,
            )
    all_or_nothing(outcomes)
