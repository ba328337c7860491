from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator

import pytest

# images of Python ask for no bytecode; then each of the interpreters that tests start compiles all
# that it imports anew, and these spend more time in that than in what they are asked
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# a shell has what it starts in the background ignore interrupts, nohup has it ignore hang-ups, and
# programs inherit that
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture
def quiet() -> Iterator[None]:
    """MLflow warns of every extra column and parameter, numpy of every time zone."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
