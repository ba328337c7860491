"""Figures as a reader sees them: units, signs, and no character that hides another."""

from __future__ import annotations

import unicodedata
from typing import Final

from packager.types import Json

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_ALLOWED: Final = frozenset("\n\u200d")
_STEPS: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def show_controls(value: object) -> Json:
    """Every text of a JSON value, with what has no shape or turns the direction written out."""
    if isinstance(value, str):
        return "".join(map(_show_character, value))
    if isinstance(value, dict):
        return {show_controls(str(key)): show_controls(each) for key, each in value.items()}
    if isinstance(value, list):
        return [show_controls(each) for each in value]
    return value


def _show_character(char: str) -> str:
    if char.isascii() and char.isprintable():
        return char
    if char in _ALLOWED or unicodedata.category(char) not in _UNSEEN:
        return char
    return f"\\u{ord(char):04x}"


def format_bytes(size_bytes: float) -> str:
    """In decimal units, as every other output has it."""
    for step, unit in _STEPS:
        if abs(size_bytes) >= step:
            return f"{size_bytes / step:,.1f} {unit}"
    return f"{size_bytes:,.0f} B"


def format_ms(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:,.2f} s"
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:,.2f} ms"


def format_share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def name_power(power: int) -> str:
    """The range of numbers with this power of ten."""
    return f"1e{power} to 1e{power + 1}"
