"""Whatever adds up in threads is found and held to one, wherever it hangs in a model."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from handlers.loaders import _threads
from tests.handlers.modelling import fresh

ROWS = np.random.default_rng(0).normal(size=(40, 3))
WORDS = (ROWS[:, 0] > 0).astype(int)
NUMBERS = ROWS.sum(axis=1)


class Plain:
    """As a user's class: it holds what it was given."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class UserModel(Plain):
    def load_context(self, context: Any) -> None: ...

    def predict(self, context: Any, data: Any) -> Any:
        return BESIDE


@dataclass(slots=True)
class Slotted:
    """As a user's dataclass: it has no dictionary."""

    model: Any
    n_jobs: int | None = None


class Frozen:
    __slots__ = ("__dict__",)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)


BESIDE = Plain(n_jobs=3)
"""A user's module may hold the model, and its class none."""


def _estimators() -> dict[str, Callable[[], Any]]:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import (
        BaggingRegressor,
        ExtraTreesRegressor,
        IsolationForest,
        RandomForestRegressor,
        StackingRegressor,
        VotingRegressor,
    )
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.multioutput import MultiOutputRegressor
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import StandardScaler

    def forest(jobs: int | None = 2) -> Any:
        return RandomForestRegressor(3, n_jobs=jobs)

    return {
        "forest": forest,
        "all cores": lambda: forest(-1),
        "extra trees": lambda: ExtraTreesRegressor(3, n_jobs=2),
        "isolation forest": lambda: IsolationForest(n_estimators=3, n_jobs=2),
        "bagging": lambda: BaggingRegressor(forest(), n_estimators=2, n_jobs=2),
        "voting": lambda: VotingRegressor([("a", forest(None)), ("b", forest())], n_jobs=-1),
        "stacking": lambda: StackingRegressor(
            [("a", forest())], LinearRegression(), cv=2, n_jobs=2
        ),
        "neighbors": lambda: KNeighborsRegressor(n_jobs=2),
        "pipeline": lambda: make_pipeline(StandardScaler(), forest()),
        "columns": lambda: make_pipeline(
            ColumnTransformer([("a", StandardScaler(), [0, 1])], n_jobs=2), LinearRegression()
        ),
        "union": lambda: make_pipeline(
            FeatureUnion([("a", StandardScaler())], n_jobs=2), LinearRegression()
        ),
        "search": lambda: GridSearchCV(forest(), {"max_depth": [2]}, cv=2),
        "one against the rest": lambda: OneVsRestClassifier(LogisticRegression(), n_jobs=2),
        "many outputs": lambda: MultiOutputRegressor(forest(), n_jobs=2),
    }


def _counts(model: Any) -> set[Any]:
    return {
        getattr(each, name)
        for each in _threads._reachable(model)
        for name in _threads._settings(each)
    }


@pytest.mark.parametrize("name", list(_estimators()))
def test_every_estimator_in_it_is_set_to_one(name: str) -> None:
    from joblib import parallel_config

    model = _estimators()[name]()
    many = np.stack([NUMBERS, NUMBERS], axis=1)
    wanted = {"many outputs": many, "one against the rest": WORDS}.get(name, NUMBERS)
    with parallel_config(backend="threading"):  # processes would take seconds to start
        model.fit(ROWS, wanted)
        before = model.predict(ROWS)
    assert _threads.read_threaded(model)
    _threads.limit_model(model)
    assert _threads.read_threaded(model) == []
    assert _counts(model) == {1}
    np.testing.assert_allclose(model.predict(ROWS), before, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(ROWS), model.predict(ROWS))


def test_boosters_mean_every_core_where_they_say_none() -> None:
    import lightgbm
    import xgboost

    for model in (
        xgboost.XGBRegressor(n_estimators=2),
        xgboost.XGBRegressor(n_estimators=2, n_jobs=4),
        lightgbm.LGBMRegressor(n_estimators=2, verbose=-1),
        lightgbm.LGBMRegressor(n_estimators=2, n_jobs=4, verbose=-1),
    ):
        model.fit(ROWS, NUMBERS)
        assert bool(_threads.read_threaded(model)) is (model.n_jobs == 4)
        _threads.limit_model(model)
        assert model.n_jobs == 1
    booster = xgboost.train({"nthread": 4}, xgboost.DMatrix(ROWS, NUMBERS), 2)
    _threads.limit_model(Plain(inner=booster))
    assert json.loads(booster.save_config())["learner"]["generic_param"]["nthread"] == "1"


@pytest.mark.parametrize(
    ("hold", "threaded"),
    [
        (lambda deep: Plain(model=deep), True),
        (lambda deep: Plain(models={"a": [1, (deep,)]}), True),
        (lambda deep: Plain(models=np.array([deep, None], dtype=object)), True),
        (lambda deep: Plain(call=deep.method), True),
        (lambda deep: Plain(call=lambda: deep), True),
        (lambda deep: Plain(call=partial(print, deep)), True),
        (lambda deep: Plain(call=partial(print, model=deep)), True),
        (lambda deep: Plain(call=partial(deep.method)), True),
        (lambda deep: Plain(models=deque([deep])), True),
        (Slotted, True),
        (lambda deep: Plain(model=Slotted(deep)), True),
        (lambda deep: Slotted(None, 2), True),
        (lambda deep: Slotted(None, None), False),
        (lambda deep: type("Of", (UserModel,), {"model": deep, "predict": None})(), True),
        (lambda deep: UserModel(), True),
        (lambda deep: Plain(n_jobs=None), False),
        (lambda deep: Plain(n_jobs=True), False),
        (lambda deep: Plain(n_jobs="2"), False),
        (lambda deep: Plain(num_threads=4), False),
        (lambda deep: Plain(model=Plain), False),
    ],
    ids=["attribute", "containers", "array", "bound method", "closure", "partial", "its keyword",
         "partial of a method", "deque", "slot", "slot of another", "setting in a slot",
         "none in a slot", "class attribute", "beside the class", "none", "switch", "text",
         "another library's name", "class"],
)  # fmt: skip
def test_what_a_user_s_class_holds_is_found(hold: Callable[[Any], Any], *, threaded: bool) -> None:
    class Deep(Plain):
        def method(self) -> None: ...

    deep = Deep(n_jobs=2)
    vars(BESIDE)["n_jobs"] = 3
    model = hold(deep)
    assert bool(_threads.read_threaded(model)) is threaded
    _threads.limit_model(model)
    assert _threads.read_threaded(model) == []


def test_what_cannot_be_set_is_left() -> None:
    frozen = Frozen()
    frozen.__dict__["n_jobs"] = 2
    _threads.limit_model(frozen)
    assert frozen.__dict__["n_jobs"] == 2


@pytest.mark.parametrize("name", ["partial", "deque"])
def test_a_class_that_is_called_as_one_of_pythons_is_read_as_itself(name: str) -> None:
    own = type(name, (Plain,), {"__module__": "churn"})
    assert _threads.read_threaded(own(held=Plain(n_jobs=2))) == [f"{__name__}.Plain"]


def test_a_model_that_holds_itself_ends() -> None:
    model = Plain(n_jobs=2)
    vars(model)["itself"] = [model]
    assert _threads.read_threaded(model) == [f"{__name__}.Plain"]


_LIGHT = """
import sys
import handlers.loaders
before = set(sys.modules)
from handlers.loaders import _threads
_threads.limit_libraries()
_threads.limit_model([object()])
print(sorted(name for name in set(sys.modules) - before if not name.startswith("handlers")))
"""


def test_nothing_is_imported_for_it() -> None:
    assert fresh(_LIGHT).strip() == "[]"


_POOLS = """
import ctypes, os
import numpy
from handlers.loaders import _threads
_threads.limit_libraries()
with open("/proc/self/maps") as file:
    maps = [line.split(maxsplit=5)[-1].strip() for line in file]
path = next(p for p in maps if "blas" in p.rpartition("/")[2])
library = ctypes.CDLL(path)
print(library.scipy_openblas_get_num_threads64_(), os.environ["OMP_NUM_THREADS"])
"""


def test_pools_that_are_there_already_are_told() -> None:
    assert fresh(_POOLS).split() == ["1", "1"]


def test_torch_adds_up_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    torch = Plain(set_num_threads=counts.append)
    monkeypatch.setitem(sys.modules, "torch", torch)

    _threads.limit_model(Plain())

    assert counts == [1]


def test_the_search_of_a_model_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_threads, "_MOST", 3)
    last = Plain(n_jobs=2)
    chain = Plain(n_jobs=2, inner=Plain(n_jobs=2, inner=last))

    _threads.limit_model(chain)

    assert (chain.n_jobs, chain.inner.n_jobs, last.n_jobs) == (1, 1, 2)  # type: ignore[attr-defined]
