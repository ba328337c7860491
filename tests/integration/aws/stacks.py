"""CloudFormation in moto, mended where it parts from the cloud."""

from __future__ import annotations

import string
from types import SimpleNamespace
from typing import Any, ClassVar, Final

from moto.cloudformation import models, parsing

from tests import sam

_ORDER: Final = {"AWS::Lambda::Function": 0, "AWS::Lambda::Alias": 2}
"""A version is of the function as it is then, and an alias moves by its group as it is then."""


def as_the_cloud_does() -> None:
    """Mend this process's moto."""
    for kind in (models.Stack, models.ChangeSet):
        _transform_sam(kind)
    _keep_outputs()
    _update_in_order()
    _drop_no_value()
    parsing.string = SimpleNamespace(Template=_Substituted)


class _Substituted(string.Template):
    """What Fn::Sub replaces: `${Name}` alone; `$$`, as in `$$.Map.Item`, stays as it is."""

    pattern: ClassVar[Any] = (
        r"\$\{(?P<braced>[^!}]+)\}|(?P<escaped>(?!))|(?P<named>(?!))|(?P<invalid>(?!))"
    )


def _transform_sam(kind: type[Any]) -> None:
    """Have a stack or change set see its template as CloudFormation does after the transform."""
    parse = kind._parse_template

    def parse_and_transform(self: Any) -> None:
        parse(self)
        declared = self.template_dict.get("Transform") or ()
        if sam.TRANSFORM in ([declared] if isinstance(declared, str) else declared):
            self.template_dict = sam.transformed(self.template_dict, self.parameters or {})

    kind._parse_template = parse_and_transform


def _keep_outputs() -> None:
    """Have a stack that a change set made know its outputs and tags, as one made directly does."""
    apply = models.ChangeSet.apply

    def apply_and_output(self: Any) -> None:
        apply(self)
        stack = self.stack
        stack.template_dict = self.template_dict
        stack.tags = self.tags or stack.tags
        stack.output_map = parsing.OutputMap(stack.resource_map, self.template_dict, stack.stack_id)

    models.ChangeSet.apply = apply_and_output


def _update_in_order() -> None:
    """Have an update change the function before it publishes a version of it, as the cloud does.

    Moto takes a resource for gone that it cannot update; one that says `Retain` stays.
    """

    def update(self: Any, template: dict[str, Any], parameters: Any = None) -> None:
        changes = self.build_resource_diff(template, parameters)
        before, after = self._resource_json_map, template["Resources"]
        self._template, self.input_parameters = template, parameters or self.input_parameters
        # moto keeps a list as a list, and reads it as text again
        self.input_parameters = {
            name: ",".join(value) if isinstance(value, list) else value
            for name, value in self.input_parameters.items()
        }
        self.load_mapping()
        self.load_parameters()
        self.load_conditions()
        self._resource_json_map = after
        for name in sorted(changes["Modify"], key=lambda n: _ORDER.get(after[n]["Type"], 1)):
            changed = parsing.parse_and_update_resource(
                name, after[name], self, self._account_id, self._region_name
            )
            if changed is not None:
                self._parsed_resources[name] = changed
        for name in changes["Add"]:
            _ = self[name]
        for name in changes["Remove"]:
            gone = self._parsed_resources.pop(name)
            if before[name].get("DeletionPolicy") != "Retain":
                self._delete_resource(gone, before[name])

    parsing.ResourceMap.update = update


def _drop_no_value() -> None:
    """Have `AWS::NoValue` leave a list, as CloudFormation does; a template holds no other null."""
    clean = parsing.clean_json

    def clean_and_drop(value: Any, resources: Any) -> Any:
        found = clean(value, resources)
        return [item for item in found if item is not None] if isinstance(found, list) else found

    parsing.clean_json = clean_and_drop
