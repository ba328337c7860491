"""The loader of compiled graphs: what goes in, what comes out, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from handlers.loaders import _sessions
from handlers.loaders.compiled import Compiled

FEED = {"input": "X", "dtype": "float32", "columns": ["a", "b"], "tensor": None}
OPTIONS = {"feeds": [FEED], "output": "y", "dtype": "<f8", "shape": []}


class Session:
    """Answers with the sum of each row of its first input, or with the input itself."""

    def run(self, outputs: list[str], feeds: dict[str, Any]) -> list[Any]:
        self.fed = feeds
        (first,) = feeds.values()
        return [first if outputs == ["same"] else first.sum(axis=1, keepdims=True)]


def asked(data: Any, **options: Any) -> tuple[Any, dict[str, Any]]:
    session = Session()
    answer = Compiled(session, {**OPTIONS, **options}).predict(data, None)
    return answer, session.fed


def test_columns_are_stacked_and_answers_typed() -> None:
    answer, fed = asked({"a": np.array([1.5, 2.5]), "b": np.array([1, 2])})
    assert fed["X"].dtype == np.float32
    assert (answer.dtype, answer.tolist()) == (np.float64, [2.5, 4.5])


@pytest.mark.parametrize("data", [np.ones((3, 2)), {"in": np.ones((3, 2))}])
def test_a_tensor_goes_in_as_it_is(data: Any) -> None:
    feed = {"input": "X", "dtype": "float64", "columns": None, "tensor": "in"}
    answer, fed = asked(data, feeds=[feed])
    assert fed["X"].shape == (3, 2)
    assert answer.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("kind", "value"), [("nan", np.nan), ("infinite", np.inf), ("wide", 1e300)]
)
def test_what_the_model_refuses_is_refused(kind: str, value: float) -> None:
    columns = {"a": np.array([1.0, value]), "b": np.zeros(2)}
    with pytest.raises(ValueError, match="refuses a value of 'a'"):
        asked(columns, **{kind: ["a"]})
    assert len(asked(columns, **{kind: ["b"]})[0]) == 2


def test_beyond_the_ends_of_what_is_answered_is_refused() -> None:
    ends = {"within": {"a": [-1e308, 1e307]}, "feeds": [{**FEED, "dtype": "float64"}]}
    inside = {"a": np.array([-1e308, 1e307, np.inf, np.nan]), "b": np.zeros(4)}
    assert len(asked(inside, **ends)[0]) == 4
    for value in (-1.1e308, 1.1e307):
        with pytest.raises(ValueError, match="refuses a value of 'a'"):
            asked({"a": np.array([0.0, value]), "b": np.zeros(2)}, **ends)


def test_no_rows_are_refused_where_the_model_refuses_them() -> None:
    none = {"a": np.empty(0), "b": np.empty(0)}
    assert asked(none)[0].tolist() == []
    with pytest.raises(ValueError, match="without rows"):
        asked(none, empty=True)


def test_text_goes_in_as_objects_and_null_as_what_stands_for_it() -> None:
    feed = {"input": "X", "dtype": "object", "columns": ["a"], "tensor": None}
    options = {"feeds": [feed], "output": "same", "dtype": "object", "shape": [1]}
    null = {"a": np.array(["x", float("nan")], dtype=object)}
    answer, _ = asked(null, **options, missing_text="?")
    assert answer.tolist() == [["x"], ["?"]]
    with pytest.raises(ValueError, match="no text"):
        asked(null, **options)
    with pytest.raises(ValueError, match="no text"):
        asked({"a": np.array(["x", 1], dtype=object)}, **options, missing_text="?")


@pytest.mark.parametrize(("memory", "threads"), [("128", 1), ("1769", 1), ("999999", None)])
def test_threads_follow_the_share_of_cpus(
    memory: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert _sessions.threads() == (threads or 3)
