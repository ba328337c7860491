"""Answers of an audit come out of the evidence as they went in, and are judged anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from packager.commands.artifact.supply_chain.policy import hold_to_policy
from packager.commands.artifact.supply_chain.records import describe_chain
from packager.commands.difference.recorded_audit import recall_audit
from packager.types import Audit, Bundle, SupplyChain, SupplyChainOptions
from tests.osv import advisory, serving_osv
from tests.unit.commands.artifact.supply_chain.test_policy import _CODE, _bundle


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))


def _again(chain: SupplyChain, bundle: Bundle, options: SupplyChainOptions) -> SupplyChain:
    """Judge with the answers that the evidence of a build has, as JSON."""
    evidence = json.loads(json.dumps({"supply_chain": describe_chain(chain)}))

    def answer(packages: Mapping[str, str]) -> Audit:
        return recall_audit(evidence, packages)

    return hold_to_policy(bundle, options, {}, answer)


@pytest.mark.parametrize(
    "given",
    [
        {"ignore_vulnerabilities": ("CVE-2026-1234=never called", "CVE-1999-1=old")},
        {"vulnerable_code": ("CVE-2026-1234=numpy.rare",)},
        {"vulnerable_code": ("CVE-2026-1234=numpy.rare",), "require_audit": True},
    ],
)
def test_the_recorded_answers_lead_to_the_same_verdict(
    given: dict[str, Any], tmp_path: Path
) -> None:
    bundle = _bundle(tmp_path, left_out=("numpy/rare.py",))
    with serving_osv({"numpy": [advisory()]}) as service:
        options = SupplyChainOptions(audit=True, osv_url=service.url, **given)
        chain = hold_to_policy(bundle, options, {})
        asked = len(service.asked)
        assert _again(chain, bundle, options) == chain
        assert len(service.asked) == asked
    assert chain.audit.found[0].vector


def test_an_advisory_s_own_code_is_judged_again(tmp_path: Path) -> None:
    """A verdict that somebody wrote into the evidence is no verdict of the rebuild."""
    bundle = _bundle(tmp_path, left_out=("numpy/rare.py",))
    named = advisory(affected=[{**advisory()["affected"][0], **_CODE}])
    with serving_osv({"numpy": [named]}) as service:
        options = SupplyChainOptions(audit=True, osv_url=service.url)
        chain = hold_to_policy(bundle, options, {})
        assert _again(chain, bundle, options) == chain
        ships = _bundle(tmp_path / "other", {"numpy/rare.py": b"def load():\n    pass\n"})
        options = SupplyChainOptions(
            audit=True, osv_url=service.url, ignore_vulnerabilities=("CVE-2026-1234=x",)
        )
        assert _again(chain, ships, options) != chain


def test_an_audit_that_was_not_done_stays_one_that_was_not(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    options = SupplyChainOptions(audit=True, osv_url="http://127.0.0.1:1/v1/query")
    chain = hold_to_policy(bundle, options, {})

    assert not chain.audit.done
    assert _again(chain, bundle, options) == chain


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["vulnerabilities"][0].pop("severity"),
        lambda told: told["vulnerabilities"][0].update(severity="huge"),
        lambda told: told["vulnerabilities"][0].update(package="gone"),
        lambda told: told["vulnerabilities"][0].update(code=3),
        lambda told: told.update(vulnerabilities=3),
        lambda told: told.update(day=None),
    ],
    ids=["no severity", "odd severity", "other package", "odd code", "no list", "no day"],
)
def test_an_evidence_that_no_build_wrote_is_refused(change: Any, tmp_path: Path) -> None:
    with serving_osv({"numpy": [advisory()]}) as service:
        options = SupplyChainOptions(
            audit=True, osv_url=service.url, ignore_vulnerabilities=("CVE-2026-1234",)
        )
        chain = describe_chain(hold_to_policy(_bundle(tmp_path), options, {}))
    evidence = json.loads(json.dumps({"supply_chain": chain}))
    change(evidence["supply_chain"]["audit"])

    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        recall_audit(evidence, {"numpy": "2.5.5"})
