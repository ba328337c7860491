"""Pipelines of seldom drawn values and settings as machine code: compiled, refused, wrong.

    python -m bench.adverse_pipelines [--count 300] [--first 0] [--seconds 420]

The second generator beside `bench/pipelines.py`: another writer's, with other columns (subnormal,
huge, whole numbers beyond doubles, None beside NaN), other settings of each class, and harder
questions. Each accepted library is asked for rows of training, rows beside and halfway between
their values, single rows with each strange value in each column, words that are missing, and no
rows. Answers are compared in value, in shape and in dtype, and refusals row by row.

A run that is stopped goes on where it was while the code stays as it is. Writes
bench/results/adverse_pipelines.md. The exit code is 1 where an accepted model answered wrong or
something was raised that is no refusal, and 3 where seeds are left.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.adverse.pipelines import Drawn, draw_pipeline
from bench.adverse.tables import TYPES, Array, draw_table, list_tables, read_feeds
from bench.pipelines import digest_code
from handlers.loaders.machine_code import open_library
from packager.engines.machine_code.extraction.families import extract_program
from packager.engines.machine_code.extraction.program import UnsupportedError
from packager.engines.machine_code.library_under_test import LibraryCase, prove
from packager.engines.proof.inputs import Column, Inputs, RefusedError
from tests.engines.libraries import compile_form

ROOT: Final = Path(__file__).resolve().parents[1]
RESULT: Final = ROOT / "bench" / "results" / "adverse_pipelines.md"
FOUND: Final = ROOT / ".cache" / "bench-adverse" / "found.jsonl"
STATES: Final = ("compiled", "refused", "not proven", "unfit", "wrong", "raised")
_MOST_ALONE: Final = 400
"""Rows of a refused table that are asked one by one."""
_TABLE: Final = 700
"""Rows of the proof's own table."""


@dataclass
class Outcome:
    seed: int
    code: str
    state: str = "compiled"
    why: str = ""
    model: str = ""
    method: str = ""
    rows: int = 0
    exact: bool = False
    wrong: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """Who is asked, and how far apart answers may lie."""

    drawn: Drawn
    library: Any
    rtol: float
    atol: float
    labels: bool


def hold_seed(seed: int, code: str) -> Outcome:
    found = Outcome(seed, code)
    try:
        drawn = draw_pipeline(seed)
    except Exception as error:  # noqa: BLE001 - scikit-learn raises what it likes
        found.state, found.why = "unfit", f"{type(error).__name__}: {error}"[:200]
        return found
    found.model = re.sub(r"\s+", " ", str(drawn.model))[:700]
    found.method = drawn.method
    with tempfile.TemporaryDirectory() as folder:
        try:
            asked = _compile(drawn, seed, Path(folder), found)
        except (UnsupportedError, RefusedError) as error:
            found.state, found.why = "refused", str(error)[:600]
            return found
        except Exception as error:  # noqa: BLE001 - no refusal: a fault of ours
            found.state, found.why = "raised", f"{type(error).__name__}: {error}"[:600]
            return found
        if asked is None:
            return found
        for name, table in list_tables(drawn.columns, drawn.table, seed):
            found.rows += len(table)
            found.wrong += (f"{name}: {each}"[:500] for each in _compare(asked, read_feeds(table)))
    found.state = "wrong" if found.wrong else "compiled"
    return found


def _compile(drawn: Drawn, seed: int, folder: Path, found: Outcome) -> Asked | None:
    """None where the library is not proven, which is noted.

    Raises UnsupportedError, RefusedError.
    """
    names = [str(name) for name in drawn.table]
    kinds = [TYPES.get(str(dtype), "string") for dtype in drawn.table.dtypes]
    program = extract_program(drawn.model, names, kinds, drawn.method)
    program.write(folder)
    library = compile_form(folder)
    columns = tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True))
    case = LibraryCase(
        program=program,
        predict=lambda rows: _ask_model(drawn, rows),
        model=drawn.model,
        inputs=Inputs(columns=columns),
        method=drawn.method,
        table=read_feeds(draw_table(drawn.columns, _TABLE, seed, 2)),
        example=None,
        rtol=1e-5,
        atol=1e-6,
        seed=0,
    )
    proof = prove(case, library, case.list_replay_rows())
    if "refused" in proof:
        found.state, found.why = "not proven", "; ".join(proof["refused"])[:900]
        return None
    found.exact = program.exact
    candidate = proof["evidence"]["candidates"][0]
    ours = open_library(library, proof["options"])
    return Asked(drawn, ours, candidate["rtol"], candidate["atol"], labels=bool(case.labels))


def _ask_model(drawn: Drawn, rows: Mapping[str, Array]) -> Array:
    return np.asarray(getattr(drawn.model, drawn.method)(pd.DataFrame(rows)))


def _ask(asked: Asked, feeds: Mapping[str, Array]) -> tuple[Array | None, Array | None]:
    """Answers of the model and of the library, None for a refusal."""
    found: list[Array | None] = []
    for call in (lambda rows: _ask_model(asked.drawn, rows), asked.library.array):
        try:
            found.append(np.asarray(call(feeds)))
        except Exception:  # noqa: BLE001 - whatever is raised is a refusal
            found.append(None)
    return found[0], found[1]


def _compare(asked: Asked, feeds: Mapping[str, Array]) -> Iterator[str]:
    """Say where the two part."""
    expected, answer = _ask(asked, feeds)
    if expected is None and answer is None:
        return
    rows = len(next(iter(feeds.values())))
    if expected is None or answer is None:
        alone = list(_refuse_alone(asked, feeds, min(rows, _MOST_ALONE)))
        if alone or rows <= _MOST_ALONE:
            who = "the model" if expected is None else "the library"
            yield f"{who} alone refuses it; of its rows {len(alone)} by themselves {alone[:1]}"
        return
    if expected.shape != answer.shape:
        yield f"shape {answer.shape} for {expected.shape}"
        return
    words = {expected.dtype.kind, answer.dtype.kind} <= set("UO")
    if expected.dtype != answer.dtype and not words:
        yield f"dtype {answer.dtype} for {expected.dtype}"
    if not rows:
        return
    wrong = np.flatnonzero(~_find_same(asked, expected, answer).reshape(rows, -1).all(axis=1))
    if len(wrong):
        at = int(wrong[0])
        row = {name: values[at] for name, values in feeds.items()}
        yield f"{len(wrong)} rows, {answer[at].tolist()} for {expected[at].tolist()} at {row}"


def _refuse_alone(asked: Asked, feeds: Mapping[str, Array], rows: int) -> Iterator[str]:
    """Rows that one of the two refuses and the other answers."""
    for at in range(rows):
        row = {name: values[at : at + 1] for name, values in feeds.items()}
        expected, answer = _ask(asked, row)
        if (expected is None) != (answer is None):
            yield str({name: values[0] for name, values in row.items()})


def _find_same(asked: Asked, expected: Array, answer: Array) -> Array:
    if expected.dtype.kind != "f" or asked.labels:
        return np.array(expected.astype(object) == answer.astype(object))
    left, right = expected.astype(np.float64), answer.astype(np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    near = np.abs(left - right) <= asked.atol + asked.rtol * np.abs(left)
    return np.asarray(same | near)


def write_report(found: Sequence[Outcome]) -> str:
    counted = Counter(each.state for each in found)
    held = [each for each in found if each.state in ("compiled", "wrong")]
    reasons = Counter(each.why[:120] for each in found if each.state == "refused")
    lines = [
        "# Pipelines of seldom drawn values, as machine code",
        "",
        f"{len(found)} seeds: {', '.join(f'{counted[state]} {state}' for state in STATES)}.",
        f"{sum(each.rows for each in held):,} rows asked of model and library;",
        f"{sum(each.exact for each in held)} libraries are equal to the last bit.",
        "Unfit: scikit-learn itself cannot fit what was drawn.",
        "",
        "| refused | times |",
        "|---|---|",
        *(f"| {why.replace('|', '/')} | {times} |" for why, times in reasons.most_common()),
        "",
    ]
    for state in ("not proven", "wrong", "raised"):
        for each in found:
            if each.state == state:
                why = each.why or each.wrong[0]
                lines.append(f"- {state}, seed {each.seed}: {why[:300]}")
    return "\n".join(lines) + "\n"


def read_found(code: str) -> list[Outcome]:
    """Outcomes of the code as it is."""
    lines = FOUND.read_text(encoding="utf-8").splitlines() if FOUND.exists() else []
    found = [Outcome(**json.loads(line)) for line in lines]
    return [each for each in found if each.code == code]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser()
    for name, default in (("--count", 300), ("--first", 0), ("--seconds", 420)):
        parser.add_argument(name, type=int, default=default)
    wanted = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    end, code = time.monotonic() + wanted.seconds, digest_code()
    found = read_found(code)
    done = {each.seed for each in found}
    left = [each for each in range(wanted.first, wanted.first + wanted.count) if each not in done]
    FOUND.parent.mkdir(parents=True, exist_ok=True)
    while left and time.monotonic() < end:
        with threadpool_limits(1):
            outcome = hold_seed(left.pop(0), code)
        print(outcome.seed, outcome.state, outcome.why[:90] or outcome.wrong[:1], file=sys.stderr)
        found.append(outcome)
        with FOUND.open("a", encoding="utf-8") as written:
            written.write(json.dumps(asdict(outcome), default=str) + "\n")
    text = write_report(found)
    RESULT.write_text(text, encoding="utf-8")
    print(text)
    bad = any(each.state in ("wrong", "raised") for each in found)
    return int(bad) or (3 if left else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
