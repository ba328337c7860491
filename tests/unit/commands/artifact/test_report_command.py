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
from packager.commands.artifact.report_file import name_page, provide_page
from packager.errors import IntegrityError, ModelFormatError, PackagerError, StorageError
from packager.models.registry import ModelRegistry
from packager.types import BuildRequest
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
    assert found == {"folder": str(artifact), "page": str(page), "made": False, "problems": []}
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

    with pytest.raises(IntegrityError, match=r"evidence\.json was changed"):
        _run(artifact)
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


def test_a_page_of_evidence_that_was_altered_says_so_and_ends_with_a_code(
    artifact: Path, tmp_path: Path
) -> None:
    path, page = artifact / "evidence.json", tmp_path / "page.html"
    evidence = json.loads(path.read_text())
    evidence["evidence"]["rows_compared"] = 999_999
    path.write_text(json.dumps(evidence))

    with pytest.raises(IntegrityError, match=r"evidence\.json was changed"):
        _run(artifact, "--out", page)

    text = page.read_text(encoding="utf-8")
    assert 'role="alert"' in text
    assert "is not as it was built" in text
    assert '<span class="badge unproven">changed</span>' in text
    said = CliRunner().invoke(app, ["report", str(artifact), "--out", str(page), "--json"])
    assert said.exit_code == 12
    assert "evidence.json was changed" in json.loads(said.stdout)["problems"][0]


def test_a_hostile_name_in_a_problem_is_text(artifact: Path, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>\u202e.json"
    (artifact / "rollout").mkdir()
    report = json.loads((artifact / "report.json").read_text())
    report["emitted"] |= {f"rollout/{name}": "0" * 64}
    (artifact / "report.json").write_text(json.dumps(report))

    with pytest.raises(IntegrityError):
        _run(artifact, "--out", tmp_path / "page.html")

    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "\u202e" not in text


def test_a_page_that_was_changed_is_made_anew_without_a_word(
    artifact: Path, tmp_path: Path
) -> None:
    (artifact / "report.html").write_text("mine")

    assert _run(artifact, "--out", tmp_path / "page.html").strip() == str(tmp_path / "page.html")
    assert "alert" not in (tmp_path / "page.html").read_text(encoding="utf-8").split("<script")[0]


def test_another_file_that_was_changed_is_told(
    artifact: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (artifact / "README.md").write_text("mine")

    with caplog.at_level("WARNING"):
        provide_page(artifact)

    assert any("not as it was built: README.md" in each for each in caplog.messages)


@pytest.fixture
def asked(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[BuildRequest]:
    """What is built, in a current folder of its own; the artifact is the same each time."""
    requests: list[BuildRequest] = []

    def make(request: BuildRequest, _: ModelRegistry) -> None:
        requests.append(request)
        shutil.copytree(built, request.output.folder)

    monkeypatch.setattr("packager.pipeline.build.build_or_reuse", make)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return requests


def test_a_model_is_built_for_its_page_alone(asked: list[BuildRequest], built: Path) -> None:
    found = json.loads(
        _run("models:/churn/7", "-t", "azure-functions", "--allow-network", "--json")
    )

    (request,) = asked
    assert (request.model.uri, request.model.allow_network) == ("models:/churn/7", True)
    assert request.target.name == "azure-functions"
    assert not request.output.folder.exists()
    page = Path("churn-7.report.html")
    assert found == {"folder": "", "page": str(page.absolute()), "made": True, "problems": []}
    assert page.read_bytes() == (built / "report.html").read_bytes()
    assert [*Path().iterdir()] == [page]


def test_a_model_s_folder_is_a_model(asked: list[BuildRequest], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("")
    out = tmp_path / "page.html"

    _run(tmp_path / "model", "--out", out)

    assert asked[0].model.uri == str(tmp_path / "model")
    assert out.is_file()
    assert not [*Path().iterdir()]


@pytest.mark.parametrize(
    ("name", "version", "page"),
    [
        ("../../etc/churn", "1", "etc-churn-1.report.html"),
        ("..", "", "model.report.html"),
        ("a\nb <c>", "2", "a-b-c--2.report.html"),
        ("名前", "3", "3.report.html"),
        ("x" * 300, "1", f"{'x' * 100}.report.html"),
    ],
)
def test_a_page_s_name_stays_in_the_folder(
    artifact: Path, name: str, version: str, page: str
) -> None:
    path = artifact / "report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name, "version": version}))

    assert name_page(artifact) == Path(page)


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
