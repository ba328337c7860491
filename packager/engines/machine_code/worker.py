"""Read a registered model into the form, and hold the library that is made of it to the model.

    python -s -m packager.engines.machine_code.worker MODEL OUT ASKED.json TOLD MODEL.so

MODEL and OUT are folders. Run in the model's own environment. It writes `form.json` and
`constants.bin`, and `read` once both are whole; then `rows.json`, what the artifact is to be asked
too. It waits for the file TOLD: an empty one ends the run, else there is a library, and
`result.json` is written as the worker of the engine `onnx` does. What is refused is in
`result.json` too.
"""

from __future__ import annotations

import json
import resource
import sys
import time
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
READ: Final = "read"
"""The file that says that the form is written."""
ROWS: Final = "rows.json"
_LOOK_SECONDS: Final = 0.02
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
    folder, out, asked, told, library = (Path(each) for each in argv)
    wanted = json.loads(asked.read_text(encoding="utf-8"))
    try:
        registered = Registered(mlflow.pyfunc.load_model(str(folder), suppress_warnings=True))
        _threads.limit_model(registered.model)
        program = read_program(registered)
        program.write(out)
        (out / READ).touch()
        if not (program.exact or wanted["inexact"]):
            return 0  # nobody wants a library of it
        case = LibraryCase.of_registered(registered, program, wanted)
        rows = case.list_replay_rows()
        write_whole(out / ROWS, rows)
        if not wait_for(told):
            return 0
        found = prove(case, library, rows)
    except (RefusedError, UnsupportedError) as error:
        found = {"refused": [str(error)]}
    except (MemoryError, RecursionError) as error:
        found = {"refused": [f"the model is too large or too deep to read: {error!r}"]}
    write_whole(out / "result.json", found)
    return 0


def write_whole(path: Path, document: object) -> None:
    """Write JSON under a name that appears once all of it is there."""
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.rename(path)


def wait_for(path: Path) -> str:
    """Read a file once it is there, which appears whole; who waits for too long is ended."""
    while not path.exists():
        time.sleep(_LOOK_SECONDS)
    return path.read_text(encoding="utf-8")


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
