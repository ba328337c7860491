"""`packager audit` asks about a finished artifact, and `packager verify` knows what it lists."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from typer.testing import CliRunner, Result

from packager import cli
from packager.errors import SupplyChainError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import FileRecord, WheelDocument
from tests import fake_plan
from tests.osv import advisory, serving_osv

RUN = CliRunner()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACKAGER_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose build left numpy.rare out."""
    base, plan = tmp_path_factory.mktemp("audited"), fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(base / "tree", plan))
    rare = FileRecord(PurePosixPath("numpy/rare.py"), "c" * 64, 10)
    bundle = replace(verified.bundle, staged=(*verified.bundle.staged, rare))
    verified = replace(verified, bundle=bundle)
    (out := base / "out").mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


def _audit(artifact: Path, url: str, *words: str) -> Result:
    return RUN.invoke(cli.app, ["audit", str(artifact), "--osv-url", url, *words])


def _names(function: str) -> list[dict[str, object]]:
    return [{**advisory()["affected"][0], "ecosystem_specific": {"affected_functions": [function]}}]


def test_what_counts_ends_it(artifact: Path) -> None:
    with serving_osv({"numpy": [advisory()]}) as service:
        done = _audit(artifact, service.url)
        told = _audit(artifact, service.url, "--json")

    assert isinstance(done.exception, SupplyChainError)
    assert told.exit_code == SupplyChainError.exit_code
    assert [each for way in json.loads(told.stdout)["refused"].values() for each in way]


def test_nothing_that_counts_is_well(artifact: Path) -> None:
    with serving_osv({}) as service:
        done = _audit(artifact, service.url, "--json")

    assert (done.exit_code, json.loads(done.stdout)["audit"]["status"]) == (0, "audited")


def test_a_later_advisory_of_code_that_the_build_left_out_does_not_count(artifact: Path) -> None:
    named = advisory(affected=_names("numpy.rare.load"))
    with serving_osv({"numpy": [named]}) as service:
        done = _audit(artifact, service.url, "--json")

    (found,) = json.loads(done.stdout)["audit"]["vulnerabilities"]
    assert done.exit_code == 0
    assert (found["state"], found["justification"]) == ("not_affected", "code_not_present")


@pytest.mark.parametrize("module", ["numpy.sub", "numpy.sub.never_was"])
def test_a_name_below_a_folder_that_was_left_out_shows_nothing(tmp_path: Path, module: str) -> None:
    """The artifact lists the folder for all that was in it."""
    plan = fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    gone = FileRecord(PurePosixPath("numpy/sub/deep.py"), "c" * 64, 10)
    bundle = replace(verified.bundle, staged=(*verified.bundle.staged, gone))
    verified = replace(verified, bundle=bundle)
    (out := tmp_path / "out").mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    with serving_osv({"numpy": [advisory()]}) as service:
        done = _audit(out, service.url, "--json", "--vulnerable-code", f"CVE-2026-1234={module}")

    (found,) = json.loads(done.stdout)["audit"]["vulnerabilities"]
    assert found["state"] == ("not_affected" if module == "numpy.sub" else "in_triage")


@pytest.mark.few(2)
@pytest.mark.parametrize(
    ("licence", "is_refused"),
    [
        ({"license": {"id": "GPL-3.0-only"}}, True),
        ({"expression": "MIT AND GPL-3.0-or-later"}, True),
        ({"license": {"name": "GPLv3"}}, True),
        ({"license": {"id": "MIT"}}, False),
        (None, False),
    ],
)
def test_what_a_wheel_lists_of_itself_counts_as_in_a_build(
    tmp_path: Path, licence: dict[str, object] | None, *, is_refused: bool
) -> None:
    part = {"name": "readline", "version": "8", "licenses": [licence] if licence else []}
    listed = json.dumps({"bomFormat": "CycloneDX", "components": [part]}).encode()
    plan = fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    path = PurePosixPath("numpy-2.5.5.dist-info/sboms/a.json")
    bundle = replace(verified.bundle, documents=(WheelDocument(path, listed),))
    verified = replace(verified, bundle=bundle)
    (out := tmp_path / "out").mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    with serving_osv({}) as service:
        done = _audit(out, service.url, "--deny-license", "GPL-3.0*")

    assert isinstance(done.exception, SupplyChainError) == is_refused
    if is_refused:
        words = str(done.exception)
        assert "readline 8" in words
        assert "inside the wheel of numpy 2.5.5" in words
    else:
        assert done.exit_code == 0


def test_nothing_in_the_artifact_is_changed(artifact: Path) -> None:
    before = {path: path.read_bytes() for path in artifact.rglob("*") if path.is_file()}
    with serving_osv({}) as service:
        _audit(artifact, service.url)

    assert before == {path: path.read_bytes() for path in artifact.rglob("*") if path.is_file()}


def test_a_service_that_does_not_answer_is_no_clean_audit(artifact: Path) -> None:
    with serving_osv({}, status=503) as service:
        done = _audit(artifact, service.url)

    assert isinstance(done.exception, SupplyChainError)
    assert "Not audited" in str(done.exception)


def test_a_folder_that_no_build_made_is_named(tmp_path: Path) -> None:
    done = _audit(tmp_path, "http://127.0.0.1:9")

    assert done.exit_code != 0
    assert "is not an artifact" in str(done.exception)
