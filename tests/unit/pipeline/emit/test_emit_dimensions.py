"""Whatever a model is called, its alarms and graphs watch the very metrics that it writes."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from aws_lambda_powertools import Metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handlers.manifest import Manifest
from handlers.observability import dimension_value, of_model, sketches
from handlers.observability.drift import Drift
from handlers.observability.lambda_telemetry import Recorder
from handlers.observability.sketches import Baseline
from packager.pipeline.emit import _render_templates
from packager.pipeline.emit._context import context
from packager.pipeline.emit._sizing import size
from packager.types import Artifact, FileRecord
from tests import examples, fake_plan, sam

NAMES = (
    "Kündigung (Q3) v2",
    "😀" * 200,
    "日本語",
    "שלום",
    "\u202eevil",
    '"',
    "'",
    "a\nb\r\n- c",
    "\x00\x7f",
    "${AWS::Region}",
    "!Sub x",
    "!Ref AWS::Region",
    "{{resolve:ssm:x}}",
    "x" * 300,
    "..",
    "-",
    "--x",
    ":x",
    " ",
    "",
    "a: b # c",
    "\\",
    "yes",
    "7",
    "<b>",
    "a|b",
    "%s",
    "{{ 7 * 7 }}",
    "a/b@c",
)
VALUE = re.compile(r"(?!:)[ -~]{1,250}")


@given(text=st.text(max_size=400) | st.sampled_from(NAMES))
def test_any_text_becomes_a_value_that_cloudwatch_takes(text: str) -> None:
    value = dimension_value(text)

    assert VALUE.fullmatch(value)
    assert value.strip() == value != ""
    assert not re.search(r'[{}$"\\]', value)
    assert dimension_value(value) == value


@given(texts=st.lists(st.text(max_size=40), min_size=2, max_size=2, unique=True))
@example(texts=["Kündigung", "Kïndigung"])
@example(texts=["x" * 300, "x" * 301])
@example(texts=["", " "])
def test_two_texts_stay_two_values(texts: list[str]) -> None:
    assert dimension_value(texts[0]) != dimension_value(texts[1])


@pytest.mark.parametrize("text", ["churn", "Churn (v2), by region", "7", "a-b_c/d:e", "-x", "it's"])
def test_what_is_a_value_stays_as_it_is(text: str) -> None:
    assert dimension_value(text) == text


def template(name: str) -> dict[str, Any]:
    """Of a function with a baseline."""
    plan = fake_plan.plan(model=fake_plan.model(name, version=name or None))
    folder = Path("/build/out/function")
    artifact = Artifact(
        path=folder.with_suffix(".zip"),
        folder=folder,
        sha256=fake_plan.DIGEST,
        size_bytes=1,
        unzipped_bytes=1,
    )
    verified = fake_plan.verified(Path("/nonexistent"))
    drift = FileRecord(PurePosixPath(sketches.FILENAME), fake_plan.DIGEST, 9)
    bundle = replace(verified.bundle, files=(*verified.bundle.files, drift))
    verified = replace(verified, bundle=bundle)
    values = context(artifact, verified, plan, size(plan, verified.evidence))
    return sam.parse(_render_templates(plan, values)["template.yaml"])


def alarms(made: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {each["Name"]: each["Value"] for each in resource["Properties"]["Dimensions"]}
        for resource in made["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"]["Namespace"] == "ModelServing"
    ]


def graphs(made: dict[str, Any]) -> list[dict[str, str]]:
    body = json.loads(made["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    lines = [line for widget in body["widgets"] for line in widget["properties"]["metrics"]]
    own = [line[2:-1] for line in lines if line[0] == "ModelServing"]
    return [dict(zip(line[::2], line[1::2], strict=True)) for line in own]


def written(name: str, service: str) -> dict[str, str]:
    """The dimensions of what the handler writes, in the environment of the template."""
    manifest = Manifest(
        model_name=name,
        model_version=name or None,
        digest="0",
        flavor="x",
        loader="x",
        python="3.13",
        request_bytes=1,
        response_bytes=1,
    )
    for shared in (Metrics._dimensions, Metrics._default_dimensions):
        shared.clear()  # a function's process has one recorder
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        recorder = Recorder(manifest, service or name)
        recorder.record(latency_ms=1, model_ms=1, rows=1, failed=False, refused=False)
    record = json.loads(out.getvalue())
    ((*names,),) = record["_aws"]["CloudWatchMetrics"][0]["Dimensions"]
    return {key: record[key] for key in names}


@settings(max_examples=examples.count(40), deadline=None)
@given(
    name=st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
)
@example(name="Kündigung (Q3) v2")
def test_alarms_and_graphs_watch_what_is_written(name: str) -> None:
    made = template(name)
    variables = made["Resources"]["Function"]["Properties"]["Environment"]["Variables"]

    watched = [*alarms(made), *graphs(made)]

    told = written(name, variables["POWERTOOLS_SERVICE_NAME"])
    assert all(VALUE.fullmatch(value) for value in told.values())
    assert len(alarms(made)) == 2
    assert watched == [told] * len(watched)


def test_cfn_lint_finds_nothing_whatever_the_name() -> None:
    made = template("Kündigung ${AWS::Region} {{resolve:ssm:x}}\n!Sub \U0001f600" * 9)
    made["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://bucket/function.zip"

    assert sam.lint(json.dumps(sam.transformed(made))) == []


def test_a_column_s_name_is_a_value_too() -> None:
    lines: list[str] = []
    column = sketches.sketch("Größe ${x}", np.linspace(0, 1, 200))
    base = Baseline(source="a table", rows=200, inputs=(column,))
    drift = Drift(base, lines.append, of_model("m", None), {"PACKAGER_DRIFT_ROWS": "2"})

    drift.observe({"Größe ${x}": np.full(9, 0.5)}, np.ones(9))
    drift.end_invocation(1.0)

    told = [json.loads(line)["column"] for line in lines if "column" in json.loads(line)]
    assert told
    assert all(VALUE.fullmatch(name) for name in told)
