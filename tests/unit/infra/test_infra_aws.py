"""The infrastructure that takes an emitted folder is itself valid."""

from __future__ import annotations

from packager.system import resources
from tests import sam


def test_cfn_lint_finds_nothing_in_the_pipeline_roles() -> None:
    assert sam.lint((resources.INFRA / "aws" / "deploy-role.yaml").read_text("utf-8")) == []


def test_no_statement_grants_everything_on_everything() -> None:
    template = sam.parse((resources.INFRA / "aws" / "deploy-role.yaml").read_text("utf-8"))
    statements = [
        statement
        for role in template["Resources"].values()
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]

    open_ended = {s["Sid"] for s in statements if s["Resource"] == "*"}
    assert open_ended == {"LogsList", "Summary"}
    assert all(s["Action"] != "*" for s in statements)
