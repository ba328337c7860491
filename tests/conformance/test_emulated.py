"""What Lambda's clients are answered is what MLflow's server answers: the real emulator between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.cases import ALL, Case, protocol_cases
from tests.conformance.emulated import Emulated, emulated, invoked, over_http

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet")]
_STRIDE = 11


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    others = [case for make in ALL if make is not protocol_cases for case in make()]
    return [*protocol_cases(), *others[::_STRIDE]]


@pytest.fixture(scope="module")
def asking(cases: list[Case], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    with emulated(cases, tmp_path_factory.mktemp("function")) as running:
        yield running


def test_over_http(asking: Emulated, cases: list[Case]) -> None:
    verdicts, different = over_http(asking, cases)
    assert not different, "\n".join(different[:5])
    assert verdicts.total() >= 300


def test_direct(asking: Emulated, cases: list[Case]) -> None:
    verdicts, different = invoked(asking, cases)
    assert not different, "\n".join(different[:5])
    assert verdicts.total() >= 300
