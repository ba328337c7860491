"""Differences between two models' answers to the same rows."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from packager.commands.difference.columns import explain_by_columns
from packager.commands.difference.requests import Asked
from packager.commands.difference.result import Answers, LabelMove, Output
from packager.commands.difference.running import Reply
from packager.pipeline.answers.comparison import read_leaves
from packager.probes import examples
from packager.types import Json

LABEL: Final = "label"
NUMBER: Final = "number"
_MOST_CLASSES: Final = 100
"""So many whole numbers at one place are classes; more of them are amounts."""
_SHOWN: Final = 5
_MOST_MOVES: Final = 20
_LONGEST_LABEL: Final = 80
_PLACE: Final = "predictions, any row"
_FARTHEST: Final = 1e150
"""A difference that is larger counts as this: its square is a float too."""
_QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


@dataclass(slots=True)
class _Row:
    """Both answers to one row: pairs of values by place, and the row itself."""

    columns: dict[str, Json]
    pairs: list[tuple[str, Json, Json]] = field(default_factory=list)
    is_reshaped: bool = False


def compare_replies(
    requests: Sequence[Asked], before: Sequence[Reply], after: Sequence[Reply], *, seed: int
) -> Answers:
    """Compare row by row what both answered; what one of them refused is counted, not compared."""
    rows = list(_pair_replies(requests, before, after))
    outputs = _describe_outputs(rows)
    labels = {each["place"] for each in outputs if each["kind"] == LABEL}
    changed = [_has_changed(row, labels) for row in rows]
    by_label = bool(labels) or any(row.is_reshaped for row in rows)
    measures = [float(each) for each in changed] if by_label else list(map(_measure_row, rows))
    refused, refusals = _count_refused(before, after)
    return {
        "requests": len(requests),
        "rows": _count_sources(requests),
        "seed": seed,
        "rows_compared": len(rows),
        "refused": refused,
        "refusals": refusals[:_SHOWN],
        "rows_changed": sum(changed),
        "rows_reshaped": sum(row.is_reshaped for row in rows),
        "outputs": outputs,
        "measure": "changed labels" if by_label else "mean difference",
        "overall": statistics.fmean(measures) if measures else 0.0,
        "columns": explain_by_columns([row.columns for row in rows], measures),
    }


def _pair_replies(
    requests: Sequence[Asked], before: Sequence[Reply], after: Sequence[Reply]
) -> Iterator[_Row]:
    for asked, one, other in zip(requests, before, after, strict=True):
        if not (one.refusal or other.refusal):
            yield from _pair_rows(asked, one.predictions, other.predictions)


def _count_sources(requests: Sequence[Asked]) -> dict[str, int]:
    found = {"a": 0, "b": 0, "generated": 0}
    for asked in requests:
        found[asked.source] += asked.rows
    return found


def _count_refused(
    before: Sequence[Reply], after: Sequence[Reply]
) -> tuple[dict[str, int], list[str]]:
    """Return (requests by who refused them, what was said, each once)."""
    refused, said = {"a": 0, "b": 0, "both": 0}, dict[str, None]()
    for one, other in zip(before, after, strict=True):
        if one.refusal or other.refusal:
            refused["both" if one.refusal and other.refusal else "a" if one.refusal else "b"] += 1
        for name, each in (("A", one), ("B", other)):
            if each.refusal:
                said[f"{name}: {each.refusal}"] = None
    return refused, list(said)


def _pair_rows(asked: Asked, before: Json, after: Json) -> Iterable[_Row]:
    columns = examples.columns(asked.body)
    one, other = split_rows(before, asked.rows), split_rows(after, asked.rows)
    if len(one) != len(other):
        return [_Row({}, is_reshaped=True) for _ in range(asked.rows)]
    is_aligned = all(len(values) == len(one) for values in columns.values())
    found = []
    for at, (left, right) in enumerate(zip(one, other, strict=True)):
        row = _Row({name: each[at] for name, each in columns.items()} if is_aligned else {})
        was, now = list(read_leaves(left, _PLACE)), list(read_leaves(right, _PLACE))
        if [place for place, _ in was] == [place for place, _ in now]:
            row.pairs = [(place, old, new) for (place, old), (_, new) in zip(was, now, strict=True)]
        else:
            row.is_reshaped = True
        found.append(row)
    return found


def split_rows(predictions: Json, rows: int) -> list[Json]:
    """Return one answer a row; the whole as one where it is not known what belongs to which."""
    if isinstance(predictions, list) and len(predictions) == rows:
        return predictions
    if isinstance(predictions, dict) and predictions:
        values = list(predictions.values())
        if all(isinstance(each, list) and len(each) == rows for each in values):
            return [{name: each[at] for name, each in predictions.items()} for at in range(rows)]
    return [predictions]


def _describe_outputs(rows: Sequence[_Row]) -> list[Output]:
    places: dict[str, list[tuple[Json, Json]]] = {}
    for row in rows:
        for place, old, new in row.pairs:
            places.setdefault(place, []).append((old, new))
    return [_describe_output(place, pairs) for place, pairs in places.items()]


def _describe_output(place: str, pairs: Sequence[tuple[Json, Json]]) -> Output:
    changed = sum(not _are_alike(old, new) for old, new in pairs)
    numbers = [(old, new) for old, new in pairs if _is_number(old) and _is_number(new)]
    unlike = sum(_is_number(old) != _is_number(new) for old, new in pairs)
    found = Output(
        place=place,
        kind=choose_kind([each for pair in pairs for each in pair]),
        values=len(pairs),
        changed=changed,
        share=changed / len(pairs),
        unlike=unlike,
    )
    if numbers:
        _add_distances(found, [_subtract(old, new) for old, new in numbers])
    if found["kind"] == LABEL:
        found["moves"] = _list_moves(pairs)
    return found


def _add_distances(found: Output, signed: Sequence[float]) -> None:
    sizes = sorted(map(abs, signed))
    found["mean_change"] = statistics.fmean(signed)
    found["mean"], found["max"] = statistics.fmean(sizes), sizes[-1]
    found["p50"], found["p90"], found["p99"] = (
        sizes[min(len(sizes) - 1, math.ceil(share * len(sizes)) - 1)] for _, share in _QUANTILES
    )
    powers = Counter(math.floor(math.log10(each)) for each in sizes if each)
    found["by_power"] = {str(power): powers[power] for power in sorted(powers)}


def _list_moves(pairs: Sequence[tuple[Json, Json]]) -> list[LabelMove]:
    """Return the changes of labels that are most frequent."""
    moves = Counter(
        (_write_label(old), _write_label(new)) for old, new in pairs if not _are_alike(old, new)
    )
    most = sorted(moves.items(), key=lambda each: (-each[1], each[0]))[:_MOST_MOVES]
    return [LabelMove(a=old, b=new, values=count) for (old, new), count in most]


def _write_label(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST_LABEL else f"{text[:_LONGEST_LABEL]}..."


def choose_kind(values: Iterable[Json]) -> str:
    """Text and booleans are labels; so are whole numbers, unless there are too many for classes."""
    known = [each for each in values if not _is_blank(each)]
    if not all(_is_number(each) for each in known):
        return LABEL
    is_whole = all(float(each).is_integer() for each in known)
    return LABEL if is_whole and len(set(known)) <= _MOST_CLASSES else NUMBER


def _is_number(value: Json) -> TypeGuard[int | float]:
    """Tell whether `value` is a finite number, which a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number with hundreds of digits
        return False


def _subtract(old: float, new: float) -> float:
    """Return how far `new` is above `old`; sums and squares of differences stay finite."""
    return max(-_FARTHEST, min(_FARTHEST, float(new) - float(old)))


def _is_blank(value: Json) -> bool:
    """Tell whether `value` stands where a number could: null, NaN or an infinite one."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _are_alike(old: Json, new: Json) -> bool:
    """Compare values: 1 is 1.0, and NaN is NaN; True is not 1."""
    if _is_number(old) and _is_number(new):
        return old == new
    return type(old) is type(new) and repr(old) == repr(new)


def _has_changed(row: _Row, labels: set[str]) -> bool:
    return row.is_reshaped or any(
        place in labels and not _are_alike(old, new) for place, old, new in row.pairs
    )


def _measure_row(row: _Row) -> float:
    """Return the mean absolute difference of a row's numbers."""
    found = [
        abs(_subtract(old, new)) for _, old, new in row.pairs if _is_number(old) and _is_number(new)
    ]
    return statistics.fmean(found) if found else 0.0
