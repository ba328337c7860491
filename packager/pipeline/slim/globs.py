"""Globs over paths in the function's folder: `*` stays within a folder, `**` does not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|[^*?\[]+|\[")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(_piece(part) for part in _TOKEN.findall(pattern)) + r"\Z")


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
    """Whether any pattern covers the whole path, case and all.

    A pattern that names a folder (`pandas/tests`) covers everything in it.
    """
    text = path.as_posix()
    folders = tuple(parent.as_posix() for parent in path.parents if parent.name)
    return any(
        _compiled(pattern).match(candidate) is not None
        for pattern in patterns
        for candidate in (text, *folders)
    )
