"""The template's rules: parameters, and combinations of them, that it does not take.

CloudFormation checks them before it makes anything, which is after minutes of building. What can
be known of the template before is what the settings of the build say.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Final, TypeAlias

import yaml

from packager.deployments._errors import wrong_setting
from packager.deployments._parameters import (
    BUILD_WEIGHTS,
    Declared,
    check_values,
    http_parameters,
    known_parameters,
    list_names,
)
from packager.system.resources import TEMPLATES
from packager.system.templates import render_file
from packager.types import Compute, Front, HttpAuth

Values: TypeAlias = Mapping[str, str]
Build: TypeAlias = Mapping[str, object]
"""Settings of a build, by the names that `make_request` has."""

_FOLDER: Final = TEMPLATES / "aws_lambda"
_PARTS: Final = ("_account", "_http", "_rollout")


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


def check_before_build(given: Values, build: Build, *, is_new: bool) -> None:
    """Raises DeploymentError for what the template of such a build would not take.

    Of a new stack (`is_new`) all values are known, but those whose default hangs on the build.
    """
    compute = build.get("compute")
    http = _list_http(build)
    declared = {**known_parameters(None if compute is None else str(compute)), **http}
    if wrong := [*_list_absent(given, build, http), *_list_no_keys(given)]:
        raise wrong_setting("\n".join(wrong))
    check_values(given, {name: declared[name] for name in given})
    if is_new:
        check_rules(given, declared, _read_known_rules(build))


def _list_http(build: Build) -> Declared:
    """Return the parameters of the endpoint that such a build has."""
    front = Front(str(build.get("front", Front.HTTP_API)))
    return http_parameters(
        front,
        HttpAuth(str(build.get("auth", HttpAuth.IAM))),
        instances=build.get("compute") == Compute.MANAGED_INSTANCES,
    )


def _list_absent(given: Values, build: Build, http: Declared) -> Iterator[str]:
    """Tell of parameters that the template of such a build has not, and what has them."""
    yield from _list_of_other_fronts(given, build, http)
    rollout = [name for name in given if name in {"Rollout", *list_names("_rollout")}]
    if rollout and not build.get("rollout"):
        yield (
            f"{', '.join(rollout)}: only a build with a rollout has it. Set rollout to canary, "
            "linear or all-at-once too."
        )
    if weights := [name for name in given if name in list_names("_weights")]:
        yield (
            f"{', '.join(weights)}: only an artifact whose weights lie outside of the function has "
            f"it. {BUILD_WEIGHTS}"
        )


def _list_of_other_fronts(given: Values, build: Build, http: Declared) -> Iterator[str]:
    fronts = {each: _list_http({**build, "front": each}) for each in Front}
    known = {name for each in fronts.values() for name in each}
    absent = [name for name in given if name in known - http.keys()]
    if absent:
        fitting = [front for front, has in fronts.items() if {*absent} <= {*has}]
        another = f", or set front to {' or '.join(fitting)}" if fitting else ""
        yield (
            f"front={build.get('front', Front.HTTP_API)} has no parameter {', '.join(absent)}. "
            f"Leave it out{another}."
        )


def _list_no_keys(given: Values) -> Iterator[str]:
    """Tell of a public key that is none, where a library that reads keys is installed."""
    key = given.get("RolloutSignedBy", "")
    if not key.startswith("M") or find_spec("cryptography") is None:
        return
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - seldom asked for
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        load_der_public_key,
    )

    try:
        load_der_public_key(b64decode(key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        yield (
            f"RolloutSignedBy={key} is no public key. Give what `packager sign` printed: the lines "
            "of its PEM file between the first and the last, without line breaks."
        )


def _read_known_rules(build: Build) -> Mapping[str, object]:
    instances = build.get("compute") == Compute.MANAGED_INSTANCES
    values = {
        "front": str(build.get("front", Front.HTTP_API)),
        "instances": instances,
        "rollout": build.get("rollout"),
        "snapstart": not instances,
    }
    rules: dict[str, object] = {}
    for part in (*_PARTS, *(["_instances"] if instances else [])):
        text = render_file(_FOLDER / part / "rules.yaml", values)
        rules.update(yaml.load(text, Loader=_Loader) or {})  # noqa: S506 - a SafeLoader
    return rules


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
