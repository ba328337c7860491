"""Answers as a file: JSON Lines, one JSON document, or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from handlers.files.chunks import quote_record
from handlers.files.scoring import Fault, numbers, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

Write: TypeAlias = "Callable[[Sequence[object]], None]"


class Writer(Protocol):
    content_type: str

    def rows(self, answers: Sequence[Any]) -> bytes: ...

    def end(self, count: int) -> bytes: ...


def choose_writer(key: str) -> Writer:
    """By the name's end."""
    name = key.lower()
    if name.endswith(".csv"):
        return Csv()
    return Json() if name.endswith(".json") else JsonLines()


class JsonLines:
    """A line a row: the answer, or `{"error_code": ..., "message": ...}`."""

    content_type = "application/x-ndjson"

    def rows(self, answers: Sequence[Any]) -> bytes:
        if not answers:
            return b""
        if numbers(answers):
            return ("\n".join(map(repr, answers)) + "\n").encode()
        return ("\n".join(texts([_show_answer(a) for a in answers])) + "\n").encode()

    def end(self, count: int) -> bytes:  # noqa: ARG002 - the protocol's
        return b""


class Json:
    """`{"predictions": [...], "errors": [{"row": 0, ...}]}`; null in the place of a bad row."""

    content_type = "application/json"

    def __init__(self) -> None:
        self._errors: list[dict[str, Any]] = []
        self._count = 0

    def rows(self, answers: Sequence[Any]) -> bytes:
        for place, answer in enumerate(answers, self._count):
            if isinstance(answer, Fault):
                self._errors.append({"row": place, **_show_answer(answer)})
        plain = [None if isinstance(answer, Fault) else answer for answer in answers]
        if not plain:
            return b""
        start = b", " if self._count else b'{"predictions": ['
        self._count += len(plain)
        return start + ", ".join(texts(plain)).encode()

    def end(self, count: int) -> bytes:
        start = b"" if count else b'{"predictions": ['
        return start + b'], "errors": ' + json.dumps(self._errors).encode() + b"}\n"


class Csv:
    """A line a row: columns by the first answer's form, and last `error`, empty for good rows."""

    content_type = "text/csv"

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._waiting: list[Fault] = []
        """Faults before the first answer, whose columns are not known yet."""

    def rows(self, answers: Sequence[Any]) -> bytes:
        text = io.StringIO()
        write = _make_writer(text)
        for answer in answers:
            if self._names is None:
                if isinstance(answer, Fault):
                    self._waiting.append(answer)
                    continue
                self._begin(_names(answer), write)
            write(self._write_cells(answer))
        return text.getvalue().encode()

    def end(self, count: int) -> bytes:  # noqa: ARG002 - the protocol's
        if self._names is not None:
            return b""
        text = io.StringIO()
        self._begin(["prediction"], _make_writer(text))
        return text.getvalue().encode()

    def _begin(self, names: list[str], write: Write) -> None:
        self._names = names
        write([*names, "error"])
        for fault in self._waiting:
            write(self._write_cells(fault))

    def _write_cells(self, answer: object) -> list[object]:
        names = self._names or []
        if isinstance(answer, Fault):
            return [*[""] * len(names), f"{answer.error_code}: {answer.message}"]
        if isinstance(answer, dict):
            values = [answer.get(name) for name in names]
        else:
            values = answer if isinstance(answer, list) else [answer]
        return [*map(_write_cell, values), ""]


def _make_writer(text: io.StringIO) -> Write:
    write_row = csv.writer(text, lineterminator="\n").writerow

    def write(cells: Sequence[object]) -> None:
        try:
            write_row(cells)
        except csv.Error:
            text.write(quote_record(cells) + "\n")

    return write


def _names(answer: object) -> list[str]:
    if isinstance(answer, dict):
        return [str(name) for name in answer]
    if isinstance(answer, list):
        return [f"prediction_{place}" for place in range(len(answer))]
    return ["prediction"]


def _write_cell(value: object) -> object:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _show_answer(answer: object) -> Any:
    if isinstance(answer, Fault):
        return {"error_code": answer.error_code, "message": answer.message}
    return answer
