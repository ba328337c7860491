"""MLflow's answers beside ours of the frames `numpy` and `plain`: JSON lines.

    python -m tests.conformance.arrays FRAME THEIRS VERSION OUT

It runs in an environment without pandas, and for `plain` without numpy. THEIRS is what
`tests.conformance.answers` wrote in MLflow's environment. A model of these frames is
handed arrays, so a DataFrame that MLflow handed over is compared as the arrays of its columns.
"""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.conformance.asking import Reply, ours_app
from tests.conformance.cases import ALL, Case, parquet_cases
from tests.conformance.compare import DIFFERENT, Compared, asked, judged

_NUMBERS = {"boolean", "integer", "long", "float", "double"}
_SCALARS = {*_NUMBERS, "string"}
_WIDTH = re.compile(rb"<U[0-9]+")
HIDDEN = {"numpy": ("pandas",), "plain": ("numpy", "pandas")}
"""What is not installed where the frame is used."""


def applies(case: Case, frame: str = "numpy") -> bool:
    """Whether a model of this signature may be handed the frame.

    `numpy`: columns of numbers, tensors, type hints. `plain`: any scalar columns but of times and
    bytes, optional ones too.
    """
    inputs = (case.signature or {}).get("inputs") or []
    if frame == "plain":
        params = (case.signature or {}).get("params") or []
        kinds = [spec.get("type") or spec.get("dtype") for spec in (*inputs, *params)]
        return bool(inputs) and not case.type_hints and set(kinds) <= _SCALARS
    numbers = all(spec.get("type") in _NUMBERS and spec.get("required", True) for spec in inputs)
    tensors = all(spec.get("type") == "tensor" for spec in inputs)
    return case.type_hints or (bool(inputs) and (numbers or tensors))


def as_arrays(reply: Reply) -> Reply:
    """A recorded DataFrame as a dict of arrays: text is objects, the labels of rows go."""
    if reply.status != 200 or b'"type": "DataFrame"' not in reply.body:
        return reply
    answer = reply.json
    recorded = answer.get("predictions", answer)
    data = recorded["data"]
    items = [
        [
            _read_name(name),
            {
                "type": "ndarray",
                "dtype": "object" if dtype == "str" else dtype,
                "shape": [len(cells)],
                "cells": cells,
            },
        ]
        for name, dtype, cells in zip(data["columns"], data["dtypes"], data["cells"], strict=True)
    ]
    recorded["data"] = {"type": "dict", "items": items}
    return replace(reply, body=json.dumps(answer).encode())


def _read_name(described: str) -> object:
    kind, _, text = described.partition(" ")
    return float(text) if kind == "float" else ast.literal_eval(text)


def judge_arrays(case: Case, version: str, frame: str, theirs: Reply) -> Compared:
    """Ask ours, and compare it with what MLflow answered."""
    app: Any = ours_app(
        case.signature, frame=frame, type_hints=case.type_hints, mlflow_version=version
    )
    expected, actual = as_arrays(theirs), asked(case, app)
    if frame == "plain":  # an array of text within a cell has numpy's width, which is nobody's
        expected, actual = (
            replace(each, body=_WIDTH.sub(b"<U", each.body)) for each in (expected, actual)
        )
    return Compared(case, judged(case, version, expected, actual), expected, actual)


def list_cases() -> list[tuple[str, Case]]:
    return [(make.__name__, case) for make in ALL if make is not parquet_cases for case in make()]


def compared(frame: str, theirs: Path, version: str) -> Iterator[tuple[str, Compared]]:
    """Compare every case that a line is of; null stands for one that was not asked there."""
    lines = [json.loads(line) for line in theirs.read_text(encoding="utf-8").splitlines()]
    asked_there = [line for line in lines if not line or line["group"] != parquet_cases.__name__]
    for (group, case), line in zip(list_cases(), asked_there, strict=True):
        if line and applies(case, frame):
            yield group, judge_arrays(case, version, frame, Reply.from_json(line["theirs"]))


def main(frame: str, theirs: Path, version: str, out: Path) -> None:
    for name in HIDDEN[frame]:
        if find_spec(name) is not None:
            sys.exit(f"{name} is installed here: this is for what happens where it is not")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with out.open("w", encoding="utf-8") as lines:
        for group, done in compared(frame, theirs, version):
            line = {"group": group, "verdict": done.verdict}
            if done.verdict == DIFFERENT:
                line["both"] = str(done)
            lines.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
