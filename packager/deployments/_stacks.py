"""CloudFormation stacks: found by name and tag, changed through change sets, removed."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from packager.deployments._aws import Cloud
from packager.deployments._errors import DeploymentError, explain_errors, message_of

_LOG = logging.getLogger(__name__)
NAME_TAG: Final = "mlflow:deployment"
_UNCHANGED: Final = re.compile(r"No updates are to be performed|didn't contain changes")
# waits of the service: three hours at most, for a slow rollout; asked every 5 seconds
_WAIT: Final = {"Delay": 5, "MaxAttempts": 2160}
_SHOWN: Final = 8
_Kind = Literal["CREATE", "UPDATE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    name: str
    id: str
    status: str
    reason: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    changed: str = ""
    """When it was last changed, ISO 8601."""

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change that a stack is to go through."""

    template: Mapping[str, str | bool]
    """Which template, as a change set is told: TemplateBody, TemplateURL or UsePreviousTemplate."""
    parameters: Mapping[str, str | None]
    """None keeps a parameter's value; one that is not named takes the template's default."""
    tags: Mapping[str, str]
    role: str | None = None


def find(cloud: Cloud, name: str) -> Stack | None:
    """The stack of this name or id, unless there is none or it is gone."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - an extra

    with explain_errors():
        try:
            found = cloud.stacks.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if "does not exist" in message_of(error):
                return None
            raise
    stacks = [_stack(item) for item in found]
    return next((stack for stack in stacks if stack.status != "DELETE_COMPLETE"), None)


def deployments(cloud: Cloud) -> Iterator[Stack]:
    """Every stack that this plugin made, whatever state it is in."""
    with explain_errors():
        for page in cloud.stacks.get_paginator("describe_stacks").paginate():
            for item in page["Stacks"]:
                stack = _stack(item)
                if NAME_TAG in stack.tags and stack.status != "DELETE_COMPLETE":
                    yield stack


def defaults(cloud: Cloud, stack: Stack) -> dict[str, str | None]:
    """Read the values that a stack's template gives its parameters by default."""
    with explain_errors():
        found = cloud.stacks.get_template_summary(StackName=stack.name)["Parameters"]
    return {item["ParameterKey"]: item.get("DefaultValue") for item in found}


def change(cloud: Cloud, kind: _Kind, name: str, wanted: Change) -> bool:
    """Make or update a stack, and wait for it; False where it was so already.

    Raises DeploymentError with the reasons that the stack's events give.
    """
    from botocore.exceptions import ClientError, WaiterError  # noqa: PLC0415 - an extra

    with explain_errors():
        try:
            made = cloud.stacks.create_change_set(**_change_set(kind, name, wanted))
        except ClientError as error:
            if _UNCHANGED.search(message_of(error)):
                return False
            raise
        address = {"ChangeSetName": made["Id"], "StackName": made["StackId"]}
        try:
            waiter = cloud.stacks.get_waiter("change_set_create_complete")
            waiter.wait(**address, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
        except WaiterError as error:
            reason = cloud.stacks.describe_change_set(**address).get("StatusReason", "")
            cloud.stacks.delete_change_set(**address)
            if kind == "CREATE":
                cloud.stacks.delete_stack(StackName=made["StackId"])
            if _UNCHANGED.search(reason):
                return False
            raise DeploymentError(
                f"CloudFormation refused the template for {name}: {reason or error}\nNothing was "
                "changed. Correct what it names and run the command again.",
                "INVALID_PARAMETER_VALUE",
            ) from error
        _LOG.info("CloudFormation: %s of stack %s", kind.lower(), name)
        cloud.stacks.execute_change_set(**address)
        try:
            waiter = cloud.stacks.get_waiter(f"stack_{kind.lower()}_complete")
            waiter.wait(StackName=made["StackId"], WaiterConfig=_WAIT)
        except WaiterError as error:
            raise _make_failure(cloud, kind, name, made["StackId"]) from error
    return True


def remove(cloud: Cloud, stack: Stack, role: str | None) -> None:
    """Delete a stack and wait until it is gone."""
    from botocore.exceptions import WaiterError  # noqa: PLC0415 - an extra

    with explain_errors():
        _LOG.info("CloudFormation: deleting stack %s", stack.name)
        cloud.stacks.delete_stack(StackName=stack.name, **({"RoleARN": role} if role else {}))
        try:
            waiter = cloud.stacks.get_waiter("stack_delete_complete")
            waiter.wait(StackName=stack.id, WaiterConfig=_WAIT)
        except WaiterError as error:
            raise DeploymentError(
                f"The stack {stack.name} was not deleted.\n{_reasons(cloud, stack.id)}\nRemove "
                "what still uses it and run the command again.",
                "INTERNAL_ERROR",
            ) from error


def _change_set(kind: _Kind, name: str, wanted: Change) -> dict[str, object]:
    parameters: list[dict[str, Any]] = [
        {"ParameterKey": key, "UsePreviousValue": True}
        if value is None
        else {"ParameterKey": key, "ParameterValue": value}
        for key, value in wanted.parameters.items()
    ]
    return {
        "StackName": name,
        "ChangeSetName": f"packager-{secrets.token_hex(8)}",
        "ChangeSetType": kind,
        # the template makes roles, which RoleNamePrefix names, and is a SAM template
        "Capabilities": ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": parameters,
        "Tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()],
        **wanted.template,
        **({"RoleARN": wanted.role} if wanted.role else {}),
    }


def _make_failure(cloud: Cloud, kind: _Kind, name: str, stack_id: str) -> DeploymentError:
    stack = find(cloud, stack_id)
    status = stack.status if stack else "gone"
    text = f"The {kind.lower()} of stack {name} failed; it is now {status}."
    why = _reasons(cloud, stack_id)
    if status == "UPDATE_ROLLBACK_COMPLETE":
        text += " What was deployed before is back and answers."
    elif status == "UPDATE_ROLLBACK_FAILED":
        text += f" `aws cloudformation continue-update-rollback --stack-name {name}` goes on."
    elif status == "ROLLBACK_COMPLETE" and stack is not None:
        # nothing of it is left, and under its name nothing could be made
        cloud.stacks.delete_stack(StackName=stack_id)
        text += f" It is being removed; its events stay under {stack_id}."
    elif status.endswith("_IN_PROGRESS"):
        text += " It did not end within three hours."
    return DeploymentError(f"{text}\n{why}", "INTERNAL_ERROR")


def _reasons(cloud: Cloud, stack_id: str) -> str:
    """List what failed since the last operation began, the first failure first."""
    found = []
    for page in cloud.stacks.get_paginator("describe_stack_events").paginate(StackName=stack_id):
        for event in page["StackEvents"]:
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            if status.endswith("_FAILED") and "cancelled" not in reason:
                kind = event["ResourceType"]
                found.append(f"  - {event['LogicalResourceId']} ({kind}): {reason or status}")
            if event["LogicalResourceId"] == event["StackName"] and reason == "User Initiated":
                return _format_reasons(found)
    return _format_reasons(found)


def _format_reasons(newest_first: list[str]) -> str:
    lines = newest_first[::-1][:_SHOWN]
    return "\n".join(lines) if lines else "  - its events name no reason"


def _stack(item: Mapping[str, Any]) -> Stack:
    changed = item.get("LastUpdatedTime") or item.get("CreationTime")
    parameters = item.get("Parameters", ())
    return Stack(
        name=item["StackName"],
        id=item["StackId"],
        status=item["StackStatus"],
        reason=item.get("StackStatusReason", ""),
        description=item.get("Description", ""),
        tags={tag["Key"]: tag["Value"] for tag in item.get("Tags", ())},
        parameters={one["ParameterKey"]: str(one.get("ParameterValue", "")) for one in parameters},
        outputs={one["OutputKey"]: one["OutputValue"] for one in item.get("Outputs", ())},
        changed=changed.isoformat() if changed is not None else "",
    )
