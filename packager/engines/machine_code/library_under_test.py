"""A compiled library, held to what the registered model answered."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Dict, Final, Iterable, List

import numpy as np

from handlers.loaders import machine_code
from packager.engines.machine_code.edges import Edges
from packager.engines.machine_code.extraction.program import Program
from packager.engines.machine_code.extraction.tables import version_of
from packager.engines.proof import parity, test_rows
from packager.engines.proof.inputs import Inputs
from packager.engines.proof.model_under_test import DRAWN, Case
from packager.engines.proof.registered import Registered
from packager.engines.proof.test_rows import Table

Entry = Dict[str, Any]
FILE: Final = "model.so"
RELATIVE: Final = 1e-12
_MOST_WIDEST: Final = 64
"""Columns that the largest numbers are tried in."""
_LAST_PLACES: Final = 4
"""Units of the last place that sums in another order, and another exp, may part by in floats."""


class LibraryCase(Case):
    """Raises RefusedError where the model answers with nothing that a library could."""

    def __init__(self, *, program: Program, **known: Any) -> None:
        self.program = program
        super().__init__(hints=Edges(program), **known)

    def _refusals(self, row: Table) -> dict[str, list[str]]:  # noqa: ARG002 - of the base
        """Name no column: the library refuses by itself what each step of the model refuses."""
        return {"nan": [], "infinite": [], "wide": []}

    def _ends(self, row: Table) -> dict[str, list[float]]:  # noqa: ARG002 - of the base
        return {}

    def _list_widest(self, rows: Table) -> Iterable[tuple[str, Table]]:
        """Where sums may overflow, as their order decides."""
        for name, column in itertools.islice(rows.items(), _MOST_WIDEST):
            if column.dtype.kind == "f":
                for value in (np.finfo(column.dtype).min, np.finfo(column.dtype).max):
                    yield f"{name} is {value}", test_rows.with_value(rows, name, value)

    def _list_known(self) -> Dict[str, List[str | float]]:
        names = [each.name for each in self.inputs.columns]
        if not names:
            names = [str(at) for at in range(self.inputs.count)]
        return {names[at]: values for at, values in Edges(self.program).known().items()}

    def _takes_null(self) -> bool:
        """One column may take what another refuses: the library refuses it by itself."""
        return any(each.expected is not None for each in self._list_nulls())

    @classmethod
    def of_registered(cls, registered: Registered, program: Program, wanted: Entry) -> LibraryCase:
        return cls(
            program=program,
            predict=registered.predict,
            model=registered.model,
            inputs=registered.inputs,
            method=registered.method,
            table=registered.table(wanted["table"]),
            example=registered.table(wanted["example"]) if wanted["example"] else None,
            rtol=wanted["rtol"],
            atol=wanted["atol"],
            seed=wanted["seed"],
            names=lambda: registered.names,
        )


def prove(case: LibraryCase, library: Path, rows: List[Dict[str, object]]) -> Entry:
    """`options`, `adversarial` and `evidence` of the library, or why it is `refused`.

    `rows` are the case's own for the artifact.
    """
    options = describe_options(case)
    ours = machine_code.open_library(library, options)
    exact = case.program.exact
    rtol, atol = (0.0, 0.0) if exact else _tolerate(case)

    def predict(table: Table) -> test_rows.Array:
        return ours.array(case.make_feed(table))

    done = parity.compare_batches(case.batches, predict, rtol=rtol, atol=atol, labels=case.labels)
    if exact and not done.wrong:
        _compare_signs(case, predict, done)
    candidate: Entry = {
        "name": "machine code",
        "exact": exact,
        "operations": len(case.program.operations),
        "library_bytes": library.stat().st_size,
        "rows": done.rows,
        "refusals_agreed": done.refusals,
        "max_abs_error": done.max_abs_error,
        "max_rel_error": done.max_rel_error,
    }
    if done.wrong:
        return {"refused": [f"{done.wrong} rows differ: {'; '.join(done.shown)}"]}
    held = "equal to the last bit" if exact else "equal but for the rounding of sums and exp"
    candidate.update({"taken": True, "comparison": held, "rtol": rtol, "atol": atol})
    return {
        "options": options,
        "adversarial": rows,
        "evidence": {**case.evidence(), "rtol": rtol, "atol": atol, "candidates": [candidate]},
    }


def describe_options(case: LibraryCase) -> Entry:
    """Options of the loader: how columns are handed over, and what the numbers mean."""
    form = case.program.answer
    options = {
        "file": FILE,
        "feeds": _list_feeds(case.inputs),
        "output": "answer",
        **case.describe_answers(),
    }
    if "labels" in form:
        labels = np.asarray(case.model.classes_)
        options["labels"] = labels.tolist()
        options["label_dtype"] = "object" if labels.dtype.kind in "UO" else labels.dtype.str
    if "missing_text" in options and version_of("pandas") >= (3, 0):
        options["nan_beside_words"] = True
    return options


def _list_feeds(inputs: Inputs) -> list[Entry]:
    if not inputs.columns:
        return inputs.matrix(inputs.dtype)
    return [
        {
            "input": str(at),
            "dtype": np.dtype(test_rows.DTYPES[column.type]).name,
            "columns": [column.name],
            "tensor": None,
        }
        for at, column in enumerate(inputs.columns)
    ]


def _tolerate(case: LibraryCase) -> tuple[float, float]:
    """Relative and absolute tolerance: near zero an answer counts as large as the usual one.

    Probabilities are shares of one: most of them may be next to nothing. Neither tolerance is
    above the case's own, to which the booted artifact is held.
    """
    if case.answer.dtype.kind != "f":
        return 0.0, 0.0
    answers = [
        np.abs(batch.expected.astype(np.float64)).ravel()
        for batch in case.batches
        if batch.name in DRAWN and batch.expected is not None
    ]
    rtol = RELATIVE
    if case.answer.dtype == np.float32:
        rtol = _LAST_PLACES * float(np.finfo(np.float32).eps)
    usual = float(np.nanmedian(np.concatenate(answers))) if answers else 0.0
    if case.method == "predict_proba":
        usual = 1.0
    atol = rtol * usual if np.isfinite(usual) else 0.0
    return min(rtol, case.rtol), min(atol, case.atol)


def _compare_signs(case: LibraryCase, predict: parity.Predict, done: parity.Verdict) -> None:
    """Zeros of another sign are equal numbers and other bits."""
    for batch in case.batches:
        if batch.expected is None or batch.expected.dtype.kind != "f":
            continue
        zero = batch.expected == 0
        if zero.any():
            answer = predict(batch.table)
            wrong = np.signbit(batch.expected[zero]) != np.signbit(answer[zero])
            if wrong.any():
                done.wrong += int(wrong.sum())
                done.shown.append(f"{batch.name}: a zero of the other sign")
