"""A subscription to a Service Bus topic: as a Service Bus queue."""

from __future__ import annotations

import azure.functions as func

from handlers.events.triggers import SERVICE_BUS, Decorator, servicebus

NAME = "topic"
RETURNS = False
TYPES = servicebus.TYPES
ANSWER = servicebus.ANSWER
BURIES = False


def bound(app: func.Blueprint) -> tuple[Decorator, ...]:
    return (
        app.service_bus_topic_trigger(
            "event",
            connection=SERVICE_BUS,
            topic_name="%PACKAGER_TOPIC%",
            subscription_name="%PACKAGER_SUBSCRIPTION%",
        ),
    )


entries = servicebus.entries
identify = servicebus.identify
read = servicebus.read
reply = servicebus.reply
