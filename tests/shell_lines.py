"""What the pages tell their readers to type at a shell, read as a shell reads it.

A block that is indented by four spaces is typed, or it is Python, JSON or another language. A line
is typed by its first word. Words between backticks are typed too if they begin with a program.
"""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[1]
_OF_THE_PROJECT: Final = {"command-line.md", "design.md", "zoo.md"}
"""The page of the command line is made of the code; the others have trees and tables of figures."""
PAGES: Final = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted(
        [
            *(ROOT / "docs").glob("**/*.md"),
            *(ROOT / "infra").glob("*/README.md"),
            *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ]
    )
    # decisions have no commands
    if path.parent.name != "adr" and path.name not in _OF_THE_PROJECT
)
_BLOCK: Final = re.compile(r"(?:^    \S.*\n(?:(?:    .*)?\n)*)+", re.MULTILINE)
_FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"(?<!`)`([a-z][\w.-]* [^`\n]+)`(?!`)")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_BETWEEN: Final = re.compile(r"[();&|]+")
_PROGRAM: Final = re.compile(r"[\w./-]+")


@dataclass(frozen=True, slots=True)
class Command:
    """One program with its words; `variables` are set for it alone.

    What is quoted within a sentence (`is_whole` is False) may leave words out.
    """

    page: str
    words: tuple[str, ...]
    variables: tuple[str, ...] = ()
    is_whole: bool = True

    @property
    def program(self) -> str:
        return self.words[0]


def list_blocks(text: str) -> list[str]:
    """List the indented blocks of a page, each without its indentation."""
    return [textwrap.dedent(each).strip("\n") for each in _BLOCK.findall(_FENCE.sub("", text))]


def is_of_another_language(block: str) -> bool:
    """Tell whether a block is what somebody writes into a file, and types nowhere."""
    if re.match(r"\[\w+\]\n|module \"|[{\"]", block):  # a unit of systemd, Terraform's HCL, JSON
        return True
    try:
        tree = ast.parse(block)
    except SyntaxError:
        pass
    else:
        return not all(isinstance(each, ast.Expr) for each in tree.body) or "(" in block
    try:
        return isinstance(yaml.safe_load(block), (dict, list))
    except yaml.YAMLError:
        return False


def list_lines(text: str) -> Iterator[str]:
    """List the lines of a page that are typed; one that goes on is one line."""
    for block in list_blocks(text):
        if not is_of_another_language(block):
            yield from filter(None, re.sub(r"\\\n\s*", "", block).splitlines())


def split_line(page: str, line: str) -> Iterator[Command]:
    """Split a line into the programs that it starts."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not _BETWEEN.fullmatch(word):
            words.append(word)
            continue
        count = next((at for at, each in enumerate(words) if not _ASSIGNMENT.match(each)), 0)
        variables, rest = words[:count], words[count:]
        if (to := next((at for at, each in enumerate(rest) if each[0] in "<>"), None)) is not None:
            rest = rest[:to]
        if rest:
            yield Command(page, tuple(rest), tuple(variables))
        words = []


def list_commands(page: str) -> list[Command]:
    """List every program that a page starts, in its order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [found for line in list_lines(text) for found in split_line(page, line)]


def list_spans(page: str, programs: frozenset[str]) -> list[Command]:
    """List what a page has between backticks that begins with one of the programs."""
    text = _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [
        replace(found, is_whole=False)
        for span in _SPAN.findall(text)
        if span.split()[0] in programs
        for found in split_line(page, span.replace("\\|", "|"))
        if found.program in programs and len(found.words) > 1
    ]
