"""A built Azure app between Azurite's queues: 2,000 messages, random failures, what became of each.

    python bench/azure_messages.py [--count 2000] [--out bench/results]

A worker is killed in one of a hundred invocations, one write of an answer in ten fails, and in one
of twenty the host goes down between the answer and the deletion of its message. Every tenth message
can never be answered. The listener between storage and the worker is ours
(tests/integration/azure).
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from packager.environments import interpreters  # noqa: E402 - the checkout is put on the path first
from packager.targets.hosts import Boot  # noqa: E402
from tests.integration.azure import azurite, messages  # noqa: E402
from tests.integration.azure.listener import Faults  # noqa: E402

MINOR = "3.13"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bench-azure-"))
    try:
        report = messages.built(work / "out", MINOR)
        boot = Boot(
            folder=report.artifact.folder, interpreter=interpreters.find(MINOR), entrypoint=""
        )
        faults = Faults(seed=2026, worker_dies=0.01, output_fails=0.1, host_dies=0.05)
        begun = time.monotonic()
        with azurite.running(work) as storage:
            came = messages.through_a_queue(boot, storage, options.count, faults)
        seconds = time.monotonic() - begun
    finally:
        shutil.rmtree(work, ignore_errors=True)
    found = {**asdict(came), "seconds": round(seconds), "python": boot.interpreter.version}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "azure_messages.json").write_text(json.dumps(found, indent=2) + "\n")
    flat = {k: v for k, v in found.items() if k != "faults"}
    flat |= {f"fault: {name}": count for name, count in came.faults.items()}
    lines = ["| what | count |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {value} |" for name, value in flat.items()]
    text = "\n".join(lines) + "\n"
    (options.out / "azure_messages.md").write_text(text)
    print(text)
    if came.lost or came.wrong:
        sys.exit(f"{came.lost} messages are lost and {came.wrong} answers are wrong")


if __name__ == "__main__":
    main()
