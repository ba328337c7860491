"""A batch in the cloud: the state machine of an artifact's stack, started, watched, summed up."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packager.commands.cloud.stacks import (
    Client,
    explain_sdk_errors,
    make_client,
    read_outputs,
    read_stack_name,
)
from packager.errors import BatchError, ConfigurationError
from packager.types import Json

_LOG = logging.getLogger(__name__)
_FORMS: Final = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
_ADDRESS: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?(.*)")
_MACHINE: Final = "BatchMachineArn"
_RUNNING: Final = ("RUNNING", "PENDING_REDRIVE")
_COUNTS: Final = ("total", "succeeded", "failed", "pending", "running", "timedOut", "aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Order of a batch; see packager.pipeline.emit for the state machine that reads it."""

    source: str
    """`s3://bucket/key` of a file, or `s3://bucket/prefix/` of a folder."""
    target: str
    """`s3://bucket/prefix`."""
    concurrency: int = 100
    """Function instances at once."""
    batch: int = 200
    """Rows in one call; a folder's files come one by one."""
    tolerated_percentage: float = 0.0
    """Of the items, before the batch as a whole fails."""

    def input(self) -> dict[str, Json]:
        """The execution's input. Raises ConfigurationError for addresses that cannot be meant."""
        bucket, key = _address(self.source)
        to, prefix = _address(self.target)
        prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        form = "folder" if not key or key.endswith("/") else _read_form(key)
        if bucket == to and form == "folder" and prefix.startswith(key):
            raise ConfigurationError(
                f"{self.target} lies in {self.source}, so the next batch would score these "
                "answers. Choose another prefix."
            )
        return {
            "format": form,
            "input": {"bucket": bucket, "key": key},
            "output": {"bucket": to, "prefix": prefix},
            "concurrency": self.concurrency,
            "batch": self.batch,
            # a whole number is refused by some readers of the language
            "tolerated_percentage": float(self.tolerated_percentage),
        }


def _address(text: str) -> tuple[str, str]:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{text!r} is not an S3 address. Write it as s3://BUCKET/KEY.")
    return found[1], found[2]


def _read_form(key: str) -> str:
    for ending, form in _FORMS.items():
        if key.lower().endswith(ending):
            return form
    known = ", ".join(_FORMS)
    raise ConfigurationError(f"{key} must end with one of {known}, or with / for a folder.")


def run_batch(
    folder: Path,
    order: Order,
    *,
    stack: str | None = None,
    poll_seconds: float = 5.0,
    clients: Callable[[str], Client] | None = None,
) -> dict[str, Json]:
    """Start the batch of the artifact at `folder`, wait, and say what came of it.

    Raises ConfigurationError, ModelFormatError, CloudError where AWS refuses or is silent, and
    BatchError where the batch did not succeed.
    """
    sent = order.input()
    name = stack or read_stack_name(folder)
    make = clients or make_client
    with explain_sdk_errors():
        machine = _find_machine(make("cloudformation"), name)
        states = make("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(sent))[
            "executionArn"
        ]
        _LOG.info("Started %s", arn)
        begun = time.monotonic()
        told = _watch_execution(states, arn, poll_seconds)
        summary: dict[str, Json] = {
            "execution": arn,
            "status": told["status"],
            "seconds": round(time.monotonic() - begun, 1),
            "format": sent["format"],
            "items": _counts(states, arn),
            "output": order.target,
        }
        if told["status"] != "SUCCEEDED":
            why = told.get("cause") or told.get("error") or "no cause was given"
            raise BatchError(
                f"The batch {told['status'].lower()}: {why}\n"
                f"Items: {summary['items']}. {arn} lists each. Answers that were written stay."
            )
        return summary | _results(make("s3"), json.loads(told["output"]))


def _find_machine(stacks: Client, name: str) -> str:
    outputs = read_outputs(stacks, name)
    if _MACHINE not in outputs:
        raise ConfigurationError(
            f"The stack {name} has no state machine. Build with --batch and deploy that."
        )
    return outputs[_MACHINE]


def _watch_execution(states: Client, arn: str, poll_seconds: float) -> dict[str, Json]:
    shown = ""
    while True:
        told = states.describe_execution(executionArn=arn)
        if told["status"] not in _RUNNING:
            return dict(told)
        counts = _counts(states, arn)
        if counts:
            line = f"{counts['succeeded']} of {counts['total']} items, {counts['failed']} failed"
            if line != shown:
                _LOG.info("%s", line)
                shown = line
        time.sleep(poll_seconds)


def _counts(states: Client, arn: str) -> dict[str, int]:
    """Add up the item counts of an execution's map runs; empty before there is one."""
    total: dict[str, int] = {}
    for run in states.list_map_runs(executionArn=arn)["mapRuns"]:
        counts = states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
        for name in _COUNTS:
            total[name] = total.get(name, 0) + int(counts.get(name, 0))
    return total


def _results(objects: Client, output: object) -> dict[str, Json]:
    """Files that the writer names in its manifest."""
    where = output.get("ResultWriterDetails") if isinstance(output, dict) else None
    if not where:
        return {}
    body = objects.get_object(Bucket=where["Bucket"], Key=where["Key"])["Body"].read()
    manifest = json.loads(body)
    files = {
        kind: [f"s3://{manifest['DestinationBucket']}/{each['Key']}" for each in found]
        for kind, found in manifest.get("ResultFiles", {}).items()
        if found
    }
    return {"manifest": f"s3://{where['Bucket']}/{where['Key']}", "results": files}
