"""Settings of tools that no digest covers: what they may change is refused or told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from packager.cli import app
from packager.commands.artifact.integrity import list_problems, verify_artifact
from packager.system.file_tree import sha256
from tests.unit.commands.artifact.test_integrity import _build, _edit

GUIDED = """version = 0.1
[default.deploy.parameters]
stack_name = "churn"
resolve_s3 = true
s3_prefix = "churn"
region = "eu-central-1"
confirm_changeset = true
capabilities = "CAPABILITY_NAMED_IAM"
disable_rollback = true
image_repositories = []
[default.global.parameters]
region = "eu-central-1"
"""


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return _build(tmp_path)


def _set(artifact: Path, text: str) -> list[str]:
    (artifact / "samconfig.toml").write_text(text)
    return list_problems(verify_artifact(artifact))


@pytest.mark.parametrize(
    "line",
    [
        *('template_file = "q/evil.yaml"', 'template-file = "q/evil.yaml"', 'template = "q"'),
        *('TEMPLATE_FILE = "q/evil.yaml"', 'hook_name = "terraform"', 'metadata = "a=b"'),
        *('config_file = "other.toml"', 'base_dir = "q"', 'unheard_of = "q"'),
    ],
)
@pytest.mark.parametrize("table", ["default.deploy", "default.global", "other.deploy"])
def test_a_setting_that_may_deploy_something_else_is_a_fault(
    artifact: Path, table: str, line: str
) -> None:
    (problem,) = _set(artifact, f"version = 0.1\n[{table}.parameters]\n{line}\n")

    assert line.partition(" ")[0] in problem
    assert table in problem
    assert problem.endswith("Remove it.")


@pytest.mark.parametrize("text", ["[", "default = 3\n", '[default]\ndeploy = "x"\n', "a.b.c = 1"])
def test_what_is_no_samconfig_is_a_fault(artifact: Path, text: str) -> None:
    (problem,) = _set(artifact, text)

    assert "samconfig.toml" in problem


def test_what_a_guided_deployment_writes_is_told_and_no_fault(artifact: Path) -> None:
    assert _set(artifact, GUIDED) == []
    assert any("samconfig.toml was changed" in each for each in verify_artifact(artifact)["notes"])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("\"HttpAuth=NONE RolloutSignedBy=''\"", "HttpAuth=NONE RolloutSignedBy=''"),
        ('["HttpAuth=NONE"]', "HttpAuth=NONE"),
        ('{HttpAuth = "NONE"}', "HttpAuth=NONE"),
    ],
)
def test_parameters_of_the_template_are_named(artifact: Path, value: str, told: str) -> None:
    text = f"{GUIDED}[x.deploy.parameters]\nparameter_overrides = {value}\n"

    assert _set(artifact, text) == []
    (note,) = (each for each in verify_artifact(artifact)["notes"] if "[x.deploy" in each)
    assert told in note


@pytest.mark.parametrize(
    "name",
    [
        *("samconfig.toml", "terraform/terraform.tfvars", "terraform/x.auto.tfvars"),
        *("terraform/.terraform/providers/x", "terraform/.terraform.lock.hcl"),
        *("cdk/cdk.context.json", "cdk/node_modules/x/index.js", ".azure/config.json"),
        ".azure/test/.env",
    ],
)
def test_who_asks_for_a_digest_or_a_signature_is_told_to_look(artifact: Path, name: str) -> None:
    _own(artifact, "terraform/main.tf", "cdk/app.py", "azure.yaml")
    path = artifact / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(GUIDED)
    digest = sha256(artifact / "report.json")

    def run(*words: str) -> tuple[int, str]:
        ended = CliRunner().invoke(app, ["verify", str(artifact), *words, "--json"])
        return ended.exit_code, ended.output

    assert run()[0] == 0
    refused, told = run("--sha256", digest)
    assert refused == 12
    assert "--allow-settings" in told
    assert run("--sha256", digest, "--allow-settings")[0] == 0


def test_an_untouched_artifact_has_no_such_setting(artifact: Path) -> None:
    digest = sha256(artifact / "report.json")

    assert CliRunner().invoke(app, ["verify", str(artifact), "--sha256", digest]).exit_code == 0


def test_what_sam_built_is_refused_under_a_signature(tmp_path: Path) -> None:
    out = _build(tmp_path, "aws-lambda-image")
    (out / ".aws-sam").mkdir()
    words = ["verify", str(out), "--sha256", sha256(out / "report.json"), "--json"]

    assert CliRunner().invoke(app, words).exit_code == 12


def test_settings_are_allowed_only_where_something_refuses_them(artifact: Path) -> None:
    ended = CliRunner().invoke(app, ["verify", str(artifact), "--allow-settings"])

    assert ended.exit_code == 2


def _own(artifact: Path, *names: str) -> None:
    """Make the artifact one that a build wrote these files of too."""
    for name in names:
        (artifact / name).parent.mkdir(exist_ok=True)
        (artifact / name).write_text(f"# {name}")
    _edit(
        artifact / "report.json",
        lambda told: told["emitted"].update({name: sha256(artifact / name) for name in names}),
    )
