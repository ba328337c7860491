"""What the loader of pipelines makes of rows and of answers.

MLflow's own is asked the same in tests/integration/pipelines_in_process.py, where the library is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.loaders.transformers import _Predictor, chosen
from handlers.scoring.errors import ScoringError


class Pipeline:
    """Keeps what it was asked, and answers what it was told to."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: tuple[Any, dict[str, Any]] | None = None

    def __call__(self, data: Any = None, **options: Any) -> Any:
        if "no_such" in options:
            raise ValueError("The following `model_kwargs` are not used by the model: ['no_such']")
        self.asked = data, options
        return self.answer


def predictor(pipeline: Pipeline, task: str, **options: Any) -> _Predictor:
    return _Predictor(pipeline, {"task": task, "config": {}, "prompt_template": None, **options})


def texts(*cells: Any) -> pd.DataFrame:
    return pd.DataFrame({0: list(cells)})


def entity(name: str) -> dict[str, Any]:
    return {"entity": name, "score": 0.5}


def text(words: str) -> dict[str, Any]:
    return {"generated_text": words}


def mask(name: str) -> list[dict[str, Any]]:
    return [{"token_str": name, "score": 0.9}, {"token_str": "other", "score": 0.1}]


@pytest.mark.parametrize(
    ("task", "answer", "expected"),
    [
        ("text-generation", [[text(" a b\n")], [text("c")]], ["a b", "c"]),
        ("text-generation", [[text("a"), text("z")]], ["a"]),
        ("token-classification", [[entity("A"), entity("B")], [entity("C")]], ["A,B", "C"]),
        ("token-classification", [{"entity_group": "A"}], ["A"]),
        ("fill-mask", [mask(" x "), mask("y")], ["x", "y"]),
        ("fill-mask", mask("x"), ["x"]),
        ("fill-mask", [[mask("x"), mask("y")], [mask("z"), mask("w")]], [["x", "y"], ["z", "w"]]),
    ],
)  # fmt: skip
def test_answers_become_texts(task: str, answer: Any, expected: Any) -> None:
    asked = texts("a", "b") if len(expected) == 2 else texts("a")
    assert predictor(Pipeline(answer), task).predict(asked, None) == expected


def test_classes_become_a_table() -> None:
    answer = [{"label": "A", "score": 0.5}, {"label": "B", "score": 0.75}]
    found = predictor(Pipeline(answer), "text-classification").predict(texts("a", "b"), None)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_frame_equal(found, pd.DataFrame(answer))


def test_labels_become_a_row_each() -> None:
    pipeline = Pipeline({"sequence": "a", "labels": ["x", "y"], "scores": [0.75, 0.25]})
    row = {"sequences": "a", "candidate_labels": '["x", "y"]', "hypothesis_template": "a {}"}
    found = predictor(pipeline, "zero-shot-classification").predict(pd.DataFrame([row, row]), None)
    assert pipeline.asked == (None, {**row, "candidate_labels": ["x", "y"]})
    assert isinstance(found, pd.DataFrame)
    assert found.to_dict(orient="list") == {
        "sequence": ["a", "a"],
        "labels": ["x", "y"],
        "scores": [0.75, 0.25],
    }


def test_vectors_are_of_the_first_text() -> None:
    answer = [[[[1.0, 2.0]]], [[[3.0, 4.0]]]]
    found = predictor(Pipeline(answer), "feature-extraction").predict(texts("a", "b"), None)
    np.testing.assert_array_equal(found, [[1.0, 2.0]])


def test_parameters_override_the_model_s_own_and_are_forgotten() -> None:
    pipeline = Pipeline([[{"generated_text": "a  b"}]])
    made = predictor(pipeline, "text-generation", config={"top_k": 1, "include_prompt": False})
    assert made.predict(texts("a"), {"top_k": 2, "collapse_whitespace": True}) == ["a b"]
    assert pipeline.asked == (["a"], {"top_k": 2})
    assert made.predict(texts("a"), None) == ["a  b"]
    assert pipeline.asked == (["a"], {"top_k": 1})


def test_a_template_is_put_round_each_text() -> None:
    pipeline = Pipeline(mask("x"))
    predictor(pipeline, "fill-mask", prompt_template="say {prompt}").predict(texts("a"), None)
    assert pipeline.asked == (["say a"], {})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pd.DataFrame({"text": ["a"], "text_pair": ["b"]}), [{"text": "a", "text_pair": "b"}]),
        (texts("{'text': 'a'}"), [{"text": "a"}]),
        (texts("1", "b"), ["1", "b"]),
    ],
)
def test_pairs_of_texts(frame: pd.DataFrame, expected: Any) -> None:
    pipeline = Pipeline([])
    predictor(pipeline, "text-classification").predict(frame, None)
    assert pipeline.asked == (expected, {})


@pytest.mark.parametrize(
    ("task", "frame", "params", "status", "says"),
    [
        ("text-generation", texts(1.5), None, 400, "all values must be of string type"),
        ("text-generation", texts("a"), {"no_such": 1}, 400, "not valid for pipeline Pipeline"),
        ("feature-extraction", texts(None), None, 400, "are invalid: \\[0\\]"),
        ("text-classification", pd.DataFrame({"t": ["a"]}), None, 500, "may only define"),
        ("zero-shot-classification", pd.DataFrame({"t": ["a"]}), None, 400, "candidate_labels"),
    ],
)
def test_refusals_are_mlflow_s(
    task: str, frame: pd.DataFrame, params: dict[str, Any] | None, status: int, says: str
) -> None:
    with pytest.raises(ScoringError, match=f"(?s)^Failed to predict data.*{says}") as caught:
        predictor(Pipeline([]), task).predict(frame, params)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("1", 1), ("-1", -1), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_a_device_is_a_number_of_mlflow_s_or_a_name(text: str, expected: int | str) -> None:
    assert chosen(text) == expected
