"""Lines and columns of a TOML file's keys, which tomllib does not keep."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, TypeAlias

Keys: TypeAlias = tuple[str | int, ...]
"""Keys from the top to a value; a number is an item's place in its array."""
_LINE_END: Final = re.compile("\n")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_WORD: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT: Final = re.compile(r"[ \t]*\.[ \t]*")
_TEXT: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)
_PLAIN: Final = re.compile(r"[^,\]}\n#]*")


def list_positions(text: str) -> dict[Keys, tuple[int, int]]:
    """Return the line and the column, from 1, at which each table, key and item begins first.

    `text` is valid TOML: tomllib has read it.
    """
    found: dict[Keys, tuple[int, int]] = {}
    starts = [0, *(each.end() for each in _LINE_END.finditer(text))]
    for keys, at in _Scanner(text).scan():
        if keys not in found:
            line = bisect_right(starts, at)
            found[keys] = (line, at - starts[line - 1] + 1)
    return found


class _Scanner:
    """Walks through valid TOML; a place in the text is an offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def scan(self) -> Iterator[tuple[Keys, int]]:
        table: Keys = ()
        counts: dict[Keys, int] = {}
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] != "[":
                yield from self._read_pair(table)
            else:
                brackets = 2 if self.text.startswith("[[", self.at) else 1
                self.at += brackets
                parts = list(self._read_keys())
                table = tuple(key for key, _ in parts)
                yield from _name_each((), parts)
                if brackets == 2:
                    counts[table] = counts.get(table, -1) + 1
                    table = (*table, counts[table])
                self._skip(_BLANK)
                self.at += brackets
            self._skip(_BLANK)

    def _read_pair(self, table: Keys) -> Iterator[tuple[Keys, int]]:
        parts = list(self._read_keys())
        yield from _name_each(table, parts)
        self._skip(_BLANK)
        self.at += 1  # the sign of equality
        yield from self._read_value((*table, *(key for key, _ in parts)))

    def _read_value(self, keys: Keys) -> Iterator[tuple[Keys, int]]:
        self._skip(_BLANK)
        opened = self.text[self.at]
        if opened not in "[{":
            self._skip(_TEXT if opened in "\"'" else _PLAIN)
            return
        self.at += 1
        count = 0
        while self._has_more("]" if opened == "[" else "}"):
            if opened == "{":
                yield from self._read_pair(keys)
            else:
                yield (*keys, count), self.at
                yield from self._read_value((*keys, count))
                count += 1

    def _has_more(self, end: str) -> bool:
        """Go to the next item of an array or an inline table, or behind its end."""
        self._skip(_BLANK)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_BLANK)
        if self.text[self.at] == end:
            self.at += 1
            return False
        return True

    def _read_keys(self) -> Iterator[tuple[str, int]]:
        self._skip(_BLANK)
        while True:
            begun = self.at
            self._skip(_WORD)
            yield _read_key(self.text[begun : self.at]), begun
            if (dot := _DOT.match(self.text, self.at)) is None:
                return
            self.at = dot.end()

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()


def _name_each(table: Keys, parts: list[tuple[str, int]]) -> Iterator[tuple[Keys, int]]:
    """Name each table on the way to a key, and the key, all at the beginning of its own word."""
    for length, (_, at) in enumerate(parts, start=1):
        yield (*table, *(key for key, _ in parts[:length])), at


def _read_key(word: str) -> str:
    """Return a key as TOML reads it: bare, or in quotation marks with escapes."""
    if word[:1] not in {'"', "'"}:
        return word
    return str(next(iter(tomllib.loads(f"{word} = 0"))))
