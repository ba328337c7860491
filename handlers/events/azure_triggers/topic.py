"""A subscription to a Service Bus topic: as a Service Bus queue."""

from __future__ import annotations

import azure.functions as func

from handlers.events.azure_triggers import SERVICE_BUS, Decorator, servicebus

NAME = "topic"
RETURNS = False
TYPES = servicebus.TYPES
ANSWER = servicebus.ANSWER
BURIES = False


def make_decorators(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (
        app.service_bus_topic_trigger(
            "event",
            connection=SERVICE_BUS,
            topic_name="%PACKAGER_TOPIC%",
            subscription_name="%PACKAGER_SUBSCRIPTION%",
        ),
    )


list_entries = servicebus.list_entries
identify_entry = servicebus.identify_entry
read_entry = servicebus.read_entry
make_reply = servicebus.make_reply
