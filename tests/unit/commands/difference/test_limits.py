"""`--fail-on`: which words are limits, and when a comparison keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from packager.commands.difference.answers import compare_replies
from packager.commands.difference.documents import make_amounts
from packager.commands.difference.limits import check_limits, parse_limits
from packager.commands.difference.requests import Asked
from packager.commands.difference.running import Reply
from packager.errors import ConfigurationError


def test_limits_are_shares_amounts_and_growths() -> None:
    words = ["labels=0.5%", "refused=0", "mean=1e-3", "max=2", "size=5%", "start=0.25"]

    assert parse_limits(words, is_run=True) == {
        "labels": 0.005,
        "refused": 0.0,
        "mean": 0.001,
        "max": 2.0,
        "size": 0.05,
        "start": 0.25,
    }


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("labels", "NAME=LIMIT"),
        ("lables=1%", "Do you mean|labels"),
        ("labels=", "from 0% to 100%"),
        ("labels=101%", "from 0% to 100%"),
        ("labels=-1%", "from 0% to 100%"),
        ("labels=nan", "from 0% to 100%"),
        ("max=5%", "own unit"),
        ("max=inf", "own unit"),
        ("size=-1", "growth"),
        ("size=x%", "growth"),
    ],
)
def test_a_word_that_is_no_limit_is_refused(word: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        parse_limits([word], is_run=True)


def test_a_limit_is_given_once_and_not_on_what_is_not_started() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        parse_limits(["size=1%", "size=2%"], is_run=True)
    with pytest.raises(ConfigurationError, match="files-only"):
        parse_limits(["labels=1%"], is_run=False)
    assert parse_limits(["size=1%"], is_run=False) == {"size": 0.01}


def check(limit: str, one: list[Any], other: list[Any]) -> tuple[bool, float | None, str]:
    """Check a limit on answers to single rows; a string that begins with `!` is a refusal."""
    asked = [Asked("a", {"inputs": [at]}, 1) for at in range(len(one))]
    replies = [
        [Reply(refusal=each) if str(each).startswith("!") else Reply([each]) for each in side]
        for side in (one, other)
    ]
    (found,) = check_limits(
        parse_limits([limit], is_run=True),
        sizes={"zipped_bytes": make_amounts(100, 105)},
        start={"cpu_ms": make_amounts(100.0, 90.0)},
        answers=compare_replies(asked, *replies, seed=0),
    )
    return found["passed"], found["value"], found["words"]


@pytest.mark.parametrize(
    ("limit", "one", "other", "passed"),
    [
        ("labels=50%", ["a", "b"], ["a", "c"], True),
        ("labels=49%", ["a", "b"], ["a", "c"], False),
        ("labels=100%", [0.5], [0.25], False),
        ("labels=100%", ["!no"], ["a"], False),
        ("max=0.25", [0.5, 0.5], [0.5, 0.25], True),
        ("max=0.24", [0.5, 0.5], [0.5, 0.25], False),
        ("mean=0.125", [0.5, 0.5], [0.5, 0.25], True),
        ("max=9", ["a"], ["b"], False),
        ("max=9", [0.5], [None], False),
        ("max=9", [0.5, [0.5]], [0.5, [0.5, 0.5]], False),
        ("refused=0", ["a", "!no"], ["a", "!no"], True),
        ("refused=0", ["a", "a"], ["a", "!no"], False),
        ("size=5%", [], [], True),
        ("size=4%", [], [], False),
        ("start=0%", [], [], True),
        ("labels=100%", [], [], False),
    ],
)
def test_a_limit_is_kept_or_not_and_one_that_cannot_be_checked_is_not(
    limit: str,
    one: list[Any],
    other: list[Any],
    passed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    assert check(limit, one, other)[0] == passed


def test_a_limit_that_cannot_be_checked_says_why() -> None:
    assert check("labels=1%", [0.5], [0.5])[1:] == (
        None,
        "labels: no answer is a label: limit mean or max",
    )
    assert check("labels=1%", ["a", "b"], ["a", "c"])[1:] == (0.5, "labels: 50%, at most 1%")
