"""Every case of the table to both servers, in whichever environment runs this: JSON lines.

    python -m tests.conformance.answers OUT

The environment holds MLflow and what it serves with; ours needs numpy and pandas alone.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

from tests.conformance.cases import ALL
from tests.conformance.compare import DIFFERENT, compare
from tests.conformance.reference import VERSION


def main(out: Path) -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with out.open("w", encoding="utf-8") as lines:
        for make in ALL:
            for case in make():
                done = compare(case, VERSION)
                line = {
                    "group": make.__name__,
                    "verdict": done.verdict,
                    "theirs": done.theirs.to_json(),
                }
                if done.verdict == DIFFERENT:
                    line["both"] = str(done)
                lines.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
