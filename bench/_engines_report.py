"""What bench/engines.py found, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
COLUMNS = (
    "", "unzipped MB", "zipped MB", "files", "CPU ms", "init ms", "warm ms", "peak MB",
    "CPU / empty", "peak / empty",
)  # fmt: skip
_WARM = ("handler", "session", "beyond", "empty")
_LETTERS = 200
"""Of a refusal's reason."""


def text(found: Found) -> str:
    lines = ["# Engines", "", "Made by `python bench/engines.py`."]
    if "empty" in found.get("start", {}).get("rows", {}):
        lines += ["", *_tell_run(found, "start"), *_start(found["start"])]
    elif "start" in found:
        why = "Starts were measured before an empty handler was: run `--parts start` again."
        lines += ["", why]
    if "rows" in found:
        lines += ["", "## Rows a second", "", *_tell_run(found, "rows"), *_rows(found["rows"])]
    if "estimators" in found:
        about = _tell_run(found, "estimators")
        lines += ["", "## Estimators", "", *about, *_estimators(found["estimators"])]
    return "\n".join(lines) + "\n"


def _tell_run(found: Found, part: str) -> list[str]:
    """When, at which commit and beside how much else a part was measured."""
    run = found.get("measured", {}).get(part)
    if run is None:
        return ["Measured before runs were noted.", ""]
    least, most = run["load"]
    several = f", in {run['runs']} runs" if run["runs"] > 1 else ""
    when = f"Measured from {run['from']} to {run['until']} UTC{several}"
    where = f"at {', '.join(run['commits'])}; load (of one minute) {least:.1f} to {most:.1f}."
    return [f"{when}, {where}", ""]


def _start(start: Found) -> list[str]:
    table = start["rows"]
    shares = (
        f"CPU of `by hand` / `{key}`: {table['by hand']['cpu_ms'] / table[key]['cpu_ms']:.1f}."
        for key in ("machine code", "onnx")
    )
    return [
        *(_about(start), ""),
        *_table(COLUMNS, (_cells(k, v, table["empty"]) for k, v in table.items())),
        *("", " ".join(shares), "", "Warm, one row, in the handler, CPU time:", ""),
        *_table(
            ("", "ms", "of it in the model", "beyond it", "an empty handler"),
            (
                [key, *(f"{took[f'{part}_ms']:.3f}" for part in _WARM)]
                for key, took in start["warm"].items()
            ),
        ),
    ]


def _rows(rate: Found) -> list[str]:
    theirs = rate["mlflow models serve"]["cpu"]
    return [
        *("1,000 rows of JSON a request:", ""),
        *_table(
            ("", "rows a CPU second", "of `mlflow models serve`'s", "rows a second by the clock"),
            (
                [key, f"{rows['cpu']:,.0f}", f"{rows['cpu'] / theirs:.1f}", f"{rows['clock']:,.0f}"]
                for key, rows in rate.items()
            ),
        ),
    ]


def _about(start: Found) -> str:
    candidates = start["engine"]["candidates"]
    taken = next((each for each in candidates if each.get("taken")), candidates[-1])
    return (
        f"{start['model']}; Python {start['python']}, {start['cores']} cores; medians of "
        f"{start['rounds']}. The graph ({taken['name']}) was held to the model on "
        f"{taken['rows']:,} rows, largest relative difference {taken['max_rel_error']:g}. Through "
        "mlflow.pyfunc, in the environment that the model declares, a start takes "
        f"{start['declared_start_cpu_ms']:,.0f} ms of CPU."
    )


def _cells(key: str, row: Found, empty: Found) -> list[str]:
    return [
        key,
        *(f"{row[name]:,.1f}" for name in ("unzipped_mb", "zipped_mb")),
        f"{row['files']:,}",
        f"{row['cpu_ms']:,.1f}",
        f"{row['init_wall_ms']:,.0f}",
        f"{row['warm_invoke_ms']:,.1f}",
        f"{row['peak_rss_mb']:,.0f}",
        *(f"{row[name] / empty[name]:.2f}" for name in ("cpu_ms", "peak_rss_mb")),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    made = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*made, *("| " + " | ".join(row) + " |" for row in rows)]


def _estimators(rows: Sequence[Found]) -> list[str]:
    good = [row for row in rows if not row["refused"]]
    asked, labels, numbers = (
        sum(row[name] for row in good) for name in ("rows_asked", "wrong_labels", "wrong_numbers")
    )
    line = f"{len(rows)} models: {len(good)} compiled, proven, booted and asked {asked:,} rows: "
    line += f"{labels} wrong labels, {numbers} wrong numbers. {len(rows) - len(good)} were refused."
    taken = (
        [
            row["name"],
            row["candidate"] + ", exact" * row["exact"],
            f"{row['rows_held']:,}",
            f"{row['max_rel_error']:.1e}",
            f"{row['graph_bytes'] / 1e3:,.1f}",
        ]
        for row in good
    )
    why = ([r["name"], r["refused"].replace("|", "/")[:_LETTERS]] for r in rows if r["refused"])
    head = ("model", "graph", "rows held", "largest relative difference", "graph, KB")
    return [line, "", *_table(head, taken), "", *_table(("refused", "why"), why)]
