"""What lies beside the artifact: complete, the same every time, free of this machine."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.amber import AmberSnapshotExtension
from syrupy.location import PyTestLocation

from packager.errors import ConfigurationError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system import cache
from packager.types import (
    BuildPlan,
    BuildReport,
    Evidence,
    Front,
    Lock,
    SavedExample,
    TrainingData,
    TrainingRecord,
)
from tests import fake_plan

_FILES = {
    "README.md",
    "events/alb.json",
    "events/direct.json",
    "events/function-url.json",
    "events/http-api.json",
    "events/rest-api.json",
    "evidence.json",
    "model-manifest.json",
    "pylock.toml",
    "report.html",
    "report.json",
    "samconfig.toml",
    "sbom.cdx.json",
    "template.yaml",
}


class _InSnapshots(AmberSnapshotExtension):
    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(Path(test_location.filepath).parents[3] / "snapshots")


def _build(
    base: Path, plan: BuildPlan | None = None, evidence: Evidence = fake_plan.EVIDENCE
) -> BuildReport:
    plan = plan or fake_plan.plan()
    root = fake_plan.tree(base / "tree", plan)
    out = base / "out"
    out.mkdir()
    verified = fake_plan.verified(root, evidence)
    return emit(package(verified, plan, out), verified, plan, out)


def _texts(report: BuildReport) -> dict[str, str]:
    out = report.artifact.path.parent
    return {
        path.relative_to(out).as_posix(): path.read_text(encoding="utf-8")
        for path in report.emitted
    }


@pytest.mark.parametrize("front", list(Front))
def test_every_file_is_there_and_as_before(
    tmp_path: Path, front: Front, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "digest_code", lambda: "of this program")
    texts = _texts(_build(tmp_path, fake_plan.plan(request=fake_plan.request(front=front))))

    assert set(texts) == _FILES
    del texts["report.html"]  # tests/unit/commands/artifact/test_report_page.py reads it
    if front is Front.HTTP_API:
        assert texts == snapshot(extension_class=_InSnapshots)
    else:
        assert {name: texts[name] for name in ("template.yaml", "README.md")} == snapshot(
            extension_class=_InSnapshots
        )


def test_two_builds_on_two_paths_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    one, two = _build(tmp_path / "a"), _build(tmp_path / "elsewhere" / "b")

    assert _texts(one) == _texts(two)
    assert one.artifact.sha256 == two.artifact.sha256


def _telling(base: Path) -> tuple[BuildPlan, Evidence]:
    """A build whose texts name folders of this machine, and addresses with credentials."""
    home = Path.home() / ".cache" / "thing"
    plan = fake_plan.plan(
        model=fake_plan.model(uri=f"{base}/models/churn", root=base / "model"),
        lock=Lock(
            text='lock-version = "1.0"\n[[packages]]\nname = "x"\n'
            'index = "https://me:s3cret@packages.example.org/simple"\n',
            packages=(),
        ),
        reasons=(f"read from {base}/model/MLmodel", f"found at {home}"),
    )
    evidence = replace(
        fake_plan.EVIDENCE,
        oracle=f"environment at {home}/bin/python, made in {tempfile.gettempdir()}/x1",
        notes=(f"{base}/tree/handlers was loaded; /tmp had 512 MB",),
        checks={"budget": f"under {base}/out"},
    )
    return plan, evidence


def test_nothing_of_this_machine_is_told(tmp_path: Path) -> None:
    plan, evidence = _telling(tmp_path)
    report = _build(tmp_path, plan, evidence)

    told = "\n".join(_texts(report).values())
    for private in (str(tmp_path), str(Path.home()) + "/", tempfile.gettempdir() + "/", "s3cret"):
        assert private not in told
    assert "a local folder named churn" in told
    assert "read from <model>/MLmodel" in told
    assert "/tmp had 512 MB" in told  # noqa: S108 - a sentence, not a path
    assert 'index = "https://packages.example.org/simple"' in told


_HOSTILE = (
    json.dumps({"data": f"{tempfile.gettempdir()}/data/train.csv"}),
    json.dumps({"of": json.dumps({"data": f"{tempfile.gettempdir()}/a b.csv"})}),
    json.dumps({"address": "https://h.example/x?token=s3cret"}),
    json.dumps({"authorization": "Bearer s3cret"}),
    f'say "{tempfile.gettempdir()}/x" and "https://me:s3cret@h.example/"',
    f"{tempfile.gettempdir()}/x\\",
    "\\",
)


@pytest.mark.few(2)
@pytest.mark.parametrize("text", _HOSTILE)
def test_what_was_logged_leaves_each_document_a_document(tmp_path: Path, text: str) -> None:
    body = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[text]]}}).encode()
    record = TrainingRecord(
        params={"config": text, text: "4"},
        tags={"note": text},
        datasets=(TrainingData(name=text, digest="abc", source=text),),
    )
    example = SavedExample(body=body, content_type="application/json", source="mine.json")
    model = fake_plan.model(text, training=record, example=example)
    texts = _texts(_build(tmp_path, fake_plan.plan(model=model)))

    documents = {name: json.loads(texts[name]) for name in texts if name.endswith(".json")}
    for private in (f"{tempfile.gettempdir()}/", "s3cret"):
        assert private not in texts["sbom.cdx.json"]
        assert private not in texts["events/http-api.json"]
    json.loads(documents["events/http-api.json"]["body"])
    yaml.compose(texts["template.yaml"])
    tomllib.loads(texts["samconfig.toml"])
    if text.startswith("{"):
        card = next(e for e in documents["sbom.cdx.json"]["components"] if "modelCard" in e)
        params = {e["name"]: e["value"] for e in card["modelCard"]["properties"]}
        json.loads(params["mlflow:param:config"])


def test_a_build_never_states_when_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _texts(_build(tmp_path / "a"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for path in (tmp_path / "a").rglob("*"):
        os.utime(path, (0, 0))

    assert "timestamp" not in first["sbom.cdx.json"]
    assert _texts(_build(tmp_path / "b")) == first


def test_unproven_is_the_first_thing_the_readme_says(tmp_path: Path) -> None:
    evidence = Evidence(proven=False, why_unproven="arm64 cannot be booted on x86_64.")
    texts = _texts(_build(tmp_path, evidence=evidence))

    head = texts["README.md"].splitlines()[:4]
    assert "**UNPROVEN.**" in head[2]
    assert "arm64 cannot be booted on x86_64." in head[3]
    assert "Nothing: see the top" in texts["README.md"]
    assert json.loads(texts["report.json"])["proven"] is False
    assert json.loads(texts["evidence.json"])["evidence"]["proven"] is False


def test_what_ran_under_an_emulated_processor_says_so_and_has_no_times(tmp_path: Path) -> None:
    evidence = fake_plan.evidence(cold_start=None, emulated="qemu-aarch64 7.2.22")

    readme = _texts(_build(tmp_path, evidence=evidence))["README.md"]

    assert "It ran under qemu-aarch64 7.2.22, in the place of an arm64 processor" in readme
    assert "It was not run" not in readme
    assert "were sent to the registered model" in readme


def test_a_proven_build_has_no_banner_and_says_what_was_compared(tmp_path: Path) -> None:
    readme = _texts(_build(tmp_path))["README.md"]

    assert "UNPROVEN" not in readme
    assert "1,001 rows in 13 requests" in readme
    assert "Largest difference: 0." in readme


def test_no_snapstart_is_said(tmp_path: Path) -> None:
    plan = fake_plan.plan(runtime=fake_plan.OLD_RUNTIME)
    texts = _texts(_build(tmp_path, plan))

    assert "SnapStart is not offered: `python3.11` does not have it." in texts["README.md"]
    assert "SnapStart" not in texts["template.yaml"]


def test_slow_starts_and_long_timeouts_are_said(tmp_path: Path) -> None:
    assert fake_plan.EVIDENCE.replay.cold_start
    cold = replace(fake_plan.EVIDENCE.replay.cold_start, init_wall_ms=11_000.0)
    readme = _texts(_build(tmp_path, evidence=fake_plan.evidence(cold_start=cold)))["README.md"]

    assert "An HTTP API waits 30 seconds" in readme
    assert "longer here than the 10 seconds" in readme


def test_the_request_decides_memory_and_timeout(tmp_path: Path) -> None:
    request = fake_plan.request(memory_mb=2048, timeout_seconds=120)
    report = json.loads(_texts(_build(tmp_path, fake_plan.plan(request=request)))["report.json"])

    assert (report["memory_mb"], report["timeout_seconds"]) == (2048, 120)


def test_memory_that_cannot_be_had_stops_the_build(tmp_path: Path) -> None:
    plan = fake_plan.plan(request=fake_plan.request(memory_mb=64))

    with pytest.raises(ConfigurationError, match=r"--memory 64 MB cannot be had.*128 to 10240"):
        _build(tmp_path, plan)


def test_samconfig_needs_no_answers(tmp_path: Path) -> None:
    config = tomllib.loads(_texts(_build(tmp_path))["samconfig.toml"])

    assert config["default"]["global"]["parameters"] == {"stack_name": "churn"}
    assert config["default"]["deploy"]["parameters"] == {
        "capabilities": "CAPABILITY_NAMED_IAM",
        "resolve_s3": True,
        "s3_prefix": "churn",
    }


def test_the_report_lists_what_was_written_with_its_digest(tmp_path: Path) -> None:
    built = _build(tmp_path)
    report = json.loads(_texts(built)["report.json"])

    assert set(report["emitted"]) == _FILES - {"report.json"}
    assert report["sha256"] == built.artifact.sha256
    assert report["removed"] == {"tests": {"files": 1, "bytes": 1000}}
    assert report["ledger"][0]["bytes_saved"] == 1000


def test_the_lock_and_the_manifest_are_copied(tmp_path: Path) -> None:
    built = _build(tmp_path)
    texts = _texts(built)

    assert texts["pylock.toml"] == fake_plan.LOCK
    inside = built.artifact.folder / "model-manifest.json"
    assert texts["model-manifest.json"] == inside.read_text(encoding="utf-8")


def test_a_readme_cannot_be_broken_by_what_it_quotes(tmp_path: Path) -> None:
    model = fake_plan.model("a`|\n# b", uri="models:/a")
    evidence = replace(fake_plan.EVIDENCE, notes=("one\n# two <script>",))
    readme = _texts(_build(tmp_path, fake_plan.plan(model=model), evidence))["README.md"]

    assert "\n# b" not in readme
    assert "\n# two" not in readme
    assert "<script>" not in readme.replace("\\<", "")


def test_without_an_example_or_a_signature_nothing_is_made_up(tmp_path: Path) -> None:
    plan = fake_plan.plan(model=fake_plan.model(example=None, signature=None))
    texts = _texts(_build(tmp_path, plan))

    assert set(texts) == _FILES - {"events/direct.json"}
    assert "events/direct.json" not in texts["README.md"]
    assert json.loads(texts["events/http-api.json"])["rawPath"] == "/ping"


def _sent_directly(tmp_path: Path, body: bytes) -> str | None:
    example = SavedExample(body=body, content_type="application/json", source="mine.json")
    plan = fake_plan.plan(model=fake_plan.model(example=example))
    return _texts(_build(tmp_path, plan)).get("events/direct.json")


def test_what_is_missing_in_the_example_is_null_in_the_payload(tmp_path: Path) -> None:
    text = _sent_directly(tmp_path, b'{"inputs": {"x": [1.5, NaN]}}')

    # Lambda takes strict JSON
    assert text is not None
    assert "NaN" not in text
    assert json.loads(text) == {"inputs": {"x": [1.5, None]}}


def test_there_is_no_payload_of_an_example_that_json_cannot_hold(tmp_path: Path) -> None:
    assert _sent_directly(tmp_path, b'{"inputs": {"x": [-Infinity]}}') is None


def test_an_example_that_is_not_json_stops_with_a_reason(tmp_path: Path) -> None:
    example = SavedExample(body=b"{", content_type="application/json", source="mine.json")
    plan = fake_plan.plan(model=fake_plan.model(example=example))

    with pytest.raises(ConfigurationError, match=r"mine\.json.*not JSON"):
        _build(tmp_path, plan)
