"""AWS Lambda, as a container image on the platform's own base: for what exceeds the zip.

The function is the zip's to the byte: the same handlers, slimmed and verified alike.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from packager import facts
from packager.targets import aws_lambda
from packager.types import Deployment, Runtime, Target

NAME: Final = "aws-lambda-image"
_HOOKS: Final = "snapshot_restore_py*"
"""What a runtime client that starts from snapshots comes with."""


def target(facts_dir: Path | None = None) -> Target:
    """Return the target.

    An image starts from a snapshot too. AWS's own bases of Python 3.12 and later need nothing for
    it, others a label, and a runtime client that runs the hooks of a restore:
    https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-custom.html
    """
    function = aws_lambda.target(facts_dir)
    limits, base = facts.limits(NAME, facts_dir), facts.base_image(NAME, facts_dir)
    return replace(
        function,
        name=NAME,
        way_out="gpu-container",
        # an image has room for them, and is fetched a part at a time
        weights=None,
        limits=replace(limits, unzipped_bytes=limits.unzipped_bytes - base.size_bytes),
        runtimes=_list_runtimes(function, facts_dir),
        deployment=Deployment(
            templates="aws_lambda_image",
            shares=function.deployment.templates,
            deploy="sam build && sam deploy --guided",
            unattended=("sam build", aws_lambda.SAM_UNATTENDED),
            base_image=base,
            rolls_out=True,
            makes_endpoint=True,
            emits=function.deployment.emits,
        ),
    )


def _list_runtimes(function: Target, facts_dir: Path | None) -> tuple[Runtime, ...]:
    """Those of the zip's on AWS's own bases, and older Pythons on bases of their own."""
    own = facts.runtimes(NAME, facts_dir)
    named = {runtime.python_minor for runtime in own}
    managed = [each for each in function.runtimes if each.python_minor not in named]
    labelled = [
        replace(each, snapstart=True, snapstart_by_label=True)
        if not each.snapstart and _has_hooks(each)
        else each
        for each in (*own, *managed)
    ]
    return tuple(sorted(labelled, key=lambda each: facts.read_minor(each.python_minor)))


def _has_hooks(runtime: Runtime) -> bool:
    """Say if the client that calls a function of it runs hooks: AWS's own does on its bases."""
    return not runtime.brings_client or _HOOKS in runtime.keep
