"""What each variable sets, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from handlers.scoring.settings import Settings
from tests.handlers.scorers import manifest


def read(**environ: str) -> Settings:
    return Settings.read(manifest(), environ)


def test_what_no_variable_sets() -> None:
    own = manifest()
    assert read() == Settings(
        request_bytes=own.request_bytes,
        response_bytes=own.response_bytes,
        request_timeout_seconds=60.0,
        error_details=False,
        schema_details=True,
        protocol="strict",
    )
    assert Settings(request_bytes=1, response_bytes=2).request_timeout_seconds == 60.0


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("PACKAGER_REQUEST_BYTES", "1000", "request_bytes", 1000),
        ("PACKAGER_RESPONSE_BYTES", " 2000.7 ", "response_bytes", 2000),
        ("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "0.5", "request_timeout_seconds", 0.5),
        ("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", "", "request_timeout_seconds", 60),
        ("PACKAGER_ERROR_DETAILS", "1", "error_details", True),
        ("PACKAGER_ERROR_DETAILS", " TRUE ", "error_details", True),
        ("PACKAGER_ERROR_DETAILS", "0", "error_details", False),
        ("PACKAGER_ERROR_DETAILS", "yes", "error_details", False),
        ("MLFLOW_DISABLE_SCHEMA_DETAILS", "true", "schema_details", False),
        ("PACKAGER_PROTOCOL", " Fixed ", "protocol", "fixed"),
        ("PACKAGER_PROTOCOL", "", "protocol", "strict"),
    ],
)
def test_a_variable_sets_one_thing(name: str, text: str, attribute: str, value: Any) -> None:
    assert getattr(read(**{name: text}), attribute) == value


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "many"])
@pytest.mark.parametrize(
    "name", ["PACKAGER_REQUEST_BYTES", "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"]
)
def test_a_number_is_above_zero_and_finite(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a number above 0, and it is '{text}'"):
        read(**{name: text})


def test_a_protocol_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="PACKAGER_PROTOCOL must be one of strict, fixed"):
        read(PACKAGER_PROTOCOL="loose")


def test_a_misspelt_protocol_is_answered_with_the_closest() -> None:
    with pytest.raises(ValueError, match=r"it is 'stict'\. Did you mean 'strict'\?$"):
        read(PACKAGER_PROTOCOL="stict")
    with pytest.raises(ValueError, match=r"it is 'ssss.*s'\.$"):
        read(PACKAGER_PROTOCOL="s" * 101)
