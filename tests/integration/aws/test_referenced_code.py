"""Code that stays in a bucket: the SAM CLI leaves it as the guide's command names it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from packager.pipeline.emit import emit
from packager.pipeline.package import package
from tests import fake_plan, sam
from tests.integration.aws.conftest import Sam
from tests.unit.pipeline.emit.test_emit_referenced_code import read_command

pytestmark = pytest.mark.slow


def test_sam_uploads_nothing_in_its_place(sam_in: Sam, tmp_path: Path) -> None:
    plan = fake_plan.plan()
    verified = fake_plan.verified(fake_plan.tree(tmp_path / "tree", plan))
    out = tmp_path / "out"
    out.mkdir()
    emit(package(verified, plan, out), verified, plan, out)
    made = subprocess.run(read_command(), cwd=out, check=True, capture_output=True, text=True)
    (out / "referenced.yaml").write_text(made.stdout, encoding="utf-8")

    sam_in(
        out,
        *("package", "--template-file", "referenced.yaml"),
        *("--output-template-file", "packaged.yaml"),
    )

    packaged = sam.parse((out / "packaged.yaml").read_text("utf-8"))
    assert packaged["Resources"]["Function"]["Properties"]["CodeUri"] == {
        "Bucket": "my-code",
        "Key": "churn/function.zip",
        "Version": "VERSION_ID",
        "StorageMode": "REFERENCE",
    }
