"""The proof on the page: what was compared, how far apart the values are, and further checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from packager.commands.artifact.report_page.figures import name_power
from packager.commands.artifact.report_page.sections import (
    Cell,
    Chart,
    Documents,
    Row,
    Section,
    Table,
    make_table,
)
from packager.commands.artifact.report_values import read_amount, read_count, read_text, read_texts
from packager.types import Json

_SAME: Final = "the same"
_FEW: Final = 8
"""Bars that half of the page has room for."""
_LEAST_POWER: Final = -324
_MOST_POWER: Final = 308


def describe_proof(documents: Documents) -> Section:
    found = documents.evidence["evidence"]
    seen, unseen = read_count(found["rows_compared"]), read_count(found.get("unseen_rows", 0))
    counts = (
        ("Rows compared that the build slimmed by", seen),
        ("Rows compared that it never slimmed by", unseen),
        ("Requests compared", read_count(found["requests_compared"])),
        ("Requests held out", read_count(found.get("unseen_requests", 0))),
        ("Requests that both sides refused alike", read_count(found["refusals_agreed"])),
        ("Answers that differ", read_count(found["mismatches"])),
    )
    rows: list[Row] = [[name, Cell(f"{count:,}", count)] for name, count in counts]
    error = read_amount(found["max_abs_error"]) or 0.0
    rows.append(["Largest difference", Cell(f"{error:.3g}", error)])
    rows.append(["Seed of the drawn rows", Cell(str(found["seed"]), read_count(found["seed"]))])
    chart = Chart(
        key="rows",
        title="Rows that both sides answered",
        label=f"{seen:,} rows that the build slimmed by, and {unseen:,} that it did not.",
        data={
            "kind": "bars",
            "unit": "",
            "rows": [{"name": "slimmed by", "value": seen}, {"name": "held out", "value": unseen}],
        },
        is_half=True,
    )
    oracle = read_text(found["oracle"])
    verdict = (
        "The booted artifact and the registered model were asked the same."
        if found["proven"] is True
        else f"This artifact is not proven: {read_text(found['why_unproven'])}"
    )
    return Section(
        key="proof",
        title="The proof",
        lead=f"{verdict} The model answered in {oracle}." if oracle else verdict,
        charts=(*((chart,) if seen or unseen else ()), *_chart_differences(found)),
        tables=(
            make_table("Comparison", ("Figure", "Value"), rows, is_open=True),
            *_list_differences(found),
            *_list_checks(found),
        ),
    )


def _read_differences(found: Json) -> tuple[int, int, dict[int, int]]:
    """Read (values that do not differ, drawn at random, power of ten -> values so far apart)."""
    told = found.get("differences") or {"equal": 0, "random": 0, "by_power": {}}
    powers = {int(power): read_count(count) for power, count in told["by_power"].items()}
    if not all(_LEAST_POWER <= power <= _MOST_POWER for power in powers):
        raise ValueError("a difference is no power of ten that a number can have")
    return read_count(told["equal"]), read_count(told["random"]), dict(sorted(powers.items()))


def _chart_differences(found: Json) -> Iterator[Chart]:
    """Yield a bar for the values that do not differ, and one for each power of ten up to the most.

    None where no value was compared, as in an artifact of before they were counted.
    """
    equal, _, powers = _read_differences(found)
    if not equal and not powers:
        return
    bars = [{"name": _SAME, "value": equal}]
    if powers:
        bars += [
            {"name": name_power(power), "value": powers.get(power, 0)}
            for power in range(min(powers), max(powers) + 1)
        ]
    apart = sum(powers.values())
    yield Chart(
        key="differences",
        title="Values of the answers by their distance from the model's",
        label=f"{equal:,} values are the same and {apart:,} are apart, which the rule allows.",
        data={"kind": "counts", "rows": bars},
        is_half=len(bars) < _FEW,
    )


def _list_differences(found: Json) -> Iterator[Table]:
    equal, random, powers = _read_differences(found)
    if not equal and not random and not powers:
        return
    rows: list[Row] = [[_SAME, Cell(f"{equal:,}", equal)]]
    rows += [[name_power(power), Cell(f"{n:,}", n)] for power, n in powers.items()]
    if random:
        rows.append(["drawn at random, compared by type", Cell(f"{random:,}", random)])
    yield make_table("Values by their absolute difference", ("Difference", "Values"), rows)


def _list_checks(found: Json) -> Iterator[Table]:
    checks = [[read_text(name), read_text(said)] for name, said in found["checks"].items()]
    yield make_table("Further checks", ("Check", "Result"), checks)
    sandbox = [
        ["the registered model" if side == "oracle" else "the artifact", said]
        for side, every in found.get("sandbox", {}).items()
        if side != "emulated"
        for said in read_texts(every)
    ]
    yield make_table("What held while the model's code ran", ("Side", "Protection"), sandbox)
    if engine := list(_flatten("", found.get("engine") or {})):
        yield make_table("Compiled model", ("Figure", "Value"), engine)


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else str(name), each)
    elif isinstance(value, list):
        yield prefix, ", ".join(str(each) for each in value[:50])
    else:
        yield prefix, str(value)
