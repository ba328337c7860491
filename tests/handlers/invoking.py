"""Send events to a function as Lambda would, and read its answers and its log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    results: list[dict[str, Any]]
    stdout: str
    stderr: str

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [record for record in self.records if "level" in record]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return [record for record in self.records if "_aws" in record]


def event(name: str) -> Any:
    """One of the documented shapes, under events/."""
    return json.loads((HERE / "sample_events" / f"{name}.json").read_text(encoding="utf-8"))


def run(function: Path, events: list[Any], work: Path, **environment: str) -> Ran:
    """`function` holds handlers/, model/ and model-manifest.json."""
    asked, answered = work / "events.json", work / "results.json"
    asked.write_text(json.dumps(events), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / "driver.py", asked, answered],
        cwd=function,
        env={
            **os.environ,
            "PYTHONPATH": str(function),
            "POWERTOOLS_METRICS_NAMESPACE": "Tests",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Ran(json.loads(answered.read_text(encoding="utf-8")), done.stdout, done.stderr)
