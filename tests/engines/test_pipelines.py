"""Random pipelines as machine code: refused with a reason, or right in every row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.libraries import COMPILER, NO_COMPILER, compare
from tests.engines.pipelines import draw_pipeline

SEEDS = (3, 9, 14, 17)


@pytest.mark.slow
@pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.filterwarnings("ignore")
def test_a_random_pipeline_is_never_wrong(seed: int, tmp_path: Path) -> None:
    drawn = draw_pipeline(seed)
    method = drawn.methods[-1]
    table, fresh = drawn.draw(200, seed + 1000), drawn.draw(4000, seed + 2000)
    found = compare(drawn.model, table, fresh, method, tmp_path)
    assert found.wrong == []
    assert found.state == "compiled", found.refused


def test_a_seed_is_one_pipeline() -> None:
    one, other = draw_pipeline(5), draw_pipeline(5)
    assert one.columns == other.columns
    assert one.steps == other.steps
    assert one.table.equals(other.table)
