"""AWS's services through botocore, which the runtime carries; the only import of it that ships.

A function that asks no service imports none of it: it is a third of a second of CPU at start.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

AWS_ERRORS = (BotoCoreError, ClientError)
_CONNECTIONS = 16


@functools.lru_cache(maxsize=None)
def client(service: str) -> Any:
    """One client a service, safe to use from several threads; the region is the function's."""
    return _session().create_client(
        service,
        region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=3,
            read_timeout=15,
            max_pool_connections=_CONNECTIONS,
        ),
    )


@functools.lru_cache(maxsize=None)
def _session() -> Any:
    return botocore.session.get_session()


def code(error: Exception) -> str:
    """The service's code for an error, or its class: for the log, as neither holds data."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)
