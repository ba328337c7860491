"""What CloudFormation makes of a SAM template, and what cfn-lint says to it.

Both bring much that takes seconds to import: only what asks them waits for that.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

import yaml

from packager.pipeline.emit.infrastructure._transform import put_instances, take_instances

TRANSFORM = "AWS::Serverless-2016-10-31"
REGION = "us-east-1"


def parse(text: str) -> dict[str, Any]:
    """A template's text with its short tags (`!Ref`) written out."""
    return copy.deepcopy(_parsed(text))


@functools.lru_cache(16)
def _parsed(text: str) -> dict[str, Any]:
    from samtranslator.yaml_helper import intrinsics_multi_constructor

    class Loader(yaml.CSafeLoader):
        """The translator's own reads in Python, which takes ten times as long."""

    Loader.add_multi_constructor("!", intrinsics_multi_constructor)
    return dict(yaml.load(text, Loader))  # noqa: S506 - of CSafeLoader


def transformed(
    template: Mapping[str, Any], parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The plain CloudFormation template, as the cloud derives it from a SAM template."""
    import boto3
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    defaults = {
        name: spec["Default"]
        for name, spec in (template.get("Parameters") or {}).items()
        if "Default" in spec
    }
    values = {**defaults, **(parameters or {})}
    session = boto3.Session(region_name=REGION)
    translator = Translator({}, Parser(), boto_session=session)
    given = copy.deepcopy(dict(template))
    held = {
        name: take_instances(each["Properties"])
        for name, each in given["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }
    plain = dict(translator.translate(given, values))
    for name, settings in held.items():
        put_instances(plain, name, settings)
    return plain


def uploaded(text: str) -> dict[str, Any]:
    """The template as `sam package` leaves it: the code in a bucket."""
    template = parse(text)
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"
    return template


def lint(text: str) -> list[str]:
    """cfn-lint's findings of every severity, one line each."""
    from cfnlint.decode import decode_str

    template, found = decode_str(text)
    if not found and template is not None:
        found = list(_runner().validate_template(template))
    return [f"{match.rule.id}: {match.message}" for match in found]


@functools.cache
def _runner() -> Any:
    """One for all templates, as cfn-lint's own command has it: half of a run is to load rules."""
    from cfnlint.config import ConfigMixIn, ManualArgs
    from cfnlint.runner import Runner

    return Runner(ConfigMixIn(**ManualArgs(regions=[REGION])))
