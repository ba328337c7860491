"""PyTorch through its own exporter, with a batch of any size.

https://docs.pytorch.org/docs/stable/onnx.html
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch

from packager.engines.onnx.candidates import Candidate, Family
from packager.engines.proof.inputs import Inputs, RefusedError

_OPSET: Final = 20
_TRACED: Final = 2
"""Rows of the example that is traced: a batch of one would be taken for a constant."""


def candidates(model: object, inputs: Inputs, method: str) -> Iterator[Candidate]:
    """By torch.export first, then as a trace; both compute in the precision of the weights."""
    if method != "predict":
        raise RefusedError(f"a graph has no {method}")
    if not inputs.numeric:
        raise RefusedError("columns that are no numbers")
    dtype = inputs.dtype or "float32"
    example = torch.zeros((_TRACED, *inputs.shape), dtype=getattr(torch, dtype))
    for name, export in (("exported", _export_graph), ("traced", _trace_graph)):
        yield Candidate(
            name=f"float, {name}",
            graph=lambda export=export: export(model, example),  # type: ignore[misc]
            feeds=inputs.matrix(dtype),
            output=0,
        )


def _export_graph(model: object, example: object) -> onnx.ModelProto:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            str(path),
            input_names=["X"],
            output_names=["Y"],
            opset_version=_OPSET,
            dynamo=True,
            dynamic_shapes=({0: "rows"},),
            external_data=False,
            verbose=False,
        )
        return onnx.load(str(path))


def _trace_graph(model: object, example: object) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(
        model,
        (example,),
        buffer,
        input_names=["X"],
        output_names=["Y"],
        opset_version=_OPSET,
        dynamo=False,
        dynamic_axes={"X": {0: "rows"}, "Y": {0: "rows"}},
    )
    return onnx.load_from_string(buffer.getvalue())


def thresholds(_model: object) -> Mapping[int, npt.NDArray[np.generic]]:
    return {}


FAMILY: Final = Family(candidates=candidates, thresholds=thresholds)
