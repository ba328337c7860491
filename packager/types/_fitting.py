"""Values of settings as their fields declare them; a caller in Python may write them simply."""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

_WORDS: Final[Mapping[object, str]] = {
    str: "a text",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    Path: "a path",
}
_TAKEN: Final[Mapping[object, tuple[type, ...]]] = {float: (int, float), Path: (str, Path)}


@functools.cache
def list_hints(group: type) -> Mapping[str, object]:
    """Return the type of each field of a group of settings."""
    return typing.get_type_hints(group)


def fit_value(name: str, hint: object, value: object) -> object:
    """Return the value as a field of this type holds it.

    An enum's value stands for the enum, a text for a path, and any list for a tuple. Raises
    TypeError for a value of another type, and ValueError for a text that is none of the choices.
    """
    if isinstance(hint, types.UnionType):
        kinds = [each for each in typing.get_args(hint) if each is not types.NoneType]
        return None if value is None else fit_value(name, kinds[0], value)
    if typing.get_origin(hint) is tuple:
        return _fit_several(name, typing.get_args(hint)[0], value)
    if typing.get_origin(hint) is typing.Literal:
        _check_choice(name, typing.get_args(hint), value)
        return value
    return _fit_one(name, hint, value) if isinstance(hint, type) else value


def _fit_one(name: str, hint: type, value: object) -> object:
    if isinstance(value, hint) and issubclass(hint, enum.Enum):
        return value
    if issubclass(hint, enum.Enum):
        _check_choice(name, [each.value for each in hint], value)
        return hint(value)
    _check_type(name, hint, value)
    return Path(str(value)) if hint is Path else value


def _fit_several(name: str, hint: object, value: object) -> tuple[object, ...]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise TypeError(f"The setting {name} has to be a list or a tuple, and it is {value!r}.")
    return tuple(fit_value(name, hint, each) for each in value)


def _check_choice(name: str, known: Collection[object], value: object) -> None:
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise ValueError(f"The setting {name} is one of {listed}, and not {value!r}.")


def _check_type(name: str, hint: type, value: object) -> None:
    taken = _TAKEN.get(hint, (hint,))
    if not isinstance(value, taken) or (isinstance(value, bool) and hint is not bool):
        wanted = _WORDS.get(hint, hint.__name__)
        raise TypeError(f"The setting {name} has to be {wanted}, and it is {value!r}.")
