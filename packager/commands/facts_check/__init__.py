"""`packager facts`: what is known of the platforms, and what installed packages state beside it.

Most facts are stated by a page alone, which nobody here reads. These are listed as not comparable,
with the page and the day that somebody read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import cast

from packager import facts, targets
from packager.commands.facts_check.azure_api import compare_azure
from packager.commands.facts_check.checks import make_check
from packager.commands.facts_check.installed import compare_installed
from packager.commands.facts_check.lambda_api import compare_aws
from packager.facts import Fact, modules, prices
from packager.types import FactCheck, FactRow, FactsReport, Json, UncheckedFact

__all__ = ["report_facts"]


def report_facts(folder: Path | None, *, today: date, check: bool) -> FactsReport:
    """List every fact; with `check` compare them with what is installed here.

    Raises FactsError for a file that does not hold together, and for a fact without a source or a
    day.
    """
    known = facts.list_facts(folder)
    checks: list[FactCheck] = []
    models: list[str] = []
    if check:
        _check_all_files(folder)
        checks += _compare_days(known, today)
        for compared in (compare_aws(known, folder), compare_azure(), compare_installed(known)):
            checks += compared.checks
            models.append(compared.said)
    old = [fact for fact in known if check and fact.is_old(today)]
    return {
        "facts": [_describe(fact, today) for fact in known],
        "checks": checks,
        "not_compared": list(_list_uncompared(known, checks, today)) if check else [],
        "old": [_describe(fact, today) for fact in old],
        "old_days": facts.OLD_DAYS,
        "models": models,
        "checked": check,
        "holds": all(each["holds"] for each in checks),
    }


def _check_all_files(folder: Path | None) -> None:
    """Read each file as a build does. Raises FactsError."""
    for name in targets.TARGETS:
        targets.load(name, folder)
        prices.read_prices(name, folder)
        facts.speeds(name, folder)
    prices.read_fronts(folder)
    facts.tools(folder)
    facts.donors(folder)
    modules.module_names(folder)


def _compare_days(known: Sequence[Fact], today: date) -> Iterator[FactCheck]:
    """Yield the facts that were read on a day to come: their age would never be told."""
    for fact in known:
        if fact.as_of > today:
            yield make_check(
                f"{fact.file} {fact.name} as_of", f"{fact.as_of}", f"today is {today}",
                holds=False,
                remedy="Set the day that it was read. Or this machine's clock is slow.",
            )  # fmt: skip


def _list_uncompared(
    known: Sequence[Fact], checks: Sequence[FactCheck], today: date
) -> Iterator[UncheckedFact]:
    """Yield what no installed package states, table by table, with the fields that it is about."""
    compared = {field for check in checks for field in check["fields"]}
    for fact in known:
        fields = [name for name in fact.values if f"{fact.file} {fact.name} {name}" not in compared]
        if fields or (f"{fact.file} {fact.name}" not in compared and not fact.values):
            yield {
                "file": fact.file,
                "name": fact.name,
                "fields": fields,
                "source": fact.source,
                "unchecked": fact.unchecked,
                "as_of": fact.as_of.isoformat(),
                "days": fact.count_days(today),
            }


def _describe(fact: Fact, today: date) -> FactRow:
    return {
        "file": fact.file,
        "name": fact.name,
        "values": {key: _plain(value) for key, value in fact.values.items()},
        "source": fact.source,
        "unchecked": fact.unchecked,
        "as_of": fact.as_of.isoformat(),
        "days": fact.count_days(today),
    }


def _plain(value: object) -> Json:
    return value.isoformat() if isinstance(value, date) else cast(Json, value)
