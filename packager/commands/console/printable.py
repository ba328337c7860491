"""Text of others, made safe to print."""

from __future__ import annotations

from rich import markup

from packager.system.redaction import escape_controls


def escape(text: str) -> str:
    """The text as it is printed: nothing in it is markup, or an order to the terminal."""
    return markup.escape(escape_controls(text))
