"""Cold start of what another checkout builds and of what this one builds, started in turn.

    python bench/before.py CHECKOUT [--called "what it is"] [--rounds 15] [--out bench/results]
                           [--built]

`--built` starts what an earlier run with the same --work has built. Both build the same registered
model (the demo's), with this environment's packages. Each round starts first the one and then the
other, so that a busy machine is as busy for both. CPU is that of the function's process from its
start to its first answer; the least is the figure that other programs disturb least, the median is
beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench._parts import Variant, boot, sh, size  # noqa: E402 - the checkout is put on the path first
from bench.coldstart import find_prepared, modules, prepare  # noqa: E402
from packager.types import Interpreter  # noqa: E402

COLUMNS = (
    "", "modules", "files", "unzipped MB", "CPU ms, least", "CPU ms, median", "init ms, least",
    "peak MB",
)  # fmt: skip


def build_there(checkout: Path, model: Path, out: Path) -> Path:
    """Build the model by another checkout's code; its function's folder."""
    sh(sys.executable, "-m", "packager", "build", model, "-o", out, cwd=checkout)
    return out / "function"


def measure_in_turn(
    variants: Sequence[Variant], interpreter: Interpreter, payload: bytes, rounds: int
) -> Mapping[str, list[dict[str, float]]]:
    """Start each once a round; the first round only fills the page cache."""
    taken: dict[str, list[dict[str, float]]] = {each.key: [] for each in variants}
    for number in range(rounds + 1):
        for each in variants:
            figures = boot(each, interpreter, payload)
            if number:
                taken[each.key].append(figures)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--called", default="before", help="what the other checkout is")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--work", type=Path, default=ROOT / ".cache" / "before")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    parser.add_argument("--built", action="store_true", help="build nothing")
    options = parser.parse_args()
    if options.built:
        model, now, interpreter = find_prepared(options.work)
        before = options.work / "before" / "function"
    else:
        shutil.rmtree(options.work, ignore_errors=True)
        options.work.mkdir(parents=True)
        model, now, interpreter = prepare(options.work)
        before = build_there(options.checkout.resolve(), model, options.work.resolve() / "before")
    variants = [
        Variant(key, key, folder, "handlers.aws_lambda.handler")
        for key, folder in ((options.called, before), ("now", now))
    ]
    payload = (model / "serving_input_example.json").read_bytes()
    taken = measure_in_turn(variants, interpreter, payload, options.rounds)
    lines = [
        f"Python {interpreter.version}; {options.rounds} starts each, in turn",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for each in variants:
        sized = size(each.folder, options.work / "size.zip")
        cpu = [figures["cpu_ms"] for figures in taken[each.key]]
        init = [figures["init_wall_ms"] for figures in taken[each.key]]
        peak = [figures["peak_rss_mb"] for figures in taken[each.key]]
        cells = (
            each.key, f"{modules(each, interpreter):,}", f"{sized['files']:,.0f}",
            f"{sized['unzipped_mb']:,.1f}", f"{min(cpu):,.0f}", f"{statistics.median(cpu):,.0f}",
            f"{min(init):,.0f}", f"{statistics.median(peak):,.1f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "before.json").write_text(json.dumps(taken, indent=2) + "\n")
    (options.out / "before.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
