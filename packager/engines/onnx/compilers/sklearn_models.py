"""scikit-learn through skl2onnx: in double, and in float where an operator has nothing wider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from onnx.defs import onnx_opset_version
from skl2onnx import __max_supported_opset__, to_onnx
from skl2onnx.common import data_types as kinds
from sklearn.base import is_classifier

from packager.engines.onnx import operators, splitting
from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.onnx.column_names import number_columns
from packager.engines.onnx.compilers import ensembles, linear_classifiers, sklearn_trees, trees
from packager.engines.onnx.compilers import hist_gradient_boosting as hist
from packager.engines.proof.inputs import Before, Inputs, RefusedError

if TYPE_CHECKING:
    import onnx
    from sklearn.base import BaseEstimator
    from sklearn.tree._tree import Tree

_OUTPUTS: Final = {"predict": 0, "predict_proba": 1}
_NUMPY: Final = {"double": "float64", "float": "float32"}


def candidates(model: object, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """In double first; each fed as one matrix where every column is a number, else by column."""
    if method not in _OUTPUTS:
        raise RefusedError(f"a graph has no {method}")
    ensemble = _ensemble(last(model))
    if ensemble is not None:
        yield from _of_trees(model, ensemble, inputs, method)
    if method == "predict" and linear_classifiers.is_one(last(model)):
        graph = partial(linear_classifiers.graph, last(model))
        yield from _ending(model, "double, linear", "double", graph, inputs, 0)
    numbered = number_columns(model, [each.name for each in inputs.columns])
    ways = ("matrix", "columns") if inputs.numeric else ("typed", "columns")
    for dtype in ("double", "float"):
        for way in ways:
            if way != "matrix" and not inputs.columns:
                continue
            feeds, types = _list_feeds(inputs, dtype, way)
            yield Candidate(
                name=f"{dtype}, {way}",
                graph=partial(_convert_model, numbered, types),
                feeds=feeds,
                output=_OUTPUTS[method],
                precision="double" if dtype == "double" else "float",
            )


def _ensemble(model: object) -> ensembles.Ensemble | None:
    """The trees of an estimator that this program reads by itself."""
    name = type(model).__module__.partition(".")[0]
    if name in {"lightgbm", "xgboost"}:
        read = import_module(f"packager.engines.onnx.compilers.{name}_models").read
    elif hist.is_one(model):
        read = hist.read
    elif sklearn_trees.is_one(model):
        read = sklearn_trees.read
    else:
        return None
    try:
        found: ensembles.Ensemble = read(model)
    except RefusedError:
        if name != "sklearn" or hist.is_one(model):
            raise
        return None
    return found


def _of_trees(
    model: object, ensemble: ensembles.Ensemble, inputs: Inputs, method: str
) -> Iterator[Candidate]:
    if before(model) is None:
        yield from trees.candidates(ensemble, inputs, method)
        return
    output = int(bool(ensemble.classes) and method == "predict_proba")
    for name, precision, each in ensembles.variants(ensemble):
        graph = partial(trees.graph, each)
        yield from _ending(model, name, precision, graph, inputs, output)


def _ending(
    model: BaseEstimator,
    name: str,
    precision: Literal["double", "float"],
    graph: Callable[[], onnx.ModelProto],
    inputs: Inputs,
    output: int,
) -> Iterator[Candidate]:
    """A graph of our own for the last step, behind skl2onnx's of the steps before it."""
    if before(model) is None:
        yield Candidate(
            name=name,
            graph=graph,
            feeds=inputs.matrix("float64"),
            output=output,
            precision=precision,
        )
        return
    numbered = number_columns(model[:-1], [each.name for each in inputs.columns])
    for way in ("matrix",) if inputs.numeric else ("typed", "columns"):
        feeds, types = _list_feeds(inputs, "double", way)
        yield Candidate(
            name=f"double, {way}, {name}",
            graph=partial(_after, numbered, types, graph),
            feeds=feeds,
            output=output,
            precision=precision,
        )


def _list_feeds(
    inputs: Inputs, dtype: str, way: str
) -> tuple[list[dict[str, object]], list[object]]:
    """Feeds, and the input types that skl2onnx is told."""
    real = kinds.DoubleTensorType if dtype == "double" else kinds.FloatTensorType
    if way == "matrix":
        return inputs.matrix(_NUMPY[dtype]), [("X", real([None, inputs.count]))]
    feeds: list[dict[str, object]] = []
    types: list[object] = []
    for at, column in enumerate(inputs.columns):
        if column.type == "string":
            fed, kind = "object", kinds.StringTensorType
        elif way == "typed" and column.type in {"long", "integer"}:
            fed, kind = "int64", kinds.Int64TensorType
        elif way == "typed" and column.type == "boolean":
            fed, kind = "bool", kinds.BooleanTensorType
        else:
            fed, kind = _NUMPY[dtype], real
        # a name of ours, as the converter writes others anew
        name = f"column_{at}"
        feeds.append({"input": name, "dtype": fed, "columns": [column.name], "tensor": None})
        types.append((name, kind([None, 1])))
    return feeds, types


def _after(steps: object, types: list[object], graph: Callable[[], object]) -> object:
    return trees.after(_convert_model(steps, types), graph())


def _convert_model(model: object, types: list[object]) -> object:
    operators.register()
    made = partial(to_onnx, model, initial_types=types, target_opset=_opsets())
    if not is_classifier(model):
        return made()
    try:
        return made(options={"zipmap": False})
    except NameError:
        # skl2onnx's word for an option that this estimator has not: it answers with labels alone
        return made()


def _opsets() -> dict[str, int]:
    """The newest that both the converter and the runtime know."""
    return {"": min(__max_supported_opset__, onnx_opset_version()), "ai.onnx.ml": 3}


def thresholds(model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    """By column of the table that the last step gets."""
    ensemble = _ensemble(last(model))
    if ensemble is not None:
        return ensemble.thresholds()
    found: dict[int, set[float]] = {}
    for tree in _trees(last(model)):
        split = tree.children_left != -1
        for feature, value in zip(tree.feature[split], tree.threshold[split], strict=True):
            found.setdefault(int(feature), set()).add(float(value))
    return {feature: np.array(sorted(each)) for feature, each in found.items()}


def last(model: object) -> BaseEstimator:
    """The estimator at the end of a pipeline."""
    return last(model.steps[-1][1]) if hasattr(model, "steps") else model


def _trees(model: object) -> Iterator[Tree]:
    """Every fitted tree of an ensemble, however deep it is nested."""
    if hasattr(model, "tree_"):
        yield model.tree_
        return
    for name in ("estimators_", "estimator_", "calibrated_classifiers_", "final_estimator_"):
        inner = getattr(model, name, None)
        if inner is None:
            continue
        many = (
            np.array(inner, dtype=object).ravel()
            if isinstance(inner, list | np.ndarray)
            else [inner]
        )
        for each in many:
            if each is not model and not isinstance(each, str | tuple):
                yield from _trees(
                    getattr(each, "estimator", each) if name == "calibrated_classifiers_" else each
                )


def seen(model: object) -> frozenset[str | float]:
    """Categories that any encoder in the model was fitted on."""
    found: set[str | float] = set()
    for each in _parts(model):
        for categories in getattr(each, "categories_", ()):
            kind = np.asarray(categories).dtype.kind
            found |= {value for value in categories if isinstance(value, str)}
            if kind in "fiu":
                found |= {float(value) for value in categories if np.isfinite(value)}
    return frozenset(found)


def _parts(model: object) -> Iterator[object]:
    yield model
    for name in ("steps", "transformers_", "transformer_list"):
        for each in getattr(model, name, ()):
            if not isinstance(each[1], str):
                yield from _parts(each[1])


def before(model: BaseEstimator) -> Before | None:
    """The steps of a pipeline before its last; each row of the answer is what the trees get."""
    if len(getattr(model, "steps", ())) < 2:
        return None
    steps = model[:-1]

    def transform(
        inputs: Inputs, table: Mapping[str, npt.NDArray[np.generic]]
    ) -> npt.NDArray[np.generic]:
        frame = pd.DataFrame(dict(table))
        made = steps.transform(frame if inputs.columns else frame.to_numpy())
        return np.asarray(made.toarray() if hasattr(made, "toarray") else made)

    return transform


def splits(model: object) -> list[splitting.Split]:
    ensemble = _ensemble(last(model))
    return [] if ensemble is None else list(splitting.splits(ensemble))


FAMILY: Final = Family(
    candidates=candidates, thresholds=thresholds, splits=splits, before=before, seen=seen
)
