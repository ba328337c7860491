"""The summary of an artifact: of one that was just built and of one that was kept, the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from packager.commands import console
from packager.commands.inspect import summarize_artifact
from packager.errors import ModelFormatError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system.file_tree import sha256
from packager.types import Evidence, Provided
from tests import fake_plan


def _build(base: Path, evidence: Evidence) -> Path:
    plan = fake_plan.plan()
    root = fake_plan.tree(base / "tree", plan)
    (out := base / "dist").mkdir()
    verified = fake_plan.verified(root, evidence)
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.mark.parametrize(
    "evidence",
    [
        fake_plan.evidence(unseen_rows=7, cold_store_misses=("a", "b")),
        replace(fake_plan.EVIDENCE, proven=False, why_unproven="nothing to ask"),
        fake_plan.evidence(cold_start=None),
    ],
    ids=["proven", "unproven", "not started"],
)
def test_an_artifact_tells_what_its_build_did(tmp_path: Path, evidence: Evidence) -> None:
    out = _build(tmp_path, evidence)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))

    found = summarize_artifact(Provided(folder=out))

    assert found["artifact"] == {
        "folder": str(out),
        "zip": str(out / "function.zip"),
        "sha256": report["sha256"],
        "report_sha256": sha256(out / "report.json"),
        "zipped_bytes": (out / "function.zip").stat().st_size,
        "unzipped_bytes": report["unzipped_bytes"],
        "emitted": [
            *("README.md", "alb.json", "direct.json", "function-url.json", "http-api.json"),
            *("rest-api.json", "evidence.json", "model-manifest.json", "pylock.toml"),
            *("report.html", "report.json", "samconfig.toml", "sbom.cdx.json", "template.yaml"),
        ],
        "reused": "",
        "resolved": "",
    }
    done = json.loads(json.dumps(evidence.describe(), default=str))
    assert found["evidence"] == done
    assert [entry["name"] for entry in found["ledger"]] == ["prune"]
    assert found["reasons"] == list(fake_plan.plan().reasons)
    summary = found["summary"]
    assert summary["model"] == "churn 7"
    assert summary["target"] == "aws-lambda, python3.13, x86_64"
    assert summary["tier"] == "native, pandas, engine native"
    assert summary["emulated by"] is None
    assert summary["unproven because"] == evidence.why_unproven
    assert (summary["and unseen"] is None) == (not evidence.replay.unseen_rows)
    assert (summary["init"] is None) == (evidence.replay.cold_start is None)
    assert "verify" in found["next"][1]
    assert found["next"][2].endswith("sam deploy --guided")


def test_why_nothing_was_built_is_shown_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _build(tmp_path, fake_plan.EVIDENCE)
    reused = "Nothing has changed: the artifact of an earlier build is taken."

    resolved = "Wheels as the package index had them at noon."

    provided = Provided(folder=out, reused=reused, resolved=resolved)
    console.show_report(summarize_artifact(provided))

    assert {reused, resolved} <= {*capsys.readouterr().out.splitlines()}


def test_a_folder_without_a_report_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="Build the artifact again"):
        summarize_artifact(Provided(folder=tmp_path))
