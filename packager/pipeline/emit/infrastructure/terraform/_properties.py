"""Ways in which a property of CloudFormation's becomes arguments and blocks of Terraform's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from packager.pipeline.emit.infrastructure.terraform._expressions import Expressions, snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Choice,
    Code,
    Value,
)
from packager.pipeline.emit.infrastructure.terraform._template import (
    UntranslatableError,
    read_function,
    read_objects,
)

Item: TypeAlias = Attribute | Block
BARE_ARN: Final = "BareArn"
"""The ARN of a log group as Terraform has it; CloudFormation ends it with `:*`."""
NO_VALUE: Final = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True, slots=True)
class Plain:
    """An argument of the same value."""

    name: str


@dataclass(frozen=True, slots=True)
class JsonText:
    """An argument that takes JSON as text."""

    name: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """A list of objects with two members each, as the object of them."""

    name: str
    key: str = "Key"
    value: str = "Value"


@dataclass(frozen=True, slots=True)
class Members:
    """A list of objects, as the list of one member of each."""

    name: str
    member: str


@dataclass(frozen=True, slots=True)
class Nested:
    """An object as a block, a list of objects as a block for each."""

    name: str
    inner: Mapping[str, Property]


@dataclass(frozen=True, slots=True)
class LogGroupArn:
    """The ARN of a log group that something is written to."""

    name: str


@dataclass(frozen=True, slots=True)
class Apart:
    """A value that becomes a resource of its own, or that another argument says."""


Property: TypeAlias = Plain | JsonText | Pairs | Members | Nested | LogGroupArn | Apart


def convert_properties(
    values: Mapping[str, object], properties: Mapping[str, Property], expressions: Expressions
) -> Iterator[Item]:
    """Yield arguments, then blocks. Raises UntranslatableError for a property that is not known."""
    if unknown := sorted(values.keys() - properties.keys()):
        raise UntranslatableError(f"the properties {', '.join(unknown)}")
    items = [
        item
        for name, value in values.items()
        for item in _convert(value, properties[name], expressions)
    ]
    yield from (item for item in items if isinstance(item, Attribute))
    yield from (item for item in items if isinstance(item, Block))


def _convert(value: object, kind: Property, expressions: Expressions) -> Iterator[Item]:
    match kind:
        case Plain(name):
            yield Attribute(name, expressions.convert(value))
        case JsonText(name):
            yield Attribute(name, expressions.convert_json(value))
        case Pairs(name, key, held):
            yield Attribute(name, _pair(value, key, held, expressions))
        case Members(name, member):
            listed = [each[member] for each in _list_objects(value)]
            yield Attribute(name, expressions.convert(listed))
        case LogGroupArn(name):
            yield Attribute(name, Code(_name_bare_arn(value, expressions)))
        case Nested(name, inner):
            yield from _nest(name, value, inner, expressions)
        case Apart():
            return


def _name_bare_arn(value: object, expressions: Expressions) -> str:
    match read_function(value):
        case ("Fn::GetAtt", [str(group), "Arn"]):
            return expressions.attribute_of(group, BARE_ARN)
        case _:
            raise UntranslatableError(f"the ARN of a log group, which is {value!r},")


def _pair(value: object, key: str, held: str, expressions: Expressions) -> Value:
    if isinstance(value, Mapping):
        return expressions.convert(value)
    return {str(each[key]): expressions.convert(each[held]) for each in _list_objects(value)}


def _nest(
    name: str, value: object, inner: Mapping[str, Property], expressions: Expressions
) -> Iterator[Block]:
    """Yield a block; where there may be none, a dynamic one."""
    for tests, each in list_cases(value):
        for found in _list_objects(each):
            body = tuple(convert_properties(found, inner, expressions))
            if tests:
                many = Attribute("for_each", Choice(Code(join_tests(tests)), [1], []))
                content = Block("content", (), body)
                yield Block("dynamic", (name,), (many, None, content))
            else:
                yield Block(name, (), body)


def list_cases(
    value: object, tests: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield what a value may be, with the tests that it then is by; nothing for no value."""
    match read_function(value):
        case ("Fn::If", [str(name), yes, no]):
            yield from list_cases(yes, (*tests, f"local.{snake(name)}"))
            yield from list_cases(no, (*tests, f"!local.{snake(name)}"))
        case _:
            if value != NO_VALUE:
                yield tests, value


def join_tests(tests: tuple[str, ...]) -> str:
    return " && ".join(dict.fromkeys(tests))


def _list_objects(value: object) -> list[Mapping[str, object]]:
    return read_objects(value if isinstance(value, list) else [value], "a block")
