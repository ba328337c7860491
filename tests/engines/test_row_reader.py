"""Rows that a library reads by itself are read as they are the general way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from packager.system import process
from tests.engines.libraries import COMPILER, NO_COMPILER, compile_reader

pytestmark = pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)
_ROOT = Path(__file__).parents[2]
_WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("numpy", "pandas")))
runpy.run_module("tests.engines.row_bodies", run_name="__main__", alter_sys=True)
"""
_OF_A_COMMA = """
/* As strtod is where numbers are written with a comma. */
static double read_to_point(const char *text, char **stopped) {
  double whole = 0;
  for (; *text && *text != '.'; text++) whole = 10 * whole + (*text - '0');
  *stopped = (char *)text;
  return whole;
}
#define strtod read_to_point
"""
_LONG = """
import sys
sys.modules.update(dict.fromkeys(("numpy", "pandas")))
from handlers.loaders._libraries import Entry
from tests.engines import row_bodies
for cells in ("1.5", "1.23456789012345678901"):
    body = b'{"dataframe_split": {"columns": ["c 0"], "data": [[%s], [2]]}}' % cells.encode()
    scorer = row_bodies.make_scorer(["double"], Entry(sys.argv[1], {}))
    data = scorer.read(body + b" " * 2048, "application/json").data
    print(scorer._row_reader.json(body) is not None, data["c 0"].tolist())
"""
_BRACKETS = """
import sys, tracemalloc
sys.modules.update(dict.fromkeys(("numpy", "pandas")))
from handlers.loaders._libraries import Entry
from tests.engines import row_bodies
kinds = ["double"] * 50
names = [f"c {at}" for at in range(50)]
body = b'{"dataframe_split": {"columns": %s, "data": %s]]}}' % (
    str(names).replace("'", '"').encode(), b"[" * 200_000
)
reader = row_bodies.make_scorer(kinds, Entry(sys.argv[1], {}))._row_reader
tracemalloc.start()
assert reader.json(body) is None
print(tracemalloc.get_traced_memory()[1] // len(body))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_reader(tmp_path_factory.mktemp("reader"))


def _run(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=_ROOT,
        env={**process.basic_environment(), "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.few(0)
def test_drawn_bodies_are_read_the_same(library: Path) -> None:
    assert int(_run(_WITHOUT, library, 0, 800)) > 200


@pytest.mark.slow
def test_more_drawn_bodies_are_read_the_same(library: Path) -> None:
    assert int(_run(_WITHOUT, library, 1, 20_000)) > 6000


def test_a_number_is_read_the_general_way_where_it_has_a_comma(
    library: Path, tmp_path: Path
) -> None:
    read = ["True [1.5, 2.0]", "True [1.2345678901234567, 2.0]"]
    assert _run(_LONG, library).splitlines() == read
    left = [read[0], read[1].replace("True", "False")]
    assert _run(_LONG, compile_reader(tmp_path, _OF_A_COMMA)).splitlines() == left


def test_brackets_alone_ask_for_no_more_than_rows_would(library: Path) -> None:
    assert int(_run(_BRACKETS, library)) <= 10
