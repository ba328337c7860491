"""The answer of a function whose process ended, or was still busy when its time was up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from packager.system.sandbox import Confined
from packager.system.sandbox.endings import Ending, explain_code, explain_timeout
from packager.targets.hosts._host import Answered

_END_SECONDS: Final = 5.0
_DUMP_SECONDS: Final = 0.5


def answer_ended(
    confined: Confined, read_log: Callable[[], str], *, loading: bool, late: bool
) -> Answered:
    """`late` where nothing came in the time that it has: it is ended, and says at which call."""
    if late and confined.poll() is None:
        confined.abort()
        time.sleep(_DUMP_SECONDS)
        return of_ending(explain_timeout(read_log()), loading=loading)
    code = confined.wait(_END_SECONDS)
    if code is None:
        cause = "closed its connection, and runs on"
        hint = "Leave the server's sockets alone in the model's code."
        return of_ending(Ending(cause=cause, hint=hint), loading=loading)
    return of_ending(explain_code(code, read_log()), loading=loading)


def of_ending(ending: Ending, *, loading: bool) -> Answered:
    failure = f"its process {ending.cause}"
    return Answered(
        status=502, text=failure, body=None, failure=failure, ending=ending, loading=loading
    )
