"""One model, the rows that it was asked, and what it answered."""

from __future__ import annotations

import contextlib
import itertools
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np

from packager.engines.proof import changed_cells, parity, test_rows
from packager.engines.proof.inputs import Hints, Inputs, RefusedError
from packager.engines.proof.parity import Batch
from packager.engines.proof.test_rows import Table

_THRESHOLDS: Final = 100_000
_CELLS: Final = 60_000_000
"""Of the rows beside thresholds together; each threshold has nine of them."""
_VISITS: Final = 200_000_000
"""Of trees by those rows together: some twenty seconds of the model's time, and of a graph's."""
_BATCHES: Final = (1, 2, 1000)
_REPLAYED: Final = 400
_PROBED_ALONE: Final = 64
_BASES: Final = 4
_BASES_TRIED: Final = 64
"""Rows that one cell is changed of, and how many are asked for them."""
_NAMED: Final = (
    "catboost", "keras", "lightgbm", "numpy", "onnx", "onnxruntime", "onnxscript", "scikit-learn",
    "skl2onnx", "statsmodels", "tensorflow", "tensorflow-cpu", "tf2onnx", "torch", "xgboost",
    "xgboost-cpu",
)  # fmt: skip
DRAWN: Final = ("generated", "known categories")
"""Names of the batches of drawn rows."""
_WIDE: Final = 1e300
_MOST: Final = float(np.finfo(np.float64).max)
MISSING_TEXT: Final = "\x00missing"
"""Stands for null in a text column: no category is called so."""


class Case:
    """The base of each engine's own case.

    Raises RefusedError where the model answers with nothing that an engine could.
    """

    def __init__(
        self,
        *,
        predict: Callable[[Table], object],
        model: Any,
        inputs: Inputs,
        hints: Hints,
        method: str,
        table: Table,
        example: Table | None,
        rtol: float,
        atol: float,
        seed: int,
        names: Callable[[], list[str] | None] = lambda: None,
    ) -> None:
        """`names`: of the columns that the model answers with, where it answers with a table."""
        self._names = names
        self._predict, self.model, self.inputs = predict, model, inputs
        self._hints, self.method = hints, method
        self.rtol, self.atol, self._seed = rtol, atol, seed
        self._rng = np.random.default_rng(seed)
        self._generated = test_rows.size(table)
        classes = getattr(model, "classes_", None)
        self.labels = method == "predict" and classes is not None and len(classes) > 0
        bases, filled = self._choose_bases(table, example)
        first = test_rows.take_rows(bases, slice(0, 1))
        self._refused = self._refusals(first)
        self._within = self._ends(first)
        self._refuses_none = self._refuses_empty(test_rows.take_rows(first, slice(0, 0)))
        usual = filled or table
        self._edges, self._covered = self._at_thresholds(usual)
        self.batches: list[Batch] = []
        for name, each in (
            *zip(DRAWN, (table, filled)),
            ("threshold", self._edges),
            ("the example", example),
        ):
            if each is not None and test_rows.size(each):
                self.batches += parity.record_batches(name, each, predict)
        for count in _BATCHES:
            part = test_rows.take_rows(usual, slice(0, count))
            self.batches += parity.record_batches(f"batch of {count}", part, predict)
        self._special = self._ask_changes(bases)
        for name, row in (*test_rows.beyond(first, self._within), *self._list_widest(bases)):
            self._special += parity.record_batches(name, row, predict)
        self.batches += self._special
        answered = [batch.expected for batch in self.batches if batch.expected is not None]
        if not answered:
            raise RefusedError("the registered model refuses every row that was made for it")
        self.answer = answered[0]
        kind = self.answer.dtype.kind
        if kind not in "fiubUO" or (kind == "O" and not isinstance(self.answer.ravel()[0], str)):
            raise RefusedError(f"answers of type {self.answer.dtype}")

    def _choose_bases(self, table: Table, example: Table | None) -> tuple[Table, Table | None]:
        """Rows that the model answers, to change single cells of.

        Also the table with known categories drawn into it, where the model refuses it as it is:
        all that one cell decides would be hidden behind what another one is refused for.
        """
        drawn = self._find_answered(table)
        filled = None
        if drawn is None and (known := self._list_known()):
            filled = test_rows.fill_categories(table, known, self._rng)
            drawn = self._find_answered(filled)
            filled = filled if drawn else None
        saved = self._find_answered(example) if example else None
        return saved or drawn or test_rows.take_rows(example or table, slice(0, 1)), filled

    def _ask_changes(self, bases: Table) -> list[Batch]:
        """Return the answers to the rows with single cells changed."""
        changes = changed_cells.list_changes(bases, self.inputs, self._hints.seen(self.model))
        found, asked, total = changed_cells.ask_changes(
            bases, changes, self._list_known(), self._predict, self._rng
        )
        self._covered.update(changes=total, changes_asked=asked)
        return found

    def _list_known(self) -> Mapping[str, Sequence[str | float]]:
        """By column the categories that it may have: each word of the model's in each of text."""
        words = sorted(each for each in self._hints.seen(self.model) if isinstance(each, str))
        texts = [each.name for each in self.inputs.columns if each.type == "string"]
        return dict.fromkeys(texts, words) if words else {}

    def _find_answered(self, table: Table) -> Table | None:
        """The first rows that the model answers: what one answer hides, another may show."""
        count = min(test_rows.size(table), _BASES_TRIED)
        rows = [test_rows.take_rows(table, slice(at, at + 1)) for at in range(count)]
        wanted = _BASES if len(table) <= _PROBED_ALONE else 1
        found = [*itertools.islice((row for row in rows if not self._refuses(row)), wanted)]
        return test_rows.join_tables(found) if found else None

    def _refusals(self, row: Table) -> dict[str, list[str]]:
        """Columns in which NaN, infinity or a double beyond any float is refused."""
        named = [name for name, column in row.items() if column.dtype.kind == "f"]
        found: dict[str, list[str]] = {}
        for kind, value in (("nan", np.nan), ("infinite", np.inf), ("wide", _WIDE)):
            some = named[:: max(1, len(named) // 3)] if len(named) > _PROBED_ALONE else named
            refused = [name for name in some if self._refuses_value(row, name, value)]
            if len(some) < len(named) and 0 < len(refused) < len(some):
                raise RefusedError("columns that treat missing or infinite values differently")
            found[kind] = named if refused and len(some) < len(named) else refused
        if not self.inputs.columns:
            found = {kind: [self.inputs.tensor or ""] * bool(each) for kind, each in found.items()}
        return found

    def _ends(self, row: Table) -> dict[str, list[float]]:
        """By column the least and the greatest double that is answered, where some are refused.

        A step before the model (a scaler that divides) takes those beyond to infinity, which the
        model behind it refuses; a graph goes on with it.
        """
        named = [name for name, column in row.items() if column.dtype == np.float64]
        if not self.inputs.columns or len(named) > _PROBED_ALONE:
            return {}
        ends = {
            name: [self._last_answered(row, name, sign) for sign in (-1.0, 1.0)]
            for name in named
            if name not in self._refused["wide"]
        }
        return {name: each for name, each in ends.items() if each != [-_MOST, _MOST]}

    def _list_widest(self, rows: Table) -> Iterable[tuple[str, Table]]:  # noqa: ARG002 - of others
        """Rows with the largest numbers: a graph answers them as far as `_ends` tells."""
        return ()

    def _last_answered(self, row: Table, name: str, sign: float) -> float:
        if not self._refuses_value(row, name, sign * _MOST):
            return sign * _MOST
        # doubles of one sign are in the order of their bits
        low, high = (int(np.float64(each).view(np.int64)) for each in (_WIDE, _MOST))
        while high - low > 1:
            middle = (low + high) // 2
            value = sign * float(np.int64(middle).view(np.float64))
            low, high = (low, middle) if self._refuses_value(row, name, value) else (middle, high)
        return sign * float(np.int64(low).view(np.float64))

    def _refuses_value(self, row: Table, name: str, value: float) -> bool:
        return self._refuses(test_rows.with_value(row, name, value))

    def _refuses(self, row: Table) -> bool:
        (batch,) = parity.record_batches("", row, self._predict)
        return batch.expected is None

    def _refuses_empty(self, table: Table) -> bool:
        """Tell whether the model refuses a table without rows.

        Graphs answer it, or not, by the runtime.
        """
        try:
            self._predict(table)
        except RefusedError:
            return False
        except Exception:  # noqa: BLE001 - a model may raise anything: that is its answer
            return True
        return False

    def _at_thresholds(self, table: Table) -> tuple[Table | None, dict[str, int]]:
        splits = self._hints.thresholds(self.model)
        before = self._hints.before(self.model)
        reached = self._hints.splits(self.model)
        trees = 1 + max((each.tree for each in reached), default=0)
        rooms = _CELLS // (9 * len(table)), _VISITS // (9 * trees)
        most = max(1, min(_THRESHOLDS, *rooms))
        numeric = all(column.dtype.kind in "fiu" for column in table.values())
        if before is None and reached and numeric:
            made, done, total = test_rows.lead_rows(table, reached, most, self._rng)
        elif before is None:
            made, done, total = test_rows.at_thresholds(table, splits, most, self._rng)
        else:
            # what stands before the trees takes what the model takes
            made, done, total = test_rows.through(
                lambda each: before(self.inputs, each), table, splits, most, self._rng
            )
        return made, {"thresholds": total, "thresholds_asked": done}

    def make_feed(self, table: Table) -> object:
        if self.inputs.columns:
            return table
        stacked = test_rows.stack_columns(table, self.inputs)
        return {self.inputs.tensor: stacked} if self.inputs.tensor else stacked

    def describe_answers(self) -> dict[str, object]:
        """Loader options that say what is refused, and what form the model's answers have."""
        dtype = self.answer.dtype
        text = any(column.dtype == object for column in self.batches[0].table.values())
        return {
            "dtype": "object" if dtype.kind in "UO" else dtype.str,
            "shape": list(self.answer.shape[1:]),
            **{kind: names for kind, names in self._refused.items() if names},
            **({"within": self._within} if self._within else {}),
            **({"empty": True} if self._refuses_none else {}),
            **({"missing_text": MISSING_TEXT} if text and self._takes_null() else {}),
            **({"names": names} if (names := self._names()) is not None else {}),
        }

    def _takes_null(self) -> bool:
        nulls = self._list_nulls()
        return bool(nulls) and all(each.expected is not None for each in nulls)

    def _list_nulls(self) -> list[Batch]:
        """Return what the model makes of a missing word in each text column."""
        return [each for each in self._special if " is missing" in each.name]

    def list_replay_rows(self) -> list[dict[str, object]]:
        """Rows at thresholds, and single special ones, for the booted artifact to answer too."""
        tables = [each.table for each in self._special[:_REPLAYED]]
        tables = [test_rows.take_rows(each, slice(0, 2 * _BASES)) for each in tables]
        if self._edges is not None:
            count = test_rows.size(self._edges)
            some = self._rng.choice(count, min(count, _REPLAYED), replace=False)
            tables.append(test_rows.take_rows(self._edges, np.sort(some)))
        return [{name: column.tolist() for name, column in each.items()} for each in tables]

    def evidence(self) -> dict[str, Any]:
        return {
            **self._covered,
            "generated_rows": self._generated,
            "special_rows": sum(test_rows.size(each.table) for each in self._special),
            "batch_sizes": list(_BATCHES),
            "rtol": self.rtol,
            "atol": self.atol,
            "labels_identical": True,
            "seed": self._seed,
            "python": platform.python_version(),
            "versions": _versions(),
        }


def _versions() -> dict[str, str]:
    """Return the versions of the converters and the frameworks that are installed here."""
    found: dict[str, str] = {}
    for name in _NAMED:
        # all that is installed would be read for `distributions()`: hundreds of files
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
