"""Files that somebody laid beside the function: refused where a tool would take them along."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from packager.commands.artifact.added_files import SIGNED_HOOK
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.system.file_tree import sha256
from tests.unit.commands.artifact.test_integrity import _build, _edit

SIGNED = "attestations.intoto.jsonl"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An artifact with a folder of each kind, as --rollout, --emit and infra/ leave them."""
    out = _build(tmp_path)
    names = ("rollout/replay_check.py", "terraform/main.tf", "cdk/app.py", "infra/main.bicep")
    for name in names:
        (out / name).parent.mkdir()
        (out / name).write_text(f"# {name}")
    _edit(
        out / "report.json",
        lambda told: told["emitted"].update({name: sha256(out / name) for name in names}),
    )
    assert verify_artifact(out)["verified"]
    return out


def _add(folder: Path, name: str) -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return list_problems(verify_artifact(folder))


@pytest.mark.parametrize(
    "name",
    [
        *("rollout/json.py", "rollout/__pycache__/replay_check.cpython-313.pyc", "rollout/.env"),
        *("terraform/evil.tf", "terraform/override.tf.json", "cdk/sitecustomize.py"),
        *("infra/bicepconfig.json", "infra/deep/er.bicep", "Dockerfile.dockerignore"),
        *(".dockerignore", ".aws-sam/build/template.yaml", "terraform/main_override.tf"),
        *("samconfig.yaml", "samconfig.yml"),
    ],
)
def test_what_would_be_deployed_with_the_rest_is_named(artifact: Path, name: str) -> None:
    (problem,) = _add(artifact, name)

    named = ".aws-sam" if name.startswith(".aws-sam") else name
    said = "would be deployed, and" if name.startswith("rollout/") else "was added: "
    assert problem.startswith(f"{named} {said}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("terraform/terraform.tfvars", "are your tools' own"),
        ("terraform/terraform.tfstate", "are your tools' own"),
        ("terraform/release.tfplan", "are your tools' own"),
        ("terraform/.terraform/providers/x", "are your tools' own"),
        ("cdk/cdk.out/tree.json", "are your tools' own"),
        ("notes.txt", "nothing of the artifact names them: notes.txt"),
    ],
)
def test_what_is_yours_is_told_and_no_fault(artifact: Path, name: str, words: str) -> None:
    assert _add(artifact, name) == []
    assert any(words in each for each in verify_artifact(artifact)["notes"])


def test_events_of_your_own_may_lie_beside_the_samples(artifact: Path) -> None:
    assert _add(artifact, "events/mine.json") == []


def test_links_in_such_a_folder_are_named_and_not_entered(artifact: Path, tmp_path: Path) -> None:
    (artifact / "infra" / "link").symlink_to(tmp_path)

    (problem,) = list_problems(verify_artifact(artifact))

    assert problem.startswith("infra/link was added")


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        (lambda path: None, True),
        (lambda path: path.write_text("another"), False),
    ],
    ids=["the same", "another"],
)
def test_the_check_of_a_new_version_has_the_same_statements(
    artifact: Path,
    change: Callable[[Path], object],
    passes: bool,  # noqa: FBT001
) -> None:
    for folder in (artifact, artifact / "rollout"):
        (folder / SIGNED).write_text("{}")
    change(artifact / "rollout" / SIGNED)

    problems = list_problems(verify_artifact(artifact))

    assert (problems == []) is passes
    assert all(each.startswith(f"rollout/{SIGNED} is not the") for each in problems)


def test_what_sign_packs_for_terraform_is_no_added_file(artifact: Path) -> None:
    with zipfile.ZipFile(artifact / SIGNED_HOOK, "w") as packed:
        packed.write(artifact / "rollout" / "replay_check.py", "replay_check.py")
    assert list_problems(verify_artifact(artifact)) == []

    (artifact / SIGNED_HOOK).write_text("mine")
    (problem,) = list_problems(verify_artifact(artifact))
    assert problem.startswith(f"{SIGNED_HOOK} cannot be read")


def test_what_sam_built_of_an_image_is_told(tmp_path: Path) -> None:
    out = _build(tmp_path, "aws-lambda-image")

    assert _add(out, ".aws-sam/build/template.yaml") == []
    assert any("It is not compared" in each for each in verify_artifact(out)["notes"])
