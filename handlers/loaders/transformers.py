"""Transformers: pipelines over texts.

Answers as MLflow's pyfunc wrapper of the flavor (mlflow.transformers._TransformersWrapper) answers
for the tasks of `TASKS`: what it makes of a DataFrame's rows before the pipeline, and of the
pipeline's answer after it. Other tasks are left to MLflow itself.
"""

from __future__ import annotations

import ast
import copy
import json
import os
import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.loaders import _serialized
from handlers.manifest import Manifest
from handlers.scoring.errors import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, ScoringError
from handlers.values import remove_prefix

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd
    from transformers import Pipeline, PreTrainedModel

Rows: TypeAlias = "list[dict[Any, Any]]"
_PAIR = frozenset({"text", "text_pair"})
_LABELS = "candidate_labels"


def _make_refusal(message: str, error_code: str = INVALID_PARAMETER_VALUE) -> ScoringError:
    return ScoringError(f"Failed to predict data. \nError: {message}", error_code=error_code)


class _Predictor:
    def __init__(self, pipeline: Pipeline, options: Mapping[str, Any]) -> None:
        self._pipeline = pipeline
        self._options = options
        self._task = options["task"]
        self._config = options["config"]
        self._template = options["prompt_template"]

    def find_device(self) -> str:
        return str(self._pipeline.model.device)

    def with_weights(self, change: Callable[[PreTrainedModel], PreTrainedModel]) -> _Predictor:
        """A predictor over the model that `change` gives; this one stays as it is."""
        pipeline = copy.copy(self._pipeline)
        pipeline.model = change(pipeline.model)
        return _Predictor(pipeline, self._options)

    def predict(self, data: pd.DataFrame, params: dict[str, object] | None) -> object:
        config = {**copy.deepcopy(self._config), **(params or {})}
        # for pipelines that are of no task here, and never for the pipeline itself
        config.pop("include_prompt", None)
        spaced = not config.pop("collapse_whitespace", False)
        asked = _ASKED[self._task](data)
        if self._template and self._task in _TEMPLATED:
            asked = [self._template.format(prompt=text) for text in asked]
        answer = self._ask_pipeline(asked, config)
        if self._task == "text-generation" and not spaced:
            texts = _list_generated(asked, answer)
            return _whole([re.sub(r"\s+", " ", text).strip() for text in texts])
        return _ANSWERED[self._task](asked, answer)

    def _ask_pipeline(self, data: object, config: dict[str, object]) -> object:
        try:
            if isinstance(data, dict):
                return self._pipeline(**data, **config)
            return self._pipeline(data, **config)
        except ValueError as error:
            if "The following `model_kwargs` are not used by the model" not in str(error):
                raise
            raise _make_refusal(
                "The params provided to the `predict` method are not valid for pipeline "
                f"{type(self._pipeline).__name__}."
            ) from error


def _list_first(data: pd.DataFrame) -> list[Any]:
    """The first column's cells."""
    return [next(iter(row.values())) for row in data.to_dict(orient="records")]


def _list_texts(data: pd.DataFrame) -> list[str]:
    cells = _list_first(data)
    if not all(isinstance(cell, str) for cell in cells):
        raise _make_refusal("If supplying a list, all values must be of string type.")
    return cells


def _check_texts(value: Mapping[Hashable, object]) -> None:
    invalid = [key for key, cell in value.items() if not _is_text(cell)]
    if invalid:
        raise _make_refusal(
            "Invalid values in dictionary. If passing a dictionary containing strings, all values "
            "must be either strings or lists of strings. If passing a dictionary containing "
            "numeric values, the data must be enclosed in a numpy.ndarray. The following keys in "
            f"the input dictionary are invalid: {invalid}"
        )


def _check_first(rows: Rows) -> None:
    """MLflow's wrapper stops at the first, whatever it holds."""
    for row in rows[:1]:
        _check_texts(row)


def _is_text(cell: object) -> bool:
    if isinstance(cell, list):
        return all(isinstance(item, (str, bytes)) for item in cell)
    return isinstance(cell, (str, bytes))


def _features_of(data: pd.DataFrame) -> list[object]:
    _check_first(data.to_dict(orient="records"))
    return _list_first(data)


def _check_keys(row: dict[object, object]) -> None:
    if set(row) - _PAIR and not all(isinstance(key, int) for key in row):
        raise _make_refusal(
            "Text Classification pipelines may only define dictionary inputs with keys "
            f"defined as { {*sorted(_PAIR)} }",
            INTERNAL_ERROR,
        )


def _read_texts(data: pd.DataFrame) -> list[object]:
    """Texts, or pairs of texts as objects; each as Python's literal where all of them are one."""
    rows: list[Any] = data.to_dict(orient="records")
    for row in rows:
        _check_keys(row)
    if rows and next(iter(rows[0])) == 0:
        rows = [row[0] for row in rows]
    try:
        read = [ast.literal_eval(row) for row in rows]
    except (ValueError, SyntaxError):
        read = rows
    if all(isinstance(row, dict) for row in read):
        _check_first(read)
    return read


def _zero_shot(data: pd.DataFrame) -> Mapping[Hashable, object]:
    """One object for all rows: of each column the values that differ."""
    asked: dict[Hashable, Any] = {}
    for name, cells in data.to_dict(orient="list").items():
        distinct = [cell for at, cell in enumerate(cells) if cell not in cells[:at]]
        several = len(distinct) > 1 and all(isinstance(cell, str) for cell in distinct)
        asked[name] = distinct if several else distinct[0]
    _check_texts(asked)
    if _LABELS not in asked:
        raise _make_refusal(
            f"Invalid key in inference payload. The expected inference data key is: {_LABELS}"
        )
    if isinstance(asked[_LABELS], str):
        try:
            asked[_LABELS] = json.loads(asked[_LABELS])
        except json.JSONDecodeError:
            return asked
    return asked


def _whole(value: object) -> object:
    """Text without the spaces around it, one text as a list of one."""
    made = _strip_texts(value)
    return [made] if isinstance(made, str) else made


def _strip_texts(value: object) -> object:
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list):
        return value
    made = [_strip_texts(item) for item in value]
    if not all(isinstance(item, str) for item in value):
        return made
    return made if len(made) > 1 else made[0]


def _list_generated(asked: list[str], answer: Any) -> list[str]:
    """One text for each that was asked, were there several."""
    if all(isinstance(item, dict) for item in answer):
        return [answer[0]["generated_text"]]
    flat = [item["generated_text"] for several in answer for item in several]
    return flat[: len(asked)]


def _mask(found: Any) -> Any:
    """The likeliest text for the one mask, or for each of several."""
    if isinstance(found[0], dict):
        return found[0]["token_str"]
    return [likely[0]["token_str"] for likely in found]


def _masks(_asked: object, answer: Any) -> Any:
    if isinstance(answer[0], list):
        return _whole([_mask(found) for found in answer])
    return _whole([answer[0]["token_str"]])


def _tokens(found: Any) -> Any:
    """The entities of a text, with commas between them."""
    if isinstance(found[0], list):
        return [_tokens(one) for one in found]
    (key,) = {"entity_group", "entity"} & set(found[0])
    return ",".join(item[key] for item in found)


def _vectors(_asked: object, answer: Any) -> Any:
    """Return the first text's vectors alone, as MLflow: a row a token."""
    import numpy as np

    return answer if isinstance(answer, np.ndarray) else np.array(answer[0][0])


def _frame(_asked: object, answer: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(answer)


def _likelihoods(_asked: object, answer: Any) -> pd.DataFrame:
    """A row for each sequence and label."""
    import pandas as pd

    rows = [
        {"sequence": one["sequence"], "labels": label, "scores": score}
        for one in ([answer] if isinstance(answer, dict) else answer)
        for label, score in zip(one["labels"], one["scores"])
    ]
    return pd.DataFrame(rows)


_ASKED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "feature-extraction": _features_of,
    "fill-mask": _list_texts,
    "text-classification": _read_texts,
    "text-generation": _list_texts,
    "token-classification": _list_first,
    "zero-shot-classification": _zero_shot,
}
"""What the pipeline is asked for a DataFrame of texts, by task."""
_ANSWERED: dict[str, Callable[[Any, Any], Any]] = {
    "feature-extraction": _vectors,
    "fill-mask": _masks,
    "text-classification": _frame,
    "text-generation": lambda asked, answer: _whole(_list_generated(asked, answer)),
    "token-classification": lambda _, answer: _whole(_tokens(answer)),
    "zero-shot-classification": _likelihoods,
}
_TEMPLATED = frozenset({"feature-extraction", "fill-mask", "text-generation"})
TASKS = tuple(_ASKED)


def chosen(device: str) -> int | str:
    """MLflow's number (-1 is the CPU) or a device's name (`cuda:1`); the first GPU for none."""
    try:
        return int(device or 0)
    except ValueError:
        return device


def load(manifest: Manifest, folder: Path) -> _Predictor:
    """Raises AttributeError for a class that the installed library lacks, OSError for bad files.

    Everything lies in the model's folder: the hub is not asked.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    import transformers

    options = manifest.options
    root = _serialized.model_folder(manifest, folder)
    model_class = getattr(transformers, options["model_class"])
    tokenizer_class = getattr(transformers, options["tokenizer_class"])
    version = tuple(map(int, transformers.__version__.split(".")[:2]))
    kept: dict[str, Any] = {}
    if options["dtype"] is not None:
        dtype = getattr(torch, remove_prefix(options["dtype"], "torch."))
        kept["dtype" if version >= (4, 56) else "torch_dtype"] = dtype
    model = model_class.from_pretrained(str(root / options["model"]), **kept)
    tokenizer = tokenizer_class.from_pretrained(str(root / options["tokenizer"]))
    device = os.environ.get("MLFLOW_DEFAULT_PREDICTION_DEVICE", "")
    if device or torch.cuda.is_available():
        kept["device"] = chosen(device)
    pipeline = transformers.pipeline(options["task"], model=model, tokenizer=tokenizer, **kept)
    return _Predictor(pipeline, options)
