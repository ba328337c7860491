"""One fact beside what an installed package states."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from packager.environments.machine.installation import name_upgrade
from packager.types import FactCheck


class Compared(NamedTuple):
    """Comparisons with the models of one vendor, or with installed distributions."""

    checks: list[FactCheck]
    said: str
    """Which models these are, or why there are none."""


def make_check(
    fact: str,
    stated: str,
    model: str,
    *,
    holds: bool,
    remedy: str,
    fields: Sequence[str] | None = None,
) -> FactCheck:
    """Return a comparison; `fields` are the facts that it compares, `fact` itself by default.

    A field is named as FILE TABLE FIELD.
    """
    return {
        "fact": fact,
        "stated": stated,
        "model": model,
        "holds": holds,
        "remedy": "" if holds else remedy,
        "fields": [fact] if fields is None else list(fields),
    }


def make_unknown(fact: str, stated: str, shape: str, package: str = "botocore") -> FactCheck:
    """Tell that the installed model is older than what is compared."""
    version = importlib.metadata.version(package)
    return make_check(
        fact, stated, f"{shape} is unknown", holds=False,
        remedy=f"The installed {package} {version} does not know it. Install a newer one: "
        f"`{name_upgrade(package)}`. Then check again.",
    )  # fmt: skip


def tell_found(found: bool) -> str:  # noqa: FBT001 - of a check's own condition
    return "has it" if found else "has it not"


def join_names(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
