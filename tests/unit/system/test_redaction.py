from __future__ import annotations

import pytest

from packager.errors import ConfigurationError
from packager.system.redaction import name_host, redact, redact_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:pw@example.com/simple", "https://example.com/simple"),
        ("see http://token@h.org, and http://a:b@c.d/e", "see http://h.org, and http://c.d/e"),
        ("https://me:p@w@example.com", "https://example.com"),
        ("https://me:p#w@example.com", "https://example.com"),
        ('{"u": "s3://a", "v": "x@y"}', '{"u": "s3://a", "v": "x@y"}'),
        ("https://h.org/x@1.0", "https://h.org/x@1.0"),
        ("https://h.org/x?sig=abc&y=1", "https://h.org/x?sig=***&y=1"),
        ("https://h.org/x?X-Amz-Signature=abc", "https://h.org/x?X-Amz-Signature=***"),
        ("numpy==2.0", "numpy==2.0"),
    ],
)
def test_an_address_loses_its_password(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_every_string_of_a_value_is_looked_at() -> None:
    value = {"a": ["http://u:p@h", 1, None], "http://u:p@k": {"b": ("http://u:p@h",)}}
    assert redact_values(value) == {"a": ["http://h", 1, None], "http://k": {"b": ["http://h"]}}


def test_no_error_says_a_password() -> None:
    assert str(ConfigurationError("no http://u:p@h")) == "no http://h"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://u:p@Example.com:8443/x", "example.com:8443"),
        ("https://example.com", "example.com"),
        ("wheels", "wheels"),
        ("https://[::1", "https://[::1"),
    ],
)
def test_a_host_is_named_without_user_and_path(address: str, host: str) -> None:
    assert name_host(address) == host
