"""`python -m packager`, and the `packager` command."""

import atexit
import contextlib
import os
import signal
import sys
import threading
from typing import NoReturn

# while the commands are imported nothing is there to be tidied: an interrupt leaves no traceback
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from packager import cli


def main() -> NoReturn:
    """Run a command, and end with its exit code.

    The interpreter's own end takes apart a million objects, half a second of a build, for nothing.
    """
    try:
        cli.main()
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        _end(end.code or 0)
    _end(0)


def _end(code: int) -> NoReturn:
    """End the process once its threads have ended, and all is written that it printed.

    The first two are what the interpreter itself does at its end; they have no public names.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
