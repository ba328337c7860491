"""Several files as one entry of the cache: a length, their names and sizes as JSON, then each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping


def pack_files(contents: Mapping[str, bytes]) -> bytes:
    """Return the files as one string of bytes, in their order."""
    head = json.dumps({name: len(content) for name, content in contents.items()}).encode()
    return b"".join([len(head).to_bytes(8), head, *contents.values()])


def unpack_files(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file."""
    start = 8 + int.from_bytes(packed[:8])
    for name, size in json.loads(packed[8:start]).items():
        yield name, packed[start : start + size]
        start += size
