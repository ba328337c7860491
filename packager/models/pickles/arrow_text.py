"""Text of an Arrow array, out of its buffers alone; Arrow itself is not needed.

A string array is a bitmap of what is there, offsets, and UTF-8 bytes:
https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-layout
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

WIDTHS: Final = {"string": 4, "large_string": 8}
"""Bytes of an offset, by the type's name in a pickle."""
_FORMATS: Final = {4: "i", 8: "q"}
_BUFFERS: Final = 3


def decode_text(
    kind: str, length: object, offset: object, buffers: Sequence[bytes | None]
) -> list[str | None]:
    """Decode an array of `length` from `offset` on; None for what is absent.

    Raises ValueError for another type, and for buffers that are too short for what they say.
    """
    width = WIDTHS.get(kind)
    if width is None:
        raise ValueError(f"its type is {kind}, not {' or '.join(WIDTHS)}")
    count, first = _check_number("length", length), _check_number("offset", offset)
    if len(buffers) != _BUFFERS:
        raise ValueError(f"it has {len(buffers)} buffers, where text has {_BUFFERS}")
    validity, offsets, characters = buffers
    if not count:
        return []
    bounds = _read_offsets(offsets or b"", width, first, count)  # it bounds `count` by bytes
    there = _read_validity(validity, first, count)
    data = characters or b""
    _check_bounds(bounds, len(data))
    return [
        data[start:end].decode("utf-8") if is_there else None
        for (start, end), is_there in zip(pairwise(bounds), there, strict=True)
    ]


def _check_number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"its {name} is {value!r}, not a number from 0 on")
    return value


def _read_validity(bitmap: bytes | None, first: int, count: int) -> list[bool]:
    """Bits, the lowest of a byte first; all are there where there is no bitmap."""
    if bitmap is None:
        return [True] * count
    if (first + count + 7) // 8 > len(bitmap):
        raise ValueError(f"{len(bitmap):,} bytes say which of {first + count:,} values are there")
    return [bool(bitmap[at >> 3] >> (at & 7) & 1) for at in range(first, first + count)]


def _read_offsets(offsets: bytes, width: int, first: int, count: int) -> tuple[int, ...]:
    end = (first + count + 1) * width
    if end > len(offsets):
        raise ValueError(
            f"its offsets have {len(offsets):,} bytes, and {first + count:,} values take {end:,}"
        )
    return struct.unpack(f"<{count + 1}{_FORMATS[width]}", offsets[first * width : end])


def _check_bounds(bounds: Sequence[int], size_bytes: int) -> None:
    if bounds[0] < 0 or bounds[-1] > size_bytes:
        raise ValueError(
            f"its offsets go from {bounds[0]:,} to {bounds[-1]:,} of {size_bytes:,} bytes"
        )
    if any(start > end for start, end in pairwise(bounds)):
        raise ValueError("one of its offsets is before the last one")
