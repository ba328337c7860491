"""`params` against the signature's params: checked, widened, defaults filled in.

Source: mlflow/models/utils.py, https://github.com/mlflow/mlflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from handlers.scoring.errors import FOREIGN, ParameterError, ScoringError, TooLargeError
from handlers.scoring.schema import np
from handlers.scoring.schema.columns import check_widths
from handlers.scoring.schema.quirks import Quirks
from handlers.scoring.schema.signature import (
    BOOLEAN,
    DATETIME,
    DOUBLE,
    FLOAT,
    INTEGER,
    LONG,
    STRING,
    DataType,
    Json,
    Object,
    ParamSpec,
)

_PYTHON: dict[str, type] = {
    BOOLEAN.name: bool,
    INTEGER.name: int,
    LONG.name: int,
    FLOAT.name: float,
    DOUBLE.name: float,
    STRING.name: str,
}
_WIDENED: dict[str, type] = {FLOAT.name: int, DOUBLE.name: int}


def enforce_params(
    params: object, specs: Sequence[ParamSpec] | None, quirks: Quirks
) -> dict[str, object] | None:
    """Return what the model is called with; unknown names are dropped.

    Raises ParameterError, naming every parameter that does not fit.
    """
    if specs is None:
        return None if params is None else {}
    made = _select_known({} if params is None else params, specs)
    wrong: list[tuple[str, ScoringError]] = []
    for spec in specs:
        value = made.get(spec.name) if spec.name in made else spec.default
        try:
            made[spec.name] = _check_value(value, spec, quirks)
        except TooLargeError:
            raise
        except ScoringError as error:
            wrong.append((spec.name, error))
    if wrong:
        raise ParameterError(
            _list_wrong((name, error.message) for name, error in wrong),
            whole=lambda: _list_wrong((name, error.get_whole()()) for name, error in wrong),
        )
    return made


def _select_known(params: object, specs: Sequence[ParamSpec]) -> dict[str, object]:
    if not isinstance(params, dict):
        raise ParameterError(
            f"Parameters must be a dictionary. Got type '{type(params).__name__}'."
        )
    known = {spec.name for spec in specs}
    return {name: params[name] for name in params if name in known}


def _list_wrong(wrong: Iterable[tuple[str, str]]) -> str:
    return f"Invalid parameters found: {{{', '.join(map(repr, wrong))}}}"


def _check_value(value: Json, spec: ParamSpec, quirks: Quirks) -> object:
    if spec.shape == (-1,) and not (isinstance(value, list) and _count_dimensions(value) == 1):
        raise ParameterError(
            f"Value must be a 1D array with shape (-1,) for param {spec}, "
            f"received {type(value).__name__} with ndim {_count_dimensions(value)}"
        )
    if spec.shape not in {None, (-1,)}:
        raise ParameterError(
            "Shape must be None for scalar or dictionary value, or (-1,) for 1D array value "
            f"for ParamSpec {spec}), received {spec.shape}"
        )
    try:
        if isinstance(spec.type, Object):
            return _enforce_object(value, spec, quirks)
        if spec.shape is None:
            return _enforce_scalar(value, spec.type)
        return [_enforce_scalar(v, spec.type) for v in value]
    except (ScoringError, ValueError, TypeError, OverflowError) as error:
        told = error.message if isinstance(error, ScoringError) else FOREIGN
        whole = error.get_whole() if isinstance(error, ScoringError) else partial(str, error)
        begin = f"Failed to validate type and shape for {spec}, error: "
        raise ParameterError(f"{begin}{told}", whole=lambda: f"{begin}{whole()}") from error


def _count_dimensions(value: object) -> int:
    check_widths(value)
    try:
        return np.array(value).ndim
    except ValueError:  # lists of several lengths
        return -1


def _enforce_object(value: object, spec: ParamSpec, quirks: Quirks) -> object:
    if spec.shape is not None:
        raise ParameterError(FOREIGN)
    from handlers.scoring.schema.nested import enforce_value

    enforce_value(value, spec.type, required=True, quirks=quirks)
    return value


def _enforce_scalar(value: object, wanted: DataType) -> object:
    if value is None:
        return None
    if wanted is DATETIME:
        return _parse_time(value)
    if not np.isscalar(value):
        said = f"Value must be a scalar for type `{wanted.member}`"
        raise ParameterError(said, whole=lambda: f"{said}, got `{value}`")
    python = _PYTHON[wanted.name]
    if type(value) is python or type(value) is _WIDENED.get(wanted.name):
        return python(value)
    said = f"Can not safely convert `{type(value)}` to `{wanted.member}`"
    raise ParameterError(said, whole=lambda: f"{said} for value `{value!s}`")


def _parse_time(value: Json) -> object:
    try:
        made = np.datetime64(value).item()
    except ValueError as error:
        told, into = str(value), f"from type `{type(value)}` to `{DATETIME.member}`"
        raise ParameterError(
            f"Failed to convert value {into}",
            whole=lambda: f"Failed to convert value `{told}` {into}",
        ) from error
    if isinstance(made, int):
        said = (
            f"Failed to convert value to `{DATETIME.member}`. "
            "It must be convertible to datetime.date/datetime"
        )
        raise ParameterError(said, whole=lambda: f"{said}, got `{value}`")
    return made
