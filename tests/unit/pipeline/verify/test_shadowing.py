"""What an artifact brings that its host would run on is refused where the host would break."""

from __future__ import annotations

from dataclasses import replace

import pytest

from packager import targets
from packager.pipeline.verify import shadowing
from packager.types import BuildPlan, Lock, LockedPackage
from tests import fake_plan


def plan(minor: str, *packages: tuple[str, str]) -> BuildPlan:
    target = targets.load("azure-functions")
    runtime = next(each for each in target.runtimes if each.python_minor == minor)
    locked = tuple(LockedPackage(name=name, version=version) for name, version in packages)
    lock = Lock(text="", packages=locked)
    return replace(fake_plan.plan(), target=target, runtime=runtime, lock=lock)


@pytest.mark.parametrize(
    ("minor", "name", "version", "said"),
    [
        ("3.12", "protobuf", "3.19.6", "google.protobuf.internal.builder"),
        ("3.11", "protobuf", "3.19.6", "google.protobuf.internal.builder"),
        ("3.13", "azure-functions", "1.8.0", "no FunctionApp"),
    ],
)
def test_what_the_host_would_break_on_is_found(
    minor: str, name: str, version: str, said: str
) -> None:
    findings, _ = shadowing.check(plan(minor, (name, version)))

    assert [finding.check for finding in findings] == ["shadowing"]
    assert said in findings[0].message
    assert findings[0].hint


@pytest.mark.parametrize(
    ("minor", "packages"),
    [
        ("3.12", (("protobuf", "3.20.0"), ("azure-functions", "1.26.0"))),
        ("3.13", (("protobuf", "3.19.6"),)),
        ("3.12", ()),
    ],
)
def test_what_does_no_harm_is_said_in_a_sentence(
    minor: str, packages: tuple[tuple[str, str], ...]
) -> None:
    findings, sentence = shadowing.check(plan(minor, *packages))

    assert findings == []
    assert "azure-functions 1.11" in sentence


def test_a_host_that_shares_nothing_is_not_spoken_of() -> None:
    assert shadowing.check(fake_plan.plan()) == ([], "")
