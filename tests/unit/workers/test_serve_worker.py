"""What a local server logs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from packager.system.resources import WORKERS

_FUNCTION = {
    "__init__.py": "",
    "http/__init__.py": "",
    "http/fastapi_app.py": "def create_app(*_):\n    return serve",
    "manifest.py": "class Manifest:\n    read = staticmethod(lambda _: None)\n",
    "scoring/__init__.py": "",
    "scoring/scorer.py": "Scorer = print\n",
    "scoring/predictor.py": "import logging\n\n\ndef load(*_):\n"
    "    log = logging.getLogger('handlers.importer.bytecode_importer')\n"
    "    log.warning('compressed store: joblib/a.py')\n",
}
"""Files of a function that loads a model, the stored file of which is asked for then."""
_SERVER = """
import asyncio, logging, os, signal


async def serve(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "here", "GET", "/ping", "1.1", 200
    )
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


"""


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("level", "is_told"),
    [("", False), ("INFO", False), ("DEBUG", True), ("debug", True)],
)
def test_a_server_logs_requests_and_failures(level: str, *, is_told: bool, tmp_path: Path) -> None:
    """And, with LOG_LEVEL=DEBUG, how it starts and what its compressed store had to give."""
    for name, text in _FUNCTION.items():
        path = tmp_path / "handlers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_SERVER + text if name.endswith("fastapi_app.py") else text)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = subprocess.run(
            [sys.executable, WORKERS / "serve.py", tmp_path, tmp_path, str(listener.fileno())],
            env={**os.environ, "LOG_LEVEL": level},
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    said = done.stdout + done.stderr
    assert "It is running on http://127.0.0.1:" in said
    assert "GET /ping" in said
    assert "Exception in ASGI application" in said
    assert ("compressed store: joblib/a.py" in said) is is_told
    assert ("Started server process" in said) is is_told
