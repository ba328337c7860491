"""`make demo-rollout` fails where it has to, and removes nothing of anybody's."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.aws.demo_rollout import (
    Calls,
    Outcome,
    call_alias,
    list_problems,
    main,
    make_folder,
)

_GOOD = Calls(answered=10)


def _make_outcomes(second: Calls | None = _GOOD, third: str = "promoted") -> list[Outcome]:
    return [
        Outcome(ended="deployed", text="", calls=None),
        Outcome(ended="refused", text="", calls=second),
        Outcome(ended=third, text="", calls=_GOOD),
    ]


def test_a_demo_that_went_as_it_should_has_no_problem() -> None:
    assert list_problems(_make_outcomes()) == []


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (_make_outcomes(third="refused"), "Version 3 should be promoted, and was refused."),
        (
            _make_outcomes(Calls(answered=9, lost=1, why="KeyError: x")),
            "The first one: KeyError: x",
        ),
        (_make_outcomes(Calls()), "No caller was answered while version 2"),
        (_make_outcomes(None), "No caller was answered while version 2"),
    ],
)
def test_a_demo_that_did_not_says_what_went_wrong(outcomes: list[Outcome], words: str) -> None:
    (problem,) = list_problems(outcomes)

    assert words in problem


class _Functions:
    """Lambda, which answers by turns what it was given; an exception is raised."""

    def __init__(self, *answers: Mapping[str, Any] | Exception) -> None:
        self._answers = list(answers)
        self.over = threading.Event()

    def invoke(self, **_: Any) -> dict[str, Any]:
        answer = self._answers.pop(0)
        if not self._answers:
            self._answers.append({})
            self.over.set()
        if isinstance(answer, Exception):
            raise answer
        return {**answer, "Payload": io.BytesIO(b"said")}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ConnectionResetError("gone"), "ConnectionResetError: gone"),
        ({"FunctionError": "Unhandled"}, "Unhandled: said"),
    ],
)
def test_a_request_without_an_answer_is_lost_and_the_others_are_counted(
    answer: Mapping[str, Any] | Exception, why: str
) -> None:
    functions = _Functions({}, answer, {}, {})

    with call_alias(functions, "churn:live", b"{}") as count:
        assert functions.over.wait(10)

    calls = count()
    assert (calls.lost, calls.why) == (1, why)
    assert calls.answered >= 2


def test_what_lies_in_the_folder_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")

    with pytest.raises(SystemExit, match="was not made by this demo"):
        main(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling"])
def test_what_is_no_folder_stays(kind: str, tmp_path: Path) -> None:
    there, folder = tmp_path / "there", tmp_path / "demo-rollout"
    make_folder(there)
    if kind == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(there if kind == "link" else tmp_path / "nowhere")

    with pytest.raises(SystemExit, match="was not made by this demo"):
        make_folder(folder)

    assert there.is_dir()


def test_what_an_earlier_demo_made_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "demo-rollout"
    folder.mkdir()
    make_folder(folder)
    (folder / "mlflow.db").touch()

    make_folder(folder)

    assert not (folder / "mlflow.db").exists()
