"""Globs over paths in the function's folder: `*` stays within a folder, `**` does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|[^*?\[]+|\[")


@cache
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """One expression for all: it matches a whole path, or the folders that one lies in."""
    each = ("".join(_piece(part) for part in _TOKEN.findall(pattern)) for pattern in patterns)
    return re.compile(f"(?:{'|'.join(each)})(?:/[\\s\\S]*)?\\Z")


def _piece(part: str) -> str:
    if part == "**/":
        return r"(?:.*/)?"
    if part == "**":
        return r".*"
    if part == "*":
        return r"[^/]*"
    if part == "?":
        return r"[^/]"
    if len(part) > 2 and part.startswith("["):
        inner = part[1:-1].replace("\\", r"\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(part)


def matches(path: PurePosixPath, patterns: Iterable[str]) -> bool:
    """Tell whether any pattern covers the whole path, case and all.

    A pattern that names a folder (`pandas/tests`) covers everything in it.
    """
    listed = tuple(patterns)
    return bool(listed) and _compile(listed).match(path.as_posix()) is not None
