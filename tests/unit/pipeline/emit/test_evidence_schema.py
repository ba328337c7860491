from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager.types import (
    BuildPlan,
    ColdStart,
    Engine,
    Evidence,
    Frame,
    LedgerEntry,
    LineChange,
    Replay,
    RewrittenFile,
    Shipped,
    Spread,
    Tier,
    UpgradedPin,
)
from tests import fake_plan
from tests.evidence_schema import SCHEMA, list_wrong
from tests.unit.pipeline.emit import test_emit

CHANGE = LineChange(line="-e .", reason="a folder of the author's machine")
FILE = RewrittenFile(
    path=PurePosixPath("model.pkl"), arrays=2, types=1, logged_sha256="0" * 64, sha256="1" * 64
)
PIN = UpgradedPin(name="numpy", old="1.23.1", new="1.23.5", reason="1.23.1 has no wheel")


def _full() -> tuple[BuildPlan, Evidence]:
    """Everything that a build can tell of."""
    plan = fake_plan.plan()
    requirements = replace(plan.model.requirements, changes=(CHANGE,))
    plan = replace(
        plan,
        model=replace(plan.model, requirements=requirements),
        shipped=Shipped.SERVING,
        kept_for={"numpy": "the model's loader needs it"},
        unshipped=("pyarrow",),
        upgraded=(PIN,),
        rewritten=(FILE,),
    )
    start = ColdStart(
        init_wall_ms=1.0, init_cpu_ms=1.0, first_invoke_ms=1.0, warm_invoke_ms=1.0, peak_rss_bytes=1
    )
    replay = Replay(
        rows_compared=1000,
        requests_compared=3,
        cold_store_misses=("a.py",),
        spread=Spread(rounding={"predictions": 1e-16}),
        cold_start=start,
        host="Lambda's runtime client",
        protections=("no network",),
        emulated="qemu-aarch64 7.2.22",
        doors="one message by sqs",
    )
    evidence = Evidence(
        proven=True,
        replay=replay,
        threads=1,
        oracle="Python 3.9.18",
        oracle_protections=("no network",),
        declared_bytes=1,
        tried=("native/numpy: it differs",),
        notes=("a note",),
        engine={"rows": 1},
        checks={"budget": "it fits"},
    )
    return plan, evidence


def _written(base: Path, plan: BuildPlan, evidence: Evidence) -> Any:
    texts = test_emit._texts(test_emit._build(base, plan, evidence))
    return json.loads(texts["evidence.json"])


def test_the_schema_is_one() -> None:
    from jsonschema import Draft202012Validator  # two seconds, in each process that collects tests

    Draft202012Validator.check_schema(SCHEMA)


def test_what_is_written_is_as_the_schema_says(tmp_path: Path) -> None:
    assert list_wrong(_written(tmp_path, *_full())) == []


@pytest.mark.parametrize("evidence", [fake_plan.EVIDENCE, Evidence(proven=False, why_unproven="x")])
def test_evidence_of_less_is_too(evidence: Evidence, tmp_path: Path) -> None:
    assert list_wrong(_written(tmp_path, fake_plan.plan(), evidence)) == []


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("distributions", "reasons", "numpy"), ""),
        (("distributions", "reasons", "numpy"), 1),
        (("distributions", "upgraded"), [{"name": "numpy"}]),
        (("distributions", "rewritten"), [{"path": "model.pkl", "arrays": 1}]),
        (("distributions", "lines"), ["-e ."]),
        (("distributions", "cut"), "seaborn"),
        (("distributions", "more"), 1),
        (("evidence", "rows_compared"), -1),
        (("evidence", "proven"), "yes"),
        (("artifact", "sha256"), "0a"),
        (("ledger",), {}),
    ],
)
def test_what_is_otherwise_is_wrong(place: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    found = _written(tmp_path, *_full())
    *way, last = place
    inner = found
    for name in way:
        inner = inner[name]
    inner[last] = value
    assert list_wrong(found)


def test_each_name_that_a_choice_has_is_in_the_schema() -> None:
    attempt = SCHEMA["properties"]["attempt"]["properties"]
    assert {*attempt["engine"]["enum"]} == {*map(str, Engine)}
    assert {*attempt["tier"]["enum"]} == {*map(str, Tier)}
    assert {*attempt["frame"]["enum"]} == {*map(str, Frame)}
    shipped = SCHEMA["properties"]["distributions"]["properties"]["requirements"]["enum"]
    assert {*shipped} == {*map(str, Shipped)}
    ledger = {each.name for each in fields(LedgerEntry)} | {"bytes_saved"}
    assert {*SCHEMA["properties"]["ledger"]["items"]["properties"]} == ledger
