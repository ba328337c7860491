"""Text decoded out of Arrow's buffers is what pyarrow itself reads of them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packager.models.pickles.arrow_text import decode_text
from tests import examples

pa: Any = pytest.importorskip("pyarrow")
TEXTS = st.lists(st.none() | st.text(st.characters(codec="utf-8"), max_size=9), max_size=40)
TYPES = st.sampled_from(["string", "large_string"])


def _decode(array: Any) -> list[str | None]:
    buffers = [None if each is None else each.to_pybytes() for each in array.buffers()]
    return decode_text(str(array.type), len(array), array.offset, buffers)


@settings(max_examples=examples.count(40))
@given(TEXTS, TYPES)
def test_every_array_is_read_as_pyarrow_reads_it(texts: list[str | None], kind: str) -> None:
    assert _decode(pa.array(texts, type=pa.type_for_alias(kind))) == texts


@settings(max_examples=examples.count(40))
@given(TEXTS, TYPES, st.integers(0, 45), st.integers(0, 45))
def test_a_slice_begins_at_its_offset(
    texts: list[str | None], kind: str, start: int, length: int
) -> None:
    array = pa.array(texts, type=pa.type_for_alias(kind)).slice(min(start, len(texts)), length)
    assert _decode(array) == array.to_pylist()


def test_a_bitmap_holds_where_no_null_is_counted() -> None:
    offsets = struct.pack("<3i", 0, 1, 2)
    assert decode_text("string", 2, 0, [b"\x02", offsets, b"ab"]) == [None, "b"]


@pytest.mark.parametrize(
    ("length", "offset", "buffers", "said"),
    [
        (-1, 0, [None, struct.pack("<2i", 0, 1), b"a"], "its length is -1"),
        (True, 0, [None, struct.pack("<2i", 0, 1), b"a"], "its length is True"),
        ("1", 0, [None, struct.pack("<2i", 0, 1), b"a"], "its length is '1'"),
        (1, -1, [None, struct.pack("<2i", 0, 1), b"a"], "its offset is -1"),
        (2, 0, [None, struct.pack("<2i", 0, 1), b"a"], "8 bytes, and 2 values take 12"),
        (1, 1, [None, struct.pack("<2i", 0, 1), b"a"], "8 bytes, and 2 values take 12"),
        (2**62, 0, [None, struct.pack("<2i", 0, 1), b"a"], "its offsets have 8 bytes"),
        (1, 2**80, [None, struct.pack("<2i", 0, 1), b"a"], "its offsets have 8 bytes"),
        (1, 0, [None, None, b"a"], "its offsets have 0 bytes"),
        (1, 0, [None, struct.pack("<2i", 0, 2), b"a"], "from 0 to 2 of 1 bytes"),
        (1, 0, [None, struct.pack("<2i", 0, 1), None], "from 0 to 1 of 0 bytes"),
        (1, 0, [None, struct.pack("<2i", -1, 1), b"a"], "from -1 to 1 of 1 bytes"),
        (2, 0, [None, struct.pack("<3i", 0, -9, 1), b"a"], "before the last one"),
        (2, 0, [None, struct.pack("<3i", 0, 9, 1), b"a"], "before the last one"),
        (9, 0, [b"\xff", struct.pack("<10i", *[0] * 10), b""], "1 bytes say which of 9"),
        (1, 0, [None, struct.pack("<2i", 0, 1), b"\xff"], "invalid start byte"),
        (1, 0, [None, struct.pack("<2i", 0, 3), b"\xed\xa0\x80"], "invalid continuation byte"),
        (1, 0, [struct.pack("<2i", 0, 1), b"a"], "2 buffers, where text has 3"),
    ],
)
def test_what_a_crafted_array_says_of_itself_is_not_believed(
    length: Any, offset: Any, buffers: list[bytes | None], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        decode_text("string", length, offset, buffers)


@settings(max_examples=examples.count(50))
@given(
    st.sampled_from(["string", "large_string", "string_view", "binary"]),
    st.integers(-2, 20) | st.integers(),
    st.integers(-2, 20) | st.integers(),
    st.lists(st.none() | st.binary(max_size=99), min_size=3, max_size=3),
)
def test_any_buffers_are_decoded_or_refused(
    kind: str, length: int, offset: int, buffers: list[bytes | None]
) -> None:
    try:
        texts = decode_text(kind, length, offset, buffers)
    except ValueError:
        return
    assert len(texts) == length
    if not length:
        return  # pyarrow refuses no bytes of no texts, though it writes such
    array = pa.Array.from_buffers(
        pa.type_for_alias(kind),
        length,
        [None if each is None else pa.py_buffer(each) for each in buffers],
        offset=offset,
    )
    array.validate(full=True)
    assert array.to_pylist() == texts


def test_another_type_is_named() -> None:
    with pytest.raises(ValueError, match="its type is string_view, not string or large_string"):
        decode_text("string_view", 0, 0, [None, None, None])
