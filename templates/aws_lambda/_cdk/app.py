"""The stack of this artifact: the resources and parameters of template.json, and its code.

Context (`cdk deploy -c NAME=VALUE`): `stack_name`; `image` (NAME@sha256:DIGEST) for an image that
you pushed; and for code that Lambda reads from a bucket of yours instead of copying it:
`code_bucket`, `code_key` and `code_version`.
"""

import json
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets, aws_lambda, aws_s3_assets
from aws_cdk.cloudformation_include import CfnInclude

HERE = Path(__file__).resolve().parent
ARTIFACT = HERE.parent
_STORED = ("code_bucket", "code_key", "code_version")


def make_stack(app):
    """Return the stack. Raises SystemExit where the context names code by halves."""
    name = app.node.try_get_context("stack_name")
    stack = cdk.Stack(app, name, stack_name=name)
    included = CfnInclude(stack, "Template", template_file=str(HERE / "template.json"))
    resources = json.loads((HERE / "template.json").read_text("utf-8"))["Resources"]
    code = resources["Function"]["Properties"]["Code"]
    function = included.get_resource("Function")
    function.code = make_image(stack) if "ImageUri" in code else make_code(app, stack)
    if "RolloutCheck" in resources:
        check = aws_s3_assets.Asset(stack, "CheckCode", path=str(ARTIFACT / "rollout"))
        included.get_resource("RolloutCheck").code = name_asset(check)
    return stack


def make_code(app, stack):
    """Return the zip: as CDK uploads it, or where the context says that it lies."""
    stored = {name: app.node.try_get_context(name) for name in _STORED}
    if not any(stored.values()):
        path = str(ARTIFACT / "function.zip")
        return name_asset(aws_s3_assets.Asset(stack, "Code", path=path))
    if missing := [name for name, value in stored.items() if not value]:
        raise SystemExit(
            f"The code in your bucket is named by {', '.join(_STORED)} together, and "
            f"{', '.join(missing)} is missing. Give it with -c, or give none of them."
        )
    return aws_lambda.CfnFunction.CodeProperty(
        s3_bucket=stored["code_bucket"],
        s3_key=stored["code_key"],
        s3_object_version=stored["code_version"],
        s3_object_storage_mode="REFERENCE",
    )


def make_image(stack):
    """Return the image that the context names, or the one that `cdk deploy` builds and pushes."""
    if reference := stack.node.try_get_context("image"):
        return aws_lambda.CfnFunction.CodeProperty(image_uri=reference)
    resources = json.loads((HERE / "template.json").read_text("utf-8"))["Resources"]
    (machine,) = resources["Function"]["Properties"]["Architectures"]
    platform = {
        "arm64": aws_ecr_assets.Platform.LINUX_ARM64,
        "x86_64": aws_ecr_assets.Platform.LINUX_AMD64,
    }[machine]
    image = aws_ecr_assets.DockerImageAsset(
        stack, "Image", directory=str(ARTIFACT), exclude=["cdk", "terraform"], platform=platform
    )
    return aws_lambda.CfnFunction.CodeProperty(image_uri=image.image_uri)


def name_asset(asset):
    """Return an uploaded file as a function's code."""
    return aws_lambda.CfnFunction.CodeProperty(
        s3_bucket=asset.s3_bucket_name, s3_key=asset.s3_object_key
    )


if __name__ == "__main__":
    made = cdk.App(analytics_reporting=False)
    make_stack(made)
    made.synth()
