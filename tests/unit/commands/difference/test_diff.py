"""`packager diff` on made-up artifacts: what differs is said, and limits have an exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from handlers.manifest import FILENAME, Manifest
from packager.cli import app
from packager.commands.artifact.integrity import verify_artifact
from packager.commands.difference import artifacts
from packager.commands.difference.documents import describe_spec, make_amounts
from packager.commands.difference.requests import Asked
from packager.commands.difference.running import Reply
from packager.errors import ConfigurationError, DifferenceError, IntegrityError, ModelFormatError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.types import Provided
from tests import fake_plan

RUN = CliRunner()
INPUTS: list[dict[str, Any]] = [{"name": "x", "type": "double"}, {"name": "y", "type": "string"}]


def build(base: Path, inputs: list[dict[str, Any]], files: dict[str, bytes], **said: Any) -> Path:
    """The folder of a made-up build, with this signature and these files of the model."""
    plan = fake_plan.plan()
    manifest = Manifest(
        model_name="churn",
        digest=plan.model.digest,
        flavor=plan.flavor,
        loader=plan.loader.loader,
        python=plan.runtime.python_minor,
        request_bytes=1000,
        response_bytes=1000,
        signature={"inputs": inputs, "outputs": [{"type": "string"}], "params": None},
        **said,
    )
    tree = fake_plan.tree(base / "tree", plan, {**files, FILENAME: manifest.text().encode()})
    out = base / "out"
    out.mkdir()
    emit(package(fake_plan.verified(tree), plan, out), fake_plan.verified(tree), plan, out)
    return out


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("pair")
    code = {"model/code/features.py": b"A = 1\n", "model/old.bin": b"0"}
    more = {"model/code/features.py": b"A = 2\n", "pandas/__init__.py": b"0" * 50}
    wider = [{**INPUTS[0], "type": "long"}, {"name": "[red]z", "type": "double", "required": False}]
    (base / "a").mkdir()
    (base / "b").mkdir()
    return build(base / "a", INPUTS, code), build(base / "b", wider, more, threads=1, draws=True)


def run(*words: object) -> Any:
    return RUN.invoke(app, ["diff", *map(str, words)])


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Nothing is started: A answers `no`, B `yes` where y is `a`; returns what was asked."""
    asked: list[Asked] = []

    def ask(
        before: object, after: object, requests: Sequence[Asked], *, network: bool
    ) -> tuple[list[Reply], list[Reply], dict[str, Any]]:
        assert not network
        asked.extend(requests)
        no = [Reply(["no"] * each.rows) for each in requests]
        yes = [Reply(["yes"] * each.rows) for each in requests]
        took = {"cpu_ms": make_amounts(100, 150), "peak_rss_bytes": make_amounts(1e8, 1e8)}
        return no, yes, took

    monkeypatch.setattr(artifacts, "ask_both", ask)
    return asked


def test_what_the_files_say_is_compared_without_a_start(pair: tuple[Path, Path]) -> None:
    done = run(*pair, "--files-only", "--json", "-q")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(each["change"], each["name"], each["part"]) for each in found["signature"]] == [
        ("retyped", "x", "inputs"),
        ("removed", "y", "inputs"),
        ("added", "[red]z", "inputs"),
    ]
    assert found["signature"][0]["a"] == "double"
    assert found["files"] == [
        {"name": "code/features.py", "change": "changed", "is_code": True},
        {"name": "old.bin", "change": "removed", "is_code": False},
    ]
    assert {"name": "pandas", "a": 0, "b": 50} in found["package_sizes"]
    assert found["facts"] == [{"name": "threads", "a": None, "b": "1"}]
    assert (found["start"], found["answers"], found["passed"]) == (None, None, True)


def test_an_artifact_does_not_differ_from_itself(pair: tuple[Path, Path]) -> None:
    found = json.loads(run(pair[0], pair[0], "--files-only", "--json", "-q").stdout)

    for name in ("package_sizes", "packages", "facts", "signature", "files"):
        assert found[name] == [], name
    assert found["sizes"]["zipped_bytes"]["growth"] == 0.0


def test_both_are_asked_rows_with_the_columns_of_both(
    pair: tuple[Path, Path], answers: list[Asked]
) -> None:
    done = run(*pair, "--rows", 25, "--json", "-q")

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    made = [each for each in answers if each.source == "generated"]
    assert [each.rows for each in made] == [10, 10, 5]
    assert {tuple(each.body["dataframe_split"]["columns"]) for each in made} == {
        ("x", "y", "[red]z")
    }
    assert all(
        isinstance(row[0], int) for each in made for row in each.body["dataframe_split"]["data"]
    )
    assert found["answers"]["rows_changed"] == found["answers"]["rows_compared"] > 25
    assert found["start"]["cpu_ms"]["growth"] == 0.5
    assert any("at random" in note for note in found["notes"])


def test_a_person_reads_what_differs(pair: tuple[Path, Path], answers: list[Asked]) -> None:
    text = run(*pair, "-q").stdout

    assert "added in inputs: [red]z (double, optional)" in text
    assert "changed code/features.py (code)" in text
    assert "rows have another label (100%)" in text
    assert "start, CPU" in text
    assert "+50.0%" in text
    assert answers


def test_a_limit_that_is_exceeded_has_an_exit_code(
    pair: tuple[Path, Path], answers: list[Asked]
) -> None:
    done = run(*pair, "-q", "--fail-on", "labels=0.5%", "--fail-on", "start=60%")

    assert isinstance(done.exception, DifferenceError)
    assert DifferenceError.exit_code == 13
    assert "labels: 100%, at most 0.5%" in str(done.exception)
    assert "start" not in str(done.exception)
    as_json = run(*pair, "-q", "--json", "--fail-on", "labels=0.5%")
    assert as_json.exit_code == 13
    assert json.loads(as_json.stdout)["limits"][0]["passed"] is False
    assert run(*pair, "-q", "--fail-on", "labels=100%").exit_code == 0
    assert answers


def test_what_is_no_artifact_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    done = run(pair[0], tmp_path, "--files-only", "-q")

    assert isinstance(done.exception, ModelFormatError)
    assert f"{tmp_path} is not an artifact" in str(done.exception)


def test_a_document_that_cannot_be_read_is_no_warning(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = build(tmp_path, INPUTS, {})
    (other / "evidence.json").write_text("{")

    done = run(other, pair[0], "--files-only", "-q")

    assert isinstance(done.exception, IntegrityError)
    assert "evidence.json" in str(done.exception)


def test_a_limit_refuses_an_artifact_that_was_changed(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = build(tmp_path, INPUTS, {})
    (other / "template.yaml").write_text("# changed")

    assert run(other, pair[0], "--files-only", "-q").exit_code == 0
    done = run(other, pair[0], "--files-only", "-q", "--fail-on", "size=50%")
    assert isinstance(done.exception, IntegrityError)


def test_a_damaged_bill_of_materials_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = build(tmp_path, INPUTS, {})
    (other / "sbom.cdx.json").write_text('{"components": [3]}')

    done = run(pair[0], other, "--files-only", "-q")

    assert isinstance(done.exception, IntegrityError)
    assert "Build it again" in str(done.exception)


@pytest.mark.usefixtures("answers")
def test_starts_on_an_emulated_processor_are_not_compared(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "is_emulated", lambda side: side.given == str(pair[1]))

    done = run(*pair, "--json", "-q", "--fail-on", "start=100%")

    found = json.loads(done.stdout)
    assert found["start"] is None
    assert found["answers"]["requests"] > 0
    assert f"The processor of {pair[1]} was emulated" in " ".join(found["notes"])
    assert [(each["passed"], each["words"]) for each in found["limits"]] == [
        (False, "start: an emulated processor's time tells nothing")
    ]


def test_an_artifact_of_another_machine_is_not_started(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "packager.commands.difference.running.why_not_provable",
        lambda asked, *_: f"Not {asked} here.",
    )

    done = run(*pair, "-q")

    assert isinstance(done.exception, ConfigurationError)
    assert "--files-only" in str(done.exception)
    assert run(*pair, "-q", "--files-only").exit_code == 0


def test_a_model_is_built_for_the_target_of_the_other_side(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    def build_or_reuse(request: Any, registry: object) -> Provided:
        wanted.append((request.model.uri, request.target.name))
        return Provided(folder=pair[1], reused="an earlier build", resolved="")

    monkeypatch.setattr(artifacts, "build_or_reuse", build_or_reuse)
    monkeypatch.setattr("packager.cli._operate.difference.registry", lambda request: None)

    found = json.loads(run(pair[0], "models:/churn/2", "--files-only", "--json", "-q").stdout)

    assert wanted == [("models:/churn/2", "aws-lambda")]
    assert (found["a"]["made"], found["b"]["made"]) == ("artifact", "kept build")
    assert found["b"]["given"] == "models:/churn/2"
    both = run("models:/churn/1", "models:/churn/2", "--files-only", "-q", "-t", "azure-functions")
    assert both.exit_code == 0
    assert wanted[1:] == [
        ("models:/churn/1", "azure-functions"),
        ("models:/churn/2", "azure-functions"),
    ]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "x", "type": "long"}, "long"),
        ({"name": "x", "type": "long", "required": False}, "long, optional"),
        (
            {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}},
            "float32 [-1, 4]",
        ),
        ({"name": "k", "type": "integer", "default": 3, "shape": None}, "integer, 3 by default"),
        (
            {"name": "x", "type": "array", "items": {"type": "long"}},
            '{"items": {"type": "long"}, "type": "array"}',
        ),
    ],
)
def test_a_spec_in_words(spec: dict[str, Any], words: str) -> None:
    assert describe_spec(spec) == words


def test_the_made_up_artifacts_are_sound(pair: tuple[Path, Path]) -> None:
    assert all(verify_artifact(each)["checks"][1]["passed"] for each in pair)
