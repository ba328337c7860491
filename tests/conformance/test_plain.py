"""The frame `plain` in a process that can import neither numpy nor pandas, held to MLflow."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from packager.system import process
from tests.conformance.arrays import applies, list_cases
from tests.conformance.compare import EQUAL, asked
from tests.conformance.reference import VERSION, theirs

pytestmark = pytest.mark.usefixtures("quiet")
_STRIDE = 7
"""Of the fast run: a prime, so that every type, value and body shape is met."""
_ROOT = Path(__file__).parents[2]
_WITHOUT = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys(("numpy", "pandas")))
from tests.conformance import arrays
arrays.main("plain", Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
"""


def _count_verdicts(tmp_path: Path, stride: int) -> dict[str, list[str]]:
    """By verdict the cases of it, of every `stride`th that the frame is for."""
    applying = [place for place, (_, case) in enumerate(list_cases()) if applies(case, "plain")]
    chosen = set(applying[::stride])
    asked_there, answers = tmp_path / "theirs.jsonl", tmp_path / "ours.jsonl"
    with asked_there.open("w", encoding="utf-8") as lines:
        for place, (group, case) in enumerate(list_cases()):
            reply = asked(case, theirs(case.signature)) if place in chosen else None
            line = reply and {"group": group, "theirs": reply.to_json()}
            lines.write(json.dumps(line) + "\n")
    process.run(
        [sys.executable, "-c", _WITHOUT, asked_there, VERSION, answers],
        cwd=_ROOT,
        env={**process.basic_environment(), "PYTHONPATH": str(_ROOT)},
        timeout_seconds=600,
    )
    found: dict[str, list[str]] = {}
    for text in answers.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        found.setdefault(line["verdict"], []).append(line.get("both", line["group"]))
    assert sum(map(len, found.values())) == len(chosen)
    return found


def test_requests_are_answered_as_mlflow_answers_them(tmp_path: Path) -> None:
    found = _count_verdicts(tmp_path, _STRIDE)
    assert found.get("different", [])[:5] == []
    assert len(found[EQUAL]) > 100
