"""Random pipelines held to their libraries, one line of JSON each; run where the models are.

    python -m bench._drawn_pipelines FOUND.jsonl COUNT FIRST_SEED SECONDS

Needs Python 3.8 and scikit-learn 0.24 or newer. Seeds that FOUND.jsonl has are left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn

from tests.engines.libraries import compare
from tests.engines.pipelines import draw_pipeline

ROWS = 5000


def hold_pipeline(seed: int) -> dict[str, object]:
    """What the pipeline has, and what became of it."""
    found: dict[str, object] = {
        "seed": seed,
        "sklearn": sklearn.__version__,
        "python": "{}.{}".format(*sys.version_info[:2]),
    }
    try:
        drawn = draw_pipeline(seed)
    except Exception as error:  # noqa: BLE001 - old versions raise what they like
        return {**found, "unfit": str(error)[:200]}
    with tempfile.TemporaryDirectory() as folder:
        table, fresh = drawn.draw(150, seed + 10_000), drawn.draw(ROWS, seed + 20_000)
        held = compare(drawn.model, table, fresh, drawn.methods[-1], Path(folder))
    return {
        **found,
        "steps": drawn.steps,
        "state": held.state,
        "refused": held.refused[:500],
        "wrong": held.wrong[:3],
        "rows": held.rows,
        "exact": held.exact,
        "largest": held.largest,
    }


def main(arguments: list[str]) -> int:
    path = Path(arguments[0])
    count, first, seconds = (int(each) for each in arguments[1:])
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    end = time.monotonic() + seconds
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {json.loads(line)["seed"] for line in lines}
    for seed in range(first, first + count):
        if seed in done:
            continue
        if time.monotonic() > end:
            return 3
        found = hold_pipeline(seed)
        print(seed, found.get("state", found.get("unfit")), file=sys.stderr)
        with path.open("a", encoding="utf-8") as written:
            written.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
