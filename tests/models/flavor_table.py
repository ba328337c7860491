"""Write README's table of flavors from what builds reported: `flavor_table.py FOLDER [README]`.

FOLDER holds artifacts as `packager build -o FOLDER/NAME` leaves them. The table stands between two
marker comments in README.md; nothing in it is typed by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

START = "<!-- flavors: written by tests/models/flavor_table.py -->"
END = "<!-- end of flavors -->"
HEAD = (
    "| flavor | model | tier, frame | zipped | unzipped | start CPU | rows compared | largest difference |",
    "|---|---|---|---|---|---|---|---|",
)


def row(folder: Path) -> str:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "model-manifest.json").read_text(encoding="utf-8"))
    evidence = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))["evidence"]
    artifact, cold = report["artifact"], evidence["cold_start"]
    start = f"{cold['init_cpu_ms'] / 1000:.1f} s" if cold else "not measured"
    compared = f"{evidence['rows_compared']:,}" if evidence["proven"] else "unproven"
    cells = (
        manifest["flavor"],
        folder.name,
        f"{manifest['tier']}, {manifest['frame']}",
        f"{artifact['size_bytes'] / 1e6:.1f} MB",
        f"{artifact['unzipped_bytes'] / 1e6:.1f} MB",
        start,
        compared,
        f"{evidence['max_abs_error']:g}",
    )
    return f"| {' | '.join(cells)} |"


def table(folder: Path) -> str:
    """Sorted by flavor, then by model."""
    rows = sorted(row(path.parent) for path in folder.glob("*/report.json"))
    if not rows:
        raise SystemExit(f"{folder} holds no artifacts: build some with packager build -o {folder}/NAME")
    return "\n".join((*HEAD, *rows))


def put(text: str, made: str) -> str:
    """The text with what stands between the markers replaced. Raises ValueError without them."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError("README has no markers for the table of flavors")
    return f"{before}{START}\n{made}\n{END}{after}"


def main(argv: list[str]) -> None:
    readme = Path(argv[1] if len(argv) > 1 else "README.md")
    made = table(Path(argv[0]))
    readme.write_text(put(readme.read_text(encoding="utf-8"), made), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
