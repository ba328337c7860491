"""The template's rules: combinations of parameters that it does not take.

CloudFormation checks them before it makes anything, which is after minutes of building.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import yaml

from packager.deployments._errors import wrong_setting
from packager.deployments._parameters import Declared, known_parameters
from packager.system.resources import TEMPLATES
from packager.types import Compute

Values: TypeAlias = Mapping[str, str]

_PARTS: Final = ("_account", "_http", "_weights")


class _UnknownError(Exception):
    """A parameter whose value is known once the template is there."""


class _Loader(yaml.SafeLoader):
    """Reads rules; a short tag is the function of that name."""


def _read_function(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, object]:
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None}


_Loader.add_multi_constructor("!", _read_function)


def read_rules(template: str) -> Mapping[str, object]:
    """Return the rules of an emitted template, which may have none."""
    text = re.search(r"(?ms)^Rules:\n(.*?)(?=^\S)", template)
    found = yaml.load(text[1], Loader=_Loader) if text else None  # noqa: S506 - a SafeLoader
    return found if isinstance(found, dict) else {}


def check_known_rules(given: Values, compute: str | None) -> None:
    """Raises DeploymentError for every rule that a new stack would break, before it is built."""
    parts = (*_PARTS, "_instances") if compute == Compute.MANAGED_INSTANCES else _PARTS
    rules: dict[str, object] = {}
    for part in parts:
        text = (TEMPLATES / "aws_lambda" / part / "rules.yaml").read_text(encoding="utf-8")
        plain = re.sub(r"\{%.*?%\}", "", text)
        rules.update(yaml.load(plain, Loader=_Loader) or {})  # noqa: S506 - a SafeLoader
    check_rules(given, known_parameters(compute), rules)


def check_rules(given: Values, declared: Declared, rules: Mapping[str, object]) -> None:
    """Raises DeploymentError for every rule that the values break, all together.

    A rule about a parameter whose default hangs on the build says nothing before it.
    """
    values = {name: given.get(name, spec.get("Default")) for name, spec in declared.items()}
    if broken := [said for rule in rules.values() for said in _list_broken(rule, values)]:
        raise wrong_setting("\n".join(f"{said}." for said in dict.fromkeys(broken)))


def _list_broken(rule: object, values: Mapping[str, object]) -> Iterator[str]:
    if not isinstance(rule, dict):
        return
    for each in rule["Assertions"]:
        try:
            if _holds(rule["RuleCondition"], values) and not _holds(each["Assert"], values):
                yield each["AssertDescription"]
        except _UnknownError:
            continue


def _holds(condition: object, values: Mapping[str, object]) -> bool:
    if not isinstance(condition, dict) or len(condition) != 1:
        raise TypeError(f"no condition of a rule: {condition!r}")
    (sign, parts), *_ = condition.items()
    if combine := _COMBINED.get(sign):
        return combine(_holds(part, values) for part in parts)
    left, right = parts
    return _COMPARED[sign](_list(left, values), _text(right, values))


_COMBINED: Final[Mapping[str, Callable[[Iterator[bool]], bool]]] = {
    "Not": lambda parts: not any(parts),
    "And": all,
    "Or": any,
}
_COMPARED: Final[Mapping[str, Callable[[list[str], str], bool]]] = {
    "Equals": lambda left, right: ",".join(left) == right,
    "EachMemberEquals": lambda members, other: all(each == other for each in members),
    "Contains": lambda members, other: other in members,
}


def _text(value: object, values: Mapping[str, object]) -> str:
    match value:
        case {"Ref": str(name)}:
            found = values.get(name)
            if found is None:
                raise _UnknownError(name)
            return str(found)
        case _:
            return str(value)


def _list(value: object, values: Mapping[str, object]) -> list[str]:
    return [each.strip() for each in _text(value, values).split(",")]
