"""`packager report`: the page that lies there, one that is made anew, and what is damaged."""

from __future__ import annotations

import json
import shutil
import webbrowser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.artifact.integrity import verify_artifact
from packager.errors import IntegrityError, ModelFormatError, PackagerError, StorageError
from tests.unit.commands.artifact.report_pages import build


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("report"))


@pytest.fixture
def artifact(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "artifact")


def _run(*argv: object) -> str:
    found = CliRunner().invoke(app, ["report", *map(str, argv)])
    if isinstance(found.exception, PackagerError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout if "--open" not in argv else found.output


def _forget_page(artifact: Path) -> None:
    """As a build of before there were pages left it."""
    (artifact / "report.html").unlink()
    report = json.loads((artifact / "report.json").read_text())
    del report["emitted"]["report.html"]
    (artifact / "report.json").write_text(json.dumps(report))


def test_the_page_that_the_build_wrote_is_named(artifact: Path) -> None:
    page = artifact / "report.html"

    assert _run(artifact).strip() == str(page)
    found = json.loads(_run(artifact, "--json"))
    assert found == {"folder": str(artifact), "page": str(page), "made": False}
    assert verify_artifact(artifact)["verified"]


def test_it_is_made_elsewhere_the_same(artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "page.html"

    assert json.loads(_run(artifact, "--out", out, "--json"))["made"] is True
    assert out.read_bytes() == (artifact / "report.html").read_bytes()


def test_an_older_artifact_gets_one_and_is_verified_still(artifact: Path) -> None:
    _forget_page(artifact)

    _run(artifact)

    assert (artifact / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert verify_artifact(artifact)["verified"]


def test_a_link_in_its_place_is_not_followed(artifact: Path, tmp_path: Path) -> None:
    _forget_page(artifact)
    other = tmp_path / "other"
    other.write_text("mine")
    (artifact / "report.html").symlink_to(other)

    _run(artifact)

    assert other.read_text() == "mine"
    assert not (artifact / "report.html").is_symlink()


def test_a_page_that_was_changed_is_refused(artifact: Path) -> None:
    page = artifact / "report.html"
    page.write_bytes(page.read_bytes() + b"<script>1</script>")

    with pytest.raises(IntegrityError, match=r"report\.html was changed .* --out"):
        _run(artifact)
    page.unlink()
    with pytest.raises(IntegrityError, match=r"report\.html is missing"):
        _run(artifact)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"evidence": 3, "ledger": []}', '{"sizes": {"before": []}}']
)
def test_a_broken_evidence_is_named(artifact: Path, tmp_path: Path, text: str) -> None:
    (artifact / "evidence.json").write_text(text)

    with pytest.raises(IntegrityError, match=r"evidence\.json"):
        _run(artifact, "--out", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_figure_of_another_type_is_named(artifact: Path, tmp_path: Path) -> None:
    path = artifact / "evidence.json"
    evidence = json.loads(path.read_text())
    evidence["ledger"][0]["bytes_before"] = "<b>"
    path.write_text(json.dumps(evidence))

    with pytest.raises(IntegrityError, match=r"'<b>' is no whole number"):
        _run(artifact, "--out", tmp_path / "page.html")


def test_a_folder_that_no_build_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"is not an artifact"):
        _run(tmp_path)


def test_a_place_that_cannot_be_written_is_named(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"cannot be written: Not a directory.* --out"):
        _run(artifact, "--out", tmp_path / "file" / "page.html")


@pytest.mark.parametrize("there", [True, False])
def test_it_is_shown_in_a_browser_where_there_is_one(
    artifact: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,  # noqa: FBT001
) -> None:
    asked: list[str] = []

    def answer(address: str) -> bool:
        asked.append(address)
        return there

    monkeypatch.setattr(webbrowser, "open", answer)

    said = _run(artifact, "--open")

    assert asked == [(artifact / "report.html").as_uri()]
    assert ("No browser was found here" in said) is not there
