"""A measurement that was stopped goes on where it was, and takes nothing from other code."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import _engines_state
from bench._engines_state import Built, OutOfTimeError, State


class StoppedError(Exception):
    pass


def sampled(state: State, runs: list[str], stop_after: int = 99) -> dict[str, list[float]]:
    def run(name: str) -> dict[str, float]:
        if len(runs) == stop_after:
            raise StoppedError
        runs.append(name)
        return {"ms": float(len(runs))}

    pairs = [(name, lambda name=name: run(name)) for name in ("a", "b")]
    found = state.samples(3, pairs)
    return {name: [each["ms"] for each in rows] for name, rows in found.items()}


def test_samples_are_taken_in_turns_and_kept_one_by_one(tmp_path: Path) -> None:
    runs: list[str] = []
    with pytest.raises(StoppedError):
        sampled(State(tmp_path, "m", fresh=False), runs, stop_after=3)
    assert runs == ["a", "b", "a"]
    found = sampled(State(tmp_path, "m", fresh=False), runs)
    assert runs == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": [1.0, 3.0, 5.0], "b": [2.0, 4.0, 6.0]}


def test_what_is_built_and_laid_out_is_not_made_twice(tmp_path: Path) -> None:
    made: list[str] = []

    def build(folder: Path) -> Built:
        made.append(folder.name)
        folder.mkdir()
        return Built(
            folder=str(folder),
            entrypoint="x.y",
            python_minor="3.13",
            numpy="2",
            engine={},
            rows_replayed=1,
            declared_start_cpu_ms=None,
        )

    def lay(folder: Path) -> None:
        made.append(folder.name)
        folder.mkdir()
        if len(made) == 2:
            raise StoppedError

    first = State(tmp_path, "m", fresh=False)
    one = first.built("onnx", build)
    with pytest.raises(StoppedError):
        first.tree("floor", lay)
    again = State(tmp_path, "m", fresh=False)
    assert again.built("onnx", build) == one
    assert again.tree("floor", lay) == tmp_path / "floor"
    assert again.tree("floor", lay).is_dir()
    assert made == ["onnx", "floor", "floor"]


def test_another_model_or_other_code_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    State(tmp_path, "m", fresh=False).put("x", 1)
    assert State(tmp_path, "m", fresh=False).get("x", None) == 1
    assert State(tmp_path, "n", fresh=False).get("x", None) is None
    State(tmp_path, "m", fresh=False).put("x", 1)
    assert State(tmp_path, "m", fresh=True).get("x", None) is None
    State(tmp_path, "m", fresh=False).put("x", 1)
    monkeypatch.setattr(_engines_state, "_digest", lambda: "other")
    assert State(tmp_path, "m", fresh=False).get("x", None) is None


def test_a_part_tells_of_every_run_and_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([0.5, 3.0, 1.0])
    monkeypatch.setattr("os.getloadavg", lambda: (next(loads), 0, 0))
    monkeypatch.setattr(_engines_state, "tell_time", iter(["10:00", "10:05", "11:00"]).__next__)
    monkeypatch.setattr(_engines_state, "find_commit", lambda: "abc")
    first = State(tmp_path, "m", fresh=False)
    first.begin_part("rows")
    first.put("rates", {"x": 1})
    again = State(tmp_path, "m", fresh=False)
    again.begin_part("rows")
    assert again.end_part("rows", ["rates"]) == {
        "from": "10:00",
        "until": "11:00",
        "runs": 2,
        "load": [0.5, 3.0],
        "commits": ["abc"],
    }
    assert State(tmp_path, "m", fresh=False).get("rates", None) is None


def test_nothing_is_begun_once_the_time_is_over(tmp_path: Path) -> None:
    State(tmp_path, "m", fresh=False).put("x", 1)
    over = State(tmp_path, "m", fresh=False, minutes=0)
    assert over.once("x", lambda: 2) == 1
    with pytest.raises(OutOfTimeError):
        over.once("y", lambda: 2)
    with pytest.raises(OutOfTimeError):
        over.samples(1, [("a", lambda: {"ms": 1.0})])
