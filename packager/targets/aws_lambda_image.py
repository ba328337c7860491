"""AWS Lambda, as a container image on the platform's own base: for what exceeds the zip.

The function is the zip's to the byte: the same handlers, slimmed and verified alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.targets import aws_lambda
from packager.types import Deployment, Target

NAME: Final = "aws-lambda-image"


def target(facts_dir: Path | None = None) -> Target:
    """SnapStart is not for images (https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html)."""
    function = aws_lambda.target(facts_dir)
    limits, base = facts.limits(NAME, facts_dir), facts.base_image(NAME, facts_dir)
    return replace(
        function,
        name=NAME,
        way_out="gpu-container",
        limits=replace(limits, unzipped_bytes=limits.unzipped_bytes - base.size_bytes),
        runtimes=tuple(replace(runtime, snapstart=False) for runtime in function.runtimes),
        deployment=Deployment(
            templates="aws_lambda_image",
            shares=function.deployment.templates,
            deploy="sam build && sam deploy --guided",
            base_image=base,
            rolls_out=True,
            makes_endpoint=True,
            compared_by_hand=(
                "The registry that you push to makes the digest of an image: compare the one that "
                "`docker push` printed with ImageUri of `aws lambda get-function`."
            ),
        ),
    )
