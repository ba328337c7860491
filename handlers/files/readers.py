"""A file's bytes to chunks of whole rows, never holding more than a few of these."""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from handlers.files.chunks import Batch, Csv, Document, Items, Lines, count_cells, ends
from handlers.scoring.errors import InvalidInputError, TooLargeError
from handlers.values import relax_pattern, remove_prefix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    import pyarrow as pa
    import pyarrow.parquet as pq

_BOM = codecs.BOM_UTF8
_ROW_BYTES = 16
"""Times a chunk's size: the longest row that is waited for."""
_PARQUET_ROWS, _PARQUET_STEP_ROWS = 65_536, 64
"""At most in a chunk, and read at a time."""
_ESCAPED = re.compile("[\udc80-\udcff]")
_MARKS = re.compile(relax_pattern(r'[\[{]++|[\]}]++|,|"(?:[^"\\]++|\\.)*+"?'), re.DOTALL)
FORMATS = (".csv", ".jsonl", ".ndjson", ".json", ".parquet")

Part: TypeAlias = "Csv | Lines | Batch | Document"


class Bytes(Protocol):
    """Bytes to read: `handlers.files.storage.Source`."""

    key: str
    size_bytes: int

    def blocks(self) -> Iterator[bytes]: ...

    def between(self, start: int, stop: int) -> bytes: ...


def read(source: Bytes, chunk_bytes: int) -> Iterator[Part]:
    """By the name's end. Raises InvalidInputError for another, TooLargeError for too long a row."""
    name = source.key.lower()
    if name.endswith(".csv"):
        return _read_csv(source.blocks(), chunk_bytes)
    if name.endswith((".jsonl", ".ndjson")):
        return _read_lines(source.blocks(), chunk_bytes)
    if name.endswith(".json"):
        return _read_json(source, chunk_bytes)
    if name.endswith(".parquet"):
        return _read_parquet(source, chunk_bytes)
    raise InvalidInputError(f"A file's name must end with one of {', '.join(FORMATS)}.")


def _read_csv(blocks: Iterable[bytes], chunk_bytes: int) -> Iterator[Csv]:
    header = width = None
    for records in _cut_lines(blocks, chunk_bytes, quoted=True):
        if header is None:
            end = _first_end(records)
            header, rest = remove_prefix(records[:end], _BOM), records[end:]
            if not header.endswith(b"\n"):
                header += b"\n"
        else:
            rest = records
        if rest.strip():
            width = width or max(count_cells(header), count_cells(rest))
            yield Csv(header, rest, width)


def _read_lines(blocks: Iterable[bytes], chunk_bytes: int) -> Iterator[Lines]:
    first = True
    for text in _cut_lines(blocks, chunk_bytes, quoted=False):
        rest = remove_prefix(text, _BOM) if first else text
        lines = [line for line in rest.split(b"\n") if line.strip()]
        first = False
        if lines:
            yield Lines(lines)


def _first_end(text: bytes) -> int:
    """Behind the first record."""
    return next(iter(ends(text)[0]), len(text))


def _last_end(text: bytes, *, quoted: bool) -> int:
    """Behind the last whole record; 0 where there is none. Text starts outside of quotes."""
    if not quoted or b'"' not in text:
        return text.rfind(b"\n") + 1
    stops, _ = ends(text)
    return stops[-1] if stops else 0


def _cut_lines(blocks: Iterable[bytes], chunk_bytes: int, *, quoted: bool) -> Iterator[bytes]:
    """Whole records, about `chunk_bytes` of them at once."""
    buffer, wanted = bytearray(), chunk_bytes
    pieces = _cut_blocks(blocks, chunk_bytes)
    while (piece := next(pieces, None)) is not None:
        buffer += piece
        if len(buffer) < wanted:
            continue
        end = _last_end(bytes(buffer), quoted=quoted)
        if not end and len(buffer) > chunk_bytes * _ROW_BYTES:
            # of a quote that is not closed within a row's length, its own line is the row
            end = buffer.find(b"\n") + 1
            if not quoted or not end:
                raise _too_long(chunk_bytes * _ROW_BYTES)
            yield bytes(buffer[:end])
            # many chunks were waited for, and are no single one now
            pieces = itertools.chain(_cut_blocks([bytes(buffer[end:])], chunk_bytes), pieces)
            buffer.clear()
        elif end:
            yield bytes(buffer[:end])
            del buffer[:end]
        # a row of many blocks would else be looked through as often as it has blocks
        wanted = chunk_bytes if end else min(2 * len(buffer), chunk_bytes * _ROW_BYTES + 1)
    if buffer.strip():
        yield bytes(buffer)


def _cut_blocks(blocks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), most_bytes):
            yield block[start : start + most_bytes]


def _too_long(limit: int) -> TooLargeError:
    return TooLargeError(f"A row has more than {limit} bytes.")


def _read_json(source: Bytes, chunk_bytes: int) -> Iterator[Part]:
    """A list's items as they come; a document is one request, and must fit a chunk."""
    # what is not UTF-8 is a fault of its row: it goes back to the bytes that it was
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    blocks = source.blocks()
    text = ""
    for block in blocks:
        text = decode(block).lstrip("\ufeff \t\r\n")
        if text:
            break
    if text.startswith("["):
        yield from _read_items(text[1:], (decode(block) for block in blocks), chunk_bytes)
        return
    if source.size_bytes > chunk_bytes:
        raise TooLargeError(
            f"The file is one JSON request of more than {chunk_bytes} bytes. Write it as a list "
            "of rows, as JSON Lines or as CSV."
        )
    yield Document(_encode_text(text + "".join(decode(block) for block in blocks)))


def _read_items(text: str, more: Iterator[str], chunk_bytes: int) -> Iterator[Items]:
    found: list[bytes] = []
    size = 0
    for item in _cut_items(text, more, chunk_bytes * _ROW_BYTES):
        found.append(item)
        size += len(item)
        if size >= chunk_bytes:
            yield Items(found)
            found, size = [], 0
    if found:
        yield Items(found)


def _cut_items(text: str, more: Iterator[str], most: int) -> Iterator[bytes]:
    """The items of a list whose bracket is open, each as it is written, up to the file's end."""
    scan = json.JSONDecoder().raw_decode
    place, comma = 0, False
    while True:
        place = _is_blank(text, place)
        if text[place : place + 1] == "]" and not comma:
            break
        try:
            _, end = scan(text, place)
        except json.JSONDecodeError:
            end = len(text)
        except (ValueError, RecursionError):
            # too many digits or too deep for a number or an item: where it ends can be told still
            end = _item_end(text, place)
        after = _is_blank(text, end)
        if after == len(text):  # cut off, or a number that may go on
            if len(text) - place > most:
                raise _too_long(most)
            left, text, place = text, _grow_text(text[place:], more, most), 0
            if not text:
                raise _not_a_list(left)
            continue
        if text[after] not in ",]":
            raise _not_a_list(text)
        yield _encode_text(text[place:end])
        comma = text[after] == ","
        place = after + comma
    if "".join([text[place + 1 :], *more]).strip():
        raise InvalidInputError(
            "The file goes on after its JSON list. Write one list, or JSON Lines (.jsonl)."
        )


def _grow_text(text: str, more: Iterator[str], most: int) -> str:
    """To twice its length, or beyond the most that is read; empty where no more comes.

    An item that goes on for many blocks would else be read as often as it has blocks.
    """
    parts, size = [text], 0
    for piece in more:
        parts.append(piece)
        size += len(piece)
        if size >= min(len(text), most - len(text) + 1):
            break
    return "".join(parts) if len(parts) > 1 else ""


def _not_a_list(text: str) -> InvalidInputError:
    utf8 = _ESCAPED.search(text) is None
    return InvalidInputError(f"The file is not {'a JSON list' if utf8 else 'UTF-8'}.")


def _encode_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _item_end(text: str, place: int) -> int:
    """Behind an item, by its brackets and texts alone; the text's end where it is cut off."""
    depth = 0
    for found in _MARKS.finditer(text, place):
        marks = found[0]
        if marks[0] in "[{":
            depth += len(marks)
        elif marks[0] in "]}":
            if len(marks) >= depth:
                return found.start() + depth
            depth -= len(marks)
        elif depth == 0 and marks == ",":
            return found.start()
    return len(text)


def _is_blank(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def _read_parquet(source: Bytes, chunk_bytes: int) -> Iterator[Batch]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InvalidInputError(
            "The artifact holds no pyarrow to read Parquet with. Send CSV or JSON Lines, or build "
            "with --keep-package pyarrow."
        ) from error
    opened = _Seekable(source)
    try:
        file = pq.ParquetFile(pa.PythonFile(opened, mode="r"))
        for batches in _gather_rows(file, chunk_bytes):
            yield from map(Batch, _join_batches(batches))
    except MemoryError:  # pyarrow's is an ArrowException too, and no fault of the file
        raise
    except (pa.ArrowException, OSError) as error:
        if error is opened.failure:
            raise
        # what is damaged stays damaged: as a cause, an OSError would have the file come again
        raise InvalidInputError(
            "The file is not Parquet, or it is damaged. Write it again."
        ) from None


def _gather_rows(file: pq.ParquetFile, chunk_bytes: int) -> Iterator[list[pa.RecordBatch]]:
    """A few rows after another up to a chunk's size.

    What the file says of its size does not tell what comes of it: one text may stand for every row.
    """
    found: list[pa.RecordBatch] = []
    size = held = rows = 0
    most = chunk_bytes
    for batch in file.iter_batches(batch_size=_PARQUET_STEP_ROWS):
        found.append(batch)
        rows += batch.num_rows
        size += sum(map(_count_bytes, batch.columns))
        held += batch.nbytes
        if size >= chunk_bytes or rows >= _PARQUET_ROWS:
            yield found
            found, size, held, rows, most = [], 0, 0, 0, chunk_bytes
        elif held > most:  # each step brings all categories of its columns along
            found = _join_batches(found)
            held = sum(each.nbytes for each in found)
            most = 2 * held + chunk_bytes
    if found:
        yield found


def _join_batches(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The same rows, the categories of a column held once."""
    import pyarrow as pa

    table = pa.Table.from_batches(batches)
    if any(pa.types.is_dictionary(each) for each in table.schema.types):
        table = table.unify_dictionaries()
    joined: list[pa.RecordBatch] = table.combine_chunks().to_batches()
    return joined


def _count_bytes(column: pa.Array) -> int:
    decoded = column.dictionary_decode() if hasattr(column, "dictionary_decode") else column
    return int(decoded.nbytes)


class _Seekable:
    """A source as a file that pyarrow reads: a request for each range that it wants."""

    closed = False

    def __init__(self, source: Bytes) -> None:
        self._source = source
        self._place = 0
        self.failure: Exception | None = None
        """What the source raised: for damaged bytes pyarrow raises an OSError of its own."""

    def read(self, count: int | None = None) -> bytes:
        size = self._source.size_bytes
        stop = size if count is None or count < 0 else min(size, self._place + count)
        if stop <= self._place:
            return b""
        try:
            found = self._source.between(self._place, stop)
        except Exception as error:
            self.failure = error
            raise
        self._place = stop
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._place, self._source.size_bytes)[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> object:
        raise AttributeError(name)
