from __future__ import annotations

import json
import time

import pytest

from packager.errors import ConfigurationError
from packager.system.redaction import escape_json, name_host, redact, redact_values, take_end


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
        ("postgresql://me:p/w@h/db", "postgresql://h/db"),
        ("mysql+pymysql://me:a/2?3@h/db", "mysql+pymysql://h/db"),
        ("http://h:5000/x@champion", "http://h:5000/x@champion"),
        ("http://h:5000", "http://h:5000"),
        ('{"u":"s3://a:b","v":"x@y"}', '{"u":"s3://a:b","v":"x@y"}'),
        ("https://h.org/x?code=abc", "https://h.org/x?code=***"),
        ("https://h.org/x?api-key=abc&a=b", "https://h.org/x?api-key=***&a=b"),
        ("https://h.org/x?AWSAccessKeyId=abc", "https://h.org/x?AWSAccessKeyId=***"),
        ("https://h.org/x?X-Goog-Credential=abc", "https://h.org/x?X-Goog-Credential=***"),
        ("https://h.org/x?private_token=abc", "https://h.org/x?private_token=***"),
        ("https://h.org/x?client_secret=abc", "https://h.org/x?client_secret=***"),
        ("https://h.org/x;pwd=abc", "https://h.org/x;pwd=***"),
        ("https://h.org/x?monkey=abc&keys=b&coded=c", "https://h.org/x?monkey=abc&keys=b&coded=c"),
        ("Authorization: Basic bWU6cHc=", "Authorization: Basic ***"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': 'Bearer ***'}"),
        ("https://h.org/x?code=$KEY&a=b", "https://h.org/x?code=$KEY&a=b"),
        ("https://h.org/x?code=${KEY}", "https://h.org/x?code=${KEY}"),
        ("https://h.org/x?code=$key", "https://h.org/x?code=***"),
        ("https://h.org/x?password=$3cret", "https://h.org/x?password=***"),
        ("https://h.org/x?password=$CRET9", "https://h.org/x?password=***"),
        ("https://h.org/x?password=${CRET", "https://h.org/x?password=***"),
        ("Authorization: Basic $abc", "Authorization: Basic ***"),
        ("Bearer $Abc.defghijklmnopq", "Bearer ***"),
        ("redis://:p/w@host/0", "redis://host/0"),
        ("redis://:6379/0", "redis://:6379/0"),
        ("redis://:12345/x@host/0", "redis://host/0"),
        ("https://:p/w@host/0", "https://host/0"),
        ("postgres://u:p@ss/w@h/d", "postgres://h/d"),
        ("postgres://u:p@ss/w@h, postgres://u:p@k/d", "postgres://h, postgres://k/d"),
        # of what leads to files, an address leads to the same file as before
        ("git+https://u:p@h.org/o/r.git@v1", "git+https://h.org/o/r.git@v1"),
        ("git+ssh://u:p@h.org/o/r.git@v1", "git+ssh://h.org/o/r.git@v1"),
        ("https://h.org/x#access_token=abc", "https://h.org/x#access_token=***"),
        ("AccountKey=abc;AccountName=a", "AccountKey=***;AccountName=a"),
        ("SharedAccessKey=a/b==", "SharedAccessKey=***"),
        ("password=abc", "password=***"),
        # requirements, of pip and of conda
        ("google-auth==2.0", "google-auth==2.0"),
        ("x_token==2.0", "x_token==2.0"),
        ("azure-keyvault-secret=4.7", "azure-keyvault-secret=4.7"),
        ("a bearer of bad news", "a bearer of bad news"),
        (f"token ghp_{'a' * 36}", "token ***"),
        (f"dapi{'0' * 32}", "***"),
    ],
)
def test_an_address_loses_its_password(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "unit",
    ["://a:b", "://a:", "://", "?a_", "&sig", "bearer ", "://a:b/", "ghp_", "://:a@", "a_", "$A"],
)
def test_a_text_is_read_in_a_time_by_its_length(unit: str) -> None:
    def measure(size: int) -> float:
        text = unit * (size // len(unit))
        begun = time.process_time()
        redact(text)
        return time.process_time() - begun

    measure(1000)
    short, long = min(measure(50_000) for _ in range(3)), min(measure(200_000) for _ in range(3))
    assert long < 0.1 or long < 8 * short


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


def test_a_variable_in_a_header_is_no_secret() -> None:
    line = 'curl -H "authorization: Bearer $TOKEN"'

    assert redact(line) == line
    assert redact(f"`{line[9:-1]}`") == f"`{line[9:-1]}`"
    assert redact('"authorization: Bearer $e_cret9"') == '"authorization: Bearer ***"'


def test_a_json_document_gives_a_terminal_no_order() -> None:
    """It is the same document: its escapes are JSON's."""
    value = {"na\x9bme": "a\x1b[2J \x85 \x7f \u202e \u2066 é 漢 \n\t"}
    told = escape_json(json.dumps(value, ensure_ascii=False, indent=2))

    assert json.loads(told) == value
    assert "é 漢" in told
    assert all(each == "\n" or each.isprintable() for each in told)


@pytest.mark.parametrize(
    ("text", "most", "end"),
    [
        ("one\ntwo\nthree", 100, "one\ntwo\nthree"),
        ("one\ntwo\nthree", 9, "two\nthree"),
        ("one\ntwo\nthree", 8, "three"),
        ("one\ntwo\nthree", 3, "ree"),
        ("", 3, ""),
    ],
)
def test_the_end_of_a_log_begins_with_a_whole_line(text: str, most: int, end: str) -> None:
    assert take_end(text, most) == end
