"""Start of a function of the frame `plain` beside an empty handler, side by side in one run.

    python bench/plain_start.py ARTIFACT [--rounds 9] [--out bench/results]

ARTIFACT is what `packager build --engine machine-code` made; `packager demo` makes one. Each round
boots an empty handler, the artifact with its example as a direct invoke, and with it over HTTP, in
turn, under the same runtime client, emulator and Python. The first round only fills the page cache.
CPU is the scheduler's for the function's process, from its start to its first answer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import Variant, boot  # noqa: E402 - the checkout is put on the path first
from handlers.manifest import Manifest  # noqa: E402
from packager.environments import interpreters  # noqa: E402

EMPTY: Final = 'def handler(event, context):\n    return {"predictions": []}\n'
HANDLER: Final = "handlers.aws_lambda.handler"
COLUMNS: Final = (
    "", "CPU ms, least", "CPU ms, median", "of the empty handler's, least", "median", "peak MB",
)  # fmt: skip


def measure_in_turn(artifact: Path, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Figures of each start, by what was started."""
    interpreter = interpreters.find(Manifest.read(artifact / "function").python)
    with tempfile.TemporaryDirectory() as scratch:
        empty = Path(scratch)
        empty.chmod(0o755)  # the function has another user
        (empty / "app.py").write_text(EMPTY)
        variants = [Variant("an empty handler", "", empty, "app.handler")] + [
            Variant(key, "", artifact / "function", HANDLER) for key in ("direct", "HTTP")
        ]
        payloads = [
            (artifact / "events" / f"{name}.json").read_bytes()
            for name in ("direct", "direct", "http-api")
        ]
        taken: dict[str, list[dict[str, float]]] = {each.key: [] for each in variants}
        for number in range(rounds + 1):
            for each, payload in zip(variants, payloads, strict=True):
                figures = boot(each, interpreter, payload)
                if number:
                    taken[each.key].append(figures)
    return taken


def write_table(taken: dict[str, list[dict[str, float]]], artifact: Path) -> str:
    manifest = Manifest.read(artifact / "function")
    rounds = len(next(iter(taken.values())))
    what = f"{manifest.flavor}, frame {manifest.frame}; Python {manifest.python}"
    lines = [
        f"{what}; {rounds} starts each, in turn",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    first = [each["cpu_ms"] for each in next(iter(taken.values()))]
    for key, figures in taken.items():
        cpu = [each["cpu_ms"] for each in figures]
        peak = statistics.median(each["peak_rss_mb"] for each in figures)
        least, median = min(cpu), statistics.median(cpu)
        lines.append(
            f"| {key} | {least:.1f} | {median:.1f} | {least / min(first):.2f} | "
            f"{median / statistics.median(first):.2f} | {peak:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    artifact = options.artifact.resolve()
    taken = measure_in_turn(artifact, options.rounds)
    text = write_table(taken, artifact)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "plain_start.json").write_text(json.dumps(taken, indent=1) + "\n")
    (options.out / "plain_start.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
