"""Ask a new version what the registered model answered, before it gets any traffic.

CodeDeploy calls `check_version` between the deployment of a version and its first request. The
deployment goes on only if every recorded request (replay.jsonl) is answered as the proof asks.
The log has one line of JSON: how many requests, where answers differ and by how much. It has no
value of a request or an answer. Where the stack requires a signature, it is checked before that.

Environment: NEW_VERSION (ARN of the version), FUNCTION_TIMEOUT_SECONDS, and those of signed_proof.
"""

import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import answer_comparison
import boto3
import recorded_requests
import signed_proof
from botocore.config import Config

_REPLAY: Final = Path(__file__).with_name("replay.jsonl")
_RESERVE_SECONDS: Final = 10
"""Of the check's own time, kept to report what was found."""
_LONGEST_SECONDS: Final = 300
"""That one request is waited for, however long the function may take."""
_ATTEMPTS: Final = 2
_MARK: Final = base64.b64encode(b'{"custom": {"x-packager-recorded": "1"}}').decode()
"""It keeps generated rows out of what the version measures drift from."""


def check_version(event: Mapping[str, str], context: Any) -> dict[str, Any]:
    """Compare the version's answers, and tell CodeDeploy whether the deployment may go on.

    Whatever goes wrong here fails the deployment: nothing is let through unchecked.
    """
    version = os.environ["NEW_VERSION"]
    result: dict[str, Any] = {"check": "rollout", "version": version, "passed": False}
    try:
        functions = _make_client("lambda")
        result |= signed_proof.check_signatures(version, functions, _make_keys)
        result |= replay_requests(version, functions, context)
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
    least = 1000 * (_RESERVE_SECONDS + _ATTEMPTS * _read_wait())

    def ask(request: object) -> tuple[object, str]:
        told = functions.invoke(
            FunctionName=version, Payload=json.dumps(request).encode(), ClientContext=_MARK
        )
        if "FunctionError" in told:
            return None, f"the function failed ({told['FunctionError']})"
        return json.loads(told["Payload"].read()), ""

    return recorded_requests.ask_again(
        _REPLAY,
        ask,
        answer_comparison.split_differences,
        has_time=lambda: context.get_remaining_time_in_millis() >= least,
    )


def _make_client(service: str, **where: str) -> Any:
    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    config = Config(read_timeout=_read_wait(), retries=retries)
    return boto3.client(service, config=config, **where)


def _make_keys(region: str) -> Any:
    """KMS, in the region of the key."""
    return _make_client("kms", region_name=region)


def _read_wait() -> int:
    """Seconds that one request is waited for: a start, and as long as the function may take."""
    return min(15 + int(os.environ["FUNCTION_TIMEOUT_SECONDS"]), _LONGEST_SECONDS)
