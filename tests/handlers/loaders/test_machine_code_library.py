"""A library says of itself how it is called; what it is handed or named otherwise is refused."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.loaders.machine_code import Library, open_library

CC = shutil.which("cc")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler on this machine")
ENTRY = """
struct column { const void *values; const int64_t *offsets; const uint8_t *missing; };
int64_t answer(int64_t rows, const struct column *columns, void *out) {
  for (int64_t at = 0; at < rows; at++) ((double *)out)[at] = ((double *)columns[0].values)[at] * 2;
  return -1;
}
"""
ONE_DOUBLE = (1, 1, 1, 0, 1, 1)
"""Of layout 1: doubles, one a row, no labels, of one column of doubles."""


def compile_with(layout: tuple[int, ...], folder: Path) -> Path:
    numbers = ", ".join(map(str, layout))
    source = f"#include <stdint.h>\nconst int64_t layout[] = {{{numbers}}};\n{ENTRY}"
    (folder / "model.c").write_text(source, encoding="ascii")
    subprocess.run(
        [str(CC), "-shared", "-fPIC", "-o", "model.so", "model.c"], cwd=folder, check=True
    )
    return folder / "model.so"


def ask(library: Library, *columns: Any) -> Any:
    return library.run([""], {str(at): each for at, each in enumerate(columns)})[0]


def test_a_library_is_called_as_it_says_itself(tmp_path: Path) -> None:
    library = Library(compile_with(ONE_DOUBLE, tmp_path), {"width": 7})
    answer = ask(library, np.array([[1.0], [2.5]]))
    assert (answer.tolist(), answer.dtype) == ([[2.0], [5.0]], np.float64)


@pytest.mark.parametrize(
    "layout",
    [
        (2, 1, 1, 0, 1, 1),
        (1, 9, 1, 0, 1, 1),
        (1, 1, 0, 0, 1, 1),
        (1, 1, -1, 0, 1, 1),
        (1, 1, 1, 0, 0),
        (1, 1, 1, 0, 1 << 40, 1),
        (1, 1, 1, 0, 1, 9),
    ],
)
def test_a_layout_that_is_not_known_is_refused(layout: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="layout that is not known"):
        Library(compile_with(layout, tmp_path), {})


def test_a_library_without_a_layout_is_refused(tmp_path: Path) -> None:
    path = compile_with(ONE_DOUBLE, tmp_path)
    source = (tmp_path / "model.c").read_text().replace(" layout[]", " other[]")
    (tmp_path / "model.c").write_text(source)
    other = tmp_path / "other.so"
    subprocess.run([str(CC), "-shared", "-fPIC", "-o", other, tmp_path / "model.c"], check=True)
    with pytest.raises(ValueError, match="layout"):
        open_library(other, {"feeds": [], "output": "", "dtype": "<f8", "shape": []})
    with pytest.raises(OSError, match="invalid ELF"):
        Library(path.with_suffix(".c"), {})


@pytest.mark.parametrize("labels", [None, ["a", "b", "c"]])
def test_labels_are_as_many_as_the_library_tells_apart(labels: Any, tmp_path: Path) -> None:
    path = compile_with((1, 3, 1, 2, 1, 1), tmp_path)
    with pytest.raises(ValueError, match="tells 2 labels apart"):
        Library(path, {"labels": labels, "label_dtype": "object"})


@pytest.mark.parametrize(
    "columns",
    [
        (np.ones((2, 1), np.float32),),
        (np.ones((2, 1), np.int64),),
        (np.ones((2, 2)),),
        (np.ones((2, 1)), np.ones((2, 1))),
        (np.array([["a"], ["b"]], dtype=object),),
        (np.ones((2, 0)),),
    ],
    ids=["float", "long", "wider", "more", "text", "none"],
)
def test_other_columns_than_it_reads_are_refused(columns: Any, tmp_path: Path) -> None:
    library = Library(compile_with(ONE_DOUBLE, tmp_path), {})
    with pytest.raises(ValueError, match="reads columns of"):
        ask(library, *columns)


def test_columns_of_other_lengths_are_refused(tmp_path: Path) -> None:
    library = Library(compile_with((1, 1, 1, 0, 2, 1, 1), tmp_path), {})
    with pytest.raises(ValueError, match="reads columns of"):
        ask(library, np.ones((2, 1)), np.ones((1, 1)))
