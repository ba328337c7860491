"""One request to both servers, and what to make of their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.conformance import texts
from tests.conformance.asking import Reply, ask, ours_app
from tests.conformance.cases import Case
from tests.conformance.differences import difference

EQUAL = "equal, byte for byte"
CUT = "equal, but for data and traces in an error's text"
DIFFERENT = "different"


@dataclass(frozen=True)
class Compared:
    case: Case
    verdict: str
    """EQUAL, CUT, the name of a documented difference, or DIFFERENT."""
    theirs: Reply
    ours: Reply

    def __str__(self) -> str:
        return f"{self.case.name}:\n  MLflow {self.theirs}\n  ours   {self.ours}"


def compare(case: Case, version: str) -> Compared:
    from tests.conformance.reference import theirs  # MLflow: an environment for ours has it not

    replies = [
        asked(case, app)
        for app in (
            theirs(case.signature, type_hints=case.type_hints),
            ours_app(case.signature, type_hints=case.type_hints, mlflow_version=version),
        )
    ]
    return Compared(case, judged(case, version, *replies), *replies)


def asked(case: Case, app: Any) -> Reply:
    headers = {} if case.content_type is None else {"content-type": case.content_type}
    return ask(app, case.path, method=case.method, body=case.body, headers=headers)


def judged(case: Case, version: str, theirs: Reply, ours: Reply) -> str:
    if theirs == ours:
        return EQUAL
    known = difference(case, version)
    if known is not None and (theirs.status, ours.status) == (known.theirs, known.ours):
        return known.name
    if (theirs.status, theirs.content_type) == (ours.status, ours.content_type):
        left, right = texts.read(theirs.body), texts.read(ours.body)
        if _any_column_fails(case):
            left, right = texts.without_column(left), texts.without_column(right)
        error = theirs.status >= 400 and isinstance(left, dict) and isinstance(right, dict)
        if error and texts.same(left, right):
            return CUT
    return DIFFERENT


def _any_column_fails(case: Case) -> bool:
    """MLflow casts the columns for an unnamed tensor in a set's order, which changes."""
    first = ((case.signature or {}).get("inputs") or [{}])[0]
    return first.get("type") == "tensor" and "name" not in first


def tally(compared: Iterable[Compared]) -> Counter[str]:
    return Counter(found.verdict for found in compared)


def disagreements(cases: Iterable[Case], version: str) -> list[str]:
    """As texts, at most 20."""
    found: list[Any] = []
    for case in cases:
        done = compare(case, version)
        if done.verdict == DIFFERENT:
            found.append(str(done))
            if len(found) == 20:
                break
    return found
