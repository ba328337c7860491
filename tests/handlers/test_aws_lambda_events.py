"""Events through the entry point: answered, and nothing loaded beyond what it was built for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handlers.events import aws_sources
from handlers.manifest import FILENAME, Manifest
from packager.types import Frame, Tier
from tests import models
from tests.handlers.invoking import event, run
from tests.handlers.modelling import fresh, laid_out, with_handlers

_LOADED = """
import json, sys
sys.path.insert(0, sys.argv[2])
from handlers.aws_lambda import handler
before = set(sys.modules)
class Context:
    aws_request_id = "r"
    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "f"
    def get_remaining_time_in_millis(self):
        return 3000
answer = handler(json.loads(sys.argv[1]), Context())
print(json.dumps([answer, sorted(sys.modules), len(before)]))
"""
_FAILED = """
import json, sys
sys.path.insert(0, sys.argv[2])
from handlers.aws_lambda import handler
class Context:
    aws_request_id = "r"
    function_name = function_version = memory_limit_in_mb = invoked_function_arn = "f"
    def get_remaining_time_in_millis(self):
        return 60_000
try:
    handler(json.loads(sys.argv[1]), Context())
except Exception as error:
    print(json.dumps([type(error).__name__, sorted(sys.modules)]))
"""
WEB = {"mangum.handlers", "mangum", "starlette", "fastapi", "pydantic", "asyncio"}
AWS = {"boto3", "botocore.session", "botocore.client", "s3transfer", "urllib3"}
NOT_ASKED_FOR = {
    "handlers.observability.drift", "handlers.observability.sketches", "handlers.files",
    "handlers.files.jobs",
    "handlers.aws_clients",
}  # fmt: skip
"""What comes with a baseline, with files, and with something that is asked of AWS."""
MODULES_CEILING = 20
"""What event sources add to a function that was built for one of them."""


def built_for(into: Path, *names: str) -> Path:
    laid_out(models.folder("onnx_columns"), into, Tier.NATIVE, Frame.NUMPY)
    manifest = replace(Manifest.read(into), events=list(names))
    (into / FILENAME).write_text(manifest.text(), encoding="utf-8")
    return with_handlers(into)


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_for(tmp_path_factory.mktemp("function"), "stepfunctions")


@pytest.fixture(scope="module")
def none(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_for(tmp_path_factory.mktemp("none"))


def loaded(folder: Path, sent: Any) -> tuple[Any, set[str], int]:
    out = fresh(_LOADED, json.dumps(sent), folder, cwd=folder).splitlines()[-1]
    answer, modules, before = json.loads(out)
    return answer, set(modules), before


def test_the_event_path_loads_its_own_source_and_nothing_else(function: Path, none: Path) -> None:
    answer, modules, start = loaded(function, event("stepfunctions_batch"))
    direct, plain, bare = loaded(none, event("direct"))

    assert [len(each["predictions"]) for each in answer] == [1, 1]
    assert [row for each in answer for row in each["predictions"]] == direct["predictions"]
    assert modules.isdisjoint(WEB | AWS)
    read = {name for name in modules if name.startswith("handlers.events.aws_sources.")}
    assert read == {"handlers.events.aws_sources.stepfunctions"}
    assert start - bare <= MODULES_CEILING
    assert (
        not {
            "handlers.events.event_processor",
            "handlers.scoring.request_merging",
            "handlers.events.destinations",
        }
        & plain
    )
    assert not {f"handlers.events.aws_sources.{name}" for name in aws_sources.SOURCES} & plain
    assert not NOT_ASKED_FOR & plain


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name", sorted({*aws_sources.SOURCES} - {*aws_sources.OF_FILES, "stepfunctions"})
)
def test_what_another_source_needs_is_not_loaded(tmp_path: Path, name: str) -> None:
    folder = built_for(tmp_path, name)
    sent = json.dumps(event({"kafka": "kafka_msk"}.get(name, name)))

    kind, modules = json.loads(fresh(_FAILED, sent, folder, cwd=folder).splitlines()[-1])

    assert kind == "NoOutputError"  # its own event, and no place for answers
    found = {module for module in modules if module.startswith("handlers.events.aws_sources.")}
    assert found == {f"handlers.events.aws_sources.{name}"}
    assert set(modules).isdisjoint(WEB | AWS | NOT_ASKED_FOR)


def test_nothing_of_aws_is_needed_before_something_is_configured(tmp_path: Path) -> None:
    """As where an artifact is proven: the runtime's own packages are not there."""
    folder = built_for(tmp_path, *aws_sources.SOURCES)

    answer, modules, _ = loaded(folder, event("stepfunctions_batch"))

    assert [len(each["predictions"]) for each in answer] == [1, 1]
    assert modules.isdisjoint(WEB | AWS | NOT_ASKED_FOR)


def test_a_file_loads_what_files_need_and_no_other_source(tmp_path: Path) -> None:
    pytest.importorskip("botocore", reason="the runtime's own; not among what ships")
    folder = built_for(tmp_path, "files")
    sent = {"input": "s3://data/in.txt", "output": "s3://data/out.jsonl"}

    kind, modules = json.loads(
        fresh(
            _FAILED,
            json.dumps(sent),
            folder,
            cwd=folder,
            AWS_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_ENDPOINT_URL="http://127.0.0.1:1",
            PACKAGER_FILES="1",
        ).splitlines()[-1]
    )

    assert kind == "RecordsFailedError"
    found = {name for name in modules if name.startswith("handlers.events.aws_sources.")}
    assert found == {"handlers.events.aws_sources.files"}
    assert not {"pandas", "pyarrow", "boto3", *WEB} & set(modules)


def test_another_source_s_event_is_a_bad_request(function: Path, tmp_path: Path) -> None:
    done = run(function, [event("sqs"), event("stepfunctions_item"), event("direct")], tmp_path)

    refused, item, direct = done.results
    assert refused["error"]["type"] == "BadRequestError"
    assert item["answer"]["predictions"] == direct["answer"]["predictions"][:1]


def test_records_are_counted(function: Path, tmp_path: Path) -> None:
    sent = event("stepfunctions_batch")
    sent["Items"].append({"age": "old"})

    done = run(function, [sent], tmp_path)

    (record,) = done.metrics
    counted = {name: record[name][0] for name in record if name.startswith("Records")}
    assert counted == {"Records": 3, "RecordsRefused": 1, "RecordsAgain": 0, "RecordsKnown": 0}
    assert (record["Rows"], record["Errors"], record["BadRequests"]) == ([2.0], [0.0], [0.0])


def test_answers_without_a_destination_are_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "function").mkdir()
    folder = built_for(tmp_path / "function", "sqs")

    done = run(folder, [event("sqs"), event("direct")], tmp_path)

    assert done.results[0]["error"] == {
        "type": "NoOutputError",
        "message": "PACKAGER_OUTPUT is empty, so answers to sqs would be lost. Build with "
        "--output-to, or set the variable.",
    }
    assert "predictions" in done.results[1]["answer"]


def test_a_malformed_event_is_a_fault_that_quotes_nothing(tmp_path: Path) -> None:
    (tmp_path / "function").mkdir()
    folder = built_for(tmp_path / "function", "stepfunctions", "schedule")
    sent = {"scheduled": "now", "execution": ["s3cr3t"], "request": {}}

    done = run(folder, [sent], tmp_path)

    assert "s3cr3t" not in done.stdout + done.stderr + json.dumps(done.results)
    assert "error" in done.results[0]
