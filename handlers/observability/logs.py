"""Structured logs through aws-lambda-powertools, with nothing of a request's data in them.

The event is never logged, whatever POWERTOOLS_LOGGER_LOG_EVENT says.
"""

from __future__ import annotations

import logging

from aws_lambda_powertools import Logger

from handlers.observability import log_redaction


def start(service: str) -> Logger:
    """The function's logger; records of our own modules go the same way.

    The level is POWERTOOLS_LOG_LEVEL's or Lambda's own setting, INFO unless set.
    """
    logger = Logger(service=service, serialize_stacktrace=False)
    ours = logging.getLogger("handlers")
    ours.handlers = [logger.registered_handler]
    ours.setLevel(logger.log_level)
    ours.propagate = False
    log_redaction.silence()
    return logger
