"""Serve a function's folder with uvicorn, in the target's Python, that folder first on the path.

Usage: `python serve.py FUNCTION HANDLERS SOCKET`. SOCKET is the descriptor of one that listens,
which comes from outside: the model's code has no network of its own. HANDLERS is the packager's own
`handlers` folder: the long-lived server's module (handlers.http.fastapi_app) does not ship in a
function, so it is taken from there; everything that ships is taken from FUNCTION.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI


def main(function: str, own_handlers: str, descriptor: str) -> None:
    function = str(Path(function).resolve())  # the importer knows its modules by their full paths
    if not _is_detailed():
        # a start of a function counts what its compressed store had to give; a server has time
        logging.getLogger("handlers.importer").setLevel(logging.ERROR)
    sys.path[:0] = [function, str(Path(function, "lib"))]
    from handlers import http

    http.__path__.append(str(Path(own_handlers, "http")))
    import uvicorn

    from handlers.http.fastapi_app import create_app
    from handlers.manifest import Manifest
    from handlers.scoring.predictor import load
    from handlers.scoring.scorer import Scorer

    manifest = Manifest.read(Path(function))
    app = create_app(Scorer(manifest, load(manifest, Path(function))), Path(function))
    with socket.socket(fileno=int(descriptor)) as listener:
        host, port = listener.getsockname()[:2]
        named = f"[{host}]" if ":" in host else host
        sys.stderr.write(f"It is running on http://{named}:{port} (CTRL+C ends it)\n")
        sys.stderr.flush()
        # an interrupt is how it ends, which uvicorn tells once it has ended well
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(_configure(app)).run(sockets=[listener])


def _is_detailed() -> bool:
    return os.environ.get("LOG_LEVEL", "").upper() == "DEBUG"


def _configure(app: FastAPI) -> uvicorn.Config:
    """Say each request and what fails; LOG_LEVEL=DEBUG has all else that is logged."""
    import uvicorn

    config = uvicorn.Config(app, log_level="info")
    if not _is_detailed():
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    return config


if __name__ == "__main__":
    main(*sys.argv[1:4])
