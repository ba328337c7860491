"""Known vulnerabilities count unless their code is not there, or the builder says why not."""

from __future__ import annotations

import json
import marshal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from packager.commands.artifact.supply_chain.policy import check_options, hold_to_policy
from packager.errors import AuditUnavailableError, ConfigurationError, SupplyChainError
from packager.types import (
    AnalysisState,
    Bundle,
    FileRecord,
    Severity,
    SupplyChain,
    SupplyChainOptions,
    WheelDocument,
)
from tests import fake_plan
from tests.osv import Service, advisory, serving_osv

_CODE = {
    "ecosystem_specific": {"affected_functions": ["numpy.rare.load"]},
    "package": {"name": "numpy", "ecosystem": "PyPI"},
}
_MILD: dict[str, Any] = {"severity": [], "database_specific": {"severity": "LOW"}}


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def osv() -> Iterator[Service]:
    with serving_osv({"numpy": [advisory()]}) as service:
        yield service


def _bundle(
    base: Path, more: Mapping[str, bytes] | None = None, left_out: tuple[str, ...] = ()
) -> Bundle:
    root = fake_plan.tree(base / "tree", fake_plan.plan(), more)
    bundle = fake_plan.verified(root).bundle
    gone = (FileRecord(PurePosixPath(name), "c" * 64, 10) for name in left_out)
    return replace(bundle, staged=(*bundle.files, *gone))


def _audit(base: Path, url: str, bundle: Bundle | None = None, **options: Any) -> SupplyChain:
    asked = SupplyChainOptions(audit=True, osv_url=url, **options)
    return hold_to_policy(bundle or _bundle(base), asked, {"numpy": ["scipy"]})


def test_a_vulnerability_is_refused_by_name_severity_and_what_mends_it(
    tmp_path: Path, osv: Service
) -> None:
    with pytest.raises(SupplyChainError) as raised:
        _audit(tmp_path, osv.url)

    assert raised.value.exit_code == 16
    assert not isinstance(raised.value, AuditUnavailableError)
    for words in ("numpy 2.5.5", "CVE-2026-1234", "GHSA-aaaa-bbbb-cccc", "critical (9.8)", "99.1"):
        assert words in str(raised.value)


def test_only_what_ships_is_asked_for(tmp_path: Path, osv: Service) -> None:
    bundle = _bundle(tmp_path, left_out=("idle/__init__.py", "idle-1.dist-info/METADATA"))
    with pytest.raises(SupplyChainError):
        _audit(tmp_path, osv.url, bundle)

    assert osv.asked == [("numpy", "2.5.5")]


def test_a_package_without_known_vulnerabilities_passes(tmp_path: Path) -> None:
    with serving_osv({}) as service:
        audit = _audit(tmp_path, service.url).audit

    assert (audit.done, audit.packages, audit.found) == (True, 1, ())


@pytest.mark.parametrize(
    ("least", "counts"),
    [(None, True), (Severity.LOW, True), (Severity.MEDIUM, False), (Severity.CRITICAL, False)],
)
def test_a_threshold_lets_what_is_milder_pass(
    tmp_path: Path, least: Severity | None, *, counts: bool
) -> None:
    with serving_osv({"numpy": [advisory(**_MILD)]}) as service:
        if counts:
            with pytest.raises(SupplyChainError, match="Severity low"):
                _audit(tmp_path, service.url, audit_severity=least)
        else:
            (found,) = _audit(tmp_path, service.url, audit_severity=least).audit.found
            assert found.severity is Severity.LOW


def test_what_nobody_has_rated_always_counts(tmp_path: Path) -> None:
    unrated = advisory(severity=[], database_specific={})
    with (
        serving_osv({"numpy": [unrated]}) as service,
        pytest.raises(SupplyChainError, match="Severity unknown"),
    ):
        _audit(tmp_path, service.url, audit_severity=Severity.CRITICAL)


@pytest.mark.parametrize(
    "given", ["CVE-2026-1234=never called", "ghsa-aaaa-bbbb-cccc=never called"]
)
def test_one_that_is_ignored_is_kept_with_its_reason(
    tmp_path: Path, osv: Service, given: str
) -> None:
    (found,) = _audit(tmp_path, osv.url, ignore_vulnerabilities=(given,)).audit.found

    assert found.ignored
    assert found.state is AnalysisState.IN_TRIAGE
    assert "never called" in found.detail


def test_an_id_that_nothing_has_is_named(tmp_path: Path) -> None:
    with serving_osv({}) as service:
        (note,) = _audit(
            tmp_path, service.url, ignore_vulnerabilities=("CVE-2020-1=old",)
        ).audit.notes

    assert "CVE-2020-1" in note


def test_code_that_was_left_out_is_not_affected(tmp_path: Path) -> None:
    named = advisory(affected=[{**advisory()["affected"][0], **_CODE}])
    bundle = _bundle(tmp_path, left_out=("numpy/rare.py",))
    with serving_osv({"numpy": [named]}) as service:
        (found,) = _audit(tmp_path, service.url, bundle).audit.found

    assert (found.state, found.justification) == (AnalysisState.NOT_AFFECTED, "code_not_present")
    assert "numpy.rare.load" in found.detail


def test_code_that_ships_counts_whether_or_not_it_was_loaded(tmp_path: Path) -> None:
    named = advisory(affected=[{**advisory()["affected"][0], **_CODE}])
    bundle = _bundle(tmp_path, {"numpy/rare.py": b""})
    with (
        serving_osv({"numpy": [named]}) as service,
        pytest.raises(SupplyChainError),
    ):
        _audit(tmp_path, service.url, bundle)


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"numpy/_core.py": b"def load(path): ...\n"}, AnalysisState.IN_TRIAGE),
        (
            {"numpy/_core.py": b"from numpy._impl import *\n", "_numpy.so": b"\x7fELF"},
            AnalysisState.IN_TRIAGE,
        ),
        ({"numpy/fast.cpython-313-x86_64-linux-gnu.so": b"\x7fELF"}, AnalysisState.IN_TRIAGE),
        ({"numpy/_core.pyc": marshal.dumps(compile("def load(): 1", "x", "exec"))}, "in_triage"),
        ({"numpy/_core.py": b"def save(path): ...\n"}, AnalysisState.NOT_AFFECTED),
        ({"scipy/io.py": b"def load(path): ...\n"}, AnalysisState.NOT_AFFECTED),
    ],
)
def test_a_function_may_be_defined_elsewhere_in_its_package(
    tmp_path: Path, more: dict[str, bytes], state: str
) -> None:
    """An advisory names the public path: numpy.rare may only import what numpy._core has."""
    named = advisory(affected=[{**advisory()["affected"][0], **_CODE}])
    bundle = _bundle(tmp_path, more, left_out=("numpy/rare.py",))
    with serving_osv({"numpy": [named]}) as service:
        (found,) = _audit(
            tmp_path, service.url, bundle, ignore_vulnerabilities=("CVE-2026-1234=no",)
        ).audit.found

    assert found.state == state
    assert ("shows nothing" in found.detail) == (state == "in_triage")


def test_you_can_name_the_code_where_the_advisory_does_not(tmp_path: Path, osv: Service) -> None:
    bundle = _bundle(tmp_path, left_out=("numpy/rare.py",))
    given = ("CVE-2026-1234=numpy.rare",)
    (found,) = _audit(tmp_path, osv.url, bundle, vulnerable_code=given).audit.found

    assert found.state is AnalysisState.NOT_AFFECTED
    assert "named by you" in found.detail


def test_code_that_never_was_there_proves_nothing(tmp_path: Path, osv: Service) -> None:
    with pytest.raises(ConfigurationError, match="nothing that was installed has"):
        _audit(tmp_path, osv.url, vulnerable_code=("CVE-2026-1234=numpy.misspelt.deep",))


def test_what_an_advisory_names_and_nobody_installed_shows_nothing(tmp_path: Path) -> None:
    affected = {**_CODE, "ecosystem_specific": {"affected_functions": ["np.alias.load"]}}
    named = advisory(affected=[{**advisory()["affected"][0], **affected}])
    ignored = ("CVE-2026-1234=no",)
    with serving_osv({"numpy": [named]}) as service:
        (found,) = _audit(tmp_path, service.url, ignore_vulnerabilities=ignored).audit.found

    assert found.state is AnalysisState.IN_TRIAGE
    assert "its absence shows nothing" in found.detail


def test_several_databases_tell_of_one_vulnerability_once(tmp_path: Path) -> None:
    other = advisory(id="PYSEC-2026-7", severity=[], database_specific={})
    with (
        serving_osv({"numpy": [other, advisory()]}) as service,
        pytest.raises(SupplyChainError) as raised,
    ):
        _audit(tmp_path, service.url)

    assert str(raised.value).count("numpy 2.5.5 has") == 1
    assert "critical" in str(raised.value)


def test_an_answer_is_kept_for_a_day(
    tmp_path: Path, osv: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with pytest.raises(SupplyChainError):
            _audit(tmp_path, osv.url)
    assert len(osv.asked) == 1

    with pytest.raises(SupplyChainError):
        _audit(tmp_path, osv.url, refresh_audit=True)
    assert len(osv.asked) == 2

    later = time.time() + 25 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(SupplyChainError):
        _audit(tmp_path, osv.url)
    assert len(osv.asked) == 3


def _find_closed_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize("required", [False, True])
def test_without_a_network_the_evidence_says_so_or_nothing_is_built(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, required: bool
) -> None:
    url = f"http://ada:hunter2@127.0.0.1:{_find_closed_port()}/v1/query"
    if required:
        with pytest.raises(
            AuditUnavailableError, match=r"Not audited: .*could not be reached"
        ) as raised:
            _audit(tmp_path, url, require_audit=True)
        assert "hunter2" not in str(raised.value)
        return
    audit = _audit(tmp_path, url).audit

    assert (audit.asked, audit.done) == (True, False)
    assert "could not be reached" in audit.why_not
    assert "hunter2" not in str(audit) + caplog.text


_UNREADABLE: list[list[dict[str, Any]]] = [
    [advisory(schema_version="2.0.0")],
    [{"id": "X-1"}],
    [advisory(), {"id": "X-1", "schema_version": "1.7.0", "summary": "says nobody's name"}],
    [{"id": "X-1", "withdrawn": ""}],
]


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (503, b"busy", "refused"),
        (200, b"<html>", "no answer of OSV's"),
        (200, b'{"vulns": [{}]}', "no answer of OSV's"),
        (200, b'{"vulns": 3}', "no answer of OSV's"),
        (200, b'["x"]', "no answer of OSV's"),
        *((200, body, "is an object of JSON") for body in (b"null", b"[]", b'""', b"0", b"false")),
        (200, b'{"vulns": null}', "no answer of OSV's"),
        (200, b'{"error": "busy"}', "no answer of OSV's"),
        *((200, json.dumps({"vulns": each}).encode(), "cannot be read") for each in _UNREADABLE),
        (
            200,
            json.dumps({"vulns": [advisory()], "next_page_token": "x"}).encode(),
            "lists more than",
        ),
    ],
)
def test_an_answer_that_is_none_is_no_audit(
    tmp_path: Path, status: int, body: bytes, why: str
) -> None:
    with serving_osv({}, status=status, body=body) as service:
        audit = _audit(tmp_path, service.url).audit

    assert not audit.done
    assert why in audit.why_not


@pytest.mark.parametrize("body", [b"{}", b'{"vulns": []}'])
def test_an_answer_without_vulnerabilities_is_an_audit(tmp_path: Path, body: bytes) -> None:
    with serving_osv({}, body=body) as service:
        assert _audit(tmp_path, service.url).audit.done


def test_an_advisory_that_was_withdrawn_does_not_count(tmp_path: Path) -> None:
    gone = {"id": "X-1", "schema_version": "1.7.0", "withdrawn": "2026-04-01T00:00:00Z"}
    with serving_osv({"numpy": [gone]}) as service:
        audit = _audit(tmp_path, service.url, require_audit=True).audit

    assert (audit.done, audit.found) == (True, ())


def test_hostile_words_of_an_advisory_are_words(tmp_path: Path) -> None:
    evil = advisory(summary="\x1b[2J<script>" + "x" * 9000)
    with (
        serving_osv({"numpy": [evil]}) as service,
        pytest.raises(SupplyChainError) as raised,
    ):
        _audit(tmp_path, service.url)

    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 2000


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"audit": True, "osv_url": "ftp://x"}, "--osv-url"),
        ({"audit": True, "osv_url": "nonsense"}, "--osv-url"),
        ({"audit": True, "ignore_vulnerabilities": ("=x",)}, "begins with no id"),
        ({"audit": True, "vulnerable_code": ("CVE-2026-1",)}, "is not as"),
        ({"audit": True, "vulnerable_code": ("CVE-2026-1=a b",)}, "is not as"),
        ({"deny_licenses": ("GPL-9.0",)}, "matches no licence"),
        ({"ignore_vulnerabilities": ("CVE-2026-1",)}, "give --audit too"),
        ({"audit_severity": Severity.HIGH}, "give --audit too"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, Any], why: str) -> None:
    (wrong,) = check_options(SupplyChainOptions(**options))

    assert why in wrong


_LICENCES = {
    "gpl-1.dist-info/METADATA": b"Name: gpl\nVersion: 1\nLicense-Expression: GPL-3.0-or-later\n",
    "gpl/__init__.py": b"",
    "dual-1.dist-info/METADATA": (
        b"Name: dual\nVersion: 1\nLicense-Expression: MIT OR GPL-3.0-only\n"
    ),
    "mute-1.dist-info/METADATA": b"Name: mute\nVersion: 1\nSummary: says nothing\n",
}


def _deny(base: Path, *patterns: str, bundle: Bundle | None = None) -> SupplyChain:
    asked = SupplyChainOptions(deny_licenses=patterns)
    return hold_to_policy(bundle or _bundle(base, _LICENCES), asked, {"gpl": ["numpy", "dual"]})


def test_a_refused_licence_names_package_licence_place_and_what_pulled_it_in(
    tmp_path: Path,
) -> None:
    with pytest.raises(SupplyChainError) as raised:
        _deny(tmp_path, "GPL-3.0*")

    said = str(raised.value)
    assert "gpl 1 is under GPL-3.0-or-later" in said
    assert "says so in License-Expression" in said
    assert "dual, numpy require it" in said
    assert "dual 1" not in said


def test_what_states_no_licence_is_kept_as_unknown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = _deny(tmp_path, "AGPL-3.0*")

    assert [each.package for each in chain.unknown] == ["mute"]
    assert "mute" in caplog.text


def test_unknown_licences_can_be_refused_too(tmp_path: Path) -> None:
    with pytest.raises(SupplyChainError, match="mute 1 states no licence"):
        _deny(tmp_path, "unknown")


def test_what_slimming_left_out_does_not_count(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, left_out=("gpl/__init__.py", "gpl-1.dist-info/METADATA"))

    assert _deny(tmp_path, "GPL-3.0*", bundle=bundle).judged == 1


def test_what_is_inside_a_wheel_counts(tmp_path: Path) -> None:
    listed = {
        "bomFormat": "CycloneDX",
        "components": [
            {"name": "readline", "version": "8", "licenses": [{"license": {"id": "GPL-3.0-only"}}]}
        ],
    }
    document = WheelDocument(
        PurePosixPath("numpy-2.5.5.dist-info/sboms/a.json"), json.dumps(listed).encode()
    )
    bundle = replace(_bundle(tmp_path), documents=(document,))

    with pytest.raises(SupplyChainError, match=r"readline 8 .*inside the wheel of numpy 2\.5\.5"):
        _deny(tmp_path, "GPL-3.0*", bundle=bundle)


def test_without_options_nothing_is_asked(tmp_path: Path) -> None:
    assert hold_to_policy(_bundle(tmp_path), SupplyChainOptions(), {}) == SupplyChain()
