"""Faster ways to run a model: taken where they answer alike, left with a reason where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from handlers.container_server import acceleration, modules, replicas
from handlers.container_server.acceleration import accelerate_model, buckets, difference
from handlers.container_server.settings import ServiceSettings
from handlers.scoring.predictor import Predictor
from handlers.scoring.scorer import Checked
from tests.handlers import serving
from tests.handlers.scorers import scorer

TENSOR = {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]}
HALF = ServiceSettings(batch_rows=8, precision="float16")
EXAMPLE = Checked(
    data=np.array([[1, 2]], "float32"), params=None, given=None, unwrapped=False, raw=False
)


class Sums:
    """Row by row; `off` in proportion, and with an error from so many rows on."""

    def __init__(self, off: float = 0.0, breaks_at: int = 1000) -> None:
        self.off, self.breaks_at = off, breaks_at
        self.seen: list[int] = []

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        self.seen.append(len(data))
        if len(data) >= self.breaks_at:
            raise RuntimeError("no kernel image\nfor this device")
        return data.sum(axis=1) * (1 + self.off)


def told(monkeypatch: pytest.MonkeyPatch, quick: Predictor | Exception) -> None:
    def made(*_: Any) -> Predictor:
        if isinstance(quick, Exception):
            raise quick
        return quick

    monkeypatch.setattr(modules, "quick", made)


def test_what_answers_alike_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = Sums(), Sums(off=0.001)
    told(monkeypatch, quick)

    found, proof = accelerate_model(plain, scorer(plain, TENSOR), EXAMPLE, HALF)

    assert found is quick
    # each size, and one below it, which is filled up
    assert quick.seen == plain.seen == [1, 2, 3, 4, 7, 8]
    assert (proof.used, proof.rows) == (True, 25)
    assert proof.largest == pytest.approx(0.001, rel=0.01)


@pytest.mark.parametrize(
    ("quick", "why"),
    [
        (Sums(off=0.01), "1 rows were answered otherwise: by 0.01, and 0.005 will do"),
        (Sums(breaks_at=4), "4 rows: RuntimeError: no kernel image"),
        (modules.UnsupportedError("the flavor lends no torch module"), "lends no torch module"),
    ],
)
def test_what_does_not_is_left_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    quick: Predictor | Exception,
    why: str,
) -> None:
    plain = Sums()
    told(monkeypatch, quick)

    found, proof = accelerate_model(plain, scorer(plain, TENSOR), EXAMPLE, HALF)

    assert found is plain
    assert not proof.used
    assert why in proof.why
    assert why in caplog.text


def test_a_tolerance_of_the_users_own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = Sums(), Sums(off=0.01)
    told(monkeypatch, quick)
    wide = ServiceSettings(batch_rows=8, precision="float16", tolerance=0.02)

    assert accelerate_model(plain, scorer(plain, TENSOR), EXAMPLE, wide)[0] is quick


def test_without_rows_to_hold_it_to_nothing_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Sums()
    told(monkeypatch, Sums())

    found, proof = accelerate_model(plain, scorer(plain, TENSOR), None, HALF)

    assert (found is plain, proof.why) == (True, "there is no example of rows to hold it to")


def test_a_model_too_large_for_a_size_is_proven_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = Sums(breaks_at=4), Sums()
    told(monkeypatch, quick)

    found, proof = accelerate_model(plain, scorer(plain, TENSOR), EXAMPLE, HALF)

    assert (found is quick, proof.rows) == (True, 6)


def test_nothing_is_asked_for_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Sums()
    told(monkeypatch, Sums())

    assert accelerate_model(plain, scorer(plain, TENSOR), EXAMPLE, ServiceSettings()) == (
        plain,
        acceleration.PLAIN,
    )
    assert plain.seen == []


def test_half_precision_does_not_end_batching(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's kernel is another's beside other rows: by more than single precision would allow."""

    class Rounded(Sums):
        def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
            return super().predict(data, params) * (1 + 0.001 * (len(data) > 1))

    told(monkeypatch, Rounded())
    plain = Sums()
    copy = replicas.Copy("cpu", "cpu", plain, scorer(plain, TENSOR))

    warm = replicas.warm(copy, EXAMPLE, HALF).warm

    assert warm is not None
    assert warm.merges


def test_the_server_tells_what_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = Sums(off=0.001)
    told(monkeypatch, quick)
    made = serving.service(
        Sums(),
        tmp_path,
        signature=TENSOR,
        example={"inputs": [[1.0, 2.0]]},
        precision="float16",
        tier="graphs",
    )

    async def ask(client: Any) -> tuple[Any, str]:
        answer = await client.post(
            "/invocations",
            content=b'{"inputs": [[1, 2]]}',
            headers={"content-type": "application/json"},
        )
        return answer.json(), (await client.get("/metrics")).text

    answer, metrics = serving.run(made, tmp_path, ask)

    assert answer["predictions"] == [pytest.approx(3.003)]
    assert "quickened 1.0" in metrics


def test_a_flavor_that_lends_no_module_says_so() -> None:
    with pytest.raises(modules.UnsupportedError, match="lends no torch module"):
        modules.quick(Sums(), "bfloat16", "eager", (1,))


def test_rows_are_filled_up_to_a_size_and_cut_again() -> None:
    made: list[int] = []

    def make(call: Any, x: Any) -> Any:
        made.append(len(x))
        return call

    def call(x: Any, scale: int = 1) -> Any:
        called.append(len(x))
        return x.sum(axis=1) * scale

    called: list[int] = []
    fixed = modules.Fixed(call, (1, 4, 8), make)
    rows = np.arange(18.0).reshape(9, 2)

    for count in (1, 3, 4, 2, 8, 9):
        assert fixed(rows[:count]).tolist() == rows[:count].sum(axis=1).tolist()
    assert made == [1, 4, 8]
    assert called == [1, 4, 4, 4, 8, 9]
    # another shape, or parameters: as it was
    assert fixed(np.ones((2, 5))).tolist() == [5.0, 5.0]
    assert fixed(rows[:3], scale=2).tolist() == [2.0, 10.0, 18.0]
    assert called[6:] == [2, 3]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.2]), 0.1),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), 0.0),
        (np.array([np.inf, 1.0]), np.array([np.inf, 1.0]), 0.0),
        (np.array([np.inf, 1.0]), np.array([1e38, 1.0]), np.inf),
        (np.array([1.0]), np.array([np.nan]), np.inf),
        (np.array([0.0]), np.array([0.1]), np.inf),
        (np.array([1, 2]), np.array([1, 2]), 0.0),
        (np.array([1, 2]), np.array([1, 3]), np.inf),
        (np.array([1.0]), np.array([1.0, 2.0]), np.inf),
        (["a"], ["a"], 0.0),
        (["a"], ["b"], np.inf),
        ({"x": np.array([4.0])}, {"x": np.array([5.0])}, 0.25),
        ({"x": np.array([4.0])}, {"y": np.array([4.0])}, np.inf),
        ([{"label": "a", "score": 0.8}], [{"label": "a", "score": 0.6}], 0.25),
        ([{"label": "a", "score": 0.8}], [{"label": "b", "score": 0.8}], np.inf),
        # a number near zero is held to the largest beside it, of its own column
        (
            [{"x": 0.001, "y": 1}, {"x": 1.0, "y": 2}],
            [{"x": 0.002, "y": 1}, {"x": 1.0, "y": 2}],
            0.001,
        ),
        (pd.DataFrame({"x": [1.0]}), pd.DataFrame({"x": [1.5]}), 0.5),
    ],
)
def test_a_difference_is_of_the_largest_number(one: Any, other: Any, expected: float) -> None:
    assert difference(one, other) == pytest.approx(expected)


def test_sizes_double_up_to_the_most() -> None:
    assert [buckets(most) for most in (1, 2, 8, 9)] == [
        (1,),
        (1, 2),
        (1, 2, 4, 8),
        (1, 2, 4, 8, 9),
    ]


def test_settings_name_what_is_none() -> None:
    with pytest.raises(ValueError, match=r"PACKAGER_PRECISION must be one of .* PACKAGER_TIER"):
        ServiceSettings.read({"PACKAGER_PRECISION": "int4", "PACKAGER_TIER": "fast"})
    found = ServiceSettings.read({"PACKAGER_PRECISION": "BFloat16", "PACKAGER_TIER": "graphs"})
    assert (found.precision, found.tier) == ("bfloat16", "graphs")
