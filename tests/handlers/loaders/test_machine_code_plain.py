"""A library that is asked without numpy answers as the one that is asked with it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.loaders.machine_code import open_library
from handlers.loaders.machine_code_plain import PlainLibrary
from handlers.scoring import plain
from handlers.values import zip_equal

CC = shutil.which("cc")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler on this machine")
ENTRY = """
#include <stdint.h>
struct column { const void *values; const int64_t *offsets; const uint8_t *missing; };
const int64_t layout[] = {%s};
int64_t answer(int64_t rows, const struct column *columns, void *out) {
  for (int64_t at = 0; at < rows; at++) { %s }
  return -1;
}
"""
NUMBERS = {
    "float64": ("double", 1, [0.5, 3.0, -0.0]),
    "float32": ("float", 2, [0.1, 3.0, -0.0]),
    "int64": ("int64_t", 3, [2**53 + 1, -5, 0]),
    "int32": ("int32_t", 4, [7, -5, 0]),
    "bool": ("uint8_t", 5, [True, False, True]),
}


def build(folder: Path, layout: tuple[int, ...], each_row: str) -> Path:
    source = ENTRY % (", ".join(map(str, layout)), each_row)
    (folder / "model.c").write_text(source, encoding="ascii")
    subprocess.run(
        [str(CC), "-shared", "-fPIC", "-o", "model.so", "model.c"], cwd=folder, check=True
    )
    return folder / "model.so"


def describe_options(*dtypes: str, **more: Any) -> dict[str, Any]:
    feeds = [
        {"input": str(at), "dtype": dtype, "columns": [f"c{at}"], "tensor": None}
        for at, dtype in enumerate(dtypes)
    ]
    return {"feeds": feeds, "output": "answer", "dtype": "<f8", "shape": [], **more}


def ask_both(path: Path, options: dict[str, Any], *columns: Any) -> Any:
    """What the plain one answers, which the other's answer is held to, as Python's values."""
    found = []
    for made, library in ((plain, PlainLibrary(path, options)), (np, open_library(path, options))):
        dtypes = [feed["dtype"] for feed in options["feeds"]]
        data = {
            f"c{at}": made.array(cells, dtype)
            for at, (cells, dtype) in enumerate(zip_equal(columns, dtypes))
        }
        answer: Any = library.predict(data, None)
        found.append(repr(answer if isinstance(answer, list) else answer.tolist()))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_reach_the_library_and_come_back(name: str, tmp_path: Path) -> None:
    kind, code, cells = NUMBERS[name]
    row = f"(({kind} *)out)[at] = (({kind} *)columns[0].values)[at];"
    path = build(tmp_path, (1, code, 1, 0, 1, code), row)
    options = describe_options(name, dtype=np.dtype(name).str)
    assert len(ask_both(path, options, cells)) > 5
    assert ask_both(path, options, []) == "[]"


def test_an_answer_of_several_numbers_is_a_row_and_may_have_names(tmp_path: Path) -> None:
    row = "for (int i = 0; i < 2; i++) ((double *)out)[2 * at + i] = i + at;"
    path = build(tmp_path, (1, 1, 2, 0, 1, 1), row)
    rows = ask_both(path, describe_options("float64", shape=[2]), [1.0, 2.0])
    assert rows == "[[0.0, 1.0], [1.0, 2.0]]"
    named = ask_both(path, describe_options("float64", shape=[2], names=["a", "b"]), [1.0])
    assert named == "[{'a': 0.0, 'b': 1.0}]"


@pytest.mark.parametrize(
    ("labels", "dtype"), [(["no", "yes \u00e9"], "object"), ([3, 5], "<i8"), ([3, 5], "|i1")]
)
def test_a_position_becomes_its_label(labels: list[Any], dtype: str, tmp_path: Path) -> None:
    row = "((int64_t *)out)[at] = ((double *)columns[0].values)[at] > 0;"
    path = build(tmp_path, (1, 3, 1, 2, 1, 1), row)
    options = describe_options("float64", labels=labels, label_dtype=dtype, dtype=dtype)
    assert ask_both(path, options, [1.0, -1.0]) == repr(labels[::-1])


def test_text_is_bytes_with_offsets_and_what_is_missing(tmp_path: Path) -> None:
    row = (
        "((double *)out)[at] = columns[0].missing[at] ? -1"
        " : (double)(columns[0].offsets[at + 1] - columns[0].offsets[at]);"
    )
    path = build(tmp_path, (1, 1, 1, 0, 1, 6), row)
    words: list[Any] = ["a", "", "\u00e9\U0001f600", "\ud800"]
    options = describe_options("object", missing_text="\0missing")
    assert (
        ask_both(path, options, [*words, None, float("nan")]) == "[1.0, 0.0, 6.0, 3.0, -1.0, -1.0]"
    )
    assert ask_both(path, describe_options("object"), words) == "[1.0, 0.0, 6.0, 3.0]"
    for value in (None, 5, True):
        with pytest.raises(ValueError, match="no text"):
            ask_both(path, describe_options("object"), [value])
    with pytest.raises(ValueError, match="no text"):
        ask_both(path, options, [5])


def test_a_null_is_another_value_beside_words_where_pandas_makes_it_one(tmp_path: Path) -> None:
    path = build(tmp_path, (1, 1, 1, 0, 1, 6), "((double *)out)[at] = columns[0].missing[at];")
    for more, beside in (({}, 1.0), ({"nan_beside_words": True}, 2.0)):
        options = describe_options("object", missing_text="\0missing", **more)
        assert ask_both(path, options, [None, "a", None]) == f"[{beside}, 0.0, {beside}]"
        assert ask_both(path, options, [None, None]) == "[1.0, 1.0]"


def test_what_the_model_refuses_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path, (1, 1, 1, 0, 1, 1), "if (at == 1) return at;")
    with pytest.raises(ValueError, match="value of row 1"):
        ask_both(path, describe_options("float64"), [1.0, 2.0])
    with pytest.raises(ValueError, match="without rows"):
        ask_both(path, describe_options("float64", empty=True), [])
    (tmp_path / "2").mkdir()
    full = build(tmp_path / "2", (1, 1, 1, 0, 1, 1), "return -2;")
    with pytest.raises(MemoryError):
        ask_both(full, describe_options("float64"), [1.0])


@pytest.mark.parametrize(
    ("dtypes", "more", "why"),
    [
        (("float32",), {}, "reads columns of"),
        (("float64", "float64"), {}, "reads columns of"),
        (("object",), {}, "reads columns of"),
        (("float64",), {"labels": ["a"]}, "tells 0 labels apart"),
        (("float64",), {"nan": ["c0"]}, "options"),
    ],
)
def test_options_of_another_library_are_refused(
    dtypes: tuple[str, ...], more: dict[str, Any], why: str, tmp_path: Path
) -> None:
    path = build(tmp_path, (1, 1, 1, 0, 1, 1), "((double *)out)[at] = 0;")
    with pytest.raises(ValueError, match=why):
        PlainLibrary(path, describe_options(*dtypes, **more))


def test_columns_of_other_lengths_are_refused(tmp_path: Path) -> None:
    path = build(tmp_path, (1, 1, 1, 0, 2, 1, 1), "((double *)out)[at] = 0;")
    library = PlainLibrary(path, describe_options("float64", "float64"))
    columns: Any = {"c0": plain.array([1.0]), "c1": plain.array([1.0, 2.0])}
    with pytest.raises(ValueError, match="reads columns of"):
        library.predict(columns, None)
    del columns["c1"]
    with pytest.raises(KeyError):
        library.predict(columns, None)


def test_arrays_of_numpy_are_read_too(tmp_path: Path) -> None:
    path = build(tmp_path, (1, 1, 1, 0, 1, 1), "((double *)out)[at] = 2;")
    library = PlainLibrary(path, describe_options("float64"))
    assert np.asarray(library.predict({"c0": np.ones(2)}, None)).tolist() == [2.0, 2.0]
