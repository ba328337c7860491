"""The variables that an artifact's template gives its function, with the parameters' defaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import yaml

from packager.commands.artifact.description import read_json, read_own_text
from packager.errors import ModelFormatError
from packager.models.model_documents import SAFE_LOADER, check_yaml
from packager.types import HostKind

_Read = TypeVar("_Read")
_ACCOUNT: Final = "123456789012"
_PSEUDO: Final = {
    "AWS::AccountId": _ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "stack",
    "AWS::URLSuffix": "amazonaws.com",
}
_NO_VALUE: Final = "AWS::NoValue"
"""What has it is left out."""
_NAMED_BY_USER: Final = {"InputBucket": "data"}
"""Parameters without a default, as the example events have them."""
_MOST_TEMPLATE: Final = 1 << 20
_UNREADABLE: Final = (
    *(ModelFormatError, ValueError, TypeError, LookupError, AttributeError, RecursionError),
)
_VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")


class _Loader(SAFE_LOADER):  # type: ignore[misc]  # which of two it is, the machine knows
    """Reads CloudFormation's short forms: `!Ref x` is `{"Ref": "x"}`, `!Sub x` `{"Fn::Sub": x}`."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def read_environment(folder: Path, host: HostKind) -> dict[str, str]:
    """The variables of the artifact in `folder`; empty for a host that has no template.

    What only a deployment would make (a queue's address) is made up in its form. Raises
    ModelFormatError where the template cannot be read.
    """
    return _READERS[host](folder)


class _Template:
    """Values of one template, as a deployment with the defaults would have them."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self._parameters: Mapping[str, Any] = template.get("Parameters", {})
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._resources: Mapping[str, Any] = template["Resources"]

    def default(self, parameter: str) -> str:
        return str(self._parameters.get(parameter, {}).get("Default", ""))

    def names(self) -> list[str]:
        return list(self._list_variables())

    def _list_variables(self) -> Mapping[str, object]:
        found: Mapping[str, object] = self._resources["Function"]["Properties"]["Environment"][
            "Variables"
        ]
        return found

    def variables(self) -> dict[str, str]:
        found = self._list_variables()
        told = {name: self.value(value) for name, value in found.items()}
        return {name: str(value) for name, value in told.items() if value is not None}

    def value(self, found: Any) -> Any:
        """Raises KeyError for a function of templates that no variable has."""
        if not isinstance(found, dict):
            return found
        ((name, given),) = found.items()
        return self._list_functions()[name](given)

    def _list_functions(self) -> dict[str, Callable[[object], object]]:
        return {
            "Ref": self._resolve_reference,
            "Condition": lambda name: self.value(self._conditions[name]),
            "Fn::Sub": lambda text: _VARIABLE.sub(
                lambda m: str(self._resolve_reference(m[1])), text
            ),
            "Fn::GetAtt": lambda given: self._name_attribute(*given),
            "Fn::If": lambda given: self.value(given[1 if self._holds(given[0]) else 2]),
            "Fn::Equals": lambda given: self.value(given[0]) == self.value(given[1]),
            "Fn::Not": lambda given: not self.value(given[0]),
            "Fn::Join": lambda given: given[0].join(str(self.value(each)) for each in given[1]),
        }

    def _holds(self, condition: str) -> bool:
        return bool(self.value(self._conditions[condition]))

    def _resolve_reference(self, name: str) -> object:
        if name == _NO_VALUE:
            return None
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self._parameters:
            return self._parameters[name].get("Default", _NAMED_BY_USER.get(name, name.lower()))
        if "." in name:
            return self._name_attribute(*name.split(".", 1))
        if self._resources[name]["Type"] == "AWS::SQS::Queue":
            return f"https://sqs.{_PSEUDO['AWS::Region']}.amazonaws.com/{_ACCOUNT}/{name}"
        return name

    def _name_attribute(self, name: str, attribute: str) -> str:
        if attribute != "Arn":
            return name
        service = str(self._resources[name]["Type"]).split("::")[1].lower()
        return f"arn:aws:{service}:{_PSEUDO['AWS::Region']}:{_ACCOUNT}:{name}"


def read_default(folder: Path, parameter: str) -> str:
    """The default of a Lambda template's parameter; empty where it has none.

    Raises ModelFormatError where the template cannot be read.
    """
    return _read_template(folder, lambda template: template.default(parameter))


def list_names(folder: Path) -> list[str]:
    """Every variable that a Lambda template may give, those too that only a parameter makes.

    Raises ModelFormatError where the template cannot be read.
    """
    return _read_template(folder, _Template.names)


def _of_lambda(folder: Path) -> dict[str, str]:
    return _read_template(folder, _Template.variables)


def _read_template(folder: Path, read: Callable[[_Template], _Read]) -> _Read:
    path = folder / "template.yaml"
    try:
        text = read_own_text(path, _MOST_TEMPLATE)
        check_yaml(text, path.name)
        return read(_Template(yaml.load(text, _Loader)))  # noqa: S506 - of SafeLoader
    except (*_UNREADABLE, yaml.YAMLError) as error:
        raise _make_unreadable(path, error) from error


def _of_azure(folder: Path) -> dict[str, str]:
    """Settings of ours; the platform's own are its host's."""
    path = folder / "function" / "local.settings.json.example"
    try:
        settings = read_json(path)["Values"]
        return {name: value for name, value in settings.items() if name.startswith("PACKAGER_")}
    except _UNREADABLE as error:
        raise _make_unreadable(path, error) from error


def _make_unreadable(path: Path, error: Exception) -> ModelFormatError:
    return ModelFormatError(
        f"{path} does not tell the function's variables: {error!r}. "
        "Build the artifact again, or take the file from where you built it."
    )


_READERS: Final[Mapping[HostKind, Callable[[Path], dict[str, str]]]] = MappingProxyType(
    {
        HostKind.LAMBDA: _of_lambda,
        HostKind.WORKER: _of_azure,
        HostKind.SERVER: lambda _: {},
    }
)
