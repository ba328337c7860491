"""Refusals: MLflow's error bodies, without the request's data unless asked for.

The codes, classes and states are those of MLflow 3.12 and later (mlflow/exceptions.py and
mlflow/error_classification.py, https://github.com/mlflow/mlflow); earlier versions write only
`error_code` and `message`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial

BAD_REQUEST = "BAD_REQUEST"
INVALID_PARAMETER_VALUE = "INVALID_PARAMETER_VALUE"
INTERNAL_ERROR = "INTERNAL_ERROR"
SCHEMA_ENFORCEMENT_FAILED = "SCHEMA_ENFORCEMENT_FAILED"
PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
_LONGEST_NAME = 100
"""Characters of a name that another is looked for: the time grows with their square."""

STATUS = {
    INTERNAL_ERROR: 500,
    "INVALID_STATE": 500,
    "DATA_LOSS": 500,
    "NOT_IMPLEMENTED": 501,
    "TEMPORARILY_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "REQUEST_LIMIT_EXCEEDED": 429,
    "CANCELLED": 499,
    "RESOURCE_EXHAUSTED": 429,
    "ABORTED": 409,
    "RESOURCE_CONFLICT": 409,
    "ALREADY_EXISTS": 409,
    "NOT_FOUND": 404,
    "ENDPOINT_NOT_FOUND": 404,
    "RESOURCE_DOES_NOT_EXIST": 404,
    "PERMISSION_DENIED": 403,
    "CUSTOMER_UNAUTHORIZED": 401,
    "UNAUTHENTICATED": 401,
    BAD_REQUEST: 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    INVALID_PARAMETER_VALUE: 400,
}
"""HTTP's status for each code."""
_CLASS = {
    BAD_REQUEST: INVALID_PARAMETER_VALUE,
    "CUSTOMER_UNAUTHORIZED": "PERMISSION_DENIED",
    "ENDPOINT_NOT_FOUND": "RESOURCE_NOT_FOUND",
    "FEATURE_DISABLED": "FEATURE_DISABLED",
    INTERNAL_ERROR: "CLIENT_INTERNAL_ERROR",
    INVALID_PARAMETER_VALUE: INVALID_PARAMETER_VALUE,
    "INVALID_STATE": "CLIENT_INTERNAL_ERROR",
    "NOT_FOUND": "RESOURCE_NOT_FOUND",
    "PERMISSION_DENIED": "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND",
    "TEMPORARILY_UNAVAILABLE": "CLIENT_INTERNAL_ERROR",
}
_STATE = {
    SCHEMA_ENFORCEMENT_FAILED: "KAM01",
    "PREDICTION_FUNCTION_FAILED": "KAM02",
    "MODEL_SERIALIZATION_FAILED": "KAM03",
    "ATTRIBUTE_NOT_FOUND": "KAM04",
    "CLIENT_INTERNAL_ERROR": "XXM00",
}

FOREIGN = "The data does not fit the model's signature."
"""Where MLflow passes on what Python, numpy or pandas said of a value, and often the value."""
NO_FRAME = (
    "This model contains a column-based signature, which suggests a DataFrame input. There was an "
    "error casting the input data to a DataFrame:"
)
DATA_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What numpy and pandas raise for data that they cannot hold."""


class ScoringError(Exception):
    """A request that is answered with an error.

    `message` holds nothing of the request's data; `detail`, which stands behind it, and `whole`,
    which makes MLflow's own text in its place, may. These and what `stack_trace` makes, which takes
    longer than many an answer, are written only where the settings ask for details.
    """

    def __init__(
        self,
        message: str,
        *,
        error_code: str = BAD_REQUEST,
        error_class: str | None = None,
        detail: str = "",
        whole: Callable[[], str] | None = None,
        stack_trace: Callable[[], str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.error_class = error_class or _CLASS.get(error_code)
        self.detail = detail
        self.whole = whole
        self.stack_trace = stack_trace
        self.status = status or STATUS.get(error_code, 500)

    content_type = "application/json"

    def get_whole(self) -> Callable[[], str]:
        """Return what makes the message with all that it leaves out, in MLflow's words."""
        return self.whole or partial(str, f"{self.message} {self.detail}".rstrip(" "))

    def body(self, *, details: bool = False, classified: bool = True) -> bytes:
        """MLflow's error JSON, in its order of keys; `classified` from its version 3.12 on."""
        message = self.get_whole()() if details else self.message
        error = {"error_code": self.error_code, "message": message}
        if classified and self.error_class is not None:
            error["sqlstate"] = _STATE.get(self.error_class, "KAM00")
            error["error_class"] = self.error_class
        if details and self.stack_trace is not None:
            error["stack_trace"] = self.stack_trace()
        return json.dumps(error).encode("ascii")


class InvalidInputError(ScoringError):
    """A body that cannot be read as one of MLflow's formats: 400 BAD_REQUEST."""

    def __init__(
        self, message: str, *, detail: str = "", whole: Callable[[], str] | None = None
    ) -> None:
        told = whole and (lambda: f"Invalid input. {whole()}")
        super().__init__(f"Invalid input. {message}", detail=detail, whole=told)


class SchemaError(ScoringError):
    """Data that was read but does not fit the model's signature."""

    def __init__(
        self, message: str, *, detail: str = "", whole: Callable[[], str] | None = None
    ) -> None:
        super().__init__(
            message,
            error_code=INVALID_PARAMETER_VALUE,
            error_class=SCHEMA_ENFORCEMENT_FAILED,
            detail=detail,
            whole=whole,
        )


class ParameterError(ScoringError):
    """`params` that do not fit the signature's params: 400 INVALID_PARAMETER_VALUE."""

    def __init__(self, message: str, *, whole: Callable[[], str] | None = None) -> None:
        super().__init__(message, error_code=INVALID_PARAMETER_VALUE, whole=whole)


class TooLargeError(ScoringError):
    """A request or an answer beyond what the platform carries: 413, which MLflow never sends."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_class=PAYLOAD_TOO_LARGE, status=413)


class PlainError(ScoringError):
    """Error that MLflow answers as text rather than JSON: 415 and an unhandled 500."""

    content_type = "text/plain; charset=utf-8"

    def __init__(self, message: str, *, status: int, error_code: str = BAD_REQUEST) -> None:
        super().__init__(message, error_code=error_code, status=status)

    def body(self, *, details: bool = False, classified: bool = True) -> bytes:  # noqa: ARG002  the text has neither
        return self.message.encode("utf-8")


class UnhandledError(PlainError):
    """Error that MLflow's server itself fails on: its 500 "Internal Server Error".

    A prediction that JSON cannot hold; with the strict protocol a missing Content-Type; with the
    versions before 3.16 a body that is not UTF-8.
    """

    def __init__(self) -> None:
        super().__init__("Internal Server Error", status=500, error_code=INTERNAL_ERROR)


def suggest_name(given: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'NAME'?` for the closest known name; an empty text without one."""
    if len(given) > _LONGEST_NAME:
        return ""
    import difflib

    close = difflib.get_close_matches(given, tuple(known), 1)
    return f" Did you mean {close[0]!r}?" if close else ""
