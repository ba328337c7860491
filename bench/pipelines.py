"""Random pipelines and scikit-learn's own estimators as machine code: compiled, refused, wrong.

    python -m bench.pipelines [--count 200] [--first 0] [--seconds 420] [--python OTHER]

A run that is stopped goes on where it was, while the compiler and the generator of pipelines stay
as they are. OTHER is the Python of another environment, with an older scikit-learn: its figures are
added to those of this one. Writes bench/results/pipelines.md. The exit code is 1 where an accepted
model answered wrong, and 3 where seeds are left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, StandardScaler
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from packager.engines import _worker_call
from tests.engines import asking, estimators
from tests.engines.estimators import CLASSES
from tests.engines.libraries import compare

ROOT: Final = Path(__file__).resolve().parents[1]
RESULT: Final = ROOT / "bench" / "results" / "pipelines.md"
FOUND: Final = RESULT.with_suffix(".json")
_CODE: Final = ("packager/engines/machine_code", "packager/engines/proof", "tests/engines")
_SENT: Final = (
    "bench/_drawn_pipelines.py",
    "tests/engines/libraries.py",
    "tests/engines/pipelines.py",
)
_NO_TABLES: Final = frozenset(
    {"CountVectorizer", "FeatureHasher", "HashingVectorizer", "DictVectorizer", "PatchExtractor"}
    | {"TfidfTransformer", "TfidfVectorizer", "LabelBinarizer", "LabelEncoder", "KernelCenterer"}
    | {"MultiLabelBinarizer", "NearestNeighbors"}
)
"""Classes of texts, labels or kernels."""
_SETTINGS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "CCA": lambda: {"n_components": 1},
    "ColumnTransformer": lambda: {"transformers": [("scaled", StandardScaler(), ["a", "b"])]},
    "FeatureUnion": lambda: {"transformer_list": [("a", StandardScaler()), ("b", Binarizer())]},
    "LocalOutlierFactor": lambda: {"novelty": True},
    "MissingIndicator": lambda: {"features": "all"},
    "PLSCanonical": lambda: {"n_components": 1},
    "PLSSVD": lambda: {"n_components": 1},
    "SelfTrainingClassifier": lambda: {"estimator": LogisticRegression()},
    "SequentialFeatureSelector": lambda: {"estimator": LinearRegression()},
    "SparseCoder": lambda: {"dictionary": np.eye(4)},
}
"""Of classes that cannot be fitted to a table by what `make_estimator` gives them."""


def digest_code() -> str:
    made = hashlib.sha256()
    for folder in _CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not path.name.startswith("test_"):
                made.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return made.hexdigest()


def read_found() -> dict[str, Any]:
    """By environment what each seed's pipeline became, of the code as it is now."""
    found = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {}
    if found.get("code") != digest_code():
        return {"code": digest_code(), "pipelines": [], "classes": []}
    return dict(found)


def hold_pipelines(
    found: dict[str, Any], python: Path, count: int, first: int, seconds: int
) -> int:
    """Add what the pipelines of another environment's Python became; return its exit code.

    That Python has none of ours but what is sent: this one compiles for it.
    """
    with tempfile.TemporaryDirectory() as given:
        site, lines = Path(given) / "site", Path(given) / "found.jsonl"
        _worker_call.copy_sources(site, ("machine_code", "proof"))
        for name in _SENT:
            target = site / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
        about = subprocess.run(
            [python, "-c", "import sklearn; print(sklearn.__version__)"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        mine = [each for each in found["pipelines"] if each["sklearn"] == about]
        others = [each for each in found["pipelines"] if each["sklearn"] != about]
        lines.write_text("".join(json.dumps(each) + "\n" for each in mine), encoding="utf-8")
        asked = [str(lines), str(count), str(first), str(seconds)]
        code = subprocess.run(
            [python, "-s", "-m", "bench._drawn_pipelines", *asked],
            check=False,
            cwd=given,
            env={
                **os.environ,
                "PYTHONPATH": str(site),
                "COMPILED_BY": sys.executable,
                "COMPILED_IN": str(ROOT),
                "OMP_NUM_THREADS": "1",
            },
        ).returncode
        mine = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        found["pipelines"] = [*others, *mine]
        return code


def hold_estimators() -> Iterator[tuple[str, str]]:
    """Yield the name and the refusal ("" where proven) of each class that reads a table."""
    table, fresh = (pd.DataFrame(each) for each in (estimators.TABLE, asking.table(500, seed=5)))
    for name, kind in all_estimators():
        if name in _NO_TABLES or not (hasattr(kind, "predict") or hasattr(kind, "transform")):
            continue
        some = ["a"] if name == "IsotonicRegression" else list(table)
        try:
            model = _fit(name, kind, table[some])
        except Exception as error:  # noqa: BLE001 - whatever a class wants that is not given here
            print(f"{name}: not fitted: {str(error)[:80]}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
            found = compare(model, table[some], fresh[some], "predict", Path(folder))
        print(name, found.state, file=sys.stderr)
        yield name, found.refused or "; ".join(f"WRONG: {each}" for each in found.wrong)


def _fit(name: str, kind: Any, table: pd.DataFrame) -> Any:
    made = kind(**_SETTINGS[name]()) if name in _SETTINGS else estimators.make_estimator(kind)
    if hasattr(made, "predict"):
        answers = CLASSES > 1 if "Threshold" in name else estimators.draw_answers(made)
        fitted = made.fit(table, answers)
        if not hasattr(fitted, "predict"):
            message = f"{name} has no predict"
            raise TypeError(message)
        return fitted
    labelled = name == "NeighborhoodComponentsAnalysis"
    last = LogisticRegression() if labelled else LinearRegression()
    answers = CLASSES if labelled else estimators.NUMBERS
    return make_pipeline(made, last).fit(table, answers)


def write_report(found: dict[str, Any]) -> str:
    drawn = [each for each in found["pipelines"] if "state" in each]
    refused = [each for each in drawn if each["state"] == "refused"]
    reasons = Counter(each["refused"].split(":")[0] for each in refused)
    lines = [
        "# Pipelines drawn at random, as machine code",
        "",
        f"{len(drawn)} pipelines: {_count(drawn)}.{_describe_code(found)}",
        f"{sum(each['rows'] for each in drawn):,} rows asked of model and library.",
        f"{sum(each['exact'] for each in drawn)} equal to the last bit, the others within",
        f"{max((each['largest'] for each in drawn), default=0.0):.1e} relative.",
        "",
        "| scikit-learn, Python | pipelines | compiled | refused | wrong | rows asked |",
        "|---|---|---|---|---|---|",
        *_list_environments(drawn),
        "",
        "| refused | times |",
        "|---|---|",
        *(f"| {reason} | {times} |" for reason, times in reasons.most_common()),
        "",
        *(f"- {_name(each)}: {each['refused'][:300]}" for each in refused),
        *(f"- WRONG {_name(each)}: {each['wrong'][0][:300]}" for each in drawn if each["wrong"]),
        *_list_classes(found["classes"]),
    ]
    return "\n".join(lines) + "\n"


def _describe_code(found: dict[str, Any]) -> str:
    """Say of which state of the code the figures are, where it is not this one."""
    return "" if found["code"] == digest_code() else f" Of the code at {found['code']}."


def _list_classes(classes: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Nothing where a run was stopped before it came to these."""
    if not classes:
        return
    yield from (
        "",
        "## scikit-learn's own classes that read tables",
        "",
        f"{sum(not why for _name, why in classes)} of {len(classes)} compiled and proven.",
        "",
        "| refused | why |",
        "|---|---|",
        *(f"| {name} | {why[:200]} |" for name, why in classes if why),
    )


def _name(each: dict[str, Any]) -> str:
    return f"{each['seed']} (scikit-learn {each['sklearn']}), {each['steps']}"


def _count(drawn: Sequence[dict[str, Any]]) -> str:
    counted = Counter(each["state"] for each in drawn)
    return ", ".join(f"{counted[name]} {name}" for name in ("compiled", "refused", "wrong"))


def _list_environments(drawn: Sequence[dict[str, Any]]) -> Iterator[str]:
    for name in sorted({(each["sklearn"], each["python"]) for each in drawn}):
        some = [each for each in drawn if (each["sklearn"], each["python"]) == name]
        counted = Counter(each["state"] for each in some)
        numbers = (len(some), *(counted[state] for state in ("compiled", "refused", "wrong")))
        rows = sum(each["rows"] for each in some)
        yield f"| {', '.join(name)} | {' | '.join(map(str, numbers))} | {rows:,} |"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    for name, default in (("--count", 200), ("--first", 0), ("--seconds", 420)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    wanted = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    found = read_found()
    code = hold_pipelines(found, wanted.python, wanted.count, wanted.first, wanted.seconds)
    if not found["classes"] and not code:
        found["classes"] = list(hold_estimators())
    FOUND.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = write_report(found)
    RESULT.write_text(text, encoding="utf-8")
    print(text)
    wrong = any(each.get("wrong") for each in found["pipelines"])
    wrong |= any(why.startswith("WRONG") for _name, why in found["classes"])
    return code or int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
