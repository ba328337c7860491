"""Resources of a CloudFormation template as Terraform's: each of them, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from packager.pipeline.emit.infrastructure._transform import DEPLOYMENT, DIGEST_LENGTH
from packager.pipeline.emit.infrastructure.terraform._expressions import Expressions, snake
from packager.pipeline.emit.infrastructure.terraform._hcl import (
    Attribute,
    Block,
    Code,
    Template,
    Value,
)
from packager.pipeline.emit.infrastructure.terraform._kinds import KINDS, Kind
from packager.pipeline.emit.infrastructure.terraform._properties import (
    Item,
    convert_properties,
    join_tests,
    list_cases,
)
from packager.pipeline.emit.infrastructure.terraform._template import (
    UntranslatableError,
    read_function,
    read_list,
    read_object,
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the template."""

    name: str
    type: str
    properties: Mapping[str, object]
    condition: str | None
    depends_on: tuple[str, ...]
    update: Mapping[str, object]
    """Its `UpdatePolicy`."""

    @property
    def kind(self) -> Kind:
        """Raises UntranslatableError for a type that is not known."""
        if self.type not in KINDS:
            raise UntranslatableError(f"a resource of the type {self.type}")
        return KINDS[self.type]

    @property
    def label(self) -> str:
        """Its name in Terraform, which is the same for another version of the artifact."""
        if self.type == DEPLOYMENT:
            return snake(self.name[:-DIGEST_LENGTH])
        return snake(self.name)

    @property
    def tests(self) -> tuple[str, ...]:
        """The test that it is made by; none where it always is."""
        return () if self.condition is None else (f"local.{snake(self.condition)}",)


def read_resources(template: Mapping[str, Mapping[str, object]]) -> dict[str, Resource]:
    found = {}
    for name, value in template["Resources"].items():
        each = read_object(value, name)
        wanted = each.get("DependsOn", [])
        named = [wanted] if isinstance(wanted, str) else read_list(wanted, name)
        found[name] = Resource(
            name=name,
            type=str(each["Type"]),
            properties=read_object(each.get("Properties", {}), name),
            condition=str(each["Condition"]) if "Condition" in each else None,
            depends_on=tuple(map(str, named)),
            update=read_object(each.get("UpdatePolicy", {}), name),
        )
    return found


@dataclass(frozen=True)
class Translation:
    """Resources by their names, and how a value of theirs is written."""

    resources: Mapping[str, Resource]
    parameters: frozenset[str]

    @cached_property
    def expressions(self) -> Expressions:
        return Expressions(self.parameters, self.name_attribute)

    def convert(self, value: object) -> Value:
        return self.expressions.convert(value)

    def find(self, value: object) -> Resource:
        """Return the resource that a `Ref` is of. Raises UntranslatableError for another value."""
        match read_function(value):
            case ("Ref", str(name)) if name in self.resources:
                return self.resources[name]
            case _:
                raise UntranslatableError(f"a resource, which is {value!r},")

    def name_address(self, resource: Resource) -> str:
        place = "[0]" if resource.condition else ""
        return f"{resource.kind.resource}.{resource.label}{place}"

    def name_attribute(self, name: str, attribute: str) -> str:
        """Return an attribute's expression. Raises UntranslatableError for an unknown one."""
        if name not in self.resources:
            raise UntranslatableError(f"{name}, which nothing in the template is called,")
        resource = self.resources[name]
        if resource.type == "AWS::Lambda::Version":
            return f"{self.name_address(self.find(resource.properties['FunctionName']))}.version"
        if attribute not in resource.kind.attributes:
            raise UntranslatableError(f"{attribute} of {name}")
        return resource.kind.attributes[attribute].format(self.name_address(resource))

    def make_main_block(
        self, resource: Resource, more: Sequence[Item], rest: Sequence[Block] = ()
    ) -> Block:
        """Return the block of a resource: `more` is beside its properties, `rest` at its end."""
        converted = convert_properties(
            resource.properties, resource.kind.properties, self.expressions
        )
        items = [*self._name(resource, list(converted)), *more]
        needed = self._list_needed(resource)
        last: list[Item] = [Attribute("depends_on", needed)] if needed else []
        return make_block(
            resource.kind.resource, resource.label, resource.tests, [*items, *rest], last
        )

    def _name(self, resource: Resource, items: list[Item]) -> list[Item]:
        """Return the arguments with a name, where CloudFormation would make one up."""
        name = resource.kind.name
        if not name or any(isinstance(each, Attribute) and each.name == name for each in items):
            return items
        named = make_name(resource)
        if "RoleName" in resource.properties:
            # a name of CloudFormation's has its stack's id, which Terraform has none of
            named = Template((Code("var.role_name_prefix"), *named.parts))
        return [Attribute(name, named), *items]

    def _list_needed(self, resource: Resource) -> list[Value]:
        """List what has to be there before: a role is of no use without its policies."""
        found = [
            f"{self.resources[name].kind.resource}.{self.resources[name].label}"
            for name in resource.depends_on
        ]
        if resource.type != "AWS::IAM::Role":
            for name in list_roles(resource.properties):
                role = self.resources[name]
                found += [f"aws_iam_role_policy.{each}" for each in list_policies(role)]
                attached = list_managed_policies(role)
                found += [f"aws_iam_role_policy_attachment.{each}" for each in attached]
        return [Code(each) for each in found]


def make_name(resource: Resource) -> Template:
    return Template((Code("var.stack_name"), f"-{resource.name}"))


def make_block(
    kind: str,
    label: str,
    tests: Sequence[str],
    items: Sequence[Item],
    last: Sequence[Item] = (),
) -> Block:
    """Return a resource that is made where each test holds: its arguments, blocks, and the last."""
    arguments = [each for each in items if isinstance(each, Attribute)]
    blocks = [each for each in items if isinstance(each, Block)]
    body: list[Item | None] = []
    if tests:
        body += [Attribute("count", Code(f"{join_tests(tuple(tests))} ? 1 : 0")), None]
    body += arguments
    for block in blocks:
        body += [None, block]
    for each in last:
        body += [None, each]
    return Block("resource", (kind, label), tuple(body))


def list_roles(value: object) -> Iterator[str]:
    """Yield the names of the resources whose ARN a value has, as a role's is given."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            match read_function(item):
                case ("Fn::GetAtt", [str(role), "Arn"]) if name in {
                    "Role",
                    "RoleArn",
                    "ServiceRoleArn",
                    "CapacityProviderOperatorRoleArn",
                }:
                    yield role
                case _:
                    yield from list_roles(item)
    elif isinstance(value, list):
        for item in value:
            yield from list_roles(item)


def list_policies(role: Resource) -> dict[str, tuple[tuple[str, ...], Mapping[str, object]]]:
    """Return a role's policies by their labels, each with the tests that it is there by."""
    found: dict[str, tuple[tuple[str, ...], Mapping[str, object]]] = {}
    for policy in read_list(role.properties.get("Policies", []), role.name):
        for tests, value in list_cases(policy):
            each = read_object(value, role.name)
            label = f"{role.label}_{snake(str(each['PolicyName'])).replace('-', '_')}"
            found[label] = ((*role.tests, *tests), each)
    return found


def list_managed_policies(role: Resource) -> dict[str, object]:
    """Return the policies that are attached to a role by their labels."""
    found = read_list(role.properties.get("ManagedPolicyArns", []), role.name)
    return {f"{role.label}_managed_{place}": each for place, each in enumerate(found)}
