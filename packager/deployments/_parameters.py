"""The template's parameters: which there are, and which values each of them takes."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import yaml

from packager import targets
from packager.deployments._errors import wrong_setting
from packager.errors import suggest_name, suggest_names
from packager.system.resources import TEMPLATES
from packager.system.templates import render_file
from packager.types import Compute, Front, HttpAuth, TargetOptions

Declared: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The section `Parameters` of a template; what is null in it is known at build time only."""

TARGET: Final = "aws-lambda"
_FOLDER: Final = TEMPLATES / "aws_lambda"
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
BUILD_WEIGHTS: Final = (
    "Build it (`packager build --weights fetch`, or mount), and name its folder as the model "
    "(-m dist/churn)."
)
_OUTPUT: Final = "Queue, event bus, table or delivery stream"
"""Stands where a template names the kind of destination that it was built for."""
_FIRST_WORDS: Final = re.compile(r"\{\{ (?:\{\"[^\"]*\": )?\"([^\"]*)\".*?\}\}")
"""Words of a description that hang on the build: the first of them are shown."""
_PARTS: Final = ("_account", "_http", "_rollout", "_weights")
"""Folders of parts that every template may have."""
_OF_SOURCES: Final = ("_events_parameters.yaml", "_files_parameters.yaml")


FROZEN: Final = frozenset(
    {
        *("InputBucket", "InputPrefix", "ObjectsThrough", "OutputBucket", "OutputName"),
        *("OutputPrefix", "PayloadPath", "SubnetIds", "SecurityGroupIds", "KmsKeyArn"),
    }
)
"""Parameters that a version keeps, and of which its description has nothing, or the first part."""


class _Loader(yaml.SafeLoader):
    """Reads a template; what a short tag (`!Ref`) stands for is not asked."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def parameters_of(template: str) -> Declared:
    """The parameters that an emitted template declares."""
    found: Declared = yaml.load(template, Loader=_Loader)["Parameters"]  # noqa: S506 - safe
    return found


@functools.cache
def template_parameters() -> Declared:
    """Every parameter that a template may have, whatever it is built with."""
    text = (_FOLDER / "template.yaml.j2").read_text(encoding="utf-8")
    text = text.partition("\nParameters:\n")[2].partition("\nConditions:\n")[0]
    for part in _PARTS:
        text += (_FOLDER / part / "parameters.yaml").read_text(encoding="utf-8")
    limits = targets.load(TARGET).limits
    found = dict(_sources(text))
    memory = {"MinValue": limits.memory_mb[0], "MaxValue": limits.memory_mb[1]}
    found["MemorySizeMb"] = {**found["MemorySizeMb"], **memory}
    support = targets.load(TARGET).weights
    most = support.tmp_most_bytes >> 20 if support is not None else None
    own_tmp = {"MinValue": limits.tmp_bytes >> 20, "MaxValue": most}
    found["HttpAuth"] = {
        **found["HttpAuth"],
        "AllowedValues": [each.parameter for each in HttpAuth],
    }
    found["EphemeralStorageMb"] = {**found["EphemeralStorageMb"], **own_tmp}
    found["TimeoutSeconds"] = {**found["TimeoutSeconds"], "MaxValue": limits.timeout_seconds}
    return MappingProxyType(found)


def http_parameters(front: Front, auth: HttpAuth, *, instances: bool) -> Declared:
    """Those of an endpoint, before a function that has its weights."""
    values = {
        "front": front.value,
        "http_auth": auth.parameter,
        "instances": instances,
        "weights": "",
    }
    text = render_file(_FOLDER / "_http" / "parameters.yaml", values)
    return yaml.load(text, Loader=_Loader) or {}  # noqa: S506 - a SafeLoader


def list_names(part: str) -> tuple[str, ...]:
    """List the parameters of a part of the template, whatever it is built with."""
    text = (_FOLDER / part / "parameters.yaml").read_text(encoding="utf-8")
    return tuple(re.findall(r"(?m)^  (\w+):$", text))


@functools.cache
def source_parameters() -> Declared:
    """Those that come with sources of events (`event`), and with where the answers go."""
    text = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in _OF_SOURCES)
    return MappingProxyType(_sources(text))


@functools.cache
def instance_parameters() -> Declared:
    """Those of a function on managed instances; some have other bounds than elsewhere."""
    text = (_FOLDER / "_instances" / "parameters.yaml").read_text(encoding="utf-8")
    text = re.sub(r"\{%-? if device.*?endif %\}", "", text, flags=re.DOTALL)
    options = TargetOptions(name=TARGET, compute=Compute.MANAGED_INSTANCES)
    target = targets.load_for(options)
    # more of /tmp comes with a GPU, which an image alone has
    instances, support = target.machine.instances, targets.load(TARGET).weights
    if instances is None or support is None:
        raise TypeError(f"{TARGET} has no managed instances.")
    bounds = {
        "MemorySizeMb": target.limits.memory_mb,
        "TimeoutSeconds": (1, target.limits.timeout_seconds),
        "EphemeralStorageMb": (instances.tmp_mb[0], support.tmp_most_bytes >> 20),
    }
    elsewhere = template_parameters()
    found = {
        name: {**elsewhere[name], "MinValue": low, "MaxValue": high}
        for name, (low, high) in bounds.items()
    }
    made = {**found, **_sources(text)}
    made["MaxConcurrency"] = {**made["MaxConcurrency"], "MaxValue": instances.concurrency}
    return MappingProxyType(made)


def known_parameters(compute: str | None, *, of_any: bool = False) -> Declared:
    """Every name that a template may have, with the bounds of these machines.

    With `of_any` the widest bounds of all machines: a template, or a stack, says later which it
    has.
    """
    ordinary = {**template_parameters(), **source_parameters()}
    instances = instance_parameters()
    if compute == Compute.MANAGED_INSTANCES:
        return {**ordinary, **instances}
    if not of_any:
        return {**instances, **ordinary}
    both = {name: _widen(ordinary[name], instances[name]) for name in ordinary if name in instances}
    return {**ordinary, **instances, **both}


def stack_parameters(there: Collection[str]) -> Declared:
    """The parameters of a stack, of which `there` are the names: those of its machines."""
    own = set(instance_parameters()) - set(template_parameters())
    return known_parameters(Compute.MANAGED_INSTANCES if own & set(there) else None)


def _widen(first: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Join the bounds of two; there is none where one of them has none."""
    bounds = {
        key: choose(first[key], other[key]) if None not in (first[key], other[key]) else None
        for key, choose in (("MinValue", min), ("MaxValue", max))
        if key in first and key in other
    }
    return {**first, "MinValue": None, "MaxValue": None, **bounds}


def _sources(text: str) -> Declared:
    """Parameters as their template has them, which is YAML but for what a build fills in."""
    text = re.sub(r"\{%.*?%\}", "", text)
    text = re.sub(r"(Description: )\{\{.*?\}\}", rf"\1{_OUTPUT}", text)
    text = re.sub(r"(?m)^ *Description: .*$", lambda line: _FIRST_WORDS.sub(r"\1", line[0]), text)
    found: Declared = yaml.safe_load(re.sub(r"\{\{.*?\}\}", "null", text))
    return found


def name_revision(there: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Name a revision where a version keeps a value that changes, so that one is published.

    `there` are a stack's values; what is the same again makes no revision.
    """
    changed = {name for name, value in given.items() if there.get(name) != value}
    if "Revision" not in there or "Revision" in given or not changed & FROZEN:
        return {}
    values = {**there, **given, "Revision": ""}
    return {"Revision": hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]}


def check_values(given: Mapping[str, str], declared: Declared) -> None:
    """Raises DeploymentError for every value that the template would not take, all together."""
    wrong = [
        f"{name}={value} cannot be used: {why}."
        f"{suggest_name(value, map(str, declared[name].get('AllowedValues', ())))} "
        f"{declared[name]['Description']}."
        for name, value in given.items()
        if (why := _make_unfit(value, declared[name])) is not None
    ]
    if wrong:
        raise wrong_setting("\n".join(wrong))


def check_names(given: Collection[str], declared: Collection[str]) -> None:
    """Raises DeploymentError for what this very template does not have."""
    if absent := [name for name in given if name not in declared]:
        raise wrong_setting(
            f"This template has no parameter {', '.join(absent)}."
            f"{suggest_names(absent, declared)} It has: {', '.join(declared)}."
        )


def check_needed(said: Collection[str], declared: Declared) -> None:
    """Raises DeploymentError for every parameter without a default to which nobody said a value."""
    if unsaid := [n for n, spec in declared.items() if "Default" not in spec and n not in said]:
        listed = "\n".join(f"  -C {name}=...  {declared[name]['Description']}" for name in unsaid)
        raise wrong_setting(f"Parameters of this template have no default. Set each:\n{listed}")


def _make_unfit(value: str, spec: Mapping[str, Any]) -> str | None:
    """Explain why CloudFormation would not take the value; None where it would.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
    """
    if (allowed := spec.get("AllowedValues")) and value not in map(str, allowed):
        return f"give one of {', '.join(map(str, allowed))}"
    if (unfit := _make_unfit_text(value, spec)) or spec["Type"] != "Number":
        return unfit
    if isinstance(spec.get("Default"), int) and _NUMBER.fullmatch(value) and "." in value:
        return "give a whole number"
    return _make_unfit_number(value, spec.get("MinValue"), spec.get("MaxValue"))


def _make_unfit_text(value: str, spec: Mapping[str, object]) -> str | None:
    # CloudFormation takes each value of a list alone, without what is blank around it
    listed = spec["Type"] == "CommaDelimitedList"
    parts = [each.strip() for each in value.split(",")] if listed else [value]
    pattern, most = spec.get("AllowedPattern"), spec.get("MaxLength")
    for each in parts if isinstance(pattern, str) else ():
        if not re.fullmatch(str(pattern), each):
            which = f"{each!r} in it" if len(parts) > 1 else "it"
            return f"{which} does not match {pattern}"
    if isinstance(most, int) and len(value) > most:
        return f"give at most {most} characters"
    return None


def _make_unfit_number(value: str, least: object, most: object) -> str | None:
    if not _NUMBER.fullmatch(value):
        return "give a number"
    if isinstance(least, int) and isinstance(most, int) and not value.lstrip("-").isdecimal():
        return "give a whole number"
    if isinstance(least, int | float) and float(value) < least:
        return f"give at least {least}"
    return f"give at most {most}" if isinstance(most, int | float) and float(value) > most else None
