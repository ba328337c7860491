"""Clients of the cloud on the loopback interface, and the function as it was deployed to it."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import pytest

from packager.environments import interpreters
from packager.targets.lambda_emulator import Emulator


class Services:
    """Clients of one endpoint."""

    def __init__(self, endpoint: str, credentials: dict[str, str]) -> None:
        session = boto3.Session(
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            region_name=credentials["AWS_DEFAULT_REGION"],
        )
        self._make: Any = session.client
        self.endpoint, self.credentials = endpoint, credentials
        self.stacks = self.client("cloudformation")
        self.functions = self.client("lambda")
        self.queues = self.client("sqs")
        self.objects = self.client("s3")

    def client(self, name: str) -> Any:
        return self._make(name, endpoint_url=self.endpoint)

    def outputs(self, stack: str) -> dict[str, str]:
        (found,) = self.stacks.describe_stacks(StackName=stack)["Stacks"]
        return {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}

    def versions(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Every object that was ever put there, where the bucket keeps versions."""
        pages = self.objects.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Versions", ())

    def read(self, bucket: str, key: str) -> str:
        body: bytes = self.objects.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body.decode()

    def emptied(self, url: str) -> list[dict[str, Any]]:
        """The messages of a queue, which are taken from it."""
        found: list[dict[str, Any]] = []
        while batch := self.queues.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += batch
            for message in batch:
                self.queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


@contextlib.contextmanager
def running(services: Services, function: str, base: Path, **variables: str) -> Iterator[Emulator]:
    """The deployed function: its own bytes, runtime, limits and variables, and `variables`."""
    found = services.functions.get_function(FunctionName=function)["Configuration"]
    (bucket,) = [
        b["Name"]
        for b in services.objects.list_buckets()["Buckets"]
        if b["Name"].startswith("aws-sam-cli-managed")
    ]
    keys = services.objects.list_objects_v2(Bucket=bucket)["Contents"]
    (key,) = [item["Key"] for item in keys if not item["Key"].endswith(".template")]
    code = services.objects.get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        archive.extractall(base)
    with Emulator(
        base,
        interpreter=interpreters.find(found["Runtime"].removeprefix("python")),
        memory_mb=found["MemorySize"],
        timeout_seconds=found["Timeout"],
        env={
            **found["Environment"]["Variables"],
            **services.credentials,
            "AWS_REGION": services.credentials["AWS_DEFAULT_REGION"],
            "AWS_ENDPOINT_URL": services.endpoint,
            **variables,
        },
        network=True,  # to the services, on this machine
        provided=(f"botocore=={version('botocore')}",),
    ) as emulator:
        yield emulator


def asked(emulator: Emulator, request: dict[str, Any]) -> Any:
    """A direct invoke; a start beyond the timeout, on a busy machine, is tried again."""
    for _ in range(5):
        with contextlib.suppress(ValueError):
            return json.loads(emulator.invoke(json.dumps(request).encode()).body)
    pytest.fail(f"the function does not start: {emulator.log()[-2000:]}")
