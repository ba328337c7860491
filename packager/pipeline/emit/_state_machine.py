"""The state machine that runs a batch: one Distributed Map for each form of input.

Language: https://states-language.net/spec.html; readers, batcher and writer:
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html

An execution's input says what, where to and how much at once:

    {"format": "csv" | "jsonl" | "json" | "parquet" | "folder",
     "input": {"bucket": ..., "key": ...}, "output": {"bucket": ..., "prefix": ...},
     "concurrency": 100, "batch": 200, "tolerated_percentage": 0}

Rows of one file go to the function in batches, and come back in the writer's files with a manifest.
Objects of a folder (`key` is its prefix) go to the function one by one, as `{"input", "output"}`,
and the function writes an object of answers for each.
"""

from __future__ import annotations

from typing import Final

from packager.types import Json

FOLDER: Final = "folder"
READERS: Final[dict[str, dict[str, Json]]] = {
    "csv": {"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"},
    "jsonl": {"InputType": "JSONL"},
    "json": {"InputType": "JSON"},
    "parquet": {"InputType": "PARQUET"},
}
"""By the format's name, as `packager batch` has it."""
_BATCH_BYTES: Final = 256 * 1024
"""The most that a child execution's input may have."""
_AGAIN: Final = (
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "RecordsFailedError",
)
"""Errors that another attempt may not meet; a row that cannot be scored is none, but an answer."""


def definition(function: str, partition: str) -> dict[str, object]:
    """`function` is the alias' ARN, `partition` as in `aws`; or a template's variables."""
    rows = {
        _name(form): _rows(form, reader, function, partition) for form, reader in READERS.items()
    }
    choices = [
        {"Variable": "$.format", "StringEquals": form, "Next": _name(form)}
        for form in (*READERS, FOLDER)
    ]
    return {
        "Comment": "Scores a file's rows, or a folder's files, with one function",
        "StartAt": "Choose",
        "States": {
            "Choose": {"Type": "Choice", "Choices": choices, "Default": "Unknown"},
            "Unknown": {"Type": "Fail", "Error": "UnknownFormat", "Cause": "No such format"},
            **rows,
            _name(FOLDER): _map_objects(function, partition),
        },
    }


def _name(form: str) -> str:
    return f"Score{form.capitalize()}"


def _rows(form: str, reader: object, function: str, partition: str) -> dict[str, object]:
    return {
        **_make_map(function, partition, "EXPRESS"),
        "ItemReader": {
            "Resource": f"arn:{partition}:states:::s3:getObject",
            "ReaderConfig": reader,
            "Parameters": {"Bucket.$": "$.input.bucket", "Key.$": "$.input.key"},
        },
        "ItemBatcher": {
            "MaxItemsPerBatchPath": "$.batch",
            "MaxInputBytesPerBatch": _BATCH_BYTES,
            "BatchInput": {"format": form},
        },
    }


def _map_objects(function: str, partition: str) -> dict[str, object]:
    target = "States.Format('s3://{}/{}{}.jsonl', $.output.bucket, $.output.prefix, {})".replace(
        ", {})", ", $$.Map.Item.Value.Key)"
    )
    return {
        **_make_map(function, partition, "STANDARD"),
        "ItemReader": {
            "Resource": f"arn:{partition}:states:::s3:listObjectsV2",
            "Parameters": {"Bucket.$": "$.input.bucket", "Prefix.$": "$.input.key"},
        },
        "ItemSelector": {
            "input.$": "States.Format('s3://{}/{}', $.input.bucket, $$.Map.Item.Value.Key)",
            "output.$": target,
        },
    }


def _make_map(function: str, partition: str, kind: str) -> dict[str, object]:
    """Return what both maps have in common.

    A file may take longer than the five minutes of an express execution.
    """
    return {
        "Type": "Map",
        "MaxConcurrencyPath": "$.concurrency",
        "ToleratedFailurePercentagePath": "$.tolerated_percentage",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind},
            "StartAt": "Score",
            "States": {"Score": _task(function, partition)},
        },
        "ResultWriter": {
            "Resource": f"arn:{partition}:states:::s3:putObject",
            "Parameters": {"Bucket.$": "$.output.bucket", "Prefix.$": "$.output.prefix"},
        },
        "End": True,
    }


def _task(function: str, partition: str) -> dict[str, object]:
    return {
        "Type": "Task",
        "Resource": f"arn:{partition}:states:::lambda:invoke",
        "Parameters": {"FunctionName": function, "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "Retry": [
            {
                "ErrorEquals": list(_AGAIN),
                "IntervalSeconds": 1,
                "MaxAttempts": 6,
                "BackoffRate": 2,
                "MaxDelaySeconds": 60,
                "JitterStrategy": "FULL",
            }
        ],
        "End": True,
    }
