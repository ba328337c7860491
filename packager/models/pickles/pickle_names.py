"""Names in a pickle's opcodes; nothing of it is run.

https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import io
import lzma
import math
import pickletools
import re
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final, cast

PROTOCOLS: Final = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""First bytes of a pickle; those of the protocols 0 and 1 begin with anything."""
_NAME_BYTES: Final = 1 << 20
"""Longer arguments hold arrays and texts: they are passed over, not read."""
_MOST_BYTES: Final = 4_000_000_000
"""Of what a pickle comes to once it is decompressed: a small file may stand for terabytes."""
OLD_START: Final = re.compile(
    rb"c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n(?:p\d+\n|q.|\()|\([dl]p\d+\n|[\]}]q\x00", re.DOTALL
)
"""First bytes of most pickles of the protocols 0 and 1."""
ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_ANY_HEADER: Final = zlib.MAX_WBITS | 32
_EXTENSIONS: Final = frozenset({"EXT1", "EXT2", "EXT4"})
_HEAD_BYTES: Final = 6
_MOST_INNER_BYTES: Final = 100_000_000
"""Of pickles in a pickle, once they are decompressed."""
_MOST_DEPTH: Final = 4
"""Of pickles in pickles."""
_BASE64: Final = re.compile(r"gA[IJNQRSUVWX][A-Za-z0-9+/_-]{8,}={0,2}")
"""The bytes that a pickle begins with, as text."""
_HEX: Final = re.compile(r"800[2-5](?:[0-9a-f]{2})+", re.IGNORECASE)
_EMPTY_LINE: Final = b"''\n"
"""Text of the protocols 0 and 1, with its quotes."""
_DEPTH: Final = 4096
"""Of what was pushed that is remembered: no tuple of names is longer."""


@dataclass(slots=True)
class PickleNames:
    """The globals that a pickle names, words, and tuples of words.

    Functions that are pickled by value carry the names that their code uses as a tuple.
    """

    globals: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    tuples: list[tuple[str, ...]] = field(default_factory=list)
    inner: set[str] = field(default_factory=set)
    """Words of pickles that are held as bytes: who loads these, and whether, nobody knows."""
    is_open: bool = False
    """It names an object by what only the process that wrote it knows (copyreg's extensions)."""
    is_persistent: bool = False
    """It leaves objects to whoever loads it."""
    inner_bytes: int = 0
    """Bytes that those were unpacked to so far."""
    has_long: bool = False
    """It holds bytes that were passed over, and may be a pickle."""


class _Blank(bytes):
    """Stand-in for an argument that was passed over: of its length, with its first bytes alone."""

    length = 0
    head = b""

    def __len__(self) -> int:
        return self.length


class _NamesOnly:
    """File of a pickle as pickletools reads it, which keeps no argument that can be no name."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        # what is decompressed is a reader too, over something else
        is_plain = isinstance(file, io.BufferedReader) and isinstance(file.raw, io.FileIO)
        self._left = math.inf if is_plain else _MOST_BYTES

    def read(self, size: int) -> bytes:
        self._spend(size)
        if size <= _NAME_BYTES:
            return self._file.read(size)
        head = self._file.read(_HEAD_BYTES)
        if self._skip(size - 1 - _HEAD_BYTES) and len(self._file.read(1)) != 1:
            return b""  # it ends before: pickletools says so
        blank = _Blank()
        blank.length, blank.head = size, head
        return blank

    def readline(self) -> bytes:
        line = part = self._file.readline(_NAME_BYTES)
        self._spend(len(part))
        while len(part) == _NAME_BYTES and not part.endswith(b"\n"):
            line, part = _EMPTY_LINE, self._file.readline(_NAME_BYTES)
            self._spend(len(part))
        return line if part.endswith(b"\n") else part

    def _skip(self, size: int) -> int:
        if self._file.seekable():
            return self._file.seek(size, 1)
        passed = 0
        while passed < size and (part := self._file.read(min(size - passed, _NAME_BYTES))):
            passed += len(part)
        return passed

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"it comes to more than {_MOST_BYTES:,} bytes")


def read_opcodes(file: IO[bytes], most: int | None = None) -> Iterator[tuple[str, Any]]:
    """Yield each opcode's name and its argument, of which those over a megabyte are empty.

    Raises ValueError for what is no pickle, has more than `most`, or decompresses to over 4 GB.
    """
    source = cast("IO[bytes]", _NamesOnly(file))
    for count, (opcode, argument, _) in enumerate(pickletools.genops(source)):
        if count == most:
            raise ValueError(f"it has more than {most:,} opcodes")
        yield opcode.name, argument


def read_pickle(
    file: IO[bytes], into: PickleNames | None = None, *, most: int | None = None
) -> PickleNames:
    """Read to the pickle's end, or `most` opcodes of it.

    Raises ValueError for what is no pickle, or has more; what was read up to there is in `into`.
    """
    seen = PickleNames() if into is None else into
    memo = dict[int, str | None]()
    stack = deque[str | None]([None], maxlen=_DEPTH)
    for name, argument in read_opcodes(file, most):
        if name in {"GLOBAL", "INST", "STACK_GLOBAL"}:
            text = _join_last(stack) if argument is None else str(argument)
            seen.globals.add(text.replace(" ", "."))
            seen.is_open |= text.startswith("None.")
            stack.append(None)
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            memo[int(argument)] = stack[-1]
        elif name in {"GET", "BINGET", "LONG_BINGET"}:
            stack.append(memo.get(int(argument)))
        elif name.startswith("TUPLE"):
            _close_tuple(stack, seen)
        elif isinstance(argument, str):
            stack.append(argument)
            seen.words.add(argument)
            _read_inner(argument, seen)
            seen.is_persistent |= name == "PERSID"
        elif name not in {"PROTO", "FRAME"}:
            stack.append(None)
            _read_inner(argument, seen)
            seen.is_open |= name in _EXTENSIONS
            seen.is_persistent |= name == "BINPERSID"
    return seen


def _read_inner(argument: object, seen: PickleNames, depth: int = 0) -> None:
    """Take over the globals of a pickle that is held as bytes or text, and of those in it."""
    if isinstance(argument, _Blank):
        seen.has_long |= _may_be_pickle(argument.head)
        return
    if depth == _MOST_DEPTH or seen.inner_bytes >= _MOST_INNER_BYTES:
        return
    content = _unpack(argument)
    is_pickle = content[:2] in PROTOCOLS or bool(OLD_START.match(content))
    if is_pickle or content is not argument:
        seen.inner_bytes += len(content)
    if not is_pickle:
        return
    with contextlib.suppress(ValueError):
        for _, text in read_opcodes(io.BytesIO(content)):
            if isinstance(text, str):
                seen.inner.add(text.partition(" ")[0])
            _read_inner(text, seen, depth + 1)


def _may_be_pickle(content: bytes) -> bool:
    return content[:2] in PROTOCOLS or bool(OLD_START.match(content)) or _is_packed(content)


def _is_packed(content: bytes) -> bool:
    return content.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", *ZLIB))


def _unpack(argument: object) -> bytes:
    """Read what bytes or a text hold, decompressed where that is what they begin as."""
    if isinstance(argument, str):
        content = _decode(argument) if argument[:2] in {"gA", "80"} else b""
    else:
        content = bytes(argument) if isinstance(argument, bytes | bytearray) else b""
    return _decompress(content) if _is_packed(content) else content


def _decode(text: str) -> bytes:
    bare = "".join(text.split())
    with contextlib.suppress(ValueError):
        if _BASE64.fullmatch(bare):
            return base64.b64decode(bare, altchars=b"-_" if {*bare} & {*"-_"} else None)
        if _HEX.fullmatch(bare):
            return bytes.fromhex(bare)
    return b""


def _decompress(content: bytes) -> bytes:
    """Empty for what is not what it begins as; no more than a bounded part of much."""
    try:
        if content.startswith(b"BZh"):
            return bz2.BZ2Decompressor().decompress(content, _MOST_INNER_BYTES)
        if content.startswith(b"\xfd7zXZ"):
            return lzma.LZMADecompressor().decompress(content, _MOST_INNER_BYTES)
        return zlib.decompressobj(_ANY_HEADER).decompress(content, _MOST_INNER_BYTES)
    except (OSError, lzma.LZMAError, zlib.error):
        return b""


def _close_tuple(stack: deque[str | None], seen: PickleNames) -> None:
    if words := _last_words(stack):
        seen.tuples.append(words)
    stack.clear()
    stack.append(None)


def _join_last(stack: deque[str | None]) -> str:
    """The two texts pushed last; `None` stands for one that only running it would tell."""
    module = stack[-2] if len(stack) > 1 else None
    return f"{module}.{stack[-1]}"


def _last_words(stack: deque[str | None]) -> tuple[str, ...]:
    """The run of words at the end of what was pushed."""
    words: list[str] = []
    for each in reversed(stack):
        if each is None:
            break
        words.append(each)
    return tuple(reversed(words))
