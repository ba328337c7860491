"""Type hints: what the stand-in lets pass, makes of a value, and refuses, and in which words.

MLflow itself is asked the same in a process of its own.
"""

from __future__ import annotations

import json

import pytest

from tests.handlers.modelling import fresh

_ASK = """
import json, os, sys, typing
os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
import warnings; warnings.simplefilter("ignore")
import logging; logging.disable(logging.CRITICAL)
from datetime import date, datetime
from typing import Any, Dict, List, Optional, Union
import pydantic
import pandas as pd
from mlflow.pyfunc.utils import pyfunc
from mlflow.pyfunc import PythonModel

class Inner(pydantic.BaseModel):
    name: str
class Item(pydantic.BaseModel):
    count: int
    flag: bool = False
    ratio: float = 0.0
    note: Optional[str] = None
    inner: Optional[Inner] = None
    when: Optional[datetime] = None
    words: list[str] = []
class Lax(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=False, extra="forbid")
    count: int
    either: Union[int, str] = 0
class Doubled(pydantic.BaseModel):
    count: int
    @pydantic.field_validator("count")
    @classmethod
    def even(cls, value):
        if value % 2: raise ValueError("odd")
        return value
class Plain: ...

SCALARS = [5, 5.0, "5", True, None, "x", [], {}, 10**30, "aGk=", "2024-01-02T03:04:05", "no time"]
ITEMS = [
    {"count": 5}, {"count": "5"}, {"count": 5.0}, {"count": True}, {"count": None}, {},
    {"count": 1, "flag": "yes"}, {"count": 1, "flag": 1}, {"count": 1, "ratio": 1},
    {"count": 1, "ratio": "1"}, {"count": 1, "ratio": True}, {"count": 1, "note": 5},
    {"count": 1, "inner": {"name": "a"}}, {"count": 1, "inner": {"name": 5}},
    {"count": 1, "inner": {}}, {"count": 1, "when": "2024-01-02"}, {"count": 1, "more": 1},
    {"count": 1, "words": ["a", 5]}, {"count": 1, "words": "a"}, 5, "x", None, [{"count": 1}],
    {"count": 1, "either": "a"}, {"count": 1, "either": 1.5}, {"count": 1, 5: 6},
]
HINTS = [
    *(list[each] for each in (int, float, bool, str, bytes, datetime, date, Any, Plain)),
    list[list[int]], list[list[Optional[int]]], list[dict[str, int]], list[dict[str, Any]],
    list[dict[str, list[float]]], List[str], List[Dict[str, str]], list[Union[int, str]],
    list[int | str], list[Optional[int] | str], list[Item], list[Lax], list[Doubled],
    list[list[Item]], list[dict[str, Item]], list[dict[str, datetime]], list[dict],
    Item, str, int, list, dict[str, int], Optional[list[int]], pd.DataFrame, None,
]
VALUES = [
    *([each] for each in SCALARS), SCALARS, [1, "a"] * 7,
    *([each] for each in ITEMS), ITEMS, [[1], [None], ["a"]], [[ITEMS[0], ITEMS[1]]],
    [{"a": 1}, {"a": "x", "b": 2.5}, {"a": [1.5, 2]}, {"a": "2024-01-02"}], [{"a": {"count": "1"}}],
    5, "x", {"a": 1}, None, [], (1, 2),
    pd.DataFrame({0: [1, 2]}), pd.DataFrame({"a": ["x", "y"]}),
    pd.DataFrame({"count": [1, 2]}), pd.DataFrame({"a": [1, 2], "b": [3.5, float("nan")]}),
]

def described(value):
    if isinstance(value, pd.DataFrame):
        return value.to_json()
    return repr(value)

def asked(hint):
    def predict(model_input): return model_input
    if hint is not None:
        predict.__annotations__["model_input"] = hint
    class Model(PythonModel):
        def predict(self, context, model_input, params=None): return model_input
    methods = {}
    def method(self, context, model_input, params=None): return model_input
    if hint is not None:
        method.__annotations__["model_input"] = hint
    try:
        function = pyfunc(predict)
        model = type("Mine", (PythonModel,), {"predict": method})()
    except Exception as error:
        return "cannot be defined"
    told = []
    for value in VALUES:
        both = []
        for ask in (
            function,
            lambda v: model.predict(None, v),
            lambda v: model.predict(None, model_input=v),
        ):
            try:
                both.append(described(ask(value)))
            except Exception as error:
                code = getattr(error, "error_code", None)
                status = error.get_http_status_code() if code else 0
                both.append([code or type(error).__name__, status, getattr(error, "message", "")])
        told.append(both)
    return told

print(json.dumps([[str(hint), asked(hint)] for hint in HINTS]))
"""


@pytest.mark.few(0)
def test_every_hint_and_value_is_as_in_mlflow() -> None:
    theirs = json.loads(fresh(_ASK).splitlines()[-1])
    ours = json.loads(fresh('import sys; sys.path.insert(0, "handlers/loaders/stub")\n' + _ASK))
    assert len(theirs) == len(ours)
    defined = 0
    for (hint, wanted), (_, found) in zip(theirs, ours, strict=True):
        if wanted == "cannot be defined":
            continue  # no such model was ever logged
        defined += 1
        assert found == wanted, hint
    assert defined > 25
