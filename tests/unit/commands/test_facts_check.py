"""What is known of the platforms, held to the vendors' models, and to its age."""

from __future__ import annotations

import copy
import importlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from typer.testing import CliRunner

from packager import cli, facts
from packager.commands.facts_check import report_facts
from packager.environments.machine import installation
from packager.errors import FactsError
from packager.system.resources import FACTS
from packager.types import Device, FactsReport

TODAY = date(2026, 11, 30)
RUN = CliRunner()


def change_lambda(folder: Path, old: str, new: str) -> Path:
    text = (FACTS / "aws_lambda.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "aws_lambda.toml").write_text(text.replace(old, new), encoding="utf-8")
    return folder


def list_differing(found: FactsReport) -> list[str]:
    return [each["fact"] for each in found["checks"] if not each["holds"]]


def check(folder: Path | None = None, today: date = TODAY) -> FactsReport:
    return report_facts(folder, today=today, check=True)


def test_our_facts_hold_to_the_models_that_are_installed() -> None:
    found = check()

    assert list_differing(found) == []
    names = {each["fact"] for each in found["checks"]}
    assert {
        "aws_lambda.toml limits timeout_seconds",
        "aws_lambda_image.toml limits memory_mb",
        "aws_lambda.toml managed_instances concurrency",
        "aws_lambda.toml runtimes python3.14",
        "azure_functions.toml runtimes",
        "azure_functions.toml weights",
        "modules.toml modules names",
        "prices.toml machines g5.xlarge gpu-container name",
    } <= names
    assert "botocore" in found["models"][0]
    assert "azure-mgmt-web" in found["models"][1]


def test_every_field_is_compared_or_listed_with_its_source_day_and_age() -> None:
    found = check()
    stated = {
        f"{fact['file']} {fact['name']} {field}"
        for fact in found["facts"]
        for field in fact["values"]
    }
    compared = {field for each in found["checks"] for field in each["fields"]}
    listed = {
        f"{each['file']} {each['name']} {field}"
        for each in found["not_compared"]
        for field in each["fields"]
    }

    assert stated <= compared | listed
    assert not compared & listed
    for each in found["not_compared"]:
        assert each["source"].startswith("https://")
        assert each["days"] == (TODAY - date.fromisoformat(each["as_of"])).days
    prices = {each["name"] for each in found["not_compared"] if each["file"] == "prices.toml"}
    assert "functions aws-lambda x86_64" in prices


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("timeout_seconds = 1800 ", "timeout_seconds = 9000 ", "limits timeout_seconds"),
        ("timeout_seconds = 5400", "timeout_seconds = 5401", "managed_instances timeout_seconds"),
        ("memory_mb = [128, 10240]", "memory_mb = [64, 10240]", "limits memory_mb"),
        ("memory_mb = [128, 32768]", "memory_mb = [128, 16384]", "managed_instances memory_mb"),
        ("tmp_bytes = 536870912", "tmp_bytes = 268435456", "limits tmp_bytes"),
        ("concurrency = 1600", "concurrency = 100", "managed_instances concurrency"),
        ('name = "python3.14"', 'name = "python3.99"', "runtimes python3.99"),
        ('runtimes = ["python3.15"]', "runtimes = []", "left_out python3.15"),
        ("request_bytes = 6291456", "request_bytes = 6291457", "limits request_bytes"),
        ("response_bytes = 6291456", "response_bytes = 6291457", "limits response_bytes"),
        ("tmp_most_bytes = 10737418240", "tmp_most_bytes = 1", "weights tmp_most_bytes"),
        ("least_memory_mb = 2048", "least_memory_mb = 64", "instance_environments least_memory_mb"),
        ('python = "3.13" ', 'python = "3.99" ', "instance_environments python"),
    ],
)
def test_a_fact_that_the_model_does_not_have_is_found(
    tmp_path: Path, old: str, new: str, differs: str
) -> None:
    found = check(change_lambda(tmp_path, old, new))

    assert f"aws_lambda.toml {differs}" in list_differing(found)
    assert not found["holds"]
    assert all(each["remedy"] for each in found["checks"] if not each["holds"])


def test_what_a_folder_does_not_state_differs_too(tmp_path: Path) -> None:
    text = (FACTS / "aws_lambda.toml").read_text(encoding="utf-8")
    start, end = text.index("# Lambda Managed Instances"), text.index("# The sandbox that")
    (tmp_path / "aws_lambda.toml").write_text(text[:start] + text[end:], encoding="utf-8")

    assert "aws_lambda.toml managed_instances concurrency" in list_differing(check(tmp_path))


def test_a_fact_is_old_after_ninety_days(tmp_path: Path) -> None:
    (tmp_path / "cpu.toml").write_text(
        '[[excluded]]\npattern = "x"\nsource = "https://example.org"\nas_of = 2026-01-01\n',
        encoding="utf-8",
    )

    def names(today: date) -> list[str]:
        return [each["name"] for each in check(tmp_path, today)["old"]]

    assert "excluded x" not in names(date(2026, 4, 1))
    assert "excluded x" in names(date(2026, 4, 2))
    assert report_facts(tmp_path, today=TODAY, check=False)["old"] == []


def test_without_botocore_nothing_is_said_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def refuse(name: str, package: str | None = None) -> Any:
        if name.startswith(("botocore", "azure.mgmt")):
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", refuse)
    found = check()

    assert list_differing(found) == ["Lambda's limits and runtimes"]
    assert installation.name_install(extra="aws") in found["checks"][0]["remedy"]
    assert any("azure-mgmt-web is not installed" in each for each in found["models"])


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("shape", "unknown"),
    [
        ("PerExecutionEnvironmentMaxConcurrency", "managed_instances concurrency"),
        ("EphemeralStorageSize", "limits tmp_bytes"),
        ("SnapStartApplyOn", "runtimes snapstart"),
    ],
)
@pytest.mark.parametrize("has_shape", [True, False])
def test_an_older_botocore_is_said_to_be_old(
    shape: str, unknown: str, *, has_shape: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = importlib.import_module("botocore.session").get_session().get_service_model("lambda")
    description = copy.deepcopy(model._service_description)
    described = description["shapes"]
    if has_shape:  # with no limits of it
        described[shape] = {"type": described[shape]["type"]}
    else:
        del described[shape]
    older = type(model)(description, "lambda")
    real = Session.get_service_model

    def read(session: Session, name: str) -> Any:
        return older if name == "lambda" else real(session, name)

    monkeypatch.setattr(Session, "get_service_model", read)
    found = check()

    (old,) = (each for each in found["checks"] if each["fact"] == f"aws_lambda.toml {unknown}")
    assert not old["holds"]
    assert old["model"] == f"{shape} is unknown"
    assert installation.name_upgrade("botocore") in old["remedy"]
    everywhere = {f"aws_lambda.toml {unknown}", f"aws_lambda_image.toml {unknown}"}
    managed = {"aws_lambda.toml managed_instances tmp_mb"}
    assert {*list_differing(found)} <= everywhere | managed


@pytest.mark.parametrize("shape", ["FunctionsScaleAndConcurrency", "RuntimeName"])
def test_an_older_model_of_azure_is_said_to_be_old(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = pytest.importorskip("azure.mgmt.web.models")
    monkeypatch.delattr(models, shape)

    (old,) = (each for each in check()["checks"] if not each["holds"])
    assert old["model"] == f"{shape} is unknown"
    assert installation.name_upgrade("azure-mgmt-web") in old["remedy"]


def test_a_file_that_does_not_hold_together_is_refused(tmp_path: Path) -> None:
    folder = change_lambda(tmp_path, "as_of = 2026-11-28", 'as_of = "soon"')

    for wanted in (True, False):
        with pytest.raises(FactsError, match="as_of must be a day"):
            report_facts(folder, today=TODAY, check=wanted)


def test_facts_are_printed_with_their_source_and_day() -> None:
    found = RUN.invoke(cli.app, ["facts"])

    assert found.exit_code == 0
    lines = [line.strip() for line in found.output.splitlines()]
    assert "timeout_seconds = 1800" in lines
    limits = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html, 2026-11-22"
    assert limits in lines
    assert "functions azure-functions x86_64" not in lines
    assert any("unchecked: read at https://modal.com" in line for line in lines)


def test_a_check_ends_with_one_where_a_fact_differs(tmp_path: Path) -> None:
    folder = change_lambda(tmp_path, "timeout_seconds = 1800 ", "timeout_seconds = 9000 ")

    said = RUN.invoke(cli.app, ["facts", "--check", "--facts-dir", str(folder)])
    told = RUN.invoke(cli.app, ["facts", "--check", "--facts-dir", str(folder), "--json"])

    assert said.exit_code == told.exit_code == 1
    assert (
        "differs aws_lambda.toml limits timeout_seconds: 9000 (model: Timeout 1 to" in said.output
    )
    assert "aws_lambda.toml limits timeout_seconds" in list_differing(json.loads(told.output))


def test_facts_and_prices_that_a_build_goes_by_are_told_of_where_they_are_old() -> None:
    day = date(2027, 6, 15)
    old = facts.list_old("azure-functions", Device.CPU, day)

    files = {"azure_functions.toml", "prices.toml", "tools.toml", "libraries.toml", "modules.toml"}
    assert {fact.file for fact in old} == files | {"cpu.toml"}
    priced = {fact.name for fact in old if fact.file == "prices.toml"}
    assert "functions azure-functions" in priced
    assert "fronts http-api" in priced
    assert not {name for name in priced if "aws-lambda" in name or "gpu-container" in name}
    assert "gpu.toml" in {fact.file for fact in facts.list_old("gpu-container", Device.CUDA, day)}
    # the one price that nobody has read since, which those who build for another target go without
    assert facts.list_old("azure-functions", Device.CPU, TODAY) == ()
    (price,) = facts.list_old("gpu-container", Device.CUDA, TODAY)
    said = facts.describe_old([price], TODAY)
    assert said.startswith(
        "prices.toml machines g5.xlarge gpu-container was last read 166 days ago:"
    )
    assert "ago, and 1 more more than 90 days ago: " in facts.describe_old([price] * 2, TODAY)


def test_what_is_old_is_a_warning_with_an_end_of_its_own() -> None:
    said = RUN.invoke(cli.app, ["facts", "--check"])
    failed = RUN.invoke(cli.app, ["facts", "--fail-on-old"])

    assert (said.exit_code, failed.exit_code) == (0, 1)
    assert said.output == failed.output
    assert "old     prices.toml machines g5.xlarge" in said.output


def test_a_day_to_come_differs(tmp_path: Path) -> None:
    found = check(change_lambda(tmp_path, "as_of = 2026-11-28", "as_of = 2027-11-28"))

    assert "aws_lambda.toml left_out as_of" in list_differing(found)


@pytest.mark.parametrize("line", ["source", "as_of"])
def test_a_fact_without_its_source_or_day_is_refused(tmp_path: Path, line: str) -> None:
    text = (FACTS / "prices.toml").read_text(encoding="utf-8")
    cut = "\n".join(each for each in text.splitlines() if not each.startswith(line))
    (tmp_path / "prices.toml").write_text(cut, encoding="utf-8")

    with pytest.raises(FactsError, match=rf"prices.toml .*{line} must be") as raised:
        check(tmp_path)
    assert raised.value.exit_code == 2


def test_modules_and_libraries_are_held_to_what_is_installed(tmp_path: Path) -> None:
    for name, old, new in (
        ("modules.toml", 'boto3 = "boto3"', ""),
        ("modules.toml", 'attrs = "attr attrs"', 'attrs = "nothing.of.it"'),
        ("libraries.toml", "scikit_learn.libs/libgomp-*", "elsewhere/libgomp-*"),
    ):
        text = (FACTS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(old, new), encoding="utf-8")
    differing = [each for each in check(tmp_path)["checks"] if not each["holds"]]

    assert "attrs" in next(each["model"] for each in differing if "modules" in each["fact"])
    assert any(each["fact"].startswith("libraries.toml donors") for each in differing)
