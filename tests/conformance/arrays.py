"""MLflow's answers beside ours of `frame: numpy`, in an environment without pandas: JSON lines.

    python -m tests.conformance.arrays THEIRS VERSION OUT

THEIRS is what `tests.conformance.answers` wrote in MLflow's environment. A model of this frame is
handed arrays, so a DataFrame that MLflow handed over is compared as the arrays of its columns.
"""

from __future__ import annotations

import ast
import json
import logging
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


def applies(case: Case) -> bool:
    """Whether pandas may be left out: columns of numbers, tensors, type hints."""
    inputs = (case.signature or {}).get("inputs") or []
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
            ast.literal_eval(name.partition(" ")[2]),
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


def compared(theirs: Path, version: str) -> Iterator[tuple[str, Compared]]:
    cases = [(make.__name__, case) for make in ALL if make is not parquet_cases for case in make()]
    lines = [json.loads(line) for line in theirs.read_text(encoding="utf-8").splitlines()]
    asked_there = [line for line in lines if line["group"] != parquet_cases.__name__]
    for (group, case), line in zip(cases, asked_there, strict=True):
        if not applies(case):
            continue
        expected = as_arrays(Reply.from_json(line["theirs"]))
        app: Any = ours_app(
            case.signature, frame="numpy", type_hints=case.type_hints, mlflow_version=version
        )
        actual = asked(case, app)
        yield group, Compared(case, judged(case, version, expected, actual), expected, actual)


def main(theirs: Path, version: str, out: Path) -> None:
    if find_spec("pandas") is not None:
        sys.exit("pandas is installed here: this is for what happens where it is not")
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with out.open("w", encoding="utf-8") as lines:
        for group, done in compared(theirs, version):
            line = {"group": group, "verdict": done.verdict}
            if done.verdict == DIFFERENT:
                line["both"] = str(done)
            lines.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
