"""Records through a queue and a bucket, with poison, deaths and duplicates: what became of each.

    python bench/events.py [--records 10000] [--objects 2000] [--out bench/results]

It is the slow test of events at another size: an artifact is built and deployed by the SAM CLI to
moto, and the deployed bytes run under Lambda's own runtime client and emulator. See
tests/integration/aws/chaos.py for what is done to them, and records.py for what is sent.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TEST = "tests/integration/aws/test_events.py::test_every_record_is_answered_once_or_buried"
DOORS = {"sqs": "messages, through SQS", "s3": "objects, through S3 and SQS"}
LINES = {
    "sent": "sent",
    "good": "that can be answered",
    "poison": "that can never be answered",
    "invocations": "invocations",
    "killed": "times that the process was killed",
    "ended": "invocations that ended by it",
    "repeated": "delivered again although done with",
    "named": "named in partial responses",
    "answered": "**answered**",
    "wrong": "answered wrongly",
    "answered again": "answers written a second time",
    "lost": "**lost**",
    "buried": "**in the dead-letter queue, with the reason**",
    "buried again": "there twice",
    "not buried": "poison that is not there",
    "buried without cause": "there without being poison",
}


def measured(records: int, objects: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="packager-bench-") as folder:
        counts = Path(folder, "counts")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "slow", TEST],
            cwd=ROOT,
            env={
                **os.environ,
                "PACKAGER_RECORDS": str(records),
                "PACKAGER_OBJECTS": str(objects),
                "PACKAGER_COUNTS": str(counts),
            },
            check=True,
        )
        return [json.loads(line) for line in counts.read_text(encoding="utf-8").splitlines()]


def text(runs: list[dict[str, Any]]) -> str:
    """The page beside the figures."""
    heads = [
        f"{DOORS[door]}, {'with' if run['once'] else 'without'} `--once`"
        for run in runs
        for door in DOORS
    ]
    for run in runs:
        for door in DOORS:
            run[door]["ended"] = run[door]["failures"].get("process ended", 0)
    rows = [
        f"| {said} | {' | '.join(f'{run[door][name]:,}' for run in runs for door in DOORS)} |"
        for name, said in LINES.items()
    ]
    return "\n".join(
        [
            "# Records with poison, deaths and duplicates",
            "",
            "Written by `python bench/events.py`; see there for how.",
            "",
            f"| | {' | '.join(heads)} |",
            f"|---|{'---|' * len(heads)}",
            *rows,
            "",
            "An answer that is written a second time lies under the same name, and says the same.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    given = parser.parse_args()
    runs = measured(given.records, given.objects)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "events.json").write_text(json.dumps(runs, indent=2) + "\n", encoding="utf-8")
    page = text(runs)
    (given.out / "events.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
