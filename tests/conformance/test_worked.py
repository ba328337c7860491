"""What Azure's clients are answered is what MLflow's server answers: the real worker between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cases import ALL
from tests.conformance.emulated import over_http
from tests.conformance.worked import worked

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet")]
_STRIDE = 7


def test_over_http(tmp_path: Path) -> None:
    cases = [case for make in ALL for case in list(make())[::_STRIDE]]
    with worked(cases, tmp_path) as asking:
        verdicts, different = over_http(asking, cases)
    assert not different, "\n".join(different[:5])
    assert verdicts.total() >= 300
