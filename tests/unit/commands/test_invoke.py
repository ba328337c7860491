"""How `packager invoke` reads what the function answered."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from packager.commands import invoke, serve
from packager.commands.invoke import has_failed, is_refused
from packager.errors import ConfigurationError
from packager.targets.hosts import Answered
from packager.targets.hosts.runtime_interface_client import read
from packager.targets.lambda_emulator import Invocation
from tests import fake_plan
from tests.handlers import scorers
from tests.unit.deployments import deploying


def answered(answer: bytes, *, http: bool) -> Answered:
    return read(Invocation(status=200, body=answer, seconds=0.1), direct=not http)


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ({"predictions": [1]}, "answered"),
        ([1, 2], "answered"),
        ({"errorType": "BadRequestError", "errorMessage": "no"}, "refused"),
        ({"errorType": "PayloadTooLargeError", "errorMessage": "no"}, "refused"),
        ({"errorType": "ModelFailedError", "errorMessage": "no"}, "failed"),
        ({"errorType": "Runtime.ImportModuleError"}, "failed"),
        ({"statusCode": 200, "body": "{}"}, "answered"),
        ({"statusCode": 400, "body": "{}"}, "refused"),
        ({"statusCode": 413, "body": "{}"}, "refused"),
        ({"statusCode": 500, "body": "{}"}, "failed"),
    ],
)
def test_a_refusal_is_told_from_a_failure(answer: Any, ends: str) -> None:
    found = answered(json.dumps(answer).encode(), http="statusCode" in answer)

    assert has_failed(found) == (ends != "answered")
    assert is_refused(found) == (ends == "refused")


def test_what_is_no_json_has_failed() -> None:
    found = answered(b"<html>", http=True)

    assert (has_failed(found), is_refused(found), found.text) == (True, False, "<html>")


def test_the_body_of_an_http_answer_is_shown() -> None:
    body = base64.b64encode(b"all of it").decode()
    answer = {"statusCode": 200, "body": body, "isBase64Encoded": True}

    assert answered(json.dumps(answer).encode(), http=True).text == "all of it"


def test_without_data_each_door_is_sent_the_example_in_its_own_form(tmp_path: Path) -> None:
    manifest = scorers.manifest(example="model/example.json")
    home = tmp_path / "function"
    direct = tmp_path / "events" / "direct.json"

    assert invoke._example(tmp_path, home, manifest, "direct") == home / "model" / "example.json"
    direct.parent.mkdir()
    direct.touch()
    assert invoke._example(tmp_path, home, manifest, "direct") == direct
    assert invoke._example(tmp_path, home, manifest, "http") == home / "model" / "example.json"


def test_a_link_in_an_artifact_is_not_sent_as_its_example(tmp_path: Path) -> None:
    """It could lead to any file of yours, and the model is sent what is in it."""
    manifest = scorers.manifest(example=None)
    (tmp_path / "events").mkdir()
    secret = tmp_path / "credentials"
    secret.write_text("s")
    for name in ("events/direct.json", "request.json"):
        (tmp_path / name).symlink_to(secret)

    assert invoke._example(tmp_path, tmp_path / "function", manifest, "direct") is None
    assert invoke._example(tmp_path, tmp_path / "function", manifest, "http") is None


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_what_lambda_would_not_take_is_refused_with_what_to_write(constant: str) -> None:
    body = f'{{"inputs": [{constant}]}}'.encode()

    with pytest.raises(ConfigurationError, match="write null, or add --http"):
        invoke._check_body(body, "direct")
    assert invoke._check_body(body, "http") == body


def test_an_artifact_of_another_machine_is_neither_invoked_nor_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deploying.artifact(tmp_path, architecture="arm64")
    for module in (invoke, serve):
        monkeypatch.setattr(module, "why_not_provable", lambda asked, *_: f"Not {asked} here.")

    with pytest.raises(ConfigurationError, match=r"Not arm64 here\."):
        invoke.invoke_artifact(
            folder, data=None, http=False, content_type="", repeat=1, memory_mb=None
        )
    with pytest.raises(ConfigurationError, match=r"Not arm64 here\."):
        serve.prepare(
            str(folder), fake_plan.request(), lambda: pytest.fail("asked"), deployed=False
        )


@pytest.mark.parametrize("here", ["the artifact", "another folder"])
def test_a_file_of_the_artifact_is_named_from_anywhere(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other = tmp_path / "an artifact", tmp_path / "other"
    for each in (folder / "events", other):
        each.mkdir(parents=True)
    (folder / "events" / "sqs.json").write_text("its own")
    monkeypatch.chdir(folder if here == "the artifact" else other)

    assert invoke._request_body("@events/sqs.json", None, folder) == b"its own"
    (Path.cwd() / "events").mkdir(exist_ok=True)
    (Path.cwd() / "events" / "sqs.json").write_text("from here")
    assert invoke._request_body("@events/sqs.json", None, folder) == b"from here"
    with pytest.raises(ConfigurationError, match=r"cannot be read.*events/none\.json"):
        invoke._request_body("@events/none.json", None, folder)
