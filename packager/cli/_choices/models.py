"""Completion of a model's address, for each shell."""

from __future__ import annotations

import os
from dataclasses import dataclass

import typer
from typer.core import TyperCommand


@dataclass(frozen=True, slots=True)
class _Item:
    """A completion as typer's shells print it."""

    value: str
    type: str = "plain"
    help: str | None = None


class ModelCommand(TyperCommand):
    """A command with a MODEL that Bash completes too, which ends a word at each `:` and `@`."""

    # typer makes every context one of its own
    def shell_complete(self, ctx: typer.Context, incomplete: str) -> list[object]:  # type: ignore[override]
        found: list[object] = [*super().shell_complete(ctx, incomplete)]
        if not found and _join_words(incomplete)[0] != incomplete:
            return [_Item(each) for each in complete_model(ctx, incomplete)]
        return found


def complete_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return addresses and names of builds that begin so, less what the shell has already."""
    begun, had = _join_words(incomplete)
    # asked by a shell alone
    from packager.cli._choices.registered import list_models

    found = list_models(ctx.params, begun)
    return [each[len(had) :] for each in found if each.startswith(begun)]


def _join_words(incomplete: str) -> tuple[str, str]:
    """Return the whole address that was begun, and its part that Bash does not replace.

    Bash hands the words `models`, `:`, `/churn`, `@`, `ch` of one address. What it replaces begins
    after the `:`, or at the `@`.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")
    at = os.environ.get("COMP_CWORD", "")
    words = words[: int(at) + 1] if at.isdecimal() else []
    starts = [n for n, each in enumerate(words[:-1]) if (each, words[n + 1]) == ("models", ":")]
    if not starts:
        return incomplete, ""
    parts = words[starts[-1] :]
    kept = parts.index("@") if "@" in parts else 2
    return "".join(parts), "".join(parts[:kept])
