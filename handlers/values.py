"""Dataclasses that cost a start nothing: the same decorator, without generated code.

`dataclasses` imports `inspect`, and writes and compiles the methods of each class: together half of
what an empty function takes to start. Here one set of methods reads the fields' names. What is made
is a dataclass to `dataclasses.replace`, `asdict` and `fields`, which learn of the fields when they
ask. `slots` is taken and does nothing; there is no order, and no inheritance of fields.

And what Python's own text and `zip` do from 3.9 and 3.10 on: images run Python 3.8 too.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from dataclasses import dataclass, field
    from typing import AnyStr, NoReturn, TypeVar

    First = TypeVar("First")
    Second = TypeVar("Second")


class _Factory:
    """A default that is made anew for each value."""

    def __init__(self, *, default_factory: Callable[[], object]) -> None:
        self.make = default_factory


def _read_annotations(cls: type) -> dict[str, object]:
    """Those of the class alone; of one that has none, Python before 3.10 would give its base's."""
    if sys.version_info >= (3, 10):
        found: dict[str, object] = cls.__annotations__
    else:
        found = vars(cls).get("__annotations__", {})
    return found


class _Described:
    """The fields of one class: their names in order, and what stands for those left out."""

    def __init__(self, cls: type, *, kw_only: bool) -> None:
        self.names = tuple(_read_annotations(cls))
        self.name_set = frozenset(self.names)
        self.kw_only = kw_only
        given = {name: vars(cls)[name] for name in self.names if name in vars(cls)}
        self.factories = {name: each.make for name, each in given.items() if type(each) is _Factory}
        self.defaults = {name: each for name, each in given.items() if name not in self.factories}

    def fill(self, values: dict[str, object], owner: str) -> None:
        """Add what was left out. Raises TypeError where it has no default."""
        for name in self.names:
            if name in values:
                continue
            if name in self.defaults:
                values[name] = self.defaults[name]
            elif name in self.factories:
                values[name] = self.factories[name]()
            else:
                msg = f"{owner}() is missing {name!r}"
                raise TypeError(msg)


class _Fields:
    """`__dataclass_fields__`, made when somebody asks for it."""

    def __get__(self, _value: object, owner: type) -> object:
        import dataclasses

        described = _describe(owner)
        fields = {name: dataclasses.field() for name in described.names}
        for name, default in described.defaults.items():
            fields[name] = dataclasses.field(default=default)
        for name, make in described.factories.items():
            fields[name] = dataclasses.field(default_factory=make)
        types = _read_annotations(owner)
        listed = [(name, types[name], each) for name, each in fields.items()]
        if sys.version_info >= (3, 10):
            made = dataclasses.make_dataclass(owner.__name__, listed, kw_only=described.kw_only)
        else:  # without a method of its own, fields may come in any order
            made = dataclasses.make_dataclass(owner.__name__, listed, init=False)
        found = made.__dict__["__dataclass_fields__"]
        owner.__dataclass_fields__ = found  # type: ignore[attr-defined]
        return found


def _describe(cls: type) -> _Described:
    found: _Described = cls.__described__  # type: ignore[attr-defined]  # set by _decorate
    return found


def _decorate(
    cls: type | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,  # noqa: ARG001 - dataclasses' own
    kw_only: bool = False,
) -> object:
    """As dataclasses.dataclass, for these options."""
    if cls is None:
        return lambda each: _decorate(each, frozen=frozen, kw_only=kw_only)
    described = _Described(cls, kw_only=kw_only)
    for name in described.factories:
        delattr(cls, name)
    methods: dict[str, object] = {
        "__described__": described,
        "__dataclass_fields__": _Fields(),
        "__match_args__": () if kw_only else described.names,
        "__init__": _init,
        "__eq__": _eq,
        "__hash__": _hash if frozen else None,
        "__repr__": _repr,
    }
    if frozen:
        methods.update({"__setattr__": _refuse_change, "__delattr__": _refuse_change})
    for name, method in methods.items():
        if name != "__repr__" or name not in vars(cls):
            setattr(cls, name, method)
    return cls


def _init(self: object, *given: object, **named: object) -> None:
    described: _Described = type(self).__described__  # type: ignore[attr-defined]
    values = self.__dict__
    if not given and named.keys() == described.name_set:
        values.update(named)  # as most are made
        return
    names = described.names
    if given:
        if described.kw_only or len(given) > len(names):
            msg = f"{type(self).__name__}() takes no {len(given)} positional arguments"
            raise TypeError(msg)
        values.update(zip(names, given))
    for name in named:
        if name in values or name not in names:
            msg = f"{type(self).__name__}() got an unexpected or a second {name!r}"
            raise TypeError(msg)
    values.update(named)
    if len(values) < len(names):
        described.fill(values, type(self).__name__)


def _list_values(value: object) -> tuple[object, ...]:
    held = value.__dict__
    return tuple([held[name] for name in _describe(type(value)).names])


def _eq(self: object, other: object) -> object:
    if type(self) is not type(other):
        return NotImplemented
    here, there = self.__dict__, other.__dict__
    for name in _describe(type(self)).names:  # most differ in the first
        if here[name] is not there[name] and here[name] != there[name]:
            return False
    return True


def _hash(self: object) -> int:
    return hash(_list_values(self))


def _repr(self: object) -> str:
    pairs = zip(_describe(type(self)).names, _list_values(self))
    shown = ", ".join(f"{name}={value!r}" for name, value in pairs)
    return f"{type(self).__qualname__}({shown})"


def _refuse_change(_self: object, name: str, *_value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    msg = f"cannot assign to field {name!r}"
    raise FrozenInstanceError(msg)


if not TYPE_CHECKING:
    dataclass, field = _decorate, _Factory


def zip_equal(first: Sequence[First], second: Sequence[Second]) -> zip[tuple[First, Second]]:
    """As zip(first, second, strict=True). Raises ValueError where one is longer."""
    if len(first) != len(second):
        msg = f"{len(first)} values are not {len(second)}"
        raise ValueError(msg)
    return zip(first, second)


def remove_prefix(text: AnyStr, prefix: AnyStr) -> AnyStr:
    return text[len(prefix) :] if text.startswith(prefix) else text


def remove_suffix(text: AnyStr, suffix: AnyStr) -> AnyStr:
    return text[: len(text) - len(suffix)] if text.endswith(suffix) else text


def relax_pattern(pattern: str) -> str:
    """The pattern, without possessive quantifiers where `re` has none (before Python 3.11)."""
    has_possessive = sys.version_info >= (3, 11)
    return pattern if has_possessive else pattern.replace("++", "+").replace("*+", "*")


__all__ = ["dataclass", "field", "relax_pattern", "remove_prefix", "remove_suffix", "zip_equal"]
