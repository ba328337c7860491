"""A message of a Service Bus topic's subscription: as one of a queue."""

from __future__ import annotations

from packager.probes.azure_trigger_messages.servicebus import make_message

__all__ = ["make_message"]
