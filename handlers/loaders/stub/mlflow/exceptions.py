"""MlflowException, for a model that raises or catches it; scoring answers with its code."""

from __future__ import annotations

from typing import Any

from handlers.scoring.errors import STATUS

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
        self.error_code = name if name in STATUS else "INTERNAL_ERROR"
        self.message = str(message)
        self.sqlstate = sqlstate
        self.error_class = error_class
        super().__init__(self.message)

    def get_http_status_code(self) -> int:
        return STATUS.get(self.error_code, 500)

    @classmethod
    def invalid_parameter_value(cls, message: str, **more: Any) -> MlflowException:
        return cls(message, error_code="INVALID_PARAMETER_VALUE", **more)
