"""Log lines as aws-lambda-powertools' Logger writes them, without its imports.

Field by field they are those of its LambdaPowertoolsFormatter, as tests hold them to
(https://github.com/aws-powertools/powertools-lambda-python, aws_lambda_powertools/logging).
`handlers.observability.lambda_telemetry` says when Powertools itself is taken.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STANDARD = frozenset(
    (
        *("name", "msg", "args", "level", "levelname", "levelno", "pathname", "filename"),
        *("module", "exc_info", "exc_text", "stack_info", "lineno", "funcName", "created"),
        *("msecs", "relativeCreated", "thread", "threadName", "processName", "process"),
        *("asctime", "location", "timestamp"),
    )
)
"""Attributes of a record that are not what a caller added to it."""
_SECOND, _ZONE = "%Y-%m-%d %H:%M:%S", "%z"
_BEGINS = ' \t\n\r{["-0123456789tfnNI'
"""How a text begins that may be JSON; an empty one is none, and is written as it is."""
_WRITER = json.JSONEncoder(default=str, separators=(",", ":"), ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """One JSON object a record, with the keys of the invocation in it."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self.keys: dict[str, object] = {}
        self._second: tuple[int, str, str] = (-1, "", "")

    def format(self, record: logging.LogRecord) -> str:
        location, moment = f"{record.funcName}:{record.lineno}", self.formatTime(record)
        found = self._begin_line(record.levelname, location, moment)
        added = vars(record)
        found.update({name: added[name] for name in added if name not in _STANDARD})
        found["message"] = _read_message(record)
        if record.exc_info and record.exc_info[0] is not None:
            found.setdefault("exception", self.formatException(record.exc_info))
            found.setdefault("exception_name", record.exc_info[0].__name__)
            found.setdefault("exception_notes", getattr(record.exc_info[1], "__notes__", None))
        return self._end_line(found)

    def describe(self, level: str, location: str, message: str, added: dict[str, object]) -> str:
        """The line of a text that is no JSON, as a record of now would have it."""
        now = time.time()
        moment = self._word_time(now, int(now % 1 * 1000))
        found = self._begin_line(level, location, moment)
        found.update(added)
        found["message"] = message
        return self._end_line(found)

    def _begin_line(self, level: str, location: str, moment: str) -> dict[str, object]:
        return {
            "level": level,
            "location": location,
            "message": None,
            "timestamp": moment,
            "service": self._service,
            **self.keys,
        }

    def _end_line(self, found: dict[str, object]) -> str:
        if trace := os.environ.get("_X_AMZN_TRACE_ID"):
            found["xray_trace_id"] = trace.split(";")[0].replace("Root=", "")
        return _WRITER.encode({key: found[key] for key in found if found[key] is not None})

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return self._word_time(record.created, int(record.msecs))

    def _word_time(self, moment: float, milliseconds: int) -> str:
        """The lines of one second have its words in common."""
        second = int(moment)
        known, begin, zone = self._second
        if second != known:
            local = time.localtime(second)
            begin, zone = time.strftime(_SECOND, local), time.strftime(_ZONE, local)
            self._second = second, begin, zone
        return f"{begin},{milliseconds:03d}{zone}"


def _read_message(record: logging.LogRecord) -> object:
    """A text that is JSON is written as what it holds."""
    if isinstance(record.msg, dict):
        return record.msg
    if record.args:
        return record.getMessage()
    if isinstance(record.msg, str) and record.msg[:1] in _BEGINS:
        try:
            return json.loads(record.msg)
        except ValueError:
            return record.msg
    return record.msg


class LineHandler(logging.StreamHandler):  # type: ignore[type-arg]  # logging has no parameter at run time
    """Where lines go."""


class LineLogger:
    """The part of Powertools' Logger that the function's code uses."""

    def __init__(self, service: str, level: str | int) -> None:
        """Raises ValueError for a level that logging does not know."""
        # not the service's, which a model's own Logger of Powertools configures and writes by
        self._logger = logging.getLogger("handlers")
        self._formatter = LineFormatter(service)
        self.registered_handler = LineHandler(sys.stdout)
        self.registered_handler.setFormatter(self._formatter)
        self._logger.handlers = [self.registered_handler]
        self._logger.propagate = False  # the runtime's own would write the line again
        self._logger.setLevel(level)
        kind = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        self._is_cold = kind != "provisioned-concurrency"

    @property
    def log_level(self) -> int:
        return self._logger.level

    def inject_lambda_context(
        self, handle: Callable[[object, object], object], **_options: bool
    ) -> Callable[[object, object], object]:
        """The same function, with what the context tells of an invocation in each of its lines."""

        def handle_in_context(event: object, context: object) -> object:
            self._formatter.keys = {
                "cold_start": self._is_cold,
                "function_name": context.function_name,  # type: ignore[attr-defined]
                "function_memory_size": context.memory_limit_in_mb,  # type: ignore[attr-defined]
                "function_arn": context.invoked_function_arn,  # type: ignore[attr-defined]
                "function_request_id": context.aws_request_id,  # type: ignore[attr-defined]
            }
            self._is_cold = False
            return handle(event, context)

        return handle_in_context

    def append_keys(self, **keys: object) -> None:
        self._formatter.keys.update(keys)

    def set_correlation_id(self, value: str | None) -> None:
        self.append_keys(correlation_id=value)

    def info(self, message: str, **keys: object) -> None:
        """Write a text that is no JSON, without a record: each request writes such a line.

        It goes through logging where somebody else has a say in it, or the line cannot be written.
        """
        logger, own = self._logger, self.registered_handler
        if not logger.isEnabledFor(logging.INFO):
            return
        if logger.handlers == [own] and not (logger.filters or own.filters):
            caller = sys._getframe(1)  # noqa: SLF001 - as logging finds it
            location = f"{caller.f_code.co_name}:{caller.f_lineno}"
            try:
                own.stream.write(f"{self._formatter.describe('INFO', location, message, keys)}\n")
                own.stream.flush()
            except (OSError, ValueError):  # logging says so and goes on
                pass
            else:
                return
        logger.info(message, extra=keys, stacklevel=2)

    def error(self, message: str, *arguments: object, **keys: object) -> None:
        self._logger.error(message, *arguments, extra=keys, stacklevel=2)
