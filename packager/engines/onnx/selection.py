"""Choice among a model's graphs: of those that answer as the model does, the cheapest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packager.engines.onnx.candidates import Candidate
from packager.engines.onnx.graph_under_test import FILE, GraphCase, Tried

WORTH_BYTES: Final = 100_000
"""What a graph in float has to save: about one millisecond of a start (docs/adr/0014)."""


@dataclass(frozen=True, slots=True)
class _Proven:
    candidate: Candidate
    options: dict[str, Any]
    path: Path
    evidence: dict[str, Any]


def prove(case: GraphCase, out: Path) -> dict[str, object]:
    """The cheapest candidate that answers as the model, its graph as `model.onnx` in `out`.

    Candidates come the nearest to the model first. The first that is proven stands until another
    in a narrower precision is proven too and saves enough.
    """
    tried: list[dict[str, Any]] = []
    best: _Proven | None = None
    for number, candidate in enumerate(case.candidates()):
        record: dict[str, Any] = {"name": candidate.name}
        tried.append(record)
        if best is not None and (why := _explain_skip(case, best, candidate)):
            record["skipped"] = why
            continue
        path = out / f"candidate-{number}.onnx"
        done: Tried = case.try_candidate(candidate, path)
        record |= done.evidence
        if done.options is not None and (best is None or _saves(best, record)):
            best = _Proven(candidate, done.options, path, record)
    if best is None:
        return {"refused": [f"{each['name']}: {each['refused']}" for each in tried]}
    best.evidence["taken"] = True
    best.path.rename(out / FILE)
    return {
        "options": best.options,
        "adversarial": case.list_replay_rows(),
        "evidence": {**case.evidence(), "candidates": tried},
    }


def _explain_skip(case: GraphCase, best: _Proven, candidate: Candidate) -> str:
    """Explain why there is no use in trying one more."""
    if candidate.precision == best.candidate.precision:
        return f"{best.candidate.name} is proven"
    if case.labels:
        # two classes may tie, and where sums tie no number of rows tells how each rounds
        return f"labels are proven: {best.candidate.name}"
    most = int(best.evidence["graph_bytes"]) // 2
    return f"it could save {most} bytes at most" if most < WORTH_BYTES else ""


def _saves(best: _Proven, record: dict[str, Any]) -> bool:
    saved = int(best.evidence["graph_bytes"]) - int(record["graph_bytes"])
    return saved >= WORTH_BYTES
