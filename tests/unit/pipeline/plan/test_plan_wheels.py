"""Wheels in a model's folder, held to what the target installs."""

from __future__ import annotations

import pytest

from packager.pipeline.plan.requirements._wheels import unfit

PLATFORM = "x86_64-manylinux_2_28"


@pytest.mark.parametrize(
    "name",
    [
        "a-1.0-py3-none-any.whl",
        "a-1.0-cp313-cp313-manylinux_2_28_x86_64.whl",
        "a-1.0-cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "a-1.0-cp39-abi3-manylinux1_x86_64.whl",
        "a-1.0-py3-none-manylinux_2_5_x86_64.whl",
        "a-1.0-cp313-cp313-linux_x86_64.whl",
    ],
)
def test_what_the_target_installs_is_taken(name: str) -> None:
    assert list(unfit([f"wheels/{name}", "numpy==2.5.5"], "3.13", PLATFORM)) == []


@pytest.mark.parametrize(
    "name",
    [
        "a-1.0-cp313-cp313-macosx_14_0_arm64.whl",
        "a-1.0-cp313-cp313-win_amd64.whl",
        "a-1.0-cp313-cp313-manylinux_2_39_x86_64.whl",
        "a-1.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "a-1.0-cp313-cp313-musllinux_1_2_x86_64.whl",
        "a-1.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "a-1.0-cp313-cp313t-manylinux_2_28_x86_64.whl",
    ],
)
def test_what_it_does_not_install_is_named(name: str) -> None:
    assert list(unfit([f"wheels/{name}"], "3.13", PLATFORM)) == [name]
    assert list(unfit([f"a @ file:///somewhere/{name}#sha256=0"], "3.13", PLATFORM)) == [name]


def test_a_name_that_is_none_is_told() -> None:
    (told,) = unfit(["wheels/a.whl"], "3.13", PLATFORM)
    assert told == "a.whl (it is not a wheel's name)"


def test_all_are_told_at_once() -> None:
    lines = ["wheels/a-1-cp313-cp313-win32.whl", "numpy", "wheels/b-1-cp313-cp313-win32.whl"]
    assert len(list(unfit(lines, "3.13", PLATFORM))) == 2
