"""What Azure's clients are answered is what MLflow's server answers: the real worker between."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.cases import ALL
from tests.conformance.emulated import over_http
from tests.conformance.worked import worked

pytestmark = pytest.mark.slow
_STRIDE = 7


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    # MLflow warns of every extra column and parameter, numpy of every time zone
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def test_over_http(tmp_path: Path) -> None:
    cases = [case for make in ALL for case in list(make())[::_STRIDE]]
    with worked(cases, tmp_path) as asking:
        verdicts, different = over_http(asking, cases)
    assert not different, "\n".join(different[:5])
    assert verdicts.total() >= 300
