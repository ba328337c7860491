"""Random pipelines and scikit-learn's own estimators as machine code: compiled, refused, wrong.

    python -m bench.pipelines [COUNT] [FIRST_SEED]

Writes bench/results/pipelines.md. The exit code is 1 where an accepted model answered wrong.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import all_estimators

from packager.engines.machine_code.extraction.program import UnsupportedError
from tests.engines import estimators
from tests.engines.libraries import Compared, compare, compile_form, count_states, extract
from tests.engines.pipelines import draw_pipeline

RESULT: Final = Path(__file__).parent / "results" / "pipelines.md"
ROWS: Final = 5000
_NO_TABLES: Final = frozenset(
    {"CountVectorizer", "FeatureHasher", "HashingVectorizer", "DictVectorizer", "PatchExtractor"}
    | {"TfidfTransformer", "TfidfVectorizer", "LabelBinarizer", "LabelEncoder", "KernelCenterer"}
    | {"ColumnTransformer", "FeatureUnion", "MultiLabelBinarizer", "NearestNeighbors"}
)
"""Classes of texts, labels or kernels, or made of other transformers."""


def hold_pipelines(count: int, first: int) -> Iterator[tuple[str, Compared]]:
    """Yield what each pipeline has, and what became of it, but of those that cannot be fitted."""
    for seed in range(first, first + count):
        try:
            drawn = draw_pipeline(seed)
        except ValueError as error:
            print(f"{seed}: scikit-learn does not fit it: {str(error)[:80]}", file=sys.stderr)
            continue
        method = drawn.methods[-1]
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            table, fresh = drawn.draw(150, seed + 10_000), drawn.draw(ROWS, seed + 20_000)
            found = compare(drawn.model, table, fresh, method, Path(folder))
        print(seed, found.state, f"{time.monotonic() - begun:.1f} s", drawn.steps, file=sys.stderr)
        yield f"{seed}: {drawn.steps}", found


def hold_estimators() -> Iterator[tuple[str, str]]:
    """Yield the name and the refusal ("" where compiled) of each class that reads a table."""
    table = pd.DataFrame(estimators.TABLE)
    for name, kind in all_estimators():
        if name in _NO_TABLES or not (hasattr(kind, "predict") or hasattr(kind, "transform")):
            continue
        try:
            model = _fit(name, kind, table)
        except Exception as error:  # noqa: BLE001 - whatever a class wants that is not given here
            print(f"{name}: not fitted: {str(error)[:80]}", file=sys.stderr)
            continue
        try:
            columns = table[["a"]] if name == "IsotonicRegression" else table
            program = extract(model, columns, "predict")
            with tempfile.TemporaryDirectory() as folder:
                program.write(Path(folder))
                compile_form(Path(folder))
        except UnsupportedError as error:
            yield name, str(error)
        else:
            yield name, ""


def _fit(name: str, kind: Any, table: pd.DataFrame) -> Any:
    if hasattr(kind, "predict"):
        model = estimators.make_estimator(kind)
        one = name == "IsotonicRegression"
        fitted = model.fit(table[["a"]] if one else table, estimators.draw_answers(model))
        if not hasattr(fitted, "predict"):
            message = f"{name} has no predict"
            raise TypeError(message)
        return fitted
    labelled = name == "NeighborhoodComponentsAnalysis"
    last = LogisticRegression() if labelled else LinearRegression()
    answers = estimators.CLASSES if labelled else estimators.NUMBERS
    return make_pipeline(estimators.make_estimator(kind), last).fit(table, answers)


def write_report(pipelines: list[tuple[str, Compared]], classes: list[tuple[str, str]]) -> None:
    held = [found for _name, found in pipelines]
    reasons = Counter(found.refused.split(":")[0] for found in held if found.refused)
    lines = [
        "# Pipelines drawn at random, as machine code",
        "",
        f"{len(held)} pipelines: {count_states(held)}.",
        f"{sum(each.rows for each in held):,} rows asked of model and library.",
        f"{sum(each.exact for each in held)} equal to the last bit, the others within",
        f"{max((each.largest for each in held), default=0.0):.1e} relative.",
        "",
        "| refused | times |",
        "|---|---|",
        *(f"| {reason} | {times} |" for reason, times in reasons.most_common()),
        "",
        *(f"- {name}: {found.refused[:300]}" for name, found in pipelines if found.refused),
        *(f"- WRONG {name}: {found.wrong[0][:300]}" for name, found in pipelines if found.wrong),
        "",
        "## scikit-learn's own classes that read tables",
        "",
        f"{sum(not why for _name, why in classes)} of {len(classes)} compiled.",
        "",
        "| refused | why |",
        "|---|---|",
        *(f"| {name} | {why} |" for name, why in classes if why),
    ]
    text = "\n".join(lines) + "\n"
    RESULT.write_text(text, encoding="utf-8")
    print(text)


def main(arguments: list[str]) -> int:
    count, first = (int(each) for each in (*arguments, *("200", "0")[len(arguments) :]))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    pipelines = list(hold_pipelines(count, first))
    write_report(pipelines, list(hold_estimators()))
    return int(any(found.wrong for _name, found in pipelines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
