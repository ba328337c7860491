"""The suite's counts for each version level, asked anew and written into docs/protocol.md.

    python -m tests.conformance.report            # asks, prints, writes
    python -m tests.conformance.report --check    # fails where the document says otherwise

MLflow answers in an environment of its own for each level, and ours in the same, so that both have
the same pandas.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packager import _process, environments, interpreters
from tests.conformance.compare import CUT, DIFFERENT, EQUAL

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "protocol.md"
BEGIN, END = "<!-- counts: tests/conformance/report.py -->", "<!-- end of counts -->"


@dataclass(frozen=True)
class Level:
    name: str
    requirements: tuple[str, ...]


LEVELS = (
    # its server wants the Starlette of its day
    Level("MLflow 2.22.5, pandas 2", ("mlflow==2.22.5", "pandas>=2.2,<3", "starlette<1", "httpx")),
    Level("MLflow 3.17.2, pandas 2", ("mlflow==3.17.2", "pandas>=2.2,<3")),
    Level("MLflow 3.17.2, pandas 3", ("mlflow==3.17.2", "pandas>=3,<4")),
)


@dataclass(frozen=True)
class Count:
    level: Level
    verdicts: Counter[str]
    different: tuple[str, ...]

    @property
    def row(self) -> str:
        named = self.verdicts.total() - sum(self.verdicts[v] for v in (EQUAL, CUT, DIFFERENT))
        cells = (
            self.level.name,
            *(self.verdicts.total(), self.verdicts[EQUAL], self.verdicts[CUT]),
            *(named, self.verdicts[DIFFERENT]),
        )
        return f"| {' | '.join(map(str, cells))} |"


def count(level: Level) -> Count:
    """Raises ToolError where the environment cannot be made or its answers end in an error."""
    python = environments.ensure(interpreters.find("3.11"), level.requirements, label="conformance")
    with TemporaryDirectory() as folder:
        out = Path(folder) / "answers.jsonl"
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": folder}
        # MLflow writes a set of names in its order: the bytes are to be the same in each run
        environment["PYTHONHASHSEED"] = "0"
        _process.run(
            [python, "-m", "tests.conformance.answers", out],
            cwd=ROOT,
            env={**environment, **_process.numeric_environment()},
            timeout_seconds=1800,
        )
        lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    different = tuple(line["both"] for line in lines if line["verdict"] == DIFFERENT)
    return Count(level, Counter(line["verdict"] for line in lines), different)


def table(counts: list[Count]) -> str:
    titles = ("asked", "requests", EQUAL, CUT, "documented difference", "other")
    head = (f"| {' | '.join(titles)} |", "|---" * len(titles) + "|")
    return "\n".join((*head, *(found.row for found in counts)))


def written(document: str, counts: list[Count]) -> str:
    """`document` with the table between its marks."""
    before, _, rest = document.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(counts)}\n{END}{after}"


def main() -> int:
    counts = [count(level) for level in LEVELS]
    sys.stdout.write(table(counts) + "\n")
    for found in counts:
        sys.stdout.writelines(f"{found.level.name}: {text}\n" for text in found.different[:20])
    document = DOCUMENT.read_text(encoding="utf-8")
    made = written(document, counts)
    if "--check" in sys.argv:
        return int(made != document or any(found.different for found in counts))
    DOCUMENT.write_text(made, encoding="utf-8")
    return int(any(found.different for found in counts))


if __name__ == "__main__":
    sys.exit(main())
