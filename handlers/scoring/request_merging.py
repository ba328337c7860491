"""Many requests, one call to the model: each is checked by itself and gets its own rows back.

Requests go together where the model is handed the same columns with the same types and the same
parameters, so that none of them reaches it in another form than alone. A call that raises is
halved until the requests that make it raise are alone.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence

from handlers.observability import log_redaction
from handlers.scoring.errors import INTERNAL_ERROR, ScoringError
from handlers.scoring.responses import encode, row_count
from handlers.scoring.schema import np
from handlers.scoring.scorer import Checked, Scorer
from handlers.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, TypeAlias

    import pandas as pd

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scored:
    body: bytes
    """JSON that every reader takes: NaN and Infinity are null."""
    rows: int


Result: TypeAlias = "Scored | ScoringError"
_TEXT_BYTES = 4096
"""Of one text in an array: shorter ones of several requests go to the model together."""


@dataclass(frozen=True, slots=True)
class _Part:
    place: int
    checked: Checked
    rows: int


class RequestMerger:
    """Scores lists of requests; holds nothing of them between calls."""

    def __init__(self, scorer: Scorer, *, merge: bool = True) -> None:
        """`merge` False asks the model once a request: for answers that hang on other rows."""
        self._scorer = scorer
        self._merge = merge

    def score(self, requests: Sequence[object]) -> list[Result]:
        """One result a request, in order; what is wrong with a request is its own result."""
        results: dict[int, Result] = {}
        groups: dict[Hashable, list[_Part]] = {}
        for place, request in enumerate(requests):
            checked = self._check_request(request)
            if isinstance(checked, ScoringError):
                results[place] = checked
                continue
            same = form(checked) if self._merge else None
            rows = 0 if same is None else length(checked.data)
            key: Hashable = place if same is None else same
            groups.setdefault(key, []).append(_Part(place, checked, rows))
        for parts in groups.values():
            results.update(self._score_group(parts))
        return [results[place] for place in range(len(requests))]

    def _check_request(self, request: object) -> Checked | ScoringError:
        try:
            return self._scorer.check(request)
        except ScoringError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a fault of ours, which must not spoil the others
            _LOG.error("%s at %s", type(error).__name__, log_redaction.place(error))
            return ScoringError("The record could not be read.", error_code=INTERNAL_ERROR)

    def _score_group(self, parts: Sequence[_Part]) -> Iterator[tuple[int, Result]]:
        if len(parts) == 1:
            yield parts[0].place, self._score_alone(parts[0].checked)
            return
        data = join_rows([part.checked.data for part in parts])
        try:
            prediction = self._scorer.predict(data, parts[0].checked.params)
        except ScoringError:
            middle = len(parts) // 2
            yield from self._score_group(parts[:middle])
            yield from self._score_group(parts[middle:])
            return
        cuts = shares(prediction, [part.rows for part in parts])
        for place, part in enumerate(parts):
            if cuts is None:  # not an answer by row: only the request alone tells its own
                yield part.place, self._score_alone(part.checked)
            else:
                yield part.place, self._encode_rows(cuts[place], part.checked)

    def _score_alone(self, checked: Checked) -> Result:
        try:
            prediction = self._scorer.predict(checked.data, checked.params)
        except ScoringError as error:
            return error
        return self._encode_rows(prediction, checked)

    def _encode_rows(self, prediction: object, checked: Checked) -> Result:
        try:
            body = encode(prediction, wrapped=not checked.unwrapped, bare_nan=False)
        except ScoringError as error:
            return error
        return Scored(body, row_count(prediction))


def form(checked: Checked) -> Hashable | None:
    """Equal for requests that may go to the model together; None for one that goes alone."""
    data = checked.data
    if checked.unwrapped:
        return None
    params = json.dumps(checked.given, sort_keys=True)
    if isinstance(data, np.ndarray):
        return ("array", params, _describe_array(data)) if data.ndim and len(data) else None
    if isinstance(data, dict):
        return _arrays_form(data, params)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _frame_form(data, params, pandas)
    # only a model that checks its own input is handed a list of raw values
    return ("list", params) if checked.raw and isinstance(data, list) and data else None


def _arrays_form(data: Mapping[str, object], params: str) -> Hashable | None:
    arrays = {n: a for n, a in data.items() if isinstance(a, np.ndarray) and a.ndim}
    lengths = {len(array) for array in arrays.values()}
    if len(arrays) < len(data) or len(lengths) != 1 or 0 in lengths:
        return None
    return "arrays", params, tuple((name, _describe_array(array)) for name, array in arrays.items())


def _frame_form(frame: pd.DataFrame, params: str, pandas: ModuleType) -> Hashable | None:
    plain = isinstance(frame.index, pandas.RangeIndex) and frame.index.start == 0
    dtypes = tuple(map(str, frame.dtypes))
    if not plain or frame.empty or "category" in dtypes or not frame.columns.is_unique:
        return None
    return "frame", params, tuple(frame.columns), dtypes


def _describe_array(array: Any) -> Hashable:
    # texts of two lengths are two dtypes to numpy, and one to a model; but joined, each takes the
    # bytes of the longest
    dtype = array.dtype
    joins = dtype.kind in "US" and dtype.itemsize <= _TEXT_BYTES
    return dtype.kind if joins else dtype.str, array.shape[1:]


def length(data: Any) -> int:
    return len(next(iter(data.values()))) if isinstance(data, dict) else len(data)


def join_rows(parts: Sequence[Any]) -> object:
    first = parts[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in first}
    if isinstance(first, list):
        return [value for part in parts for value in part]
    return sys.modules["pandas"].concat(parts, ignore_index=True)


def shares(prediction: object, lengths: Sequence[int]) -> list[Any] | None:
    """The prediction cut by rows; None where it has not one row for each that was sent."""
    total = sum(lengths)
    bounds = np.cumsum([0, *lengths]).tolist()
    pairs = list(zip(bounds, bounds[1:]))
    if isinstance(prediction, dict):
        columns = list(prediction.values())
        if not columns or not all(_has_rows(column, total) for column in columns):
            return None
        return [{n: cut(c, a, b) for n, c in prediction.items()} for a, b in pairs]
    return [cut(prediction, a, b) for a, b in pairs] if _has_rows(prediction, total) else None


def _has_rows(prediction: Any, total: int) -> bool:
    if isinstance(prediction, np.ndarray):
        return bool(prediction.ndim) and len(prediction) == total
    if hasattr(prediction, "iloc") or isinstance(prediction, list):
        return len(prediction) == total
    return False


def cut(prediction: Any, start: int, stop: int) -> Any:
    return prediction.iloc[start:stop] if hasattr(prediction, "iloc") else prediction[start:stop]
