"""Chunks to one answer a row, in order; a bad row is found by halving and answered by its fault."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.files.chunks import Chunk, Csv, Items, Lines, length, quote_record
from handlers.files.readers import Part
from handlers.observability import log_redaction
from handlers.scoring.errors import INTERNAL_ERROR, InvalidInputError, ScoringError
from handlers.scoring.request_merging import RequestMerger, Scored
from handlers.scoring.request_parsing import FORMATS, LLM_KEYS
from handlers.scoring.responses import encode, jsonable
from handlers.scoring.schema import np
from handlers.scoring.scorer import Checked, Scorer
from handlers.values import zip_equal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


_REQUEST_KEYS = frozenset({*FORMATS, *LLM_KEYS, "params"})
_LOG = logging.getLogger(__name__)
_TRANSIENT = (MemoryError, OSError)
_ALIKE = 16
"""Rows of one form that are worth a call to the model of their own."""


@dataclass(frozen=True)
class Fault:
    """Reason why one row has no answer."""

    error_code: str
    message: str


Answers: TypeAlias = "Sequence[Any]"
"""For each row what JSON can hold, or a Fault."""


class Rows:
    """Counts over the chunks of one file."""

    def __init__(self, scorer: Scorer, most_bad: int) -> None:
        self._scorer = scorer
        self._merger = RequestMerger(scorer)
        self._most_bad = most_bad
        self.counted = 0
        self.bad = 0

    def answers(self, chunk: Part) -> Answers:
        """Raises ScoringError where the file as a whole is at fault, or the model fails at all."""
        found = self._lines(chunk) if isinstance(chunk, Lines) else self._halve_chunk(chunk)
        self.counted += len(found)
        return found

    def _halve_chunk(self, chunk: Chunk) -> list[object]:
        try:
            checked = self._read(chunk)
            count = length(checked.data)
            if count == 0:
                return []
            prediction = self._scorer.predict(checked.data, checked.params)
        except ScoringError as error:
            if isinstance(error.__cause__, _TRANSIENT):
                raise
            refused = error
        else:
            return by_row(prediction, count)
        # outside of the handler: each error would have those of all wholes above it as its context
        parts = chunk.halves()
        try:
            if not parts:
                return [self._make_fault(refused)]
        finally:
            del refused  # its traceback holds this frame, and the frame the chunk
        return [answer for part in parts for answer in self._halve_chunk(part)]

    def _read(self, chunk: Chunk) -> Checked:
        """Raises ScoringError for whatever goes wrong."""
        try:
            return chunk.read(self._scorer)
        except (ScoringError, *_TRANSIENT):
            raise
        except Exception as error:  # a fault of ours, which must not spoil the other rows
            _LOG.error("%s at %s", type(error).__name__, log_redaction.place(error))
            message = "The row could not be read."
            raise ScoringError(message, error_code=INTERNAL_ERROR) from error

    def _lines(self, chunk: Lines) -> list[object]:
        values = [_parse_line(line) for line in chunk.lines]
        found: list[Any] = [None] * len(values)
        left = []
        for places in _by_form(values):
            same = [values[place] for place in places]
            few = len(places) < min(_ALIKE, len(values))
            answers = None if few else self._are_alike(same, chunk)
            if answers is None:
                left += places
            else:
                _put(found, places, answers)
        left.sort()
        _put(found, left, self._one_by_one([values[place] for place in left], chunk))
        return found

    def _one_by_one(self, values: Sequence[object], chunk: Lines) -> list[object]:
        requests = [self._request(value, chunk) for value in values]
        good = [request for request in requests if isinstance(request, dict)]
        results = iter(self._merger.score(good))
        found: list[Any] = []
        for value, request in zip_equal(values, requests):
            result = next(results) if isinstance(request, dict) else request
            if isinstance(result, ScoringError):
                if isinstance(result.__cause__, _TRANSIENT):
                    raise result
                found.append(self._make_fault(result))
                continue
            answer = json.loads(result.body)
            rows = answer.get("predictions") if isinstance(answer, dict) else None
            plain = request is not value and isinstance(rows, list) and len(rows) == 1
            found.append(rows[0] if plain and rows is not None else answer)
        return found

    def _are_alike(self, values: Sequence[object], chunk: Lines) -> list[object] | None:
        """Rows of one form go to the model as one table, as any of them would alone."""
        first = values[0]
        if not isinstance(first, dict) or not first:
            return None
        if not isinstance(chunk, Items) and first.keys() & _REQUEST_KEYS:
            return None
        if {list, dict} & set(map(type, first.values())):
            return None
        alike = [value for value in values if isinstance(value, dict)]  # all: they have one form
        try:
            checked = self._scorer.check(self._scorer.wrap_rows(alike))
            prediction = self._scorer.predict(checked.data, checked.params)
            return by_row(prediction, len(values))
        except ScoringError as error:
            if isinstance(error.__cause__, _TRANSIENT):
                raise
            return None

    def _request(self, value: object, chunk: Lines) -> dict[str, object] | ScoringError:
        if isinstance(value, ScoringError):
            return value
        if not isinstance(value, dict) or not value:
            return InvalidInputError("The row is not a JSON object.")
        request = not isinstance(chunk, Items) and value.keys() & _REQUEST_KEYS
        return value if request else self._scorer.row(value)

    def _make_fault(self, error: ScoringError) -> Fault:
        self.bad += 1
        if self.bad > self._most_bad:
            raise ScoringError(
                f"More than {self._most_bad} rows of the file cannot be scored. Correct them, or "
                f"raise PACKAGER_BAD_ROWS. The last one: {error.message}"
            )
        return Fault(error.error_code, error.message)


def _parse_line(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return InvalidInputError("The row is not JSON.")


def _put(found: list[object], places: Sequence[int], answers: Sequence[object]) -> None:
    for place, answer in zip_equal(places, answers):
        found[place] = answer


def _by_form(values: Sequence[object]) -> Iterable[list[int]]:
    """Places of rows with the same names in the same order and the same kinds of values."""
    found: dict[Hashable, list[int]] = {}
    for place, value in enumerate(values):
        row = value.items() if isinstance(value, dict) else ()
        form = tuple((name, type(each)) for name, each in row)
        found.setdefault(form, []).append(place)
    return found.values()


def by_row(prediction: object, count: int) -> list[object]:
    """One answer a row. Raises ScoringError where the model answers otherwise."""
    if isinstance(prediction, dict):
        columns = [_list_rows(column) for column in prediction.values()]
        if columns and all(len(column) == count for column in columns):
            names = list(prediction)
            return [dict(zip(names, row)) for row in zip(*columns)]
    else:
        found = _list_rows(prediction)
        if len(found) == count:
            return found
    raise ScoringError(
        "The model does not answer row by row, so it cannot score a file. Send it requests."
    )


def _list_rows(value: object) -> list[object]:
    plain = jsonable(value)
    return plain if isinstance(plain, list) else []


def text_rows(scorer: Scorer, rows: Sequence[Any]) -> list[Scored | ScoringError]:
    """Objects of column to text: those of the same columns are read and answered as a CSV file."""
    found: list[Any] = [InvalidInputError("The row is not an object of column to text.")] * len(
        rows
    )
    for places in _by_names(rows):
        _put(found, places, _text_table(scorer, [rows[place] for place in places]))
    return found


def _by_names(rows: Sequence[object]) -> Iterable[list[int]]:
    """Places of the rows that have the same columns in the same order."""
    found: dict[Hashable, list[int]] = {}
    for place, row in enumerate(rows):
        if isinstance(row, dict) and row:
            found.setdefault(tuple(row), []).append(place)
    return found.values()


def _text_table(scorer: Scorer, rows: Sequence[dict[str, object]]) -> list[Scored | ScoringError]:
    names = list(rows[0])
    text = io.StringIO()
    end = "\r\n"
    # quoted are the characters of the line end: a lone carriage return is one, before 3.13 too;
    # and a lone cell, since a line of blanks is no row
    lone = len(names) == 1
    write = csv.writer(
        text, lineterminator=end, quoting=csv.QUOTE_ALL if lone else csv.QUOTE_MINIMAL
    ).writerow
    header = ""
    for cells in (names, *(row.values() for row in rows)):
        try:
            write(cells)
        except csv.Error:
            text.write(quote_record(cells) + end)
        header = header or text.getvalue()
    records = text.getvalue()[len(header) :]
    # a lone surrogate is no UTF-8, which its row alone is refused for
    head, body = (part.encode("utf-8", "surrogatepass") for part in (header, records))
    found = Rows(scorer, len(rows)).answers(Csv(head, body, len(names)))
    if len(found) != len(rows):
        raise ScoringError(
            f"{len(rows)} rows of text were read as {len(found)}, so no answer is sure to be its "
            "row's. Send each row alone.",
            error_code=INTERNAL_ERROR,
        )
    return [
        ScoringError(answer.message, error_code=answer.error_code)
        if isinstance(answer, Fault)
        else Scored(encode([answer], bare_nan=False), 1)
        for answer in found
    ]


def texts(answers: Iterable[object]) -> list[str]:
    """Each as JSON that every reader takes."""
    try:
        return [json.dumps(answer, allow_nan=False) for answer in answers]
    except (ValueError, TypeError):
        return [encode(answer, wrapped=False, bare_nan=False).decode() for answer in answers]


def numbers(answers: Sequence[Any]) -> bool:
    return (
        bool(answers)
        and all(type(answer) is float for answer in answers)
        and bool(np.isfinite(answers).all())
    )
