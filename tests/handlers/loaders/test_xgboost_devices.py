"""Where a model of XGBoost answers from, whichever version saved it."""

from __future__ import annotations

import json

import pytest

from handlers.loaders import xgboost


class Booster:
    """What XGBoost 1.5.2 (`gpu_id`) and 3.2.0 (`device`) say and take, on `gpus` GPUs."""

    def __init__(self, version: int, gpus: int) -> None:
        self._version, self._gpus = version, gpus
        self._generic = {"device": "cpu"} if version > 1 else {"gpu_id": "-1"}
        self.predictor = "auto"

    def save_config(self) -> str:
        return json.dumps({"learner": {"generic_param": self._generic}})

    def set_param(self, params: dict[str, str]) -> None:
        assert params.keys() <= ({"device"} if self._version > 1 else {"gpu_id", "predictor"})
        if "device" in params and self._gpus:
            self._generic["device"] = params["device"]
        if "gpu_id" in params:
            self._generic["gpu_id"] = params["gpu_id"] if self._gpus else "-1"
        self.predictor = params.get("predictor", self.predictor)


@pytest.mark.parametrize(
    ("version", "gpus", "device", "found", "predictor"),
    [
        (3, 1, "cuda:0", "cuda:0", "auto"),
        (3, 0, "cuda:0", "cpu", "auto"),
        (1, 1, "cuda", "cuda:0", "gpu_predictor"),
        (1, 2, "cuda:1", "cuda:1", "gpu_predictor"),
        # with gpu_predictor it would fail at the first request
        (1, 0, "cuda", "cpu", "auto"),
    ],
)
def test_a_booster_says_where_it_is(
    version: int, gpus: int, device: str, found: str, predictor: str
) -> None:
    booster = Booster(version, gpus)
    assert xgboost._read_device(booster) == "cpu"
    xgboost._move(booster, device)
    assert xgboost._read_device(booster) == found
    assert booster.predictor == predictor
