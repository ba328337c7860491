"""MlflowException, for a model that raises or catches it; scoring answers with its code."""

from __future__ import annotations

from typing import Any

_STATUS = {
    "INTERNAL_ERROR": 500,
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
    "BAD_REQUEST": 400,
    "RESOURCE_ALREADY_EXISTS": 400,
    "INVALID_PARAMETER_VALUE": 400,
}
_NUMBERS = {
    1: "INTERNAL_ERROR",
    2: "TEMPORARILY_UNAVAILABLE",
    4: "BAD_REQUEST",
    1000: "INVALID_PARAMETER_VALUE",
}
"""Codes as mlflow.protos.databricks_pb2 numbers them; any other is told by its name alone."""


class MlflowException(Exception):  # noqa: N818 - the name that models know
    """An error with one of MLflow's codes; `message` is shown to whoever called."""

    def __init__(
        self,
        message: str,
        error_code: int | str = "INTERNAL_ERROR",
        sqlstate: str | None = None,
        error_class: str | None = None,
        **_more: Any,
    ) -> None:
        name = error_code if isinstance(error_code, str) else _NUMBERS.get(error_code, "")
        self.error_code = name if name in _STATUS else "INTERNAL_ERROR"
        self.message = str(message)
        self.sqlstate = sqlstate
        self.error_class = error_class
        super().__init__(self.message)

    def get_http_status_code(self) -> int:
        return _STATUS.get(self.error_code, 500)

    @classmethod
    def invalid_parameter_value(cls, message: str, **more: Any) -> MlflowException:
        return cls(message, error_code="INVALID_PARAMETER_VALUE", **more)
