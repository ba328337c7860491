"""PythonModel as far as loading and predicting go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlflow.models.signature import _TypeHints, hints_of, takes_context
from mlflow.pyfunc.utils.data_validation import validate_inputs


class PythonModel:
    """Base of a user's class; `predict` is checked against its type hint."""

    def load_context(self, context: object) -> None: ...

    def predict(
        self, context: Any, model_input: Any, params: dict[str, object] | None = None
    ) -> Any:
        raise NotImplementedError

    def predict_stream(
        self, context: object, model_input: object, params: dict[str, object] | None = None
    ) -> object:
        raise NotImplementedError

    @property
    def predict_type_hints(self) -> _TypeHints:
        known = self.__dict__.get("_predict_type_hints")
        if known is None:
            known = hints_of(self.predict, 1 if takes_context(self.predict) else 0)
            self.__dict__["_predict_type_hints"] = known
        return known

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        own = cls.__dict__.get("predict")
        if callable(own) and not getattr(cls, "_skip_type_hint_validation", False):
            cls.predict = validate_inputs(own)  # type: ignore[method-assign]


class _FunctionPythonModel(PythonModel):
    """A plain function as a model."""

    _skip_type_hint_validation = True

    def __init__(self, func: Callable[..., Any], signature: object = None) -> None:
        self.func = func if getattr(func, "_is_pyfunc", False) else validate_inputs(func)
        self.signature = signature

    @property
    def predict_type_hints(self) -> _TypeHints:
        return hints_of(self.func, 0)

    def predict(self, model_input: Any, params: dict[str, object] | None = None) -> Any:  # type: ignore[override]  # noqa: ARG002 - as MLflow's
        return self.func(model_input)


class PythonModelContext:
    def __init__(self, artifacts: Mapping[str, str], model_config: object) -> None:
        self._artifacts = artifacts
        self._model_config = model_config

    @property
    def artifacts(self) -> Mapping[str, str]:
        """Name to absolute path."""
        return self._artifacts

    @property
    def model_config(self) -> object:
        return self._model_config
