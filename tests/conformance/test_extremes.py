"""At the ends of every type ours answers as MLflow's server does, in both frames."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.conformance.arrays import applies, as_arrays
from tests.conformance.asking import ours_app
from tests.conformance.cases import Case, body, column
from tests.conformance.compare import DIFFERENT, asked, disagreements, judged
from tests.conformance.extremes import extreme_cases
from tests.conformance.reference import VERSION, theirs

pytestmark = pytest.mark.usefixtures("quiet")
CASES = list(extreme_cases())
_SOME, _MORE = 101, 17
BEYOND = ("1600-01-01", "1677-09-20", "2262-04-12", "9999-12-31T23:59:59", "0001-01-01")


def wrong(cases: list[Case]) -> Iterator[str]:
    yield from disagreements(cases, VERSION)
    for case in filter(applies, cases):
        expected = as_arrays(asked(case, theirs(case.signature)))
        app = ours_app(case.signature, frame="numpy", mlflow_version=VERSION)
        actual = asked(case, app)
        if judged(case, VERSION, expected, actual) == DIFFERENT:
            yield f"{case.name}, frame numpy:\n  MLflow {expected}\n  ours   {actual}"


def test_extremes_are_answered_as_mlflow_answers_them() -> None:
    assert list(wrong(CASES[::_SOME])) == []


@pytest.mark.slow
def test_more_extremes_are_answered_as_mlflow_answers_them() -> None:
    """All of them, which takes half an hour, with PACKAGER_EVIDENCE."""
    step = 1 if "PACKAGER_EVIDENCE" in os.environ else _MORE
    assert list(wrong(CASES[::step])) == []


@pytest.mark.parametrize("when", BEYOND)
@pytest.mark.parametrize("form", ["records", "split"])
@pytest.mark.parametrize("filled", [False, True])
def test_no_time_beyond_nanoseconds_reaches_the_model_as_another(
    when: str,
    form: str,
    filled: bool,  # noqa: FBT001  a parameter of the table
) -> None:
    times = [when, None] if filled else [when]
    sent = (
        body(dataframe_records=[{"x": each} for each in times])
        if form == "records"
        else body(dataframe_split={"columns": ["x"], "data": [[each] for each in times]})
    )
    case = Case(when, {"inputs": [column("datetime")]}, sent)
    replies = [
        asked(case, theirs(case.signature)),
        *(asked(case, ours_app(case.signature, frame=frame, mlflow_version=VERSION))
          for frame in ("numpy", "pandas")),
    ]  # fmt: skip

    assert [reply.status for reply in replies] == [400, 400, 400]
