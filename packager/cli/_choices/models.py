"""Completion of a model's address, for each shell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

import typer
from typer.core import TyperCommand

_MODELS: Final = ("model_uri", "source")
_EXAMPLE: Final = (
    "Name a model, for example models:/churn/1, models:/churn@champion, or its folder."
)


@dataclass(frozen=True, slots=True)
class _Item:
    """A completion as typer's shells print it."""

    value: str
    type: str = "plain"
    help: str | None = None


class ModelCommand(TyperCommand):
    """A command with a MODEL that Bash completes too, which ends a word at each `:` and `@`."""

    # typer makes every context one of its own
    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Raises BadParameter, with an example where no model is named."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if not error.message and getattr(error.param, "name", None) in _MODELS:
                error.message = _EXAMPLE
            raise

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
