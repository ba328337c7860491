"""A base is pinned to the digest that its registry gives, within seconds, or is said not to be."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import pytest

from packager.targets.images.base_images import pin_image
from packager.targets.images.registry_client import split_reference
from tests.osv import Answer, serving

_DIGEST = "sha256:" + "a" * 64


def _registry(method: str, path: str, headers: Mapping[str, str], _body: bytes) -> Answer:
    if method == "HEAD" and path == "/v2/team/python/manifests/3.13":
        return 200, {"Docker-Content-Digest": _DIGEST}, b""
    return 404, {}, b""


def _drop_scheme(url: str) -> str:
    return url.removeprefix("http://")


def test_a_tag_gets_the_digest_that_its_registry_gives() -> None:
    with serving(_registry) as service:
        found = pin_image(f"{_drop_scheme(service.url)}/team/python:3.13")

    assert (found.digest, found.why_not) == (_DIGEST, "")
    assert "application/vnd.oci.image.index.v1+json" in service.headers[0]["Accept"]


def test_a_token_is_asked_for_where_everybody_needs_one() -> None:
    asked: list[str] = []

    def answer(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        asked.append(path)
        if path.startswith("/token"):
            return 200, {}, json.dumps({"token": "abc"}).encode()
        if headers.get("Authorization") == "Bearer abc":
            return _registry(method, path, headers, body)
        challenge = f'Bearer realm="{service.url}/token",service="here",scope="repository:x:pull"'
        return 401, {"WWW-Authenticate": challenge}, b""

    with serving(answer) as service:
        found = pin_image(f"{_drop_scheme(service.url)}/team/python:3.13")

    assert found.digest == _DIGEST
    assert asked[1] == "/token?service=here&scope=repository%3Ax%3Apull"


@pytest.mark.parametrize(
    ("status", "headers", "why"),
    [
        (404, {}, "answered 404"),
        (200, {}, "without a sha256 digest"),
        (200, {"Docker-Content-Digest": "sha256:x; rm -rf"}, "without a sha256 digest"),
        (302, {"Location": "http://127.0.0.1:1/"}, "answered 302"),
        (401, {"WWW-Authenticate": 'Basic realm="x"'}, "lets nobody in"),
        (401, {"WWW-Authenticate": 'Bearer realm="file:///etc/passwd"'}, "lets nobody in"),
    ],
)
def test_without_a_digest_a_sentence_says_why_and_what_to_do(
    status: int, headers: dict[str, str], why: str
) -> None:
    with serving(lambda *_: (status, headers, b"")) as service:
        found = pin_image(f"{_drop_scheme(service.url)}/team/python:3.13")

    assert found.digest == ""
    assert why in found.why_not
    assert "--base-image" in found.why_not
    assert "/team/python@sha256:..." in found.why_not


def test_a_registry_that_is_not_there_is_no_failure() -> None:
    with serving(_registry) as service:
        pass

    assert "could not be reached" in pin_image(f"{_drop_scheme(service.url)}/x:1").why_not


def test_a_registry_that_does_not_answer_is_given_up_within_seconds() -> None:
    def answer(*_: object) -> Answer:
        time.sleep(0.5)
        return 200, {}, b""

    with pytest.MonkeyPatch.context() as patch, serving(answer) as service:
        patch.setattr("packager.targets.images.base_images._ANSWER_SECONDS", 0.1)
        found = pin_image(f"{_drop_scheme(service.url)}/x:1")

    assert "within seconds" in found.why_not


@pytest.mark.parametrize("reference", ["", f"python@{_DIGEST}"])
def test_nobody_is_asked_for_what_is_pinned_or_is_no_image(reference: str) -> None:
    assert (pin_image(reference).digest, pin_image(reference).why_not) == ("", "")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python:3.13", ("docker.io", "library/python", "3.13")),
        ("docker.io/library/python:3", ("docker.io", "library/python", "3")),
        ("team/python", ("docker.io", "team/python", "latest")),
        ("localhost:5000/a/b:c", ("localhost:5000", "a/b", "c")),
        (
            "public.ecr.aws/lambda/python:3.13-x86_64",
            ("public.ecr.aws", "lambda/python", "3.13-x86_64"),
        ),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(
    reference: str, expected: tuple[str, str, str]
) -> None:
    assert split_reference(reference) == expected
