"""Ask a new version what the registered model answered, before it gets any traffic.

CodeDeploy calls `check_version` between the deployment of a version and its first request. The
deployment goes on only if every recorded request (replay.jsonl) is answered as the proof asks.
The log has one line of JSON: how many requests, where answers differ and by how much. It has no
value of a request or an answer.

Environment: NEW_VERSION (ARN of the version), FUNCTION_TIMEOUT_SECONDS.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import answer_comparison
import boto3
from botocore.config import Config

_REPLAY: Final = Path(__file__).with_name("replay.jsonl")
_RESERVE_SECONDS: Final = 10
"""Of the check's own time, kept to report what was found."""
_LONGEST_SECONDS: Final = 300
"""That one request is waited for, however long the function may take."""
_ATTEMPTS: Final = 2
_LISTED: Final = 5
"""Differences that the log names."""


def check_version(event: Mapping[str, str], context: Any) -> dict[str, Any]:
    """Compare the version's answers, and tell CodeDeploy whether the deployment may go on.

    Whatever goes wrong here fails the deployment: nothing is let through unchecked.
    """
    version = os.environ["NEW_VERSION"]
    result: dict[str, Any] = {"check": "rollout", "version": version, "passed": False}
    try:
        result |= replay_requests(version, _make_client("lambda"), context)
    except Exception as error:  # noqa: BLE001 - a deployment that waits for a verdict gets one
        result["problem"] = f"{type(error).__name__}: {error}"
    finally:
        sys.stdout.write(f"{json.dumps(result)}\n")
        _make_client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status="Succeeded" if result["passed"] else "Failed",
        )
    return result


def replay_requests(version: str, functions: Any, context: Any) -> dict[str, Any]:
    """Ask all recorded requests, one after the other; say what differs."""
    rule, samples = read_replay(_REPLAY)
    started = time.monotonic()
    found: dict[str, Any] = {
        "model_digest": rule["model_digest"],
        "requests": len(samples),
        "asked": 0,
        "rows": 0,
        "differing": 0,
        "largest_difference": 0.0,
        "differences": [],
    }
    seconds = _RESERVE_SECONDS + _ATTEMPTS * _read_wait()
    for sample in samples:
        if context.get_remaining_time_in_millis() < seconds * 1000:
            found["problem"] = "The check ran out of time before every request was asked."
            break
        found["asked"] += 1
        found["rows"] += sample["rows"]
        _add_differences(found, sample["name"], list(_compare(sample, rule, version, functions)))
    found["seconds"] = round(time.monotonic() - started, 3)
    found["passed"] = 0 < len(samples) == found["asked"] and not found["differing"]
    return found


def read_replay(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read (rule of the comparison, requests and their answers)."""
    with path.open(encoding="utf-8") as lines:
        rule, *samples = map(json.loads, lines)
    return rule, samples


def _compare(
    sample: Mapping[str, Any], rule: Mapping[str, Any], version: str, functions: Any
) -> Iterator[tuple[str, float, bool]]:
    """Yield (where, how far apart, whether it is allowed) for each leaf that differs."""
    payload = json.dumps(sample["request"]).encode()
    told = functions.invoke(FunctionName=version, Payload=payload)
    if "FunctionError" in told:
        yield f"the function failed ({told['FunctionError']})", 0.0, False
        return
    wrong, near = answer_comparison.split_differences(
        sample["answer"],
        json.loads(told["Payload"].read()),
        rounding=rule["rounding"],
        chance=rule["chance"],
        tolerance=rule["tolerance"],
    )
    for differences, allowed in ((wrong, False), (near, True)):
        for each in differences:
            yield each.where, each.error, allowed


def _add_differences(
    found: dict[str, Any], name: str, differences: list[tuple[str, float, bool]]
) -> None:
    errors = [error for _, error, _ in differences]
    found["largest_difference"] = max([found["largest_difference"], *errors])
    wrong = [(where, error) for where, error, allowed in differences if not allowed]
    found["differing"] += bool(wrong)
    for where, error in wrong[: _LISTED - len(found["differences"])]:
        found["differences"].append({"request": name, "where": where, "apart": error})


def _make_client(service: str) -> Any:
    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    return boto3.client(service, config=Config(read_timeout=_read_wait(), retries=retries))


def _read_wait() -> int:
    """Seconds that one request is waited for: a start, and as long as the function may take."""
    return min(15 + int(os.environ["FUNCTION_TIMEOUT_SECONDS"]), _LONGEST_SECONDS)
