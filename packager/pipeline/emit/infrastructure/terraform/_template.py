"""Sections of a CloudFormation template, read as what they have to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class UntranslatableError(LookupError):
    """Part of a template that Terraform has no words for here: a mistake in packager."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} cannot be written for Terraform")


def read_object(value: object, what: str) -> Mapping[str, object]:
    """Raises UntranslatableError for another value; `what` names it."""
    if not isinstance(value, Mapping):
        raise UntranslatableError(f"{what}, which is {value!r},")
    return value


def read_list(value: object, what: str) -> Sequence[object]:
    """Raises UntranslatableError for another value; `what` names it."""
    if not isinstance(value, list):
        raise UntranslatableError(f"{what}, which is {value!r},")
    return value


def read_objects(value: object, what: str) -> list[Mapping[str, object]]:
    """Return the objects of a list. Raises UntranslatableError for another value."""
    return [read_object(each, what) for each in read_list(value, what)]


def read_function(value: object) -> tuple[str, object]:
    """Return the function that a value calls, with its argument; an empty name for no call."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return "", None
    ((name, argument),) = value.items()
    if name == "Fn::GetAtt" and isinstance(argument, str):
        return name, argument.split(".", 1)
    named = name == "Ref" or name.startswith("Fn::")
    # an object with a statement's `Condition` in it is no call
    called = name == "Condition" and isinstance(argument, str)
    return (name, argument) if named or called else ("", None)
