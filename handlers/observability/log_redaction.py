"""Logs with nothing of a request's data in them.

What could carry data is kept out on purpose: exceptions are logged by their type and the place
where they arose, never by their text; warnings likewise (scikit-learn's, for one, quote values).
A model's own prints are its author's.
"""

from __future__ import annotations

import logging
import traceback
import warnings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

_QUOTING = ("mangum", "mlflow")
"""Libraries whose messages quote paths, parameters or exceptions."""


def silence() -> None:
    """Keep libraries' messages and the text of warnings out of the log."""
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.showwarning = _show_warning


def place(error: BaseException) -> str:
    """Tell where an exception arose: file and line, nothing of its text."""
    # not extract_tb, which reads the source of every frame
    frames = list(traceback.walk_tb(error.__traceback__))
    return f"{frames[-1][0].f_code.co_filename}:{frames[-1][1]}" if frames else "unknown"


def _show_warning(
    message: Warning | str,  # noqa: ARG001 - it may quote a value
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the signature is warnings.showwarning's
    line: str | None = None,  # noqa: ARG001
) -> None:
    logging.getLogger(__name__).warning("%s at %s:%s", category.__name__, filename, lineno)
