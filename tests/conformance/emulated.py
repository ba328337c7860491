"""The cases of the suite through the real Lambda emulator: as API Gateway sends them, and direct.

One function serves every signature: a module beside the handlers makes a `Function` for each, the
one that a request names, from a manifest of its own. All that is between Lambda's HTTP front and
the scorer is the artifact's: the runtime client, the entry point, the event's translation, Mangum.
The libraries are this environment's.
"""

from __future__ import annotations

import base64
import importlib.metadata
import json
import shutil
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from packager.environments import interpreters
from packager.system.sandbox import Confinement
from packager.targets.lambda_emulator import Emulator, http_event
from tests.conformance.asking import Reply, ours
from tests.conformance.cases import JSON, Case
from tests.conformance.compare import DIFFERENT, EQUAL, asked, judged
from tests.conformance.reference import VERSION, theirs

ROOT = Path(__file__).parents[2]
PANDAS = importlib.metadata.version("pandas").partition(".")[0]
SERVED = """
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path += {path!r}

from handlers.aws_lambda import Function

FUNCTIONS = {{}}


def handler(event, context):
    number = event["direct"] if "direct" in event else event["headers"]["x-signature"]
    if number not in FUNCTIONS:
        FUNCTIONS[number] = Function(HERE / "signatures" / str(number))
    return FUNCTIONS[number](event.get("payload", event), context)
"""
LOADER = """
from tests.conformance.asking import Recorder, _Adapter


def load(manifest, folder):
    return _Adapter(Recorder())
"""


class AsksHttp(Protocol):
    def http(self, case: Case) -> Reply: ...


class Emulated:
    """Asks a running function; `numbers` are those of the signatures."""

    def __init__(self, running: Emulator, numbers: dict[str, int]) -> None:
        self._running = running
        self._numbers = numbers

    def http(self, case: Case) -> Reply:
        """What API Gateway would hand to the client."""
        headers = {"host": "test", "x-signature": str(self._numbers[key(case)])}
        if case.content_type is not None:
            headers["content-type"] = case.content_type
        path, _, query = case.path.partition("?")
        event = http_event(case.method, path, case.body, headers)
        answer = self._invoke({**event, "rawQueryString": query})
        assert "statusCode" in answer, (case.name, answer)
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        found = {name.lower(): value for name, value in answer["headers"].items()}
        told = {key: found[key] for key in ("allow", "location") if key in found}
        if "allow" in told:
            told["allow"] = ", ".join(sorted(told["allow"].split(", ")))
        media = found.get("content-type", "")
        return Reply(answer["statusCode"], media, content, tuple(told.items()))

    def direct(self, case: Case) -> Any:
        """The function's own answer, or `errorType` and `errorMessage`."""
        number = self._numbers[key(case)]
        return self._sent(b'{"direct": %d, "payload": %s}' % (number, case.body))

    def _invoke(self, event: Any) -> Any:
        return self._sent(json.dumps(event).encode())

    def _sent(self, payload: bytes) -> Any:
        return json.loads(self._running.invoke(payload).body)


LIBRARIES = (Path(sysconfig.get_paths()["purelib"]), ROOT)
"""Of this test's own environment, which the function imports from."""


class _Beside(Emulator):
    """A function that may also read this test's environment."""

    def _confine(self, more: Sequence[Path] = ()) -> Confinement:
        return super()._confine((*more, *LIBRARIES))


@contextmanager
def emulated(cases: Iterable[Case], folder: Path) -> Iterator[Emulated]:
    """A function for the cases' signatures, booted. Raises EmulatorError or ToolError."""
    numbers = signatures(cases, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "handlers", folder / "handlers", ignore=ignored)
    (folder / "handlers" / "loaders" / "recorder.py").write_text(LOADER, encoding="utf-8")
    path = [str(each) for each in LIBRARIES]
    (folder / "served.py").write_text(SERVED.format(path=path), encoding="utf-8")
    interpreter = interpreters.find("{}.{}".format(*sys.version_info))
    with _Beside(folder, interpreter=interpreter, handler="served.handler") as running:
        yield Emulated(running, numbers)


def signatures(cases: Iterable[Case], folder: Path) -> dict[str, int]:
    """Write a manifest for each signature below `folder`/signatures; its number by `key`."""
    numbers: dict[str, int] = {}
    for case in cases:
        number = numbers.setdefault(key(case), len(numbers))
        place = folder / "signatures" / str(number)
        if not place.exists():
            place.mkdir(parents=True)
            made = ours(case.signature, type_hints=case.type_hints, mlflow_version=VERSION)
            manifest = made.manifest.text().replace('"none"', '"recorder"')
            (place / "model-manifest.json").write_text(manifest, encoding="utf-8")
    return numbers


def key(case: Case) -> str:
    return json.dumps([case.signature, case.type_hints])


def over_http(asking: AsksHttp, cases: Iterable[Case]) -> tuple[Counter[str], list[str]]:
    """The verdicts against MLflow's server, and what differs, as text."""
    verdicts: Counter[str] = Counter()
    different = []
    for case in cases:
        expected = asked(case, theirs(case.signature, type_hints=case.type_hints))
        actual = asking.http(case)
        if expected.status == actual.status == 307:
            verdict = "a redirect, behind an API"
        else:
            verdict = judged(case, VERSION, expected, actual)
        verdicts[verdict] += 1
        if verdict == DIFFERENT:
            different.append(f"{case.name}:\n  MLflow {expected}\n  ours   {actual}")
    return verdicts, different


def invoked(asking: Emulated, cases: Iterable[Case]) -> tuple[Counter[str], list[str]]:
    """Of those that a direct invoke can hold: against MLflow's server, by value.

    A refusal is held to the words that ours gives over HTTP, which `over_http` holds to MLflow's.
    """
    verdicts: Counter[str] = Counter()
    different = []
    for case in cases:
        if not direct(case):
            continue
        expected = asked(case, theirs(case.signature, type_hints=case.type_hints))
        refused = expected if expected.status == 200 else asking.http(case)
        actual = asking.direct(case)
        same = (
            actual == expected.json
            if refused.status == 200
            else actual.get("errorMessage") == "{error_code}: {message}".format(**refused.json)
            and actual["errorType"] == "BadRequestError"
        )
        verdicts[EQUAL if same else DIFFERENT] += 1
        if not same:
            different.append(f"{case.name}:\n  MLflow {expected}\n  ours   {actual}")
    return verdicts, different


def direct(case: Case) -> bool:
    """Whether a payload, which is JSON in UTF-8 to Lambda, can be this request."""
    if case.method != "POST" or case.path != "/invocations" or case.content_type != JSON:
        return False
    try:
        value = json.loads(case.body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def _no_constant(name: str) -> None:
    raise ValueError(name)
