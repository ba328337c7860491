"""The suite's counts for each version level, asked anew and written into docs/protocol.md.

    python -m tests.conformance.report            # asks, prints, writes
    python -m tests.conformance.report --check    # fails where the document says otherwise

MLflow answers in an environment of its own for each level, and ours in the same, so that both have
the same pandas. The rows of the Lambda emulator are of the environment that runs this.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from packager.environments import interpreters, virtual_environments
from packager.system import process
from tests.conformance.compare import CUT, DIFFERENT, EQUAL

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "protocol.md"
BEGIN, END = "<!-- counts: tests/conformance/report.py -->", "<!-- end of counts -->"


@dataclass(frozen=True)
class Level:
    mlflow: str
    pandas: int
    others: tuple[str, ...] = ()
    arrays: bool = False
    """Whether ours is asked without pandas too."""

    @property
    def name(self) -> str:
        return f"MLflow {self.mlflow}, pandas {self.pandas}"

    @property
    def requirements(self) -> tuple[str, ...]:
        pandas = {2: "pandas>=2.2,<3", 3: "pandas>=3,<4"}[self.pandas]
        return (f"mlflow=={self.mlflow}", pandas, *self.others)


LEVELS = (
    # its server wants the Starlette of its day
    Level("2.22.5", 2, ("starlette<1", "httpx")),
    Level("3.17.2", 2),
    Level("3.17.2", 3, arrays=True),
)
_FRAMES = {
    "numpy": ("numpy>=2", "msgspec>=0.20", "pysimdjson>=7"),
    "plain": ("msgspec>=0.20", "pysimdjson>=7"),
}


@dataclass(frozen=True)
class Count:
    name: str
    verdicts: Counter[str]
    different: tuple[str, ...]

    @classmethod
    def read(cls, name: str, answers: Path) -> Count:
        lines = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        different = tuple(line["both"] for line in lines if line["verdict"] == DIFFERENT)
        return cls(name, Counter(line["verdict"] for line in lines), different)

    @property
    def row(self) -> str:
        named = self.verdicts.total() - sum(self.verdicts[v] for v in (EQUAL, CUT, DIFFERENT))
        cells = (
            self.name,
            *(self.verdicts.total(), self.verdicts[EQUAL], self.verdicts[CUT]),
            *(named, self.verdicts[DIFFERENT]),
        )
        return f"| {' | '.join(map(str, cells))} |"


def count(level: Level) -> list[Count]:
    """Of a level, and of the frames without pandas against it where they are asked for.

    Raises ToolError where an environment cannot be made or its answers end in an error.
    """
    with TemporaryDirectory() as folder:
        theirs, ours = Path(folder) / "theirs.jsonl", Path(folder) / "ours.jsonl"
        _run(level.requirements, "answers", theirs, home=folder)
        found = [Count.read(level.name, theirs)]
        if level.arrays:
            for frame, requirements in _FRAMES.items():
                _run(requirements, "arrays", frame, theirs, level.mlflow, ours, home=folder)
                found.append(Count.read(f"{level.name}; here `frame: {frame}`", ours))
        return found


def count_emulated() -> list[Count]:
    """Of every case through the Lambda emulator, as API Gateway sends it and direct.

    MLflow is the one that is installed here. Raises EmulatorError or ToolError.
    """
    from tests.conformance.cases import ALL
    from tests.conformance.emulated import PANDAS, emulated, invoked, over_http
    from tests.conformance.reference import VERSION

    cases = [case for make in ALL for case in make()]
    name = f"MLflow {VERSION}, pandas {PANDAS}; here through the Lambda emulator"
    with TemporaryDirectory() as folder, emulated(cases, Path(folder)) as asking:
        found = {"HTTP API": over_http(asking, cases), "direct invoke": invoked(asking, cases)}
    return [
        Count(f"{name}, {door}", verdicts, tuple(different))
        for door, (verdicts, different) in found.items()
    ]


def _run(requirements: tuple[str, ...], module: str, *argv: str | Path, home: str) -> None:
    python = virtual_environments.ensure(
        interpreters.find("3.11"), requirements, label="conformance"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": home}
    # MLflow writes a set of names in its order: the bytes are to be the same in each run
    environment["PYTHONHASHSEED"] = "0"
    process.run(
        [python, "-m", f"tests.conformance.{module}", *argv],
        cwd=ROOT,
        env={**environment, **process.numeric_environment()},
        timeout_seconds=1800,
    )


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
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    counts = [found for level in LEVELS for found in count(level)] + count_emulated()
    sys.stdout.write(table(counts) + "\n")
    for found in counts:
        sys.stdout.writelines(f"{found.name}: {text}\n" for text in found.different[:20])
    document = DOCUMENT.read_text(encoding="utf-8")
    made = written(document, counts)
    if "--check" in sys.argv:
        return int(made != document or any(found.different for found in counts))
    DOCUMENT.write_text(made, encoding="utf-8")
    return int(any(found.different for found in counts))


if __name__ == "__main__":
    sys.exit(main())
