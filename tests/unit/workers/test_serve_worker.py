"""What a local server logs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_LOGGING = """
import logging
from packager.workers import serve
serve._configure(None)
logging.getLogger("uvicorn.error").info("Started server process")
access = logging.getLogger("uvicorn.access")
access.info('%s - "%s %s HTTP/%s" %d', "here", "GET", "/ping", "1.1", 200)
logging.getLogger("uvicorn.error").error("Exception in ASGI application")
logging.getLogger("handlers.importer.bytecode_importer").warning("compressed store: joblib/a.py")
"""


@pytest.mark.parametrize(
    ("level", "is_told"), [("", False), ("INFO", False), ("DEBUG", True), ("debug", True)]
)
def test_a_server_logs_requests_and_failures(level: str, *, is_told: bool) -> None:
    """And, with LOG_LEVEL=DEBUG, how it starts and what its compressed store had to give."""
    done = subprocess.run(
        [sys.executable, "-c", _LOGGING],
        env={**os.environ, "LOG_LEVEL": level},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = done.stdout + done.stderr
    assert "GET /ping" in said
    assert "Exception in ASGI application" in said
    assert ("compressed store: joblib/a.py" in said) is is_told
    assert ("Started server process" in said) is is_told
