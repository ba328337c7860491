"""Pickles with text of pandas' in pyarrow hold the same without it once they are rewritten."""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.models.pickles.pandas_text import rewrite_text
from tests import examples

pa: Any = pytest.importorskip("pyarrow")
joblib: Any = pytest.importorskip("joblib")
pd: Any = pytest.importorskip("pandas", minversion="3")

NAN = pd.StringDtype("pyarrow", na_value=np.nan)
NA = pd.StringDtype("pyarrow", na_value=pd.NA)
TEXTS = st.lists(
    st.none() | st.sampled_from(["", "a", "a\0b", "東京", "São Paulo"]) | st.text(max_size=300),
    max_size=9,
).filter(lambda texts: all(_is_utf8(text) for text in texts))


def _is_utf8(text: str | None) -> bool:
    return text is None or not any("\ud800" <= each <= "\udfff" for each in text)


def _dump_joblib(value: object, compress: int = 0) -> bytes:
    file = io.BytesIO()
    joblib.dump(value, file, compress=compress)
    return file.getvalue()


DUMPS = [
    *(functools.partial(pickle.dumps, protocol=each) for each in range(2, 6)),
    cloudpickle.dumps,
    _dump_joblib,
    pickle._dumps,  # type: ignore[attr-defined]
]
NAMES = ["2", "3", "4", "5", "cloudpickle", "joblib", "python"]


class _NoArrow(pickle.Unpickler):
    """Python's own unpickler, which has what it finds looked at."""

    def find_class(self, module: str, name: str) -> Any:
        assert "pyarrow" not in module
        assert not name.startswith("Arrow")
        return super().find_class(module, name)


def _load(data: bytes, dump: object) -> Any:
    if dump is _dump_joblib:
        return joblib.load(io.BytesIO(data))
    found = _NoArrow(io.BytesIO(data)).load()
    pickle._loads(data)  # type: ignore[attr-defined]  # Python's, as joblib's, keeps another memo
    return found


def _rewrite(value: object, dump: Callable[[object], bytes]) -> tuple[Any, int, int]:
    found = rewrite_text(dump(value))
    assert b"pyarrow" not in found.data
    if dump is not _dump_joblib:
        assert [*pickletools.genops(found.data)][-1][0].name == "STOP"
    return _load(found.data, dump), found.arrays, found.types


def _storages(value: Any) -> set[str]:
    return {each.storage for each in value.dtypes if isinstance(each, pd.StringDtype)}


def _frame() -> Any:
    frame = pd.DataFrame(
        {
            "city": pd.array(["Oslo", None, "São Paulo", "Oslo", ""], dtype=NAN),
            "plan": pd.array(["a", "b", None, "b", "c" * 400], dtype=NA),
            "rate": [1.5, 2.5, np.nan, 4.0, 5.0],
        },
        index=pd.Index(["r1", "r2", "r3", "r4", "r5"], dtype=NAN, name="row"),
    )
    frame["kind"] = frame["city"].astype("category")
    return frame


@pytest.mark.parametrize("dump", DUMPS, ids=NAMES)
@given(texts=TEXTS, dtype=st.sampled_from([NAN, NA]))
@settings(max_examples=examples.count(10))
def test_every_array_is_the_same_texts(
    dump: Callable[[object], bytes], texts: list[str | None], dtype: Any
) -> None:
    array = pd.array(texts, dtype=dtype)
    found, arrays, types = _rewrite(array, dump)
    assert (arrays, types) == (1, 0)
    assert type(found) is pd.arrays.StringArray
    assert found.dtype == pd.StringDtype("python", na_value=dtype.na_value)
    assert found.isna().tolist() == array.isna().tolist()
    assert found[~found.isna()].tolist() == array[~array.isna()].tolist()


@given(TEXTS, st.integers(0, 9), st.integers(1, 3))
@settings(max_examples=examples.count(10))
def test_slices_and_chunks(texts: list[str | None], start: int, step: int) -> None:
    chunks = pa.chunked_array(
        [pa.array(texts, pa.large_string()), pa.array(texts, pa.large_string()).slice(start)],
    )
    array = pd.arrays.ArrowStringArray(chunks, dtype=NAN)[::step]
    found, _, _ = _rewrite([array, array[1:]], cloudpickle.dumps)
    assert found[0].astype(object).tolist() == pytest.approx(
        array.astype(object).tolist(), nan_ok=True
    )


class _Chunked:
    """An array as pandas before 2.2 pickled it: its chunks as they were, of either type."""

    __class__ = pd.arrays.ArrowStringArray  # pickle asks for it

    def __init__(self, chunks: Any) -> None:
        self.state = {"_pa_array": chunks, "_dtype": NAN}

    def __reduce__(self) -> Any:
        return copyreg.__newobj__, (pd.arrays.ArrowStringArray,), self.state  # type: ignore[attr-defined]


class _Chunks:
    """Chunks that pyarrow would not make an array of."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __reduce__(self) -> Any:
        return pa.chunked_array, (self.parts, pa.large_string())


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_chunks_that_are_pickled_each_on_their_own(kind: Any) -> None:
    chunks = pa.chunked_array([pa.array(["a", None], kind), pa.array([], kind)], kind)
    found, _, _ = _rewrite(_Chunked(chunks), pickle.dumps)
    assert found.isna().tolist() == [False, True]


@pytest.mark.parametrize("dump", DUMPS, ids=NAMES)
def test_a_frame_with_its_index_and_categories(dump: Callable[[object], bytes]) -> None:
    frame = _frame()
    found, arrays, _ = _rewrite({"frame": frame, "types": frame.dtypes, "again": frame}, dump)
    assert arrays >= 5
    assert found["frame"] is found["again"]
    assert _storages(found["frame"]) == {"python"}
    assert {each.storage for each in found["types"] if isinstance(each, pd.StringDtype)} == {
        "python"
    }
    assert found["frame"].index.dtype.storage == "python"
    assert found["frame"]["kind"].cat.categories.dtype.storage == "python"
    assert found["frame"].columns.dtype.storage == "python"
    for name in ("city", "plan", "kind"):
        assert found["frame"][name].isna().tolist() == frame[name].isna().tolist()
        assert found["frame"][name].dropna().tolist() == frame[name].dropna().tolist()
    assert found["frame"]["rate"].equals(frame["rate"].set_axis(found["frame"].index))


@pytest.mark.parametrize("dump", DUMPS, ids=NAMES)
def test_what_lies_beside_the_text_stays(dump: Callable[[object], bytes]) -> None:
    text = "a text of Arrow's"
    shared = pd.array(["a", "b"], dtype=NAN)
    value = {
        "numbers": np.arange(1000.0),
        "whole": np.arange(12).reshape(3, 4)[:, ::2],
        "words": np.array(["ab", "c"]),
        "objects": np.array([text, None, NAN, {"x": 1}], dtype=object),
        "times": np.array(["2026-01-01"], dtype="M8[ns]"),
        "first": shared,
        "second": shared,
        "bytes": [b"", b"a", bytearray(b"ab"), "pandas", "StringDtype", "builtins"],
        "function": bytearray,
        "long": [text * 40] * 300,
    }
    found, _, _ = _rewrite(value, dump)
    assert found["first"] is found["second"]
    assert found["first"].tolist() == ["a", "b"]
    assert found["objects"][2].storage == "python"
    for name in ("numbers", "whole", "words", "times"):
        assert np.array_equal(found[name], value[name])
    for name in ("bytes", "function", "long"):
        assert found[name] == value[name]


def test_an_array_that_may_not_be_changed_still_may_not() -> None:
    array = pd.array(["a", "b"], dtype=NAN)
    array._readonly = True
    found, _, _ = _rewrite(array, pickle.dumps)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = "c"


def test_a_text_that_comes_often_is_held_once() -> None:
    array = pd.array(["some long name of a place"] * 1000, dtype=NAN)
    found, _, _ = _rewrite(array, pickle.dumps)
    assert len({id(each) for each in found}) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pd.array([1, 2], dtype="int64[pyarrow]"), "beside text"),
        ([pd.array(["a"], dtype=NAN), pa.table({"a": [1]})], "beside text"),
        ([pd.array(["a"], dtype=NAN), pd.array([1], dtype="int64[pyarrow]")], "beside text"),
        ([pd.array(["a"], dtype=NAN), pa.array(["a"])], "beside text"),
    ],
)
def test_what_needs_pyarrow_for_more_stays(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rewrite_text(pickle.dumps(value))


def test_an_array_of_pyarrow_s_that_is_used_elsewhere_too_stays() -> None:
    array = pa.array(["a"], pa.large_string())
    with pytest.raises(ValueError, match="a call, of which its text is made, is used beside text"):
        rewrite_text(pickle.dumps([_Chunked(array), array]))


def _damage(**parts: Any) -> bytes:
    """A pickle of an array whose parts were written by somebody who means harm."""
    said = {"length": 1, "nulls": 0, "offset": 0, "offsets": b"\0" * 8 + b"\1" + b"\0" * 7} | parts

    class Array:
        def __reduce__(self) -> Any:
            buffers = [None, pa.py_buffer(said["offsets"]), pa.py_buffer(b"a")]
            numbers = said["length"], said["nulls"], said["offset"]
            return pa.lib._restore_array, ((pa.large_string(), *numbers, buffers, [], None),)

    return pickle.dumps(_Chunked(Array()))


def test_the_crafted_array_without_harm_is_read() -> None:
    assert _load(rewrite_text(_damage()).data, pickle.dumps).tolist() == ["a"]


@pytest.mark.parametrize(
    "parts",
    [
        {"length": -1},
        {"length": 2},
        {"length": 2**62},
        {"offset": -1},
        {"offset": 1},
        {"offset": "0"},
        {"offsets": b""},
        {"offsets": b"\0" * 8 + b"\2" + b"\0" * 7},
        {"offsets": b"\xff" * 8 + b"\1" + b"\0" * 7},
    ],
)
def test_a_damaged_array_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a text array of it is damaged: its (length|offset)"):
        rewrite_text(_damage(**parts))


@given(st.integers(0, 4000), st.binary(min_size=1, max_size=3))
@settings(max_examples=examples.count(40))
def test_a_pickle_with_any_bytes_changed_is_rewritten_or_refused(at: int, put: bytes) -> None:
    data = bytearray(pickle.dumps(_frame()))
    at %= len(data)
    data[at : at + len(put)] = put
    try:
        found = rewrite_text(bytes(data))
    except ValueError:
        return
    assert found.data


@pytest.mark.parametrize("value", [[1, 2, "pyarrow"], pd.array(["a"], dtype="string[python]")])
def test_a_pickle_without_such_text_is_as_it_was(value: object) -> None:
    data = pickle.dumps(value)
    found = rewrite_text(data)
    assert (found.data, found.arrays, found.types) == (data, 0, 0)


def test_types_of_columns_alone() -> None:
    found, arrays, types = _rewrite({"types": [NAN, NA, NAN], "again": NAN}, pickle.dumps)
    assert (arrays, types) == (0, 2)
    assert [each.storage for each in found["types"]] == ["python"] * 3
    assert found["types"][0] is found["again"]


def test_a_class_of_pyarrow_s_of_the_first_protocol_is_seen() -> None:
    with pytest.raises(ValueError, match=r"names pyarrow\.lib\.Table beside text"):
        rewrite_text(b"(ipyarrow.lib\nTable\n.")


def test_an_array_that_is_named_again_and_again_is_not_decoded_without_end() -> None:
    chunk = pa.array(["a" * 2_000_000], pa.large_string())
    one = rewrite_text(pickle.dumps(_Chunked(_Chunks([chunk, chunk]))))
    assert one.arrays == 1
    with pytest.raises(ValueError, match="come to many times the file"):
        rewrite_text(pickle.dumps(_Chunked(_Chunks([chunk] * 200))))


@pytest.mark.parametrize("itself", [True, False])
def test_chunks_of_chunks_are_refused(*, itself: bool) -> None:
    chunks = _Chunks([pa.array(["a"], pa.large_string())])
    if itself:
        chunks.parts.append(chunks)
    for _ in range(60):
        chunks = _Chunks([chunks, chunks])
    with pytest.raises(ValueError, match="is of another form"):
        rewrite_text(pickle.dumps(_Chunked(chunks)))
