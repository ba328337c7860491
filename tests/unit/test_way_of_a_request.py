"""The files that a request passes are those that docs/design.md lists, in that order.

A function answers under a profiler that notes each file of handlers/ as the call comes to it.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handlers.manifest import FILENAME, Manifest
from packager.commands import local_boot
from packager.probes.aws_source_events import source_event
from tests import models
from tests.handlers.invoking import event, run
from tests.handlers.modelling import laid_out, with_handlers

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "design.md").read_text(encoding="utf-8")
VOCABULARY = {"values.py", "manifest.py"}
"""Constants and types, which every step reads."""
AT_START = "scoring/predictor.py"
"""Named by the page, and passed before the first request."""
QUEUE = "https://sqs.us-east-1.amazonaws.com/1/answers"


def list_steps(heading: str) -> list[str]:
    """Files of the numbered list under a heading of the page, relative to handlers/."""
    (section,) = re.findall(rf"^### {heading}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    steps = re.findall(r"^\d+\. ((?:.*\n)(?:   .*\n)*)", section, re.MULTILINE)
    named = [name for step in steps for name in re.findall(r"`handlers/([\w/]+\.py)`", step)]
    return [name for name in named if name != AT_START]


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("function")
    laid_out(models.folder("onnx_columns"), into)
    manifest = replace(Manifest.read(into), events=["sqs"])
    (into / FILENAME).write_text(manifest.text(), encoding="utf-8")
    return with_handlers(into)


def list_passed(function: Path, work: Path, sent: Any, **variables: str) -> tuple[Any, list[str]]:
    """The answer to the second of two requests, and our files that it passed."""
    done = run(function, [sent, sent], work, TRACE_FILES="1", **variables).results[1]
    return done["answer"], [name for name in done["passed"] if name not in VOCABULARY]


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["apigateway_http", "apigateway_rest", "function_url", "alb"])
def test_an_http_request_passes_the_files_of_the_page(
    name: str, function: Path, tmp_path: Path
) -> None:
    answer, passed = list_passed(function, tmp_path, event(name))

    assert answer["statusCode"] == 200
    assert passed == list_steps("An HTTP request between API Gateway and the model, file by file")


def test_a_message_passes_the_files_of_the_page(function: Path, tmp_path: Path) -> None:
    stand_in = tmp_path / "stand in"
    shutil.copytree(local_boot._STAND_IN, stand_in)
    request = json.loads(event("apigateway_http")["body"])

    answer, passed = list_passed(
        function,
        tmp_path,
        source_event("sqs", request),
        PYTHONPATH=f"{stand_in}:{function}",
        PACKAGER_STAND_IN="handlers.aws_clients",
        PACKAGER_OUTPUT=f"sqs:{QUEUE}",
    )

    assert answer == {"batchItemFailures": []}
    assert passed == list_steps("A message between a queue and the model, file by file")
