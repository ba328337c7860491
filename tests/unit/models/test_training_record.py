"""What a run of MLflow's says of a model is kept, without secrets and within bounds."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunTag,
)

from packager.models.registry import read_record
from packager.system.redaction import is_secret_name


def _run(
    *,
    metrics: dict[str, float] | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    inputs: list[DatasetInput] | None = None,
) -> Any:
    info = RunInfo("r", "0", "user", "FINISHED", 0, 1, "active", "file:///artifacts")
    data = RunData(
        [Metric(name, value, 0, 0) for name, value in (metrics or {}).items()],
        [Param(name, value) for name, value in (params or {}).items()],
        [RunTag(name, value) for name, value in (tags or {}).items()],
    )
    return Run(info, data, RunInputs(inputs or []))


def _dataset(source: str, profile: str = '{"num_rows": 150}', context: str = "training") -> Any:
    data = Dataset("iris", "abc123", "http", source, profile=profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", context)])


def test_metrics_parameters_and_tags_are_kept() -> None:
    found = read_record(_run(metrics={"auc": 0.91}, params={"depth": "4"}, tags={"team": "risk"}))

    assert (dict(found.metrics), dict(found.params), dict(found.tags)) == (
        {"auc": 0.91},
        {"depth": "4"},
        {"team": "risk"},
    )
    assert found.left_out == 0


def test_what_mlflow_writes_of_the_author_s_machine_is_left_out() -> None:
    found = read_record(_run(tags={"mlflow.user": "ada", "mlflow.source.name": "/home/ada/x.py"}))

    assert dict(found.tags) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("db_password", "API_KEY", "awsSecretAccessKey", "client-secret", "hf_token", "password"),
        *("DB_PASSWORD_PROD", "token_1", "passphrase", "auth", "Authorization", "cookie", "dsn"),
        *("webhook_url", "aws_access_key_id", "apikey", "myApiKey2", "connectionString"),
    ],
)
def test_what_goes_by_a_secret_s_name_is_left_out_and_counted(name: str) -> None:
    found = read_record(_run(params={name: "hunter2", "depth": "4"}, tags={name: "hunter2"}))

    assert "hunter2" not in str(found)
    assert found.left_out == 2


@pytest.mark.parametrize(
    "name",
    [
        *("key", "n_tokens", "monkey", "max_tokens", "signature", "depth", "primary_key"),
        *("sort_key", "foreign_key", "author", "tokenizer", "bypass", "key_id"),
    ],
)
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


def test_credentials_inside_values_are_taken_out() -> None:
    found = read_record(_run(params={"source": "postgresql://ada:hunter2@db/churn"}))

    assert "hunter2" not in str(found)
    assert "db/churn" in found.params["source"]


def test_data_sets_have_their_digest_context_rows_and_remote_address() -> None:
    source = '{"uri": "https://ada:hunter2@example.org/iris.csv?sig=hunter2"}'
    (data,) = read_record(_run(inputs=[_dataset(source)])).datasets

    assert (data.name, data.digest, data.context, data.rows) == ("iris", "abc123", "training", 150)
    assert data.source == "https://example.org/iris.csv"


@pytest.mark.parametrize(
    "source",
    [
        *('{"uri": "/home/ada/iris.csv"}', "not JSON", "{}", "[1]"),
        *('{"uri": "https://ada:p[ss@h/x.csv"}', '{"uri": "http://[data]/x"}'),
    ],
)
def test_no_address_of_a_machine_is_kept(source: str) -> None:
    (data,) = read_record(_run(inputs=[_dataset(source)])).datasets

    assert data.source == ""


@pytest.mark.parametrize("profile", ["", "not JSON", "[1]", '{"num_rows": "many"}', "[" * 9000])
def test_a_profile_that_tells_no_rows_is_none(profile: str) -> None:
    (data,) = read_record(_run(inputs=[_dataset("{}", profile)])).datasets

    assert data.rows is None


def test_a_run_of_very_much_is_cut() -> None:
    many = {f"p{number:04}": "x" * 6000 for number in range(1000)}
    found = read_record(_run(params=many, metrics=dict.fromkeys(many, 1.0)))

    assert (len(found.params), len(found.metrics)) == (200, 200)
    assert max(map(len, found.params.values())) == 500
    assert found.left_out == 1600
