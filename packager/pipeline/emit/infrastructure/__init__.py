"""The same resources for other tools than SAM: Terraform and CDK.

Nothing is written twice: each tool's files are made of the emitted template, once AWS's own
transform has made plain CloudFormation of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packager.pipeline.emit._text import stack_name
from packager.pipeline.emit.infrastructure._cdk import list_cdk_files
from packager.pipeline.emit.infrastructure._transform import (
    CHECK,
    CodeDigests,
    transform_template,
)
from packager.pipeline.emit.infrastructure.terraform import list_terraform_files
from packager.system import resources
from packager.system.file_tree import digest, records
from packager.system.zip_file import write_zip
from packager.types import Artifact, BuildPlan, InfrastructureTool

_DIRECT_BYTES: Final = 50 << 20
"""The largest zip that Lambda takes without a bucket
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


def write_infrastructure(artifact: Artifact, plan: BuildPlan, out: Path) -> list[Path]:
    """Write a folder for each tool that was asked for, of `out/template.yaml`; return its files."""
    tools = plan.request.target.emit
    if not tools:
        return []
    rollout = out / "rollout"
    checked = digest(records(rollout)) if rollout.is_dir() else ""
    template = transform_template(
        (out / "template.yaml").read_text("utf-8"), CodeDigests(artifact.sha256, checked)
    )
    name = stack_name(plan.model.name)
    written = []
    if InfrastructureTool.TERRAFORM in tools:
        zipped = plan.target.deployment.base_image is None
        uploads = zipped and artifact.size_bytes > _DIRECT_BYTES
        files = list_terraform_files(template, name, uploads=uploads)
        written += _write_files(out / "terraform", files)
        if rollout.is_dir():
            written.append(write_zip(rollout, out / "terraform" / CHECK))
    if InfrastructureTool.CDK in tools:
        deployment = plan.target.deployment
        folder = resources.TEMPLATES / (deployment.shares or deployment.templates) / "_cdk"
        written += _write_files(out / "cdk", list_cdk_files(template, name, folder))
    return written


def _write_files(folder: Path, files: dict[str, str]) -> list[Path]:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]
