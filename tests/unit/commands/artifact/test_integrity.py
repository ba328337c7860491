"""`packager verify`: no file of an artifact can be changed, added or taken away unnoticed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager import targets
from packager.cli import app
from packager.commands.artifact.integrity import (
    list_problems,
    verify_artifact,
    warn_of_changes,
)
from packager.errors import IntegrityError, ModelFormatError, PackagerError
from packager.pipeline.emit import emit
from packager.pipeline.package import package
from packager.system.file_tree import sha256, walk
from packager.types import BuildPlan
from tests import fake_plan

_YOURS = "samconfig.toml"


def _plan(name: str) -> BuildPlan:
    target = targets.load(name)
    runtime = next(each for each in target.runtimes if each.python_minor == "3.13")
    return fake_plan.plan(request=fake_plan.request(target=name), target=target, runtime=runtime)


def _build(base: Path, name: str = "aws-lambda", extra: dict[str, bytes] | None = None) -> Path:
    plan = _plan(name)
    tree = fake_plan.tree(base / "tree", plan, extra)
    verified, out = fake_plan.verified(tree), base / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    return out


@pytest.fixture(scope="module", params=["aws-lambda", "aws-lambda-image", "azure-functions"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("built"), request.param)


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


def _edit(path: Path, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.few(1)
def test_what_a_build_left_is_verified(artifact: Path) -> None:
    found = verify_artifact(artifact)

    assert list_problems(found) == []
    assert found["verified"]
    assert found["report_sha256"] == sha256(artifact / "report.json")


@pytest.mark.few(1)
def test_any_byte_of_any_file_that_changes_is_noticed(artifact: Path) -> None:
    chance = random.Random(0)
    for relative in list(walk(artifact)):
        path = artifact / relative
        whole = path.read_bytes()
        if not whole or relative.name in {_YOURS, "report.json"}:
            continue
        for _ in range(3):
            changed = bytearray(whole)
            changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            assert not verify_artifact(artifact)["verified"], relative
        path.write_bytes(whole)
    assert verify_artifact(artifact)["verified"]


@pytest.mark.few(1)
def test_any_byte_of_the_report_is_noticed_by_who_knows_its_digest(artifact: Path) -> None:
    path, known = artifact / "report.json", sha256(artifact / "report.json")
    whole = path.read_bytes()
    for place in random.Random(0).sample(range(len(whole)), 60):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with contextlib.suppress(IntegrityError):  # nothing could be read of it
            assert not verify_artifact(artifact, report_sha256=known)["verified"]
    path.write_bytes(whole)
    assert verify_artifact(artifact, report_sha256=known.upper())["verified"]


@pytest.mark.few(1)
def test_a_file_that_is_gone_is_named(artifact: Path) -> None:
    for relative in list(walk(artifact)):
        if relative.name == "report.json":
            continue
        held = (artifact / relative).read_bytes()
        (artifact / relative).unlink()
        problems = "\n".join(list_problems(verify_artifact(artifact)))
        assert relative.name in problems or "function/ was changed" in problems, relative
        (artifact / relative).write_bytes(held)


def test_a_file_that_is_added_to_the_function_is_noticed(artifact: Path) -> None:
    (artifact / "function" / "usercustomize.py").write_text("import os\n")

    assert not verify_artifact(artifact)["verified"]


def test_a_file_that_is_added_beside_the_function_is_told(artifact: Path) -> None:
    (artifact / "notes.txt").write_text("mine")

    found = verify_artifact(artifact)

    assert found["verified"]
    assert any("notes.txt" in note for note in found["notes"])


def test_links_and_pipes_are_not_followed(artifact: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    for make in (
        lambda path: path.symlink_to(other),
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
    ):
        path = artifact / "function" / "odd"
        make(path)
        assert any("function/odd" in each for each in list_problems(verify_artifact(artifact)))
        path.unlink()


@pytest.mark.parametrize("name", ["README.md", "evidence.json", "function", "report.json"])
def test_a_link_in_the_place_of_a_file_is_refused(
    artifact: Path, tmp_path: Path, name: str
) -> None:
    moved = (artifact / name).rename(tmp_path / "moved")
    (artifact / name).symlink_to(moved)

    with contextlib.suppress(IntegrityError):
        assert not verify_artifact(artifact)["verified"]


def test_samconfig_is_yours(tmp_path: Path) -> None:
    out = _build(tmp_path)
    (out / _YOURS).write_text("version = 0.1\n")

    found = verify_artifact(out)

    assert found["verified"]
    assert any(_YOURS in note for note in found["notes"])


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "events/../../outside", "", ".", "a\0b", "function"]
)
def test_a_report_leads_to_no_file_outside(artifact: Path, name: str) -> None:
    (artifact.parent / "outside").write_text("")
    digest = sha256(artifact.parent / "outside")
    _edit(artifact / "report.json", lambda report: report["emitted"].update({name: digest}))

    assert any(repr(name) in each for each in list_problems(verify_artifact(artifact)))


def test_a_digest_that_the_report_lost_is_noticed(artifact: Path) -> None:
    _edit(artifact / "report.json", lambda report: report["emitted"].pop("evidence.json"))

    assert "report.json has no digest of evidence.json." in list_problems(verify_artifact(artifact))


_BROKEN: dict[str, str] = {
    "no JSON": "{",
    "no object": "[]",
    "empty": "{}",
    "deep": "[" * 100_000,
    "a target that is none": '{"schema_version": 1, "emitted": {}, "target": {"name": "moon"}}',
    "a newer version": '{"schema_version": 2}',
    "no version": '{"schema_version": "x"}',
    "digests that are none": '{"schema_version": 1, "emitted": {"a": 5}, "target": {}}',
    "a list of files": '{"schema_version": 1, "emitted": [], "target": {}}',
    "not UTF-8": "\udcff",
}


@pytest.mark.parametrize("text", _BROKEN.values(), ids=_BROKEN.keys())
def test_a_report_that_is_broken_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(IntegrityError, match=r"report\.json"):
        verify_artifact(tmp_path)


@pytest.mark.few(22)
@pytest.mark.parametrize("name", ["evidence.json", "sbom.cdx.json", "pylock.toml"])
@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"a": ', "a = " + "[" * 10_000])
def test_a_document_that_is_broken_is_named(artifact: Path, name: str, text: str) -> None:
    (artifact / name).write_text(text)
    _edit(
        artifact / "report.json",
        lambda report: report["emitted"].update({name: sha256(artifact / name)}),
    )

    found = verify_artifact(artifact)

    failed = {check["name"] for check in found["checks"] if not check["passed"]}
    assert failed & {"evidence", "bill of materials", "lock"}


def _of_another(artifact: Path) -> dict[str, Callable[[], object]]:
    """Files that fit their digests, and tell of something else."""
    sbom, evidence = artifact / "sbom.cdx.json", artifact / "evidence.json"
    other = "0" * 64
    return {
        "describes another function: 0": lambda: _edit(
            evidence, lambda told: told["artifact"].update(sha256=other)
        ),
        "describes another model: 0": lambda: _edit(
            evidence, lambda told: told["model"].update(digest=other)
        ),
        "differ in 'ledger'": lambda: _edit(evidence, lambda told: told.update(ledger=[])),
        "sbom.cdx.json describes another function": lambda: _edit(
            sbom, lambda told: told["metadata"]["component"]["hashes"][0].update(content=other)
        ),
        "sbom.cdx.json describes another model": lambda: _edit(
            sbom,
            lambda told: told.update(
                components=[each for each in told["components"] if "learning" not in each["type"]]
            ),
        ),
        "has numpy not at all": lambda: _edit(
            sbom,
            lambda told: told.update(
                components=[each for each in told["components"] if each["name"] != "numpy"]
            ),
        ),
        "has left-pad 1": lambda: _edit(
            sbom,
            lambda told: told["components"].append(
                {"name": "left-pad", "version": "1", "purl": "pkg:pypi/left-pad@1"}
            ),
        ),
        "differ in lib/libgomp.so.1": lambda: _edit(
            sbom,
            lambda told: told.update(
                components=[each for each in told["components"] if "libgomp" not in each["name"]]
            ),
        ),
        "pylock.toml does not have numpy": lambda: (artifact / "pylock.toml").write_text(
            'lock-version = "1.0"\n'
        ),
        "pylock.toml has no wheel of numpy": lambda: (artifact / "pylock.toml").write_text(
            (artifact / "pylock.toml").read_text().replace("2" * 64, "5" * 64)
        ),
        "is not the one in the function": lambda: _edit(
            artifact / "model-manifest.json", lambda told: told.update(loader="other")
        ),
    }


@pytest.mark.parametrize("words", list(_of_another(Path())))
def test_files_that_fit_their_digests_must_fit_each_other(artifact: Path, words: str) -> None:
    _of_another(artifact)[words]()
    _edit(
        artifact / "report.json",
        lambda report: report["emitted"].update(
            {name: sha256(artifact / name) for name in report["emitted"]}
        ),
    )

    assert any(words in each for each in list_problems(verify_artifact(artifact)))


@pytest.mark.parametrize("change", ["told of, and gone", "another", "not told of"])
def test_extension_modules_are_held_to_the_bill_of_materials(tmp_path: Path, change: str) -> None:
    name = "numpy/_core.abi3.so"
    out = _build(tmp_path, extra={name: b"\x7fELF one", "numpy/two.abi3.so": b"\x7fELF two"})
    assert list_problems(verify_artifact(out)) == []

    def rewrite(told: dict) -> None:  # type: ignore[type-arg]
        (numpy,) = [each for each in told["components"] if each["name"] == "numpy"]
        (one,) = [each for each in numpy["components"] if each["name"] == name]
        if change == "not told of":
            numpy["components"].remove(one)
        elif change == "another":
            one["hashes"][0]["content"] = "0" * 64
        else:
            one["name"] = "numpy/gone.abi3.so"

    _edit(out / "sbom.cdx.json", rewrite)

    problems = list_problems(verify_artifact(out))
    named = "numpy/gone.abi3.so" if change.endswith("gone") else name
    assert f"sbom.cdx.json and the function differ in {named}." in problems


def test_a_zip_with_two_files_of_one_name_is_refused(tmp_path: Path) -> None:
    out = _build(tmp_path)
    with (
        zipfile.ZipFile(out / "function.zip", "a") as archive,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        archive.writestr("numpy/__init__.py", b"")
    _edit(out / "report.json", lambda report: report.update(sha256=sha256(out / "function.zip")))

    assert "function.zip has two files of one name." in list_problems(verify_artifact(out))


def test_a_zip_that_grows_beyond_its_folder_is_not_unpacked(tmp_path: Path) -> None:
    out = _build(tmp_path)
    with zipfile.ZipFile(out / "function.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(50_000_000))
    (out / "function" / "bomb").write_bytes(b"\0")

    assert "function/bomb differs from function.zip." in list_problems(verify_artifact(out))


def test_the_mode_of_a_file_counts(tmp_path: Path) -> None:
    out = _build(tmp_path)
    (out / "function" / "numpy" / "__init__.py").chmod(0o755)

    assert any("executable" in each for each in list_problems(verify_artifact(out)))


def test_a_name_without_a_package_may_stay_out_of_the_bill_of_materials(tmp_path: Path) -> None:
    stub = b"Metadata-Version: 2.1\nName: mlflow\nVersion: 3.1\n"
    plan = replace(_plan("aws-lambda"), answered=(("mlflow", "3.1"),))
    tree = fake_plan.tree(tmp_path / "tree", plan, {"mlflow-3.1.dist-info/METADATA": stub})
    verified, out = fake_plan.verified(tree), tmp_path / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)

    assert list_problems(verify_artifact(out)) == []


def test_a_folder_that_no_build_made_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="Name the folder that a build made"):
        verify_artifact(tmp_path)


@pytest.mark.few(1)
def test_nothing_but_an_error_of_ours_leaves(artifact: Path) -> None:
    chance = random.Random(1)
    names = ["report.json", "evidence.json", "sbom.cdx.json", "pylock.toml", "function.zip"]
    for name in names:
        path = artifact / name
        if not path.exists():
            continue
        whole = path.read_bytes()
        for _ in range(15):
            start = chance.randrange(len(whole))
            path.write_bytes(whole[:start] + chance.randbytes(8) + whole[start + 12 :])
            try:
                verify_artifact(artifact)
            except PackagerError:
                continue
        path.write_bytes(whole)


def test_the_command_says_what_was_changed_and_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    out = _build(tmp_path)
    said = CliRunner().invoke(app, ["verify", str(out), "--json"])
    assert said.exit_code == 0
    assert json.loads(said.stdout)["verified"] is True

    (out / "template.yaml").write_text("Resources: {}\n")
    told = CliRunner().invoke(app, ["verify", str(out), "--json"])
    assert told.exit_code == 12
    assert json.loads(told.stdout)["verified"] is False
    error = CliRunner().invoke(app, ["verify", str(out)]).exception
    assert isinstance(error, IntegrityError)
    assert "template.yaml was changed" in str(error)


def test_what_runs_an_artifact_tells_of_a_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = _build(tmp_path)
    with caplog.at_level("WARNING"):
        warn_of_changes(out)
    assert caplog.messages == []

    (out / "README.md").write_text("")
    with caplog.at_level("WARNING"):
        warn_of_changes(out)
    (message,) = caplog.messages
    assert message.startswith("This artifact is not as it was built: README.md was changed")
    assert message.endswith("Run `packager verify` on it.")


@pytest.mark.parametrize("digest", ["", " ", "0" * 64, "not one"])
def test_a_digest_that_is_none_or_another_s_is_no_proof(tmp_path: Path, digest: str) -> None:
    """A variable that a pipeline left empty must not pass for a check."""
    found = CliRunner().invoke(app, ["verify", str(_build(tmp_path)), "--json", "--sha256", digest])

    assert found.exit_code == 12
    assert json.loads(found.stdout)["checks"][0]["name"] == "report"


def test_a_folder_without_a_report_is_no_artifact_and_not_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="Name the folder that a build made"):
        verify_artifact(tmp_path)


def test_of_many_problems_twenty_are_named_and_the_rest_counted(artifact: Path) -> None:
    for number in range(23):
        (artifact / "function" / f"added-{number:02}.py").write_text("")

    problems = list_problems(verify_artifact(artifact))

    if (artifact / "function.zip").exists():
        assert [each for each in problems if "added-19" in each]
        assert not [each for each in problems if "added-20" in each]
        assert "and 3 more of this kind" in problems
    else:
        assert "function/ was changed" in "\n".join(problems)


def test_a_report_of_a_newer_version_is_not_guessed_at(artifact: Path) -> None:
    _edit(artifact / "report.json", lambda told: told.update(schema_version=2))

    with pytest.raises(IntegrityError, match="reads version 1 and older"):
        verify_artifact(artifact)


def test_a_folder_that_cannot_be_looked_at_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="cannot be read: File name too long"):
        verify_artifact(tmp_path / ("x" * 300))
