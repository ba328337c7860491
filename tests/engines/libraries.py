"""A fitted model as a library of this machine, and what it answers beside the model."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from handlers.loaders.machine_code import open_library
from packager.engines.machine_code.extraction.families import extract_program
from packager.engines.machine_code.extraction.program import Program, UnsupportedError
from packager.engines.machine_code.library_under_test import LibraryCase, prove
from packager.engines.proof.inputs import Column, Inputs, RefusedError

KINDS: Final = {"float64": "double", "float32": "float", "int64": "long", "bool": "boolean"}
EXTREMES: Final = (
    np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, -1e-310, 1e-45, 1.0, -1.0, 1e6, -1e6, 1e39, 1e300,
    -1.7976931348623157e308,
)  # fmt: skip
_STRANGE: Final = (None, "never seen", "", "\U0001f600")
RELATIVE: Final = {"float64": 1e-12, "float32": 4 * 1.2e-7}


def find_compiler() -> list[str]:
    """The command of this machine's C compiler, ziglang's where there is no other; else empty."""
    if command := shutil.which("cc"):
        return [command]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    return []


COMPILER: Final = find_compiler()
_NO_MODEL: Final = """
const int64_t layout[] = {1, 1, 1, 0, 1, 1};
int64_t answer(int64_t rows, const void *columns, void *out) { return -1; }
"""
NO_COMPILER: Final = "neither cc nor ziglang is installed here"


def compile_form(folder: Path) -> Path:
    """The form in a folder as a library; written as C by a newer Python where `COMPILED_BY` is."""
    if other := os.environ.get("COMPILED_BY"):
        written = "from tests.engines.libraries import write_c; import sys; write_c(sys.argv[1])"
        plain = {n: each for n, each in os.environ.items() if not n.startswith("COMPILED_")}
        home = os.environ["COMPILED_IN"]
        given = {**plain, "PYTHONPATH": home}
        subprocess.run([other, "-c", written, str(folder)], check=True, env=given, cwd=home)
    else:
        write_c(folder)
    command = [*COMPILER, "-shared", "-fPIC", "-O1", "-ffp-contract=off", "-std=gnu11"]
    subprocess.run(
        [*command, "-Wall", "-Werror", "-o", "model.so", "model.c", "-lm"], cwd=folder, check=True
    )
    return folder / "model.so"


def compile_reader(folder: Path, before: str = "") -> Path:
    """The part of a library that reads rows, by itself; C may stand `before` it."""
    # the modules of the build's side need a newer Python than models may have
    from packager.engines.machine_code.row_reader import ROW_READER

    parts = ["math", "stdint", "stdlib", "string"]
    included = "".join(f"#include <{each}.h>\n" for each in parts)
    (folder / "reader.c").write_text(f"{included}{before}{ROW_READER}{_NO_MODEL}", encoding="ascii")
    command = [*COMPILER, "-shared", "-fPIC", "-O1", "-ffp-contract=off", "-std=gnu11"]
    subprocess.run(
        [*command, "-Wall", "-Werror", "-o", "reader.so", "reader.c", "-lm"], cwd=folder, check=True
    )
    return folder / "reader.so"


def write_c(folder: str | Path) -> None:
    """Write the form in a folder as C beside it."""
    # the modules of the build's side need a newer Python than models may have
    from packager.engines.machine_code.form import read_form
    from packager.engines.machine_code.generator import generate_c

    text = generate_c(read_form(Path(folder)))
    (Path(folder) / "model.c").write_text(text, encoding="ascii")


def extract(model: Any, table: pd.DataFrame, method: str) -> Program:
    kinds = [KINDS.get(str(dtype), "string") for dtype in table.dtypes]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return extract_program(model, [str(name) for name in table.columns], kinds, method)


@dataclass
class Compared:
    """What became of one model and method."""

    refused: str = ""
    exact: bool = False
    rows: int = 0
    wrong: list[str] = field(default_factory=list)
    largest: float = 0.0
    """Relative difference."""
    rtol: float = 0.0
    atol: float = 0.0
    """What the proof allowed."""

    @property
    def state(self) -> str:
        return "wrong" if self.wrong else "refused" if self.refused else "compiled"


def compare(
    model: Any, table: pd.DataFrame, fresh: pd.DataFrame, method: str, folder: Path
) -> Compared:
    """Extract, compile, prove as a build does; then ask both for rows that the proof never saw."""
    found = Compared()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            program = extract(model, table, method)
            program.write(folder)
            library = compile_form(folder)
            case = _make_case(model, program, table, method)
            proof = prove(case, library, case.list_replay_rows())
        except (UnsupportedError, RefusedError) as error:
            found.refused = str(error)
            return found
        if "refused" in proof:
            found.refused = "not proven: " + "; ".join(proof["refused"])
            return found
        found.exact = program.exact
        ours = open_library(library, proof["options"])
        candidate = proof["evidence"]["candidates"][0]
        found.atol, found.rtol = atol, rtol = candidate["atol"], candidate["rtol"]
        for part in [fresh, *_list_extremes(fresh)]:
            _hold(found, model, part, ours, method, (rtol, atol))
    return found


def _make_case(model: Any, program: Program, table: pd.DataFrame, method: str) -> LibraryCase:
    columns = [
        Column(str(name), KINDS.get(str(dtype), "string")) for name, dtype in table.dtypes.items()
    ]
    return LibraryCase(
        program=program,
        predict=lambda rows: np.asarray(getattr(model, method)(pd.DataFrame(rows))),
        model=model,
        inputs=Inputs(columns=tuple(columns)),
        method=method,
        table={str(name): column.to_numpy() for name, column in table.items()},
        example=None,
        rtol=1e-5,
        atol=1e-6,
        seed=0,
    )


def _list_extremes(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Single rows, each with one value that is seldom drawn."""
    found = []
    for at, name in enumerate(table.columns):
        dtype = table[name].dtype
        values: tuple[Any, ...] = ()
        if dtype.kind == "f":
            values = EXTREMES
        elif dtype.kind == "i":
            values = (0, -1, 2**31, -(2**53), 2**62)
        elif dtype.kind == "O":
            values = _STRANGE
        for value in values:
            row = table.iloc[at : at + 1].copy()
            with np.errstate(all="ignore"):
                row[name] = pd.Series([value], dtype=dtype, index=row.index)
            found.append(row)
    return found


def _ask(call: Any, *given: Any) -> Any:
    try:
        return np.asarray(call(*given))
    except Exception:  # noqa: BLE001 - whatever is raised is a refusal
        return None


def _hold(
    found: Compared,
    model: Any,
    part: pd.DataFrame,
    ours: Any,
    method: str,
    tolerance: tuple[float, float],
) -> None:
    feeds: Mapping[str, Any] = {str(name): column.to_numpy() for name, column in part.items()}
    expected, answer = _ask(getattr(model, method), part), _ask(ours.array, feeds)
    found.rows += len(part)
    shown = part.iloc[0].to_dict() if len(part) == 1 else f"{len(part)} rows"
    if expected is None or answer is None:
        if (expected is None) != (answer is None):
            who = "the model" if expected is None else "the library"
            found.wrong.append(f"{who} alone refuses {shown}")
        return
    if expected.dtype.kind != "f":
        same = expected.astype(object) == answer.astype(object)
    else:
        left, right = expected.astype(np.float64), answer.astype(np.float64)
        rtol, atol = tolerance
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        error = np.where(same, 0.0, np.abs(left - right))
        near = error <= atol + rtol * np.abs(left)
        if near.any():
            share = np.where(near & (left != 0), error / np.abs(left), 0.0)
            found.largest = max(found.largest, float(np.nanmax(share)))
        same |= near
    if not np.all(same):
        at = int(np.flatnonzero(~np.asarray(same).reshape(len(part), -1).all(axis=1))[0])
        found.wrong.append(
            f"{part.iloc[at].to_dict()}: {answer[at].tolist()} for {expected[at].tolist()}"
        )


def count_states(found: list[Compared]) -> str:
    counted = Counter(each.state for each in found)
    return ", ".join(f"{counted[name]} {name}" for name in ("compiled", "refused", "wrong"))
