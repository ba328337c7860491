"""A Terraform configuration of the same resources and parameters as a CloudFormation template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from packager.pipeline.emit.infrastructure.terraform._expressions import snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Choice,
    Code,
    Value,
    render_file,
)
from packager.pipeline.emit.infrastructure.terraform._parts import list_blocks
from packager.pipeline.emit.infrastructure.terraform._rollout import make_deployment
from packager.pipeline.emit.infrastructure.terraform._template import (
    read_object,
    read_objects,
)
from packager.pipeline.emit.infrastructure.terraform._translation import (
    Translation,
    read_resources,
)
from packager.pipeline.emit.infrastructure.terraform._variables import (
    list_own_variables,
    make_variable,
    rename_parameters,
)

_OF_DESCRIPTIONS: Final = frozenset({"Revision"})
"""Parameters that only a version's description has: Terraform publishes one for each change."""
_NEWER: Final = {
    # aws_lambda_function_scaling_config, and capacity providers, which are of 6.24
    # (https://github.com/hashicorp/terraform-provider-aws/issues/47770)
    "FunctionScalingConfig": "6.55",
    # https://github.com/hashicorp/terraform-provider-aws/pull/44858
    "InvokedViaFunctionUrl": "6.29",
}
"""Properties that earlier versions of the provider do not take, the latest first."""
_DATA: Final = ("aws_caller_identity", "aws_partition", "aws_region")


def list_terraform_files(
    template: Mapping[str, Mapping[str, object]], stack_name: str, *, uploads: bool
) -> dict[str, str]:
    """Return the configuration's files by their names.

    `uploads` says that the zip is larger than what Lambda takes without a bucket. Raises
    UntranslatableError for a resource, property or function that has no translation.
    """
    resources = read_resources(template)
    parameters = frozenset(template.get("Parameters", {}))
    translation = Translation(resources, parameters)
    blocks = [block for each in resources.values() for block in list_blocks(each, translation)]
    blocks = [_add_rules(block, template, translation) for block in blocks]
    main = render_file(
        "Resources of template.yaml, written by packager: a build writes this file anew.",
        [_make_locals(template, translation), *blocks],
    )
    outputs = render_file("What the resources are called.", _make_outputs(template, translation))
    suited = _name_versions(resources)
    data = [
        Block("data", (kind, "current"), ()) for kind in _DATA if f"data.{kind}." in main + outputs
    ]
    variables = [
        *list_own_variables(resources, stack_name, uploads=uploads),
        *(
            make_variable(name, spec, parameters)
            for name, spec in template["Parameters"].items()
            if name not in _OF_DESCRIPTIONS
        ),
    ]
    return {
        "main.tf": main,
        "outputs.tf": outputs,
        "variables.tf": render_file("Parameters of template.yaml, as variables.", variables),
        "versions.tf": render_file("The provider is configured by you.", [suited, *data]),
    }


def _name_versions(resources: Mapping[str, object]) -> Block:
    """Return what the configuration needs: what is newer than 5.100 takes a newer provider."""
    written = {name for each in resources.values() for name in getattr(each, "properties", {})}
    least = next((version for name, version in _NEWER.items() if name in written), "5.100")
    provider: Value = {"source": "hashicorp/aws", "version": f">= {least}, < 7.0"}
    required = Block("required_providers", (), (Attribute("aws", provider),))
    return Block("terraform", (), (Attribute("required_version", ">= 1.5"), None, required))


def _make_locals(template: Mapping[str, Mapping[str, object]], translation: Translation) -> Block:
    conditions = template.get("Conditions", {})
    tests = [
        Attribute(snake(name), Code(translation.expressions.test(condition)))
        for name, condition in conditions.items()
    ]
    return Block("locals", (), tuple(tests))


def _make_outputs(
    template: Mapping[str, Mapping[str, object]], translation: Translation
) -> Iterator[Block]:
    for name, output in template.get("Outputs", {}).items():
        each = read_object(output, name)
        value = translation.convert(each["Value"])
        if "Condition" in each:
            value = Choice(Code(f"local.{snake(str(each['Condition']))}"), value, None)
        said = each.get("Description")
        described = [] if said is None else [Attribute("description", str(said))]
        yield Block("output", (snake(name),), (*described, Attribute("value", value)))
    yield from make_deployment(translation)


def _add_rules(
    block: Block, template: Mapping[str, Mapping[str, object]], translation: Translation
) -> Block:
    """Return the function's block with the template's rules: with one broken, nothing is made."""
    if block.labels != ("aws_lambda_function", "function"):
        return block
    rules = tuple(_make_preconditions(template.get("Rules", {}), translation))
    if not rules:
        return block
    return Block(block.kind, block.labels, (*block.body, None, Block("lifecycle", (), rules)))


def _make_preconditions(rules: Mapping[str, object], translation: Translation) -> Iterator[Block]:
    for name, value in rules.items():
        rule = read_object(value, name)
        applies = translation.expressions.test(rule["RuleCondition"])
        for assertion in read_objects(rule["Assertions"], name):
            holds = translation.expressions.test(assertion["Assert"])
            said = rename_parameters(str(assertion["AssertDescription"]), translation.parameters)
            body = (
                Attribute("condition", Code(f"!({applies}) || ({holds})")),
                Attribute("error_message", f"{said}."),
            )
            yield Block("precondition", (), body)


__all__ = ["list_terraform_files"]
