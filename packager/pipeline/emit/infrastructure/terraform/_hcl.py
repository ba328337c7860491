"""Terraform's language, written in the layout of `terraform fmt`.

Syntax: https://developer.hashicorp.com/terraform/language/syntax/configuration. A string of a value
is always quoted and escaped; only `Code` stands as it is, so that no name can become an expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

_INDENT: Final = "  "
_LINE: Final = 90
_OPERAND: Final = 60
"""Longest list or choice on one line."""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MARKS: Final = re.compile(r"\$+\Z")
"""Text that would make text of an expression that follows: $${ is no expression."""
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Code:
    """An expression of one line, as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Template:
    """A string with expressions in it; its strings are literal text."""

    parts: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one argument."""

    function: str
    argument: Value


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two values, by a test."""

    test: Code
    yes: Value
    no: Value


@dataclass(frozen=True, slots=True)
class WithoutNulls:
    """A list or an object, less the members that are null."""

    value: Value


Value: TypeAlias = (
    Code
    | Template
    | Call
    | Choice
    | WithoutNulls
    | str
    | int
    | float
    | bool
    | Sequence["Value"]
    | Mapping[str, "Value"]
    | None
)


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Block:
    """A block and what is in it; None makes an empty line."""

    kind: str
    labels: tuple[str, ...]
    body: tuple[Attribute | Block | None, ...]


def quote(text: str) -> str:
    """Return a quoted string in which nothing is an expression or a directive."""
    return f'"{_escape(text)}"'


def _escape(text: str) -> str:
    escaped = "".join(_ESCAPES.get(char) or _escape_control(char) for char in text)
    return escaped.replace("${", "$${").replace("%{", "%%{")


def _escape_control(char: str) -> str:
    code = ord(char)
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return char if char.isprintable() else f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def render_file(comment: str, blocks: Iterable[Block]) -> str:
    """Return the text of a file: a comment, then the blocks with an empty line between them."""
    heads = [f"# {line}" for line in comment.splitlines()]
    return "\n\n".join(["\n".join(heads), *(_render_block(each, 0) for each in blocks)]) + "\n"


def _render_block(block: Block, depth: int) -> str:
    head = " ".join([block.kind, *map(quote, block.labels), "{"])
    indent = _INDENT * depth
    if not block.body:
        return f"{indent}{head}}}"
    return "\n".join([f"{indent}{head}", *_render_body(block.body, depth + 1), f"{indent}}}"])


def _render_body(body: Sequence[Attribute | Block | None], depth: int) -> list[str]:
    lines: list[str] = []
    waiting: list[tuple[str, str]] = []
    for each in body:
        if isinstance(each, Attribute):
            waiting.append((each.name, render(each.value, depth)))
            continue
        lines += _align(waiting, depth)
        waiting = []
        lines.append("" if each is None else _render_block(each, depth))
    return lines + _align(waiting, depth)


def _align(pairs: Sequence[tuple[str, str]], depth: int) -> list[str]:
    """Return `name = value` lines; neighbours of one line have their signs below each other."""
    lines: list[str] = []
    run: list[tuple[str, str]] = []

    def end_run() -> None:
        width = max((len(name) for name, _ in run), default=0)
        lines.extend(f"{_INDENT * depth}{name:{width}} = {value}" for name, value in run)
        run.clear()

    for name, value in pairs:
        if "\n" not in value:
            run.append((name, value))
            continue
        end_run()
        lines.append(f"{_INDENT * depth}{name} = {value}")
    end_run()
    return lines


def render(value: Value, depth: int = 0) -> str:
    """Return a value's expression; lines after the first are indented for `depth`."""
    match value:
        case Code(text):
            return text
        case Template(parts):
            return _render_template(parts)
        case Call(function, argument):
            return f"{function}({render(argument, depth)})"
        case Choice(test, yes, no):
            return f"{test.text} ? {_operand(yes, depth)} : {_operand(no, depth)}"
        case WithoutNulls(inner):
            return _render_filter(inner, depth)
        case None | bool() | int() | float():
            return json.dumps(value)
        case str():
            return quote(value)
        case Mapping():
            return _render_object(value, depth)
        case _:
            return _render_list(value, depth)


def _operand(value: Value, depth: int) -> str:
    line = render_line(value)
    text = line if len(line) <= _OPERAND else render(value, depth)
    return f"({text})" if isinstance(value, Choice) else text


def _render_filter(value: Value, depth: int) -> str:
    inner = render(value, depth)
    if isinstance(value, Mapping):
        return f"{{ for name, value in {inner} : name => value if value != null }}"
    return f"[for each in {inner} : each if each != null]"


def _render_template(parts: Sequence[Value]) -> str:
    if len(parts) == 1 and not isinstance(parts[0], str):
        return render_line(parts[0])
    texts: list[str] = []
    for literal, group in groupby(parts, lambda part: isinstance(part, str)):
        if literal:
            texts.append(_escape("".join(map(str, group))))
            continue
        if texts:
            texts[-1] = _MARKS.sub(r'${"\g<0>"}', texts[-1])
        texts += [f"${{{render_line(part)}}}" for part in group]
    return f'"{"".join(texts)}"'


def render_line(value: Value) -> str:
    """Return a value's expression on one line."""
    match value:
        case Call(function, argument):
            return f"{function}({render_line(argument)})"
        case Choice(test, yes, no):
            yes_text, no_text = (
                f"({render_line(each)})" if isinstance(each, Choice) else render_line(each)
                for each in (yes, no)
            )
            return f"{test.text} ? {yes_text} : {no_text}"
        case Mapping():
            items = (f"{_render_key(name)} = {render_line(item)}" for name, item in value.items())
            return f"{{ {', '.join(items)} }}" if value else "{}"
        case str():
            return quote(value)
        case Sequence():
            return f"[{', '.join(map(render_line, value))}]"
        case _:
            return render(value)


def _render_object(items: Mapping[str, Value], depth: int) -> str:
    if not items:
        return "{}"
    pairs = [(_render_key(name), render(item, depth + 1)) for name, item in items.items()]
    return "\n".join(["{", *_align(pairs, depth + 1), f"{_INDENT * depth}}}"])


def _render_key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else quote(name)


def _render_list(items: Sequence[Value], depth: int) -> str:
    texts = [render(item, depth + 1) for item in items]
    line = f"[{', '.join(texts)}]"
    if len(line) + len(_INDENT) * depth <= _LINE and not any("\n" in text for text in texts):
        return line
    lines = [f"{_INDENT * (depth + 1)}{text}," for text in texts]
    return "\n".join(["[", *lines, f"{_INDENT * depth}]"])
