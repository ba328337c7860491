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
from tests.engines.libraries import COMPILER, NO_COMPILER, compile_reader

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

_BY_LIBRARY = (
    _WITHOUT.rpartition("arrays.main")[0]
    + """
from handlers.loaders._libraries import Entry
from handlers.scoring import scorer
from handlers.scoring.plain.rows import RowReader
from tests.conformance import asking
scorer._ROW_BYTES = 0
asking._Adapter.row_library = Entry(sys.argv[4], {})
general, read = RowReader.json, []
def read_rows(self, body):
    found = general(self, body)
    read.append(found is not None)
    return found
RowReader.json = read_rows
arrays.main("plain", Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
assert sum(read) >= 1
"""
)
"""The same, where the library of a compiled model reads what it can of each body."""


def _count_verdicts(
    tmp_path: Path, stride: int, script: str = _WITHOUT, *more: Path
) -> dict[str, list[str]]:
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
        [sys.executable, "-c", script, asked_there, VERSION, answers, *more],
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


@pytest.mark.few(0)
def test_requests_are_answered_as_mlflow_answers_them(tmp_path: Path) -> None:
    found = _count_verdicts(tmp_path, _STRIDE)
    assert found.get("different", [])[:5] == []
    assert len(found[EQUAL]) > 100


@pytest.mark.few(0)
@pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)
def test_a_compiled_model_s_own_reading_changes_no_answer(tmp_path: Path) -> None:
    library = compile_reader(tmp_path)
    found = _count_verdicts(tmp_path, _STRIDE, _BY_LIBRARY, library)
    assert found.get("different", [])[:5] == []
    assert len(found[EQUAL]) > 100
