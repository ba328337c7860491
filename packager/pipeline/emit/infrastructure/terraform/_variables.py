"""Parameters of a template as variables, with what each may be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from packager.pipeline.emit._text import stack_name as shorten_name
from packager.pipeline.emit.infrastructure.terraform._expressions import snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Code,
    Value,
    quote,
)
from packager.pipeline.emit.infrastructure.terraform._template import (
    UntranslatableError,
    read_object,
)
from packager.pipeline.emit.infrastructure.terraform._translation import Resource

_TYPES: Final = {"Number": "number", "String": "string", "CommaDelimitedList": "list(string)"}
_DIGEST: Final = 9
"""Characters that a name which had to change ends with."""
_NAME_LENGTH: Final = 64
"""Of a function and of a role: the shortest of all that is named by the stack
(https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html)."""


def make_variable(name: str, value: object, parameters: Collection[str]) -> Block:
    """Return a parameter's variable. Raises UntranslatableError for a type that is not known."""
    spec = read_object(value, name)
    kind = str(spec["Type"])
    if kind not in _TYPES:
        raise UntranslatableError(f"the parameter {name}")
    label = snake(name)
    description = rename_parameters(str(spec.get("Description", "")), parameters)
    body: list[Attribute | Block | None] = [
        Attribute("type", Code(_TYPES[kind])),
        Attribute("description", description),
    ]
    if "Default" in spec:
        body.append(Attribute("default", _read_default(spec)))
    body.append(Attribute("nullable", value=False))
    for condition, wanted in _list_tests(f"var.{label}", spec):
        body += [None, _make_validation(condition, f"{label} has to be {wanted}.")]
    return Block("variable", (label,), tuple(body))


def list_own_variables(
    resources: Mapping[str, Resource], stack_name: str, *, uploads: bool
) -> Iterator[Block]:
    """Yield variables for what `sam deploy` does itself: a stack's name, and where code is put."""
    named = [each.name for each in resources.values() if each.type in _NAMED]
    most = _NAME_LENGTH - max(len(name) + 1 for name in named)
    pattern = rf"^[a-zA-Z][-a-zA-Z0-9]{{0,{most - 1}}}$"
    name = stack_name if len(stack_name) <= most else shorten_name(stack_name, limit=most - _DIGEST)
    yield Block(
        "variable",
        ("stack_name",),
        (
            Attribute("type", Code("string")),
            Attribute("description", "Begins the names of all resources"),
            Attribute("default", name),
            Attribute("nullable", value=False),
            None,
            _make_validation(
                f"can(regex({quote(pattern)}, var.stack_name))",
                f"stack_name takes {most} letters, digits and - at most, a letter first.",
            ),
        ),
    )
    yield _make_code_variable(resources, uploads=uploads)


_NAMED: Final = ("AWS::Lambda::Function", "AWS::IAM::Role")


def _make_code_variable(resources: Mapping[str, Resource], *, uploads: bool) -> Block:
    codes = [each.properties.get("Code") for each in resources.values()]
    text = Attribute("type", Code("string"))
    if any(isinstance(code, Mapping) and "ImageUri" in code for code in codes):
        said = "Image that you pushed to ECR, as ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@DIGEST"
        return Block(
            "variable",
            ("image_uri",),
            (text, Attribute("description", said), Attribute("nullable", value=False)),
        )
    said = "Bucket, in the function's region, that function.zip is uploaded to"
    if uploads:
        said += "; the zip is larger than the 50 MB that Lambda takes without one"
        rest = [
            Attribute("nullable", value=False),
            None,
            _make_validation('var.code_bucket != ""', "code_bucket has to name a bucket."),
        ]
    else:
        said += "; empty to hand it to Lambda directly"
        rest = [Attribute("default", ""), Attribute("nullable", value=False)]
    return Block("variable", ("code_bucket",), (text, Attribute("description", said), *rest))


def rename_parameters(text: str, parameters: Collection[str]) -> str:
    """Return a sentence with the names of parameters as those of variables."""
    names = "|".join(sorted(map(re.escape, parameters), key=len, reverse=True))
    return re.sub(rf"\b({names})\b", lambda found: snake(found[1]), text)


def _read_default(spec: Mapping[str, object]) -> Value:
    default = spec["Default"]
    if spec["Type"] == "CommaDelimitedList":
        return [part for part in str(default).split(",") if part]
    if spec["Type"] == "Number" and isinstance(default, int | float):
        return default
    return str(default)


def _list_tests(value: str, spec: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield each test of a value, with what it has to be in words."""
    low, high = spec.get("MinValue"), spec.get("MaxValue")
    if low is not None and high is not None:
        yield f"{value} >= {low} && {value} <= {high}", f"from {low} to {high}"
    elif low is not None:
        yield f"{value} >= {low}", f"{low} or more"
    allowed = spec.get("AllowedValues")
    if isinstance(allowed, list):
        numbers = spec["Type"] == "Number"
        listed = ", ".join(str(each) if numbers else quote(str(each)) for each in allowed)
        yield f"contains([{listed}], {value})", f"one of {', '.join(map(str, allowed))}"
    if "AllowedPattern" in spec:
        pattern = str(spec["AllowedPattern"])
        if spec["Type"] == "CommaDelimitedList":
            each = f"can(regex({quote(pattern)}, each))"
            yield f"alltrue([for each in {value} : {each}])", f"as the pattern {pattern} says, each"
        else:
            yield f"can(regex({quote(pattern)}, {value}))", f"as the pattern {pattern} says"
    if "MaxLength" in spec:
        yield f"length({value}) <= {spec['MaxLength']}", f"{spec['MaxLength']} characters at most"


def _make_validation(condition: str, message: str) -> Block:
    body = (Attribute("condition", Code(condition)), Attribute("error_message", message))
    return Block("validation", (), body)
