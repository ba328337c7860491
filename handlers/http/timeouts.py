"""Limits of time for what asyncio waits for: Python's own, or async-timeout's before 3.11."""

from __future__ import annotations

import asyncio
import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout  # novm
else:
    from async_timeout import timeout

TIMED_OUT = (TimeoutError, asyncio.TimeoutError)
"""What is raised where the time is up: two classes before Python 3.11."""

__all__ = ["TIMED_OUT", "timeout"]
