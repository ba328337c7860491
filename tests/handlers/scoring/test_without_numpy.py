"""Merged requests, files, drift and HTTP in a process without numpy: the same as with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from packager.system import process

_ROOT = Path(__file__).parents[3]
_SCENARIO = """
import json, logging, sys
if sys.argv[1] == "plain":
    sys.modules.update(dict.fromkeys(("numpy", "pandas")))
logging.disable(logging.ERROR)
from handlers.files.chunks import Csv, Lines
from handlers.files.scoring import Rows, text_rows
from handlers.http.router import Router
from handlers.manifest import Manifest
from handlers.observability.drift import Drift
from handlers.observability.sketches import Baseline, Sketch
from handlers.scoring.request_merging import RequestMerger
from handlers.scoring.schema import np
from handlers.scoring.scorer import Scorer
from handlers.scoring.settings import Settings

COLUMNS = [("a", "double", 1), ("b", "string", 0), ("c", "long", 1), ("d", "float", 0)]
MANIFEST = Manifest(
    model_name="m", mlflow_version="3.17.2", digest="0", flavor="f", loader="none",
    frame=sys.argv[1], python="3.13", request_bytes=6_000_000, response_bytes=6_000_000,
    signature={"inputs": [{"name": n, "type": t, "required": r} for n, t, r in COLUMNS]},
)

class Model:
    calls = 0
    def predict(self, data, params):
        Model.calls += 1
        if any(value == 13 for value in data["c"].tolist()):
            raise ValueError("13")
        words = data["b"].tolist() if "b" in data else [""] * len(data["a"])
        cells = zip(data["a"].tolist(), data["c"].tolist(), words)
        size = lambda word: len(word) if isinstance(word, str) else 0
        return np.array([a / 3 + c + size(b) for a, c, b in cells], "float32")

def show(results):
    return [[r.body.decode(), r.rows] if hasattr(r, "rows") else r.body().decode() for r in results]

scorer = Scorer(MANIFEST, Model(), Settings.read(MANIFEST, {}))
rows = [{"a": 1.5, "b": "x", "c": 1, "d": 0.1}, {"a": 2.5, "b": "yy\\u00e9", "c": 2, "d": None}]
requests = [
    *({"dataframe_records": [each]} for each in rows), {"dataframe_records": rows},
    {"inputs": rows[0]}, {"inputs": {"a": [1.0, 2.0], "c": [3, 4]}}, {"instances": rows[:1]},
    {"dataframe_split": {"columns": ["c", "a"], "data": [[13, 1.0], [1, 2.0]]}},
    {"dataframe_records": [{"a": "x", "c": 1}]}, {"dataframe_records": []}, 5, {"inputs": 1},
]
found = {"merged": show(RequestMerger(scorer).score(requests)), "calls": Model.calls}
found["alone"] = show(RequestMerger(scorer, merge=False).score(requests))
csv = Csv(b"a,b,c\\n", b"1.5,x,1\\n2,,13\\nz,y,2\\n1e3,NA,3\\n", 3)
found["csv"] = [str(each) for each in Rows(scorer, 5).answers(csv)]
lines = [json.dumps(each).encode() for each in (*rows, *requests[:3], {"a": 1, "c": 13})]
found["lines"] = [str(each) for each in Rows(scorer, 50).answers(Lines(lines))]
found["texts"] = show(text_rows(scorer, [{"a": "1", "c": "2"}, {"a": "q", "c": "2"}, 5]))
router = Router(scorer)
body = json.dumps({"inputs": rows}).encode()
for path in ("/invocations", "/ping", "/version", "/health"):
    method = "POST" if path == "/invocations" else "GET"
    answer = router.answer(method, path, {"content-type": "application/json"}, body)
    found[path] = [answer.status, answer.body.decode()]
told = []
base = Baseline(source="s", rows=100, inputs=(
    Sketch(name="a", shares=(0.25, 0.5, 0.25), edges=(1.5, 2.0), low=0.0, high=2.2),
    Sketch(name="b", shares=(0.6, 0.4), categories=(2363233923,), known=(2363233923, 5)),
), predictions=(Sketch(name="0", shares=(0.5, 0.5), edges=(2.0,), low=0.0, high=3.0),))
drift = Drift(base, told.append, {"model": "m"}, {"PACKAGER_DRIFT_ROWS": "4"}, lambda: 0.0)
empty = {"dataframe_records": [{"a": float("nan"), "b": None, "c": 1}]}
for each in (*requests[:3], requests[4], empty):
    data = scorer.check(each).data
    drift.observe(data, Model().predict(data, None))
    drift.end_invocation(1.0)
found["drift"] = [{k: v for k, v in json.loads(each).items() if k != "_aws"} for each in told]
found["loaded"] = sys.modules.get("numpy") is not None
print(json.dumps(found))
"""


def _play(frame: str) -> dict[str, Any]:
    done = process.run(
        [sys.executable, "-c", _SCENARIO, frame],
        cwd=_ROOT,
        env={**process.basic_environment(), "PYTHONPATH": str(_ROOT)},
        timeout_seconds=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def played() -> tuple[dict[str, Any], dict[str, Any]]:
    return _play("plain"), _play("numpy")


def test_numpy_is_not_imported(played: tuple[dict[str, Any], dict[str, Any]]) -> None:
    plain, arrays = played
    assert (plain.pop("loaded"), arrays.pop("loaded")) == (False, True)


@pytest.mark.parametrize("part", ["merged", "calls", "alone", "csv", "lines", "texts", "drift"])
def test_what_is_answered_is_the_same(
    part: str, played: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    plain, arrays = played
    assert plain[part] == arrays[part]
    assert plain[part]


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/version", "/health"])
def test_the_routes_answer_the_same(
    path: str, played: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    plain, arrays = played
    assert plain[path] == arrays[path]
    assert plain[path][0] == 200
