"""CloudFormation stacks: found by name and tag, changed through change sets, removed."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from packager.deployments._aws import Cloud
from packager.deployments._errors import DeploymentError, explain_errors, message_of
from packager.deployments._terminal import end_by_signal

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


@contextlib.contextmanager
def say_what_stays(left: str) -> Iterator[None]:
    """Say `left` too where an error, an interrupt or SIGTERM ends the block."""
    try:
        with end_by_signal(), explain_errors():
            yield
    except DeploymentError as error:
        text = f"{error.message}\n{left}"
        raise DeploymentError(text, error.error_code, exit_code=error.exit_code) from error
    except (KeyboardInterrupt, SystemExit):
        _LOG.warning("%s", left)
        raise


def change(cloud: Cloud, kind: _Kind, name: str, wanted: Change) -> bool:
    """Make or update a stack, and wait for it; False where it was so already.

    Raises DeploymentError with the reasons that the stack's events give, and with what stays.
    """
    address = _make_change_set(cloud, kind, name, wanted)
    if address is None:
        return False
    _LOG.info("CloudFormation: %s of stack %s", kind.lower(), name)
    failed = None
    with say_what_stays(_describe_unwatched(cloud, kind, name)):
        cloud.stacks.execute_change_set(**address)
        if not _wait_for_stack(cloud, kind, address["StackName"]):
            failed = _make_failure(cloud, kind, name, address["StackName"])
    if failed is not None:
        raise failed
    return True


def remove(cloud: Cloud, stack: Stack, role: str | None) -> None:
    """Delete a stack and wait until it is gone."""
    _LOG.info("CloudFormation: deleting stack %s", stack.name)
    removed = True
    why = ""
    events = _write_command(cloud, "describe-stack-events", stack.id)
    with say_what_stays(
        f"The stack {stack.name} may be being deleted, and AWS goes on with that. `{events}` shows "
        "what became of it. Run the command again if it is still there."
    ):
        cloud.stacks.delete_stack(StackName=stack.name, **({"RoleARN": role} if role else {}))
        if not (removed := _wait_for_stack(cloud, "DELETE", stack.id)):
            why = _reasons(cloud, stack.id)
    if not removed:
        raise DeploymentError(
            f"The stack {stack.name} was not deleted: what could be deleted of it is gone, and the "
            f"rest stays.\n{why}\nRemove what still uses it and run the command again.",
            "INTERNAL_ERROR",
        )


def _make_change_set(cloud: Cloud, kind: _Kind, name: str, wanted: Change) -> dict[str, str] | None:
    """Return its address; None where nothing differs. Raises DeploymentError if it is refused."""
    from botocore.exceptions import ClientError, WaiterError  # noqa: PLC0415 - an extra

    with explain_errors():
        try:
            made = cloud.stacks.create_change_set(**_change_set(kind, name, wanted))
        except ClientError as error:
            if _UNCHANGED.search(message_of(error)):
                return None
            raise
    address = {"ChangeSetName": made["Id"], "StackName": made["StackId"]}
    removal = (
        _write_command(cloud, "delete-stack", name)
        if kind == "CREATE"
        else _write_command(cloud, f"delete-change-set --change-set-name {made['Id']}", name)
    )
    left = "an empty stack" if kind == "CREATE" else "a change set that was not executed"
    with say_what_stays(
        f"Nothing was deployed. What stays of {name} is {left}, which costs nothing. Run the "
        f"command again, or remove it: `{removal}`."
    ):
        try:
            waiter = cloud.stacks.get_waiter("change_set_create_complete")
            waiter.wait(**address, WaiterConfig={"Delay": 2, "MaxAttempts": 300})
        except WaiterError as error:
            reason = cloud.stacks.describe_change_set(**address).get("StatusReason", "")
            cloud.stacks.delete_change_set(**address)
            if kind == "CREATE":
                cloud.stacks.delete_stack(StackName=made["StackId"])
            refused = f"CloudFormation refused the template for {name}: {reason or error}"
        else:
            return address
    if _UNCHANGED.search(reason):
        return None
    raise DeploymentError(
        f"{refused}\nNothing was changed. Correct what it names and run the command again.",
        "INVALID_PARAMETER_VALUE",
    )


def _wait_for_stack(cloud: Cloud, kind: _Kind | Literal["DELETE"], stack_id: str) -> bool:
    """Wait until it is as asked for; False where it is not to be so, or the time is over."""
    from botocore.exceptions import WaiterError  # noqa: PLC0415 - an extra

    try:
        waiter = cloud.stacks.get_waiter(f"stack_{kind.lower()}_complete")
        waiter.wait(StackName=stack_id, WaiterConfig=_WAIT)
    except WaiterError:
        return False
    return True


def _write_command(cloud: Cloud, verb: str, name: str) -> str:
    return f"aws cloudformation {verb} --stack-name {name} --region {cloud.region}"


def _describe_unwatched(cloud: Cloud, kind: _Kind, name: str) -> str:
    """Say what AWS may go on with while nobody waits for it, and the way back."""
    events = _write_command(cloud, "describe-stack-events", name)
    verb, when = (
        ("delete-stack", "") if kind == "CREATE" else ("cancel-update-stack", " while it goes on")
    )
    return (
        f"The {kind.lower()} of stack {name} was begun, and AWS goes on with it: nobody knows yet "
        f"how it ends. `{events}` shows what it does. "
        f"To take it back{when}: `{_write_command(cloud, verb, name)}`."
    )


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
    why = _reasons(cloud, stack_id)
    if status == "ROLLBACK_COMPLETE":
        # nothing of it is left, and under its name nothing could be made
        cloud.stacks.delete_stack(StackName=stack_id)
    text = f"The {kind.lower()} of stack {name} failed; it is now {status}."
    way = _describe_way_back(cloud, kind, status, name, stack_id)
    return DeploymentError(f"{text} {way}\n{why}", "INTERNAL_ERROR")


def _describe_way_back(cloud: Cloud, kind: _Kind, status: str, name: str, stack_id: str) -> str:
    """Say what stays of a change that failed, and what you do about it."""

    def write(verb: str) -> str:
        return f"`{_write_command(cloud, verb, name)}`"

    ways = {
        "gone": "Somebody deleted it: nothing of it stays.",
        "UPDATE_ROLLBACK_COMPLETE": "What was deployed before is back and answers.",
        "UPDATE_ROLLBACK_FAILED": "A part of it is new and a part as before. "
        f"{write('continue-update-rollback')} goes on, once what the events name is mended.",
        "UPDATE_FAILED": "A part of it is new and a part as before. "
        f"{write('rollback-stack')} brings back what was deployed before.",
        "ROLLBACK_COMPLETE": f"It is being removed; its events stay under {stack_id}.",
    }
    if status in ways:
        return ways[status]
    if status.endswith("_IN_PROGRESS"):
        events = write("describe-stack-events")
        waited = f"It did not end within three hours, and AWS goes on. {events} shows what it does."
        if status == "UPDATE_IN_PROGRESS":
            return f"{waited} {write('cancel-update-stack')} takes it back."
        return waited + (f" {write('delete-stack')} takes it back." if kind == "CREATE" else "")
    if status.endswith("_FAILED"):
        return (
            f"What was made of it stays, and nothing can be deployed under its name. Remove it: "
            f"{write('delete-stack')}. What even that leaves: {write('delete-stack')} "
            "--deletion-mode FORCE_DELETE_STACK, and remove by hand what the events name."
        )
    return f"{write('describe-stack-events')} shows why."


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
