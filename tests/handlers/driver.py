"""Run events through a laid-out function, in an interpreter of its own.

    python driver.py EVENTS RESULTS

EVENTS is a JSON list of events; RESULTS becomes a JSON list: for each the answer, or the error as
the runtime reports it, the web modules and our own that are loaded by then, and, with
TRACE_FILES=1, our files in the order in which the call came to each. Standard output is the log.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

WEB = ("mangum", "mangum.handlers", "starlette", "fastapi", "pydantic", "asyncio")


class Context:
    """As awslambdaric's LambdaContext."""

    function_name = "churn"
    function_version = "$LATEST"
    memory_limit_in_mb = "512"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:churn"
    log_group_name = "/aws/lambda/churn"
    log_stream_name = "2026/11/23/[$LATEST]0"

    def __init__(self, number: int) -> None:
        self.aws_request_id = f"00000000-0000-4000-8000-{number:012d}"

    def get_remaining_time_in_millis(self) -> int:
        return 3000


def call_traced(handler: Callable[[object, object], object], event: object, number: int) -> Any:
    """Return the answer, and our files in the order in which the call came to each.

    What an import runs is left out: a file is passed where one of its functions is called.
    """
    passed: dict[str, None] = {}
    ours = f"{Path.cwd() / 'handlers'}/"

    def note(frame: FrameType, kind: str, _: object) -> None:
        code = frame.f_code
        if kind == "call" and code.co_filename.startswith(ours) and code.co_flags & 1:
            passed[code.co_filename.removeprefix(ours)] = None

    sys.setprofile(note)
    try:
        return handler(event, Context(number)), [*passed]
    finally:
        sys.setprofile(None)


def main() -> None:
    from handlers.aws_lambda import handler

    traced = os.environ.get("TRACE_FILES") == "1"
    results: list[dict[str, Any]] = []
    for number, event in enumerate(json.loads(Path(sys.argv[1]).read_text())):
        result: dict[str, Any] = {}
        try:
            if traced:
                result["answer"], result["passed"] = call_traced(handler, event, number)
            else:
                result["answer"] = handler(event, Context(number))
        except Exception as error:  # noqa: BLE001 - the runtime catches all
            result["error"] = {"type": type(error).__name__, "message": str(error)}
        result["web"] = [name for name in WEB if name in sys.modules]
        result["ours"] = [name for name in sys.modules if name.startswith("handlers.")]
        results.append(result)
    Path(sys.argv[2]).write_text(json.dumps(results))


main()
