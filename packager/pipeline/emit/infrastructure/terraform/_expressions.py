"""CloudFormation's values as Terraform's expressions.

Functions: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Call,
    Choice,
    Code,
    Template,
    Value,
    WithoutNulls,
    quote,
    render_line,
)
from packager.pipeline.emit.infrastructure.terraform._template import (
    UntranslatableError,
    read_function,
)

_PSEUDO: Final[Mapping[str, str]] = {
    "AWS::AccountId": "data.aws_caller_identity.current.account_id",
    "AWS::NoValue": "null",
    "AWS::Partition": "data.aws_partition.current.partition",
    # an id is the region's name in each version of the provider; `name` is deprecated in 6
    "AWS::Region": "data.aws_region.current.id",
    "AWS::StackName": "var.stack_name",
    "AWS::URLSuffix": "data.aws_partition.current.dns_suffix",
}
_NO_VALUE: Final = {"Ref": "AWS::NoValue"}
_PLACE: Final = re.compile(r"\$\{(!?)([^}]+)\}")


def snake(name: str) -> str:
    """Return a name of CloudFormation's as Terraform writes names: `KmsKeyArn`, `kms_key_arn`."""
    parted = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", parted).lower()


@dataclass(frozen=True, slots=True)
class Expressions:
    """Meaning of a template's names, so that its values can be written as expressions."""

    parameters: frozenset[str]
    attribute_of: Callable[[str, str], str]
    """A resource's name and an attribute of it, or `Ref`, to the expression that has it."""

    def convert(self, value: object) -> Value:
        """Return a value's expression. Raises UntranslatableError for an unknown function."""
        if isinstance(value, Mapping):
            function, argument = read_function(value)
            return self._call(function, argument) if function else self._convert_object(value)
        if isinstance(value, list):
            return self._convert_list(value)
        if value is None or isinstance(value, str | int | float):
            return value
        raise UntranslatableError(f"a value of {type(value).__name__}")

    def convert_json(self, value: object) -> Value:
        """Return an expression of the value's JSON; text that is JSON already is read first."""
        if isinstance(value, str):
            text, places = value, None
        elif isinstance(value, Mapping) and "Fn::Sub" in value:
            text, places = _read_substitution(value["Fn::Sub"])
        else:
            return Call("jsonencode", self.convert(value))
        try:
            document = json.loads(text)
        except ValueError:
            return self.convert(value)
        substituted = document if places is None else _substitute_each(document, places)
        return Call("jsonencode", self.convert(substituted))

    def test(self, value: object) -> str:
        """Return the expression of a condition."""
        match read_function(value):
            case ("Condition", str(name)):
                return f"local.{snake(name)}"
            case ("Fn::Equals", [left, right]):
                return f"{self._line(left)} == {self._line(right)}"
            case ("Fn::Not", [inner]):
                return _negate(self.test(inner))
            case ("Fn::And", [*parts]):
                return " && ".join(_bracket(self.test(part)) for part in parts)
            case ("Fn::Or", [*parts]):
                return " || ".join(_bracket(self.test(part)) for part in parts)
            case ("Fn::Contains", [members, other]):
                return f"contains({self._line(members)}, {self._line(other)})"
            case ("Fn::EachMemberEquals", [members, other]):
                listed = self._line(members)
                return f"alltrue([for each in {listed} : each == {self._line(other)}])"
            case _:
                raise UntranslatableError(f"the condition {json.dumps(value)}")

    def _line(self, value: object) -> str:
        return render_line(self.convert(value))

    def _convert_object(self, value: Mapping[str, object]) -> Value:
        items = {str(name): self.convert(item) for name, item in value.items()}
        return WithoutNulls(items) if any(map(_may_be_nothing, value.values())) else items

    def _convert_list(self, value: Sequence[object]) -> Value:
        items = [self.convert(item) for item in value]
        return WithoutNulls(items) if any(map(_may_be_nothing, value)) else items

    def _call(self, function: str, argument: object) -> Value:
        match function, argument:
            case "Ref", str(name):
                return Code(self._refer(name))
            case "Fn::GetAtt", [str(resource), str(attribute)]:
                return Code(self.attribute_of(resource, attribute))
            case "Fn::If", [str(name), yes, no]:
                return Choice(Code(f"local.{snake(name)}"), self.convert(yes), self.convert(no))
            case "Fn::Sub", _:
                return self._substitute(*_read_substitution(argument))
            case "Fn::Join", [str(sign), parts]:
                return Code(f"join({quote(sign)}, {self._line(parts)})")
            case "Fn::Select", [int(place), parts]:
                return Code(f"{self._line(parts)}[{place}]")
            case "Fn::Split", [str(sign), whole]:
                return Code(f"split({quote(sign)}, {self._line(whole)})")
            case _:
                raise UntranslatableError(f"{function} of {json.dumps(argument)}")

    def _refer(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return f"var.{snake(name)}"
        return self.attribute_of(name, "Ref")

    def _substitute(self, text: str, places: Mapping[str, object]) -> Value:
        parts: list[Value] = []
        for literal, name in _split_substitution(text):
            if literal:
                parts.append(literal)
            if name in places:
                parts.append(self.convert(places[name]))
            elif name:
                resource, _, attribute = name.partition(".")
                code = self.attribute_of(resource, attribute) if attribute else self._refer(name)
                parts.append(Code(code))
        if all(isinstance(part, str) for part in parts):
            return "".join(map(str, parts))
        return Template(tuple(parts))


def _may_be_nothing(value: object) -> bool:
    match read_function(value):
        case ("Fn::If", [_, yes, no]):
            return _NO_VALUE in [yes, no] or _may_be_nothing(yes) or _may_be_nothing(no)
        case _:
            return False


def _read_substitution(argument: object) -> tuple[str, Mapping[str, object]]:
    match argument:
        case str(text):
            return text, {}
        case [str(text), Mapping() as places]:
            return text, places
        case _:
            raise UntranslatableError(f"Fn::Sub of {json.dumps(argument)}")


def _split_substitution(text: str) -> Iterator[tuple[str, str]]:
    """Yield pairs of literal text and the name that follows it; `${!NAME}` is literal."""
    literal, done = "", 0
    for found in _PLACE.finditer(text):
        literal += text[done : found.start()]
        done = found.end()
        if found[1]:
            literal += f"${{{found[2]}}}"
            continue
        yield literal, found[2]
        literal = ""
    yield literal + text[done:], ""


def _substitute_each(document: object, places: Mapping[str, object]) -> object:
    """Return a JSON document whose strings are each substituted, where they have a place."""
    if isinstance(document, Mapping):
        return {name: _substitute_each(item, places) for name, item in document.items()}
    if isinstance(document, list):
        return [_substitute_each(item, places) for item in document]
    if isinstance(document, str) and _PLACE.search(document):
        return {"Fn::Sub": [document, places]}
    return document


def _bracket(test: str) -> str:
    return f"({test})" if " || " in test or " && " in test else test


def _negate(test: str) -> str:
    if re.fullmatch(r"[\w.]+", test) or test.startswith("alltrue("):
        return f"!{test}"
    left, sign, right = test.partition(" == ")
    if sign and not re.search(r" (==|!=|&&|\|\|) ", right):
        return f"{left} != {right}"
    return f"!({test})"
