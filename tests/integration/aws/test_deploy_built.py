"""The main job to its end: a built model, deployed as a user would, answers every emitted event."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.integration.aws.conftest import Sam
from tests.integration.aws.test_deploy import Cloud

pytestmark = pytest.mark.slow


@pytest.fixture
def cloud(endpoint: str, credentials: dict[str, str]) -> Cloud:
    return Cloud(endpoint, credentials)


def test_a_built_model_is_deployed_and_answers(
    artifact: Path, tmp_path: Path, sam_in: Sam, cloud: Cloud
) -> None:
    out = shutil.copytree(artifact, tmp_path / "dist")  # sam leaves its own folder beside it
    body = json.loads((out / "function" / "model" / "serving_input_example.json").read_text())

    sam_in(out, "validate", "--lint")
    sam_in(out, "deploy", "--stack-name", "built", "--no-confirm-changeset")

    function = cloud.outputs_of("built")["FunctionName"]
    deployed = cloud.functions.get_function(FunctionName=function)["Configuration"]
    digest = hashlib.sha256((out / "function.zip").read_bytes())
    assert deployed["CodeSha256"] == base64.b64encode(digest.digest()).decode()
    report = json.loads((out / "report.json").read_text())
    assert report["artifact"]["sha256"] == digest.hexdigest()

    _, expected = cloud.ask(function, body)
    assert len(expected["predictions"]) == len(body["dataframe_split"]["data"])
    for path in sorted((out / "events").glob("*.json")):
        answer, value = cloud.ask(function, json.loads(path.read_text()))
        assert answer["StatusCode"] == 200, path.name
        assert "FunctionError" not in answer, path.name
        if "statusCode" in value:
            assert value["statusCode"] == 200, path.name
            value = json.loads(value["body"])
        assert value == expected, path.name
