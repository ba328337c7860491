"""Limits on what may differ (`--fail-on`), and whether a comparison keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from packager.commands.difference.result import Amounts, Answers, Limit
from packager.errors import ConfigurationError, suggest_name

_SHARES: Final = ("labels", "refused")
_AMOUNTS: Final = ("mean", "max")
_GROWTHS: Final = ("size", "start")
_NAMES: Final = (*_SHARES, *_AMOUNTS, *_GROWTHS)
_NEED_ANSWERS: Final = (*_SHARES, *_AMOUNTS, "start")


def parse_limits(words: Iterable[str], *, is_run: bool) -> dict[str, float]:
    """Read `labels=0.5%`, `max=0.01` and the like. Raises ConfigurationError.

    `is_run` tells whether the artifacts are started: most limits need that.
    """
    found: dict[str, float] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or name not in _NAMES:
            raise ConfigurationError(
                f"--fail-on {word!r}: give NAME=LIMIT, as labels=0.5%, with one of "
                f"{', '.join(_NAMES)}.{suggest_name(name, _NAMES)}"
            )
        if name in found:
            raise ConfigurationError(f"--fail-on {name} is given twice: leave one out.")
        if not is_run and name in _NEED_ANSWERS:
            raise ConfigurationError(
                f"--fail-on {name} needs both artifacts started: leave out --files-only, or limit "
                "the size alone."
            )
        found[name] = _parse_amount(word, name, text)
    return found


def _parse_amount(word: str, name: str, text: str) -> float:
    is_percent = text.endswith("%")
    try:
        amount = float(text.removesuffix("%")) / (100 if is_percent else 1)
    except ValueError:
        amount = math.nan
    highest = 1.0 if name in _SHARES else math.inf
    if not math.isfinite(amount) or not 0 <= amount <= highest or (is_percent and name in _AMOUNTS):
        form = (
            "a difference from 0 on, in the model's own unit, as 0.01"
            if name in _AMOUNTS
            else "a share from 0% to 100%, as 0.5%"
            if name in _SHARES
            else "a growth from 0% on, as 5%"
        )
        raise ConfigurationError(f"--fail-on {word!r}: {name} takes {form}.")
    return amount


def check_limits(
    limits: Mapping[str, float],
    *,
    sizes: Mapping[str, Amounts],
    start: Mapping[str, Amounts] | None,
    answers: Answers | None,
) -> list[Limit]:
    """Check each limit; one whose figure cannot be had is not kept."""
    found = []
    for name, limit in limits.items():
        value, problem = _find_value(name, sizes, start, answers)
        is_kept = value is not None and value <= limit
        shown = f"{_write_limit(name, value or 0.0)}, at most {_write_limit(name, limit)}"
        words = f"{name}: {problem or shown}"
        found.append(Limit(name=name, limit=limit, value=value, passed=is_kept, words=words))
    return found


def _find_value(
    name: str,
    sizes: Mapping[str, Amounts],
    start: Mapping[str, Amounts] | None,
    answers: Answers | None,
) -> tuple[float | None, str]:
    """Return (the figure, why there is none or "")."""
    if name == "size":
        return sizes["zipped_bytes"]["growth"], ""
    if name == "start":
        return _find_start(start)
    if answers is None or not answers["requests"]:
        return None, "there are no rows to ask: save an example or a signature with the model"
    if name == "refused":
        asked = answers["requests"] - answers["refused"]["a"] - answers["refused"]["both"]
        return (answers["refused"]["b"] / asked, "") if asked else (None, "A refused every request")
    if not answers["rows_compared"]:
        return None, "no row was answered by both"
    if name == "labels":
        return _find_share(answers)
    return _find_difference(name, answers)


def _find_start(start: Mapping[str, Amounts] | None) -> tuple[float | None, str]:
    if start is None:
        return None, "an emulated processor's time tells nothing"
    growth = start["cpu_ms"]["growth"]
    return growth, "" if growth is not None else "no CPU time was measured"


def _find_share(answers: Answers) -> tuple[float | None, str]:
    if answers["measure"] != "changed labels":
        return None, "no answer is a label: limit mean or max"
    return answers["rows_changed"] / answers["rows_compared"], ""


def _find_difference(name: str, answers: Answers) -> tuple[float | None, str]:
    if answers["rows_reshaped"]:
        return None, f"{answers['rows_reshaped']:,} rows have an answer of another shape"
    if unlike := sum(each["unlike"] for each in answers["outputs"]):
        return None, f"{unlike:,} values are a number in one of the answers alone"
    figures = list(_read_figures(name, answers["outputs"]))
    return (max(figures), "") if figures else (None, "no answer is a number: limit labels")


def _read_figures(name: str, outputs: Sequence[Mapping[str, object]]) -> Iterator[float]:
    for each in outputs:
        if isinstance(figure := each.get(name), float):
            yield figure


def _write_limit(name: str, value: float) -> str:
    return f"{value:.4g}" if name in _AMOUNTS else f"{100 * value:.4g}%"
