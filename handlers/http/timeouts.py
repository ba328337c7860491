"""Limits of time for what asyncio waits for: Python's own, or async-timeout's before 3.11."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from asyncio import timeout  # novm
else:
    from async_timeout import timeout

__all__ = ["timeout"]
