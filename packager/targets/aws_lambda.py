"""AWS Lambda, as a zip on a managed Python runtime."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from handlers.events import aws_sources, destinations
from packager import facts
from packager.types import (
    Compute,
    Deployment,
    EventSupport,
    HostKind,
    InfrastructureTool,
    Machine,
    Program,
    Target,
    Tree,
    Weights,
)

NAME: Final = "aws-lambda"
SAM_UNATTENDED: Final = "sam deploy --no-confirm-changeset --no-fail-on-empty-changeset"
"""Deploys where nobody answers a question; samconfig.toml has the rest."""


def target(facts_dir: Path | None = None) -> Target:
    return Target(
        name=NAME,
        way_out="aws-lambda-image",
        doors=("direct", "http"),
        limits=facts.limits(NAME, facts_dir),
        runtimes=facts.runtimes(NAME, facts_dir),
        program=Program(
            host=HostKind.LAMBDA,
            entrypoint="handlers.aws_lambda.handler",
            requires=(
                # Python 3.8, which images have: the last versions with wheels for it
                "aws-lambda-powertools>=3.20; python_version >= '3.9'",
                "aws-lambda-powertools>=3.4; python_version < '3.9'",
                "mangum>=0.19",
                "msgspec>=0.20; python_version >= '3.9'",
                "msgspec>=0.18.6; python_version < '3.9'",
                # no wheels for later Pythons: done without there
                "pysimdjson>=7; python_version >= '3.9' and python_version < '3.14'",
            ),
            handlers=(
                "aws_lambda.py",
                "http/router.py",
                "http/api_gateway_events.py",
                "loaders/_snapshots.py",
            ),
        ),
        deployment=Deployment(
            templates="aws_lambda",
            deploy="sam deploy --guided",
            unattended=(SAM_UNATTENDED,),
            rolls_out=True,
            makes_endpoint=True,
            emits=tuple(InfrastructureTool),
        ),
        tree=Tree(root=PurePosixPath("/var/task"), shadows=facts.shadows(NAME, facts_dir)),
        events=EventSupport(
            sources=aws_sources.SOURCES,
            answering=frozenset(s.NAME for s in aws_sources.load(aws_sources.SOURCES) if s.RETURNS),
            outputs=destinations.KINDS,
            failures="sqs",
            remembers=True,
        ),
        machine=Machine(told_memory=True, computes=tuple(Compute)),
        weights=facts.weights(
            NAME,
            (Weights.FETCH, Weights.MOUNT),
            tuple(
                f"loaders/weights/{name}.py" for name in ("__init__", "download", "mounted", "s3")
            ),
            facts_dir,
        ),
    )
