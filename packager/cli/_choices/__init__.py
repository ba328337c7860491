"""Options that take one of a few names: how they are read, shown and completed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TypedDict, TypeVar

import typer

from packager.errors import suggest_name

_Name = TypeVar("_Name", bound=StrEnum)


class Choice(TypedDict):
    """The arguments of typer.Option that make an option a choice."""

    parser: Callable[[str], str]
    metavar: str
    autocompletion: Callable[[str], Sequence[str]]


def read_choice(text: str, names: Sequence[str]) -> str:
    """Return `text` where it is one of `names`. Raises BadParameter, with the closest name."""
    if text in names:
        return text
    known = ", ".join(names)
    raise typer.BadParameter(f"{text!r} is not one of {known}.{suggest_name(text, names)}")


def define_choice(*names: str) -> Choice:
    """Make an option take one of `names`."""

    def read(text: str) -> str:
        return read_choice(text, names)

    return _define_choice(names, read)


def define_enum_choice(kind: type[_Name], *, metavar: str | None = None) -> Choice:
    """Make an option take one of the values of an enum, and be one of its members.

    `metavar` is shown for names that are too long to be listed beside the option.
    """
    names = tuple(map(str, kind))

    def read(text: str) -> _Name:
        return kind(read_choice(text, names))

    choice = _define_choice(names, read)
    return choice if metavar is None else Choice(**(choice | {"metavar": metavar}))


def _define_choice(names: Sequence[str], read: Callable[[str], str]) -> Choice:
    def complete(begun: str) -> Sequence[str]:
        return [name for name in names if name.startswith(begun)]

    # typer shows a parser by its name where it has no metavar
    return Choice(parser=read, metavar=f"<{'|'.join(names)}>", autocompletion=complete)


def read_target(text: str) -> str:
    """Return the name of a target, or auto. Raises BadParameter, with the closest name."""
    return read_choice(text, _list_targets())


def complete_target(begun: str) -> Sequence[str]:
    return [name for name in _list_targets() if name.startswith(begun)]


def _list_targets() -> tuple[str, ...]:
    from packager.targets import AUTO, TARGETS

    return (*TARGETS, AUTO)
