"""`--emit`: refused before any work where it cannot be had; the artifact says what it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from packager.errors import ConfigurationError
from packager.pipeline.plan import _checks, check
from packager.types import InfrastructureTool
from tests import fake_plan

Emitted = Callable[[str], Path]
_BOTH: Final = tuple(InfrastructureTool)


@pytest.mark.parametrize("target", ["azure-functions", "gpu-container"])
def test_a_target_without_such_a_template_is_refused(target: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--emit terraform, cdk: {target} has no"):
        check(fake_plan.request(target=target, emit=_BOTH))


@pytest.mark.parametrize("target", ["aws-lambda", "aws-lambda-image"])
def test_both_targets_of_lambda_have_them(target: str) -> None:
    check(fake_plan.request(target=target, emit=_BOTH))


def test_without_the_transform_the_build_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_checks, "find_spec", lambda _: None)

    check(fake_plan.request())
    with pytest.raises(
        ConfigurationError, match=r"aws-sam-translator, .*(\[[\w,-]*terraform\]'|--extra terraform)"
    ):
        check(fake_plan.request(emit=_BOTH))


def test_the_page_tells_how_each_tool_deploys(emitted: Emitted) -> None:
    page = (emitted("http-api with jwt and a canary") / "README.md").read_text("utf-8")

    assert "    (cd terraform && terraform init && terraform apply)\n" in page
    assert "    (cd cdk && pip install -r requirements.txt && npx aws-cdk deploy)\n" in page
    assert "terraform output -raw deployment" in page
    assert "| `terraform/` |" in page


def test_without_the_option_there_is_neither_folder(tmp_path: Path) -> None:
    from packager.pipeline.emit import emit
    from packager.pipeline.package import package

    plan = fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    out = tmp_path / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)

    assert {"terraform", "cdk"} & {path.name for path in out.iterdir()} == set()
    assert "terraform" not in (out / "README.md").read_text("utf-8")


def test_the_page_tells_what_terraform_leaves_on_instances(emitted: Emitted) -> None:
    page = (emitted("managed instances") / "README.md").read_text("utf-8")

    assert "aws lambda delete-function --function-name churn-Function --qualifier VERSION" in page
    other = (emitted("http-api") / "README.md").read_text("utf-8")
    assert "--qualifier VERSION" not in other
