"""No address that the command line asks holds it up, or fills its memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from packager.cli._choices import registered
from packager.commands.artifact.supply_chain import advisories
from packager.commands.cloud import deployed_package, image_registry
from packager.commands.cloud.image_registry import ImageRegistry
from packager.errors import CloudError
from packager.pipeline.answers.over_http import Endpoint, EndpointError
from packager.targets.images import base_images
from packager.targets.images.base_images import pin_image
from tests.hostile_server import HEAD, MIB, SIZED, dribble, flood, speaking

_SLOW = {
    "header": dribble(HEAD + b"A: ", b"b"),
    "body": dribble(SIZED, b"x"),
}
_LARGE = flood(HEAD + b"\r\n", MIB)


def _bound(monkeypatch: pytest.MonkeyPatch, module: Any, **changes: object) -> None:
    monkeypatch.setattr(module, "_LIMITS", replace(module._LIMITS, **changes))


def _read_image(url: str) -> None:
    host = url.removeprefix("http://").rstrip("/")
    ImageRegistry.parse(f"{host}/team/churn@sha256:{'0' * 64}").read("amd64")


def _read_layer(url: str) -> None:
    host = url.removeprefix("http://").rstrip("/")
    digest = f"sha256:{'0' * 64}"
    with ImageRegistry.parse(f"{host}/team/churn@{digest}").open_layer(digest) as layer:
        while layer.read(1 << 20):
            pass


def _measure(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


@pytest.mark.parametrize("read", [_read_image, _read_layer])
@pytest.mark.parametrize("way", sorted(_SLOW))
def test_a_registry_that_dribbles_is_given_up(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], None], way: str
) -> None:
    _bound(monkeypatch, image_registry, seconds=0.3)

    def ask() -> None:
        with (
            speaking(_SLOW[way]) as url,
            pytest.raises(CloudError, match=r"no whole answer|timed out"),
        ):
            read(url)

    assert _measure(ask) < 8


@pytest.mark.parametrize("read", [_read_image, _read_layer])
def test_a_registry_that_never_stops_is_given_up(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str], None]
) -> None:
    monkeypatch.setattr(image_registry, "_MOST_DOCUMENT", 1000)
    monkeypatch.setattr(image_registry, "_MOST_LAYER", 1000)
    _bound(monkeypatch, image_registry, most_bytes=1000)

    with speaking(_LARGE) as url, pytest.raises(CloudError, match="more than 1,000 bytes"):
        read(url)


@pytest.mark.parametrize("way", sorted(_SLOW))
def test_the_package_of_an_app_that_dribbles_is_given_up(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    _bound(monkeypatch, deployed_package, seconds=0.3)

    def read(url: str) -> None:
        with deployed_package._open_source(f"{url}a.zip") as package:
            while deployed_package._read_chunk(package, url):
                pass

    def ask() -> None:
        with (
            speaking(_SLOW[way]) as url,
            pytest.raises(CloudError, match=r"no whole answer|timed out"),
        ):
            read(url)

    assert _measure(ask) < 8


@pytest.mark.parametrize(
    ("way", "seconds", "why"),
    [
        (_SLOW["header"], 0.3, "did not answer within"),
        (_SLOW["body"], 0.3, "did not answer within"),
        (_LARGE, 20, "more than 1,000 bytes"),
    ],
    ids=["header", "body", "endless"],
)
def test_a_service_of_advisories_is_bound(
    monkeypatch: pytest.MonkeyPatch, way: Callable[..., None], seconds: float, why: str
) -> None:
    monkeypatch.setattr(advisories, "_ANSWER_SECONDS", seconds)
    monkeypatch.setattr(advisories, "_MOST_BYTES", 1000)

    def ask() -> None:
        with speaking(way) as url:
            found = advisories.audit_packages({"numpy": "2.5.5"}, url, refresh=True)
        assert (found.done, why in found.why_not) == (False, True), found.why_not

    assert _measure(ask) < 8


def test_all_advisories_together_have_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advisories, "_WHOLE_SECONDS", 0.3)

    with speaking(_SLOW["body"]) as url:
        found = advisories.audit_packages({"numpy": "2.5.5"}, url, refresh=True)

    assert not found.done


@pytest.mark.parametrize("way", sorted(_SLOW))
def test_the_registry_of_a_base_is_given_up_within_its_time(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(base_images, "_SECONDS", 0.3)
    challenge = b'WWW-Authenticate: Bearer realm="http://%s/token"\r\n'

    def ask() -> None:
        with speaking(_SLOW[way]) as url:
            host = url.removeprefix("http://").rstrip("/")
            refusal = b"HTTP/1.1 401 No\r\n" + challenge % host.encode()
            with speaking(
                lambda connection: connection.sendall(refusal + b"Content-Length: 0\r\n\r\n")
            ) as other:
                found = pin_image(f"{other.removeprefix('http://')}team/churn:1")
        assert "within seconds" in found.why_not

    assert _measure(ask) < 8


@pytest.mark.parametrize("before", [HEAD + b"A: ", SIZED], ids=["header", "body"])
def test_an_app_that_dribbles_is_not_waited_for_longer_than_was_said(before: bytes) -> None:
    def ask() -> None:
        with (
            speaking(dribble(before, b"x", times=25)) as url,
            pytest.raises(EndpointError, match="not ready in the time"),
        ):
            Endpoint(url, {}, 1.0)({"inputs": [1]})

    assert _measure(ask) < 8


def test_a_shell_waits_for_a_registry_no_longer_than_it_says() -> None:
    for way in (*_SLOW.values(), _LARGE):
        with speaking(way) as url:
            waited = _measure(lambda: registered.list_models({"registry_uri": url}, "models:/"))
        assert waited < 8
