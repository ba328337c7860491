"""Read a registered model into the form, and hold the library that is made of it to the model.

    python -s -m packager.engines.machine_code.worker MODEL_FOLDER OUT_FOLDER
    python -s -m packager.engines.machine_code.worker MODEL_FOLDER OUT_FOLDER ASKED.json MODEL.so

Run in the model's own environment. The first writes `form.json` and `constants.bin`, the second
`result.json`, as the worker of the engine `onnx` does; what is refused is in `result.json` too.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
import warnings
from pathlib import Path
from typing import Final

import mlflow.pyfunc

from handlers.loaders import _threads
from packager.engines.machine_code.extraction.families import extract_program
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.library_under_test import LibraryCase, prove
from packager.engines.proof.inputs import Inputs, RefusedError
from packager.engines.proof.registered import Registered

MEMORY_BYTES: Final = 16 << 30
"""Of address space: a model that runs away is stopped."""
_TENSORS: Final = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
}


def main(argv: list[str]) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    # a sum has the order of one thread, as where the booted artifact is compared
    _threads.limit_libraries()
    folder, out, *proof = (Path(each) for each in argv)
    try:
        registered = Registered(mlflow.pyfunc.load_model(str(folder), suppress_warnings=True))
        _threads.limit_model(registered.model)
        program = read_program(registered)
        if not proof:
            program.write(out)
            return 0
        wanted = json.loads(proof[0].read_text(encoding="utf-8"))
        case = LibraryCase.of_registered(registered, program, wanted)
        found = prove(case, proof[1])
    except (RefusedError, UnsupportedError) as error:
        found = {"refused": [str(error)]}
    except (MemoryError, RecursionError) as error:
        found = {"refused": [f"the model is too large or too deep to read: {error!r}"]}
    (out / "result.json").write_text(json.dumps(found), encoding="utf-8")
    return 0


def read_program(registered: Registered) -> Program:
    """Raises UnsupportedError for what the form has no operation for, or is laid out otherwise."""
    names, kinds = describe_columns(registered.inputs)
    try:
        return extract_program(registered.model, names, kinds, registered.method)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UnsupportedError(
            f"{type(registered.model).__name__} is not laid out as is known "
            f"({Path(place.filename).stem}, {place.name}: {error!r})"
        ) from error


def describe_columns(inputs: Inputs) -> tuple[list[str], list[str]]:
    """Names and types of the columns, or of a tensor's: these have positions for names.

    Raises UnsupportedError for a tensor that is no table of numbers.
    """
    if inputs.columns:
        return [each.name for each in inputs.columns], [each.type for each in inputs.columns]
    if len(inputs.tail) != 1 or inputs.dtype not in _TENSORS:
        raise UnsupportedError(f"a tensor of {inputs.dtype} with {len(inputs.tail) + 1} axes")
    return [str(at) for at in range(inputs.count)], [_TENSORS[inputs.dtype]] * inputs.count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
