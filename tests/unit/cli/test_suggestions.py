"""A misspelt name is answered with the one that was meant."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from packager import cli, targets
from packager.cli._choices import define_choice
from packager.errors import ConfigurationError, PackagerError, suggest_name, suggest_names
from packager.facts import devices
from packager.pipeline.plan import PASSES
from packager.system import destination_uri

RUN = CliRunner()
BUILD = ("build", "models:/x/1")


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("onx", ("auto", "native", "onnx"), "onnx"),
        ("ONNX", ("auto", "native", "onnx"), "onnx"),
        (" onnx ", ("auto", "native", "onnx"), "onnx"),
        ("aws-lamda", targets.TARGETS, "aws-lambda"),
        ("aws_lambda", targets.TARGETS, "aws-lambda"),
        ("AWS-Lambda-Image", targets.TARGETS, "aws-lambda-image"),
        ("lambda", targets.TARGETS, "aws-lambda"),
        ("azure", targets.TARGETS, "azure-functions"),
        ("azure-function", targets.TARGETS, "azure-functions"),
        ("gpu", targets.TARGETS, "gpu-container"),
        ("gpu", ("cpu", "cuda"), "cuda"),
        ("amd64", ("x86_64", "arm64"), "x86_64"),
        ("x86-64", ("x86_64", "arm64"), "x86_64"),
        ("aarch64", ("x86_64", "arm64"), "arm64"),
        ("prun", PASSES, "prune"),
        ("http", ("http-api", "function-url", "none"), "http-api"),
        ("memorysizemb", ("MemorySizeMb", "TimeoutSeconds"), "MemorySizeMb"),
        ("carrier-pigeon", ("http-api", "function-url", "none"), None),
        ("", ("http-api", "function-url", "none"), None),
        ("x", ("xgboost", "y"), None),
        ("onnx", (), None),
    ],
)
def test_the_closest_name_is_asked_for(
    given: str, known: tuple[str, ...], meant: str | None
) -> None:
    assert suggest_name(given, known) == (f" Did you mean {meant!r}?" if meant else "")


def test_each_of_several_names_has_its_own_question() -> None:
    asked = suggest_names(("prun", "zzz", "bytecod"), PASSES)

    assert asked == " Did you mean 'prune'? Did you mean 'bytecode'?"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--engine onx", "onnx"),
        ("--tier nativ", "native"),
        ("--arch arm", "arm64"),
        ("--arch amd64", "x86_64"),
        ("--http functionurl", "function-url"),
        ("--device cud", "cuda"),
        ("--requirements serve", "serving"),
        ("--targt aws-lambda", "--target"),
    ],
)
def test_a_misspelt_choice_is_a_usage_error_with_a_question(words: str, meant: str) -> None:
    done = RUN.invoke(cli.app, [*BUILD, *words.split()], env={"COLUMNS": "200"})

    assert done.exit_code == 2
    assert meant in done.output.partition("Error")[2]
    assert "Value error" not in done.output


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--target aws-lamda", "aws-lambda"),
        ("--target auot", "auto"),
        ("--target aws-lamda --dry-run", "aws-lambda"),
        ("--event sqss --output-to s3://b/p", "sqs"),
        ("--event sqs --event kinesys --output-to s3://b/p", "kinesis"),
        ("--target azure-functions --event service-bus", "servicebus"),
        ("--passes prune,bytcode", "bytecode"),
        ("--target azure-functions --event sqs", "queue"),
        ("--event timer --output-to s3://b/p", "schedule"),
        ("--event sqs --output-to dynamo://p", "dynamodb"),
        ("--event sqs --output-to S3://b/p", "s3"),
        ("--target gpu-container --driver cloud-run-l5", "cloud-run-l4"),
    ],
)
def test_a_misspelt_setting_is_refused_with_a_question(words: str, meant: str) -> None:
    done = RUN.invoke(cli.app, [*BUILD, *words.split()])

    assert isinstance(done.exception, ConfigurationError)
    assert f"Did you mean '{meant}" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "meant"), [("biuld models:/x/1", "build"), ("cache inof", "info"), ("sevre", "serve")]
)
def test_a_misspelt_command_is_refused_with_a_question(words: str, meant: str) -> None:
    done = RUN.invoke(cli.app, words.split())

    assert done.exit_code == 2
    assert f"Did you mean '{meant}'?" in done.output


def test_a_demo_asks_too() -> None:
    done = RUN.invoke(cli.app, ["demo", "-t", "azure-function"])

    assert isinstance(done.exception, PackagerError)
    assert "Did you mean 'azure-functions'?" in str(done.exception)


def test_what_is_far_from_every_name_is_refused_without_a_question() -> None:
    with pytest.raises(ConfigurationError) as refused:
        destination_uri.read("carrier-pigeon://x", ("s3", "sqs"))
    assert "Did you mean" not in str(refused.value)

    with pytest.raises(ConfigurationError) as refused:
        devices.cuda("nonsense")
    assert "Did you mean" not in str(refused.value)


def test_choices_are_completed() -> None:
    assert define_choice("native", "onnx")["autocompletion"]("on") == ["onnx"]


@pytest.mark.parametrize("command", ["build", "inspect", "serve", "follow"])
def test_whoever_names_no_model_sees_how_one_is_named(command: str) -> None:
    done = RUN.invoke(cli.app, [command])
    assert done.exit_code == 2
    assert "for example models:/churn/1" in done.output
