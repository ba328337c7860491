"""Columns by their positions: a converter writes names anew, and does not find them again."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

Step = Any
"""A fitted object of scikit-learn, a word in its place, or the columns that it is given."""


def number_columns(model: Step, names: Sequence[str]) -> Step:
    """The same model with positions where its column transformers say names; parts are shared.

    `names` are those of the table that the model is called with; a step behind another gets none.
    """
    found = copy.copy(model)
    if hasattr(model, "steps") and model.steps:
        (name, first), *rest = model.steps
        found.steps = [(name, number_columns(first, names)), *rest]
    elif hasattr(model, "transformer_list"):
        found.transformer_list = [
            (name, number_columns(step, names)) for name, step in model.transformer_list
        ]
    elif hasattr(model, "transformers_"):
        found.transformers_ = [
            (name, *_number_part(step, columns, names))
            for name, step, columns in model.transformers_
        ]
    else:
        return model
    return found


def _number_part(step: Step, columns: Step, names: Sequence[str]) -> tuple[Step, Step]:
    listed = [columns] if isinstance(columns, str) else columns
    if not isinstance(listed, str | slice) and all(isinstance(each, str) for each in listed):
        if any(each not in names for each in listed):
            return step, columns
        chosen = list(listed)
        return number_columns(step, chosen), [list(names).index(each) for each in chosen]
    return step, columns
