from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell has what it starts in the background ignore interrupts, and programs inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def quiet() -> Iterator[None]:
    """MLflow warns of every extra column and parameter, numpy of every time zone."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
