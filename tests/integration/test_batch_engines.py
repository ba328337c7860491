"""The emitted scripts, run by Ray and Spark themselves, on this machine.

Each engine is hundreds of megabytes, and Spark wants Java: PACKAGER_ENGINES=ray,spark asks for it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pandas as pd
import pytest

from packager.environments import interpreters, virtual_environments
from packager.system import process
from tests.handlers.test_batch_predictor import SCRIPTS, function, table

__all__ = ["function"]

pytestmark = pytest.mark.slow

ASKED = os.environ.get("PACKAGER_ENGINES", "").split(",")
NEEDS = {
    "ray": ["ray[data]>=2.51", "pandas", "typing_extensions"],
    "spark": ["pyspark>=4", "pandas", "pyarrow"],
}
ROWS = 3000


@pytest.mark.parametrize("engine", NEEDS)
def test_the_table_is_scored(function: Path, tmp_path: Path, engine: str) -> None:
    if engine not in ASKED:
        pytest.skip(f"PACKAGER_ENGINES does not name {engine}")
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java, which is not on this machine")
    python = virtual_environments.ensure(
        interpreters.find(f"{sys.version_info.major}.{sys.version_info.minor}"),
        NEEDS[engine],
        label=engine,
    )
    frame = table(function, ROWS)
    frame.insert(0, "id", range(ROWS))
    frame.to_parquet(tmp_path / "in.parquet")

    process.run(
        [
            *(python, SCRIPTS / f"batch_{engine}.py", tmp_path / "in.parquet", tmp_path / "out"),
            *("--function", function),
        ],
        cwd=SCRIPTS,
        env={
            **os.environ,
            "PACKAGER_PYTHON": sys.executable,
            "PYSPARK_PYTHON": str(python),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(SCRIPTS),
        },
        timeout_seconds=300,
    )

    found = pd.read_parquet(tmp_path / "out").sort_values("id")
    assert list(found["id"]) == list(range(ROWS))
    assert found["error"].isna().all()
    assert all(json.loads(each) is not None for each in found["prediction"])
