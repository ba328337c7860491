"""A CloudFormation, S3 and Lambda that remember what they were asked, for the plugin's tests."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from packager.deployments._aws import Cloud
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system.file_tree import sha256
from packager.types import BuildPlan, Front
from tests import fake_plan


def refusal(code: str, message: str = "no", operation: str = "Ask") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def artifact(base: Path, **request: Any) -> Path:
    """The folder of a made-up build, whose zip and report belong together."""
    return _emit(
        base, fake_plan.plan(request=fake_plan.request(**{"front": Front.NONE, **request}))
    )


def artifact_on_instances(base: Path) -> Path:
    """The same for managed instances."""
    return _emit(base, fake_plan.plan_on_instances(front=Front.NONE))


def _emit(base: Path, plan: BuildPlan) -> Path:
    out = base / "out"
    out.mkdir(parents=True)
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    made = emit(package(verified, plan, out), verified, plan, out)
    assert sha256(made.artifact.path) == made.artifact.sha256
    return out


class Waiter:
    def __init__(self, outcome: Exception | None) -> None:
        self._outcome = outcome

    def wait(self, **_: Any) -> None:
        if self._outcome is not None:
            raise self._outcome


class Pages:
    def __init__(self, pages: list[dict[str, Any]]) -> None:
        self._pages = pages

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        return iter(self._pages)


class Stacks:
    """CloudFormation; `fails` names a waiter that ends badly, `unchanged` says nothing differs."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fails = ""
        self.status_after = "CREATE_COMPLETE"
        self.unchanged = ""
        self.reason = ""
        self.events: list[dict[str, Any]] = []
        self.defaults: dict[str, str] = {}
        self._pending: dict[str, Any] = {}

    def last(self, operation: str) -> dict[str, Any]:
        return [values for name, values in self.asked if name == operation][-1]

    def parameters(self) -> list[dict[str, str]]:
        """What the last change set was told."""
        found: list[dict[str, str]] = self.last("create_change_set")["Parameters"]
        return found

    def operations(self) -> list[str]:
        return [name for name, _ in self.asked]

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        for stack in self.there.values():
            if StackName in (stack["StackName"], stack["StackId"]):
                return {"Stacks": [stack]}
        raise refusal("ValidationError", f"Stack with id {StackName} does not exist")

    def get_template_summary(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        found = [{"ParameterKey": k, "DefaultValue": v} for k, v in self.defaults.items()]
        return {"Parameters": found}

    def create_change_set(self, **values: Any) -> dict[str, str]:
        self.asked.append(("create_change_set", values))
        if self.unchanged == "at once":
            raise refusal("ValidationError", "No updates are to be performed.")
        self._pending = values
        return {"Id": "change", "StackId": f"id:{values['StackName']}"}

    def describe_change_set(self, **_: Any) -> dict[str, str]:
        return {"StatusReason": self.reason}

    def execute_change_set(self, **values: Any) -> None:
        self.asked.append(("execute_change_set", values))
        name = self._pending["StackName"]
        self.there[name] = stack(
            name,
            status=self.status_after,
            tags={tag["Key"]: tag["Value"] for tag in self._pending["Tags"]},
        )

    def delete_change_set(self, **values: Any) -> None:
        self.asked.append(("delete_change_set", values))

    def delete_stack(self, **values: Any) -> None:
        self.asked.append(("delete_stack", values))

    def get_waiter(self, name: str) -> Waiter:
        failed = WaiterError(name, "ended badly", {}) if name == self.fails else None
        return Waiter(failed)

    def get_paginator(self, operation: str) -> Pages:
        if operation == "describe_stack_events":
            return Pages([{"StackEvents": self.events}])
        return Pages([{"Stacks": [one]} for one in self.there.values()])


class Objects:
    def __init__(self) -> None:
        self.uploaded: dict[str, int] = {}
        self.written: dict[str, bytes] = {}
        self.meta = SimpleNamespace(endpoint_url="https://s3.eu-west-1.amazonaws.com")
        self.no_bucket: str | None = None

    def head_bucket(self, Bucket: str) -> None:  # noqa: N803
        if self.no_bucket is not None:
            raise refusal(self.no_bucket, "Not here", "HeadBucket")

    def head_object(self, Bucket: str, Key: str) -> dict[str, int]:  # noqa: N803
        if (size := self.uploaded.get(f"{Bucket}/{Key}")) is None:
            raise refusal("404", "Not Found", "HeadObject")
        return {"ContentLength": size}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        assert (Bucket, ContentType) == ("b", "text/yaml")
        self.written[Key] = Body

    def upload_file(self, path: str, bucket: str, key: str, **_: Any) -> None:
        assert f"{bucket}/{key}" not in self.uploaded
        self.uploaded[f"{bucket}/{key}"] = Path(path).stat().st_size


class Functions:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Any = {"predictions": [1]}
        self.error: str | None = None

    def invoke(self, **values: Any) -> dict[str, Any]:
        self.asked.append(values)
        found = {"Payload": io.BytesIO(json.dumps(self.answer).encode())}
        return found if self.error is None else {**found, "FunctionError": self.error}


def stack(name: str, *, status: str = "CREATE_COMPLETE", **known: Any) -> dict[str, Any]:
    return {
        "StackName": name,
        "StackId": f"id:{name}",
        "StackStatus": status,
        "Tags": [{"Key": k, "Value": v} for k, v in known.get("tags", {}).items()],
        "Parameters": [
            {"ParameterKey": k, "ParameterValue": v} for k, v in known.get("parameters", {}).items()
        ],
        "Outputs": [
            {"OutputKey": k, "OutputValue": v}
            for k, v in known.get("outputs", {"FunctionName": f"{name}-Function"}).items()
        ],
    }


def cloud() -> tuple[Cloud, Stacks, Objects, Functions]:
    stacks, objects, functions = Stacks(), Objects(), Functions()
    made = Cloud(region="eu-west-1", stacks=stacks, functions=functions, objects=objects)
    return made, stacks, objects, functions
