"""A function whose AWS is recorded: what it sends is told, whatever its source and destination."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from handlers.events import aws_sources, destinations
from packager.commands import local_boot
from packager.probes.aws_source_events import source_event
from packager.probes.aws_source_events.s3 import NOTICES, notice_event
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import Ran, run
from tests.handlers.modelling import laid_out, with_handlers

COLUMNS = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
ROW = dict.fromkeys(COLUMNS, 1.5)
TO = {
    "s3": "s3://answers/churn",
    "sqs": "sqs:https://sqs.us-east-1.amazonaws.com/1/answers",
    "eventbridge": "eventbridge:answers",
    "dynamodb": "dynamodb:answers",
    "firehose": "firehose:answers",
}
FAILURES = "https://sqs.us-east-1.amazonaws.com/1/failures"
SENT_TO = {"s3": "s3://answers/churn/sqs/", "sqs": TO["sqs"].removeprefix("sqs:")}


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("function")
    manifest, _ = laid_out(models.folder("pyfunc_loader"), into, Tier.NATIVE, Frame.PANDAS)
    file = into / "model-manifest.json"
    told = {**json.loads(manifest.text()), "events": list(aws_sources.SOURCES)}
    file.write_text(json.dumps(told), encoding="utf-8")
    return with_handlers(into)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand in")
    for path in local_boot._STAND_IN.glob("*.py"):
        shutil.copyfile(path, folder / path.name)
    (folder / "object.json").write_text(json.dumps({"dataframe_records": [ROW, ROW]}))
    return folder


def asked(function: Path, stand_in: Path, work: Path, sent: list[Any], **more: str) -> Ran:
    return run(
        function,
        sent,
        work,
        PYTHONPATH=f"{stand_in}:{function}",
        PACKAGER_STAND_IN="handlers.aws_clients",
        PACKAGER_FAILURES=FAILURES,
        PACKAGER_NOTICES=NOTICES,
        **more,
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("kind", destinations.KINDS)
def test_what_is_sent_is_told(function: Path, stand_in: Path, tmp_path: Path, kind: str) -> None:
    ran = asked(
        function, stand_in, tmp_path, [source_event("sqs", ROW)] * 2, PACKAGER_OUTPUT=TO[kind]
    )

    sent = local_boot.read_sent(ran.stdout)

    assert len(sent) == 2
    assert sent[0]["to"].startswith(SENT_TO.get(kind, TO[kind]))
    assert len(json.loads(sent[0]["body"])["predictions"]) == 1
    assert [result["answer"] for result in ran.results] == [{"batchItemFailures": []}] * 2
    assert "PACKAGER-SENT" not in local_boot.without_sent(ran.stdout)


def test_every_source_is_answered(function: Path, stand_in: Path, tmp_path: Path) -> None:
    sent = [*(source_event(name, ROW) for name in aws_sources.SOURCES), notice_event()]

    ran = asked(function, stand_in, tmp_path, sent, PACKAGER_OUTPUT=TO["s3"])

    assert [result for result in ran.results if "error" in result] == []
    told = local_boot.read_sent(ran.stdout)
    mute = [each.NAME for each in aws_sources.load(aws_sources.SOURCES) if not each.RETURNS]
    assert not [each for each in told if each["to"] == FAILURES]
    for name in (*mute, "files"):
        part = {"s3": "request.json.jsonl", "files": "request.jsonl"}.get(name, f"/{name}/")
        assert [each for each in told if part in each["to"]], name


def test_a_table_remembers_and_failures_have_their_reason(
    function: Path, stand_in: Path, tmp_path: Path
) -> None:
    bad = source_event("kinesis", {"x": "no"})
    good = source_event("sqs", ROW)

    ran = asked(
        function, stand_in, tmp_path, [good, good, bad],
        PACKAGER_OUTPUT=TO["sqs"], PACKAGER_ONCE_TABLE="answered",
    )  # fmt: skip

    sent = local_boot.read_sent(ran.stdout)
    assert [each["to"] for each in sent] == [TO["sqs"].removeprefix("sqs:"), FAILURES]
    assert sent[1]["attributes"]["error_code"] == "INVALID_PARAMETER_VALUE"
