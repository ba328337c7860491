"""AWS Lambda's host: the real runtime client under the real emulator."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Self

from packager.system.sandbox.confined_program import ProcessStats
from packager.system.sandbox.endings import explain_words
from packager.targets.hosts._host import Answered, Boot, Call
from packager.targets.lambda_emulator import Emulator, Invocation, http_event

_TIMED_OUT: Final = "Task timed out after "
_EXITED: Final = re.compile(r"Process runtime-\d+ exited: (signal: [a-z ]+|exit status \d+)")
_STATUSES: Final = {"BadRequestError": 400, "PayloadTooLargeError": 413}
"""Of error types of handlers.aws_lambda that the request itself is to blame for."""


class LambdaHost:
    """One function behind the emulator's HTTP front."""

    about = "Booted by AWS's runtime client under AWS's runtime interface emulator."

    def __init__(self, boot: Boot) -> None:
        self._emulator = Emulator(
            boot.folder,
            interpreter=boot.interpreter,
            handler=boot.entrypoint,
            memory_mb=boot.memory_mb,
            timeout_seconds=boot.timeout_seconds,
            env=boot.env,
            provided=boot.provided,
            brings_client=boot.brings_client,
            path_first=boot.path_first,
            memory_limit_mb=boot.memory_limit_mb,
            network=boot.network,
            snapshot=boot.snapshot,
            weights=None if boot.weights is None else boot.weights.folder,
            serves_weights=boot.weights is not None and boot.weights.fetched,
            tmp_mb=boot.tmp_mb,
        )
        self.read_only = self._emulator.read_only

    def __enter__(self) -> Self:
        self._emulator.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._emulator.__exit__(*error)

    def ask(self, call: Call) -> Answered:
        answer = self._emulator.invoke(_event(call))
        failure = _read_failure(answer)
        found = read(answer, direct=call.door == "direct")
        if failure is None:
            return replace(found, seconds=answer.seconds)
        log = self._emulator.log()
        ending = explain_words(failure or _last_exit(log), log)
        failure = failure or ("its process ended" if ending is None else ending.cause)
        return replace(
            found,
            seconds=answer.seconds,
            failure=failure,
            ending=ending,
            loading=not _is_loaded(log),
        )

    def size_bytes(self, call: Call) -> int:
        return len(_event(call))

    def stats(self) -> ProcessStats:
        return self._emulator.stats()

    def log(self) -> str:
        return self._emulator.log()

    def read_exceeded(self) -> str:
        return self._emulator.read_exceeded()

    def protections(self) -> tuple[str, ...]:
        return self._emulator.protections()


def _event(call: Call) -> bytes:
    if call.door == "direct":
        return call.body
    headers = {} if call.content_type is None else {"content-type": call.content_type}
    return json.dumps(http_event(call.method, call.path, call.body, headers)).encode()


def read(answer: Invocation, *, direct: bool) -> Answered:
    """The status and body that the function answered with, whichever door it was asked by."""
    text = answer.body.decode(errors="replace")
    try:
        value = json.loads(text)
    except ValueError:
        return Answered(status=502, text=text, body=None, words=text[:80])
    if isinstance(value, dict) and "errorType" in value:
        kind = str(value["errorType"])
        status = answer.status if answer.status >= 400 else _STATUSES.get(kind, 500)
        return Answered(status=status, text=text, body=None, words=kind)
    if direct:
        return Answered(status=answer.status, text=text, body=value)
    if not isinstance(value, dict) or "statusCode" not in value:
        words = "an answer that is no HTTP response"
        return Answered(status=502, text=text, body=None, words=words)
    return _read_response(value)


def _read_response(value: Mapping[str, object]) -> Answered:
    """The status and body in a function's answer to API Gateway or a function URL."""
    status = int(str(value["statusCode"]))
    text = str(value.get("body") or "")
    try:
        if value.get("isBase64Encoded"):
            text = base64.b64decode(text).decode()
        body = json.loads(text)
    except (ValueError, binascii.Error):
        return Answered(status=status, text=text, body=None, words="a body that is not JSON")
    code = str(body.get("error_code", "")) if isinstance(body, dict) else ""
    return Answered(status=status, text=text, body=body, words=code)


def _read_failure(answer: Invocation) -> str | None:
    """The emulator's words where the function did not answer, "" for none; None where it did."""
    text = answer.body.decode(errors="replace")
    if answer.status == 200 and text.startswith(_TIMED_OUT):
        return text
    if answer.status not in {502, 500}:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return f"{value.get('errorType', '')}: {value.get('errorMessage', '')}".strip(": ")


def _last_exit(log: str) -> str:
    """Read how the log says that the function's process ended; "" where it does not."""
    return str(["", *_EXITED.findall(log)][-1])


def _is_loaded(log: str) -> bool:
    """Tell whether the last start of the function came to its end."""
    last = log.rpartition("INIT START")[2]
    return "INIT RTDONE(status: success)" in last
