"""Hold the loader of pipelines to mlflow.pyfunc: `python FILE MODEL_FOLDER FUNCTION_FOLDER`.

As in_process.py, with texts that suit the task, with texts that suit none (what is refused must be
refused in the same words), and with parameters.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import mlflow.pyfunc
import numpy as np
import pandas as pd

from handlers.manifest import Manifest
from handlers.scoring import predictor
from handlers.scoring.errors import ScoringError
from handlers.scoring.responses import encode

model, function = map(Path, sys.argv[1:])
manifest = Manifest.read(function)
task = manifest.options["task"]
ours = predictor.load(manifest, function)
theirs = mlflow.pyfunc.load_model(str(model), suppress_warnings=True)._model_impl
rng = np.random.default_rng(0)
WORDS = ("good", "fine", "awful", "day", "a", "Zürich")
PARAMS: dict[str, list[dict[str, Any] | None]] = {
    "text-classification": [None, {"top_k": 2}, {"function_to_apply": "none"}],
    "text-generation": [{"max_new_tokens": 3}, {"max_new_tokens": 2, "return_full_text": False},
                        {"max_new_tokens": 3, "collapse_whitespace": True}, {"no_such": 1}],
    "token-classification": [None, {"aggregation_strategy": "simple"}],
    "fill-mask": [None, {"top_k": 2}],
    "zero-shot-classification": [None, {"multi_label": True}],
    "feature-extraction": [None],
}  # fmt: skip


def text() -> str:
    words = list(rng.choice(WORDS, rng.integers(1, 8)))
    if task == "fill-mask":
        words[rng.integers(len(words))] = "[MASK]"
    return " ".join(words)


def frames() -> list[pd.DataFrame]:
    if task == "zero-shot-classification":
        labels = ['["good", "bad"]', '["day"]', "good, bad", '["good", "bad"', "[]", "7"]
        columns = ["sequences", "candidate_labels", "hypothesis_template"]
        rows = [[text(), label, "a {}"] for label in labels]
        several = [[text(), labels[0], "a {}"] for _ in range(5)]
        missing: list[list[Any]] = [[float("nan"), labels[0], "a {}"]]
        made = [*([row] for row in rows), several, rows[:2], missing, []]
        found = [pd.DataFrame(table, columns=columns) for table in made]
        return [*found, found[0].drop(columns="candidate_labels")]
    alone = [[text() for _ in range(rows)] for rows in (1, 2, 9)]
    masks = [["[MASK] a [MASK]"], ["[MASK] a [MASK]", "[MASK] good [MASK]"]]
    odd = [*masks, ["", "a"], [""], [" day\n a "], ["1", "2"], ["'a day'", "'fine'"],
           ["a", float("nan")], [float("nan"), "a"], ["[1"], []]  # fmt: skip
    # as enforcement leaves a column of text
    found = [pd.DataFrame({0: pd.Series(texts, dtype="str")}) for texts in (*alone, *odd)]
    pair = pd.DataFrame({"text": ["a day", "good"], "text_pair": ["fine", "awful day"]})
    return [
        *found,
        pair,
        pair.rename(columns={"text": "words"}),
        pair.assign(text=[float("nan"), "a"]),
    ]


def outcome(ask: Any) -> Any:
    """What is answered, or the code and the words of a refusal, or that it failed."""
    try:
        return encode(ask())
    except ScoringError as error:
        return error.error_code, error.message.removeprefix("Failed to predict data. \nError: ")
    except mlflow.exceptions.MlflowException as error:
        # a set's order is that of a run
        message = error.message.replace("{'text_pair', 'text'}", "{'text', 'text_pair'}")
        return error.error_code, message
    except Exception as error:  # noqa: BLE001 - the model's own: the server answers all alike
        return type(error).__name__


compared: list[str] = []
for frame in frames():
    for params in PARAMS[task]:
        expected = outcome(lambda frame=frame, params=params: theirs.predict(frame.copy(), params))
        actual = outcome(lambda frame=frame, params=params: ours.predict(frame.copy(), params))
        assert actual == expected, (frame, params, actual, expected)
        compared.append("answered" if isinstance(expected, bytes) else "refused")
sys.stdout.write(f"{compared.count('answered')} answered, {compared.count('refused')} refused\n")
