"""Converters of our own, for what skl2onnx turns into an operator that exists in float alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import TensorProto
from skl2onnx.common._registration import get_converter, register_converter
from skl2onnx.common.data_types import DoubleTensorType
from skl2onnx.operator_converters.common import concatenate_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from skl2onnx.common._container import ModelComponentContainer
    from skl2onnx.common._topology import Operator, Scope

_THEIRS: Final = get_converter("SklearnSimpleImputer")


def register() -> None:
    """Put them in the place of skl2onnx's own, which stay in use for every other input type."""
    for alias in ("SklearnImputer", "SklearnSimpleImputer"):
        register_converter(alias, _or_else(_impute, _THEIRS), overwrite=True)


def _or_else(ours: Callable[..., bool], theirs: Callable[..., None]) -> Callable[..., None]:
    def convert(scope: Scope, operator: Operator, container: ModelComponentContainer) -> None:
        if not ours(scope, operator, container):
            theirs(scope, operator, container)

    return convert


def _impute(scope: Scope, operator: Operator, container: ModelComponentContainer) -> bool:
    """SimpleImputer over doubles: NaN is replaced by the column's statistic, in double."""
    model = operator.raw_operator
    wide = all(isinstance(each.type, DoubleTensorType) for each in operator.inputs)
    missing = model.missing_values
    statistics = getattr(model, "statistics_", None)
    if not wide or not isinstance(missing, float) or not np.isnan(missing) or statistics is None:
        return False
    fill = np.asarray(statistics, dtype=np.float64)
    if model.add_indicator or np.isnan(fill).any():
        return False
    table = concatenate_variables(scope, operator.inputs, container)
    nan, filled = (scope.get_unique_variable_name(name) for name in ("nan", "filled"))
    container.add_initializer(filled, TensorProto.DOUBLE, [1, len(fill)], fill.tolist())
    container.add_node("IsNaN", [table], [nan], op_version=13)
    output = operator.outputs[0].full_name
    container.add_node("Where", [nan, filled, table], [output], op_version=16)
    return True
