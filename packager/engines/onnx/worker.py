"""Compile a registered model and hold the graph to it, where both can be loaded.

    python -s -m packager.engines.onnx.worker MODEL_FOLDER ASKED.json OUT_FOLDER

Run in the model's own environment with the converters added. ASKED has `table` (generated rows by
column), `example` (the same of the saved example, or null), `rtol`, `atol` and `seed`. OUT_FOLDER
gets `result.json`, and `model.onnx` where a candidate was proven.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import mlflow.pyfunc

from handlers.loaders import _threads
from packager.engines.onnx.families import family_of
from packager.engines.onnx.graph_under_test import GraphCase
from packager.engines.onnx.selection import prove
from packager.engines.proof.inputs import RefusedError
from packager.engines.proof.registered import Registered

MEMORY_BYTES: Final = 16 << 30
"""Of address space: a converter that runs away is stopped."""
_NETWORKS: Final = frozenset({"mlflow.pytorch", "mlflow.tensorflow"})
"""Loaders of models that are compared within a tolerance alone, and take long."""


def main(argv: list[str]) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    folder, asked, out = (Path(each) for each in argv)
    wanted = json.loads(asked.read_text(encoding="utf-8"))
    (out / "result.json").write_text(json.dumps(run(folder, wanted, out)), encoding="utf-8")
    return 0


def run(folder: Path, wanted: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """`options`, `adversarial` and `evidence` of what was proven, or why all was `refused`."""
    try:
        registered = Registered(mlflow.pyfunc.load_model(str(folder), suppress_warnings=True))
        if registered.loader_module not in _NETWORKS:
            # a forest adds its trees in the order in which its threads end
            _threads.limit_model(registered.model)
        family = family_of(registered.model, registered.loader_module)
        case = GraphCase(
            predict=registered.predict,
            model=registered.model,
            inputs=registered.inputs,
            family=family,
            method=registered.method,
            table=registered.table(wanted["table"]),
            example=registered.table(wanted["example"]) if wanted["example"] else None,
            rtol=wanted["rtol"],
            atol=wanted["atol"],
            seed=wanted["seed"],
            names=lambda: registered.names,
        )
        return prove(case, out)
    except RefusedError as error:
        return {"refused": [str(error)]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
