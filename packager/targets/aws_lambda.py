"""AWS Lambda, as a zip on a managed Python runtime."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from handlers.events import destinations, sources
from packager import facts
from packager.types import Target

NAME: Final = "aws-lambda"


def target(facts_dir: Path | None = None) -> Target:
    return Target(
        name=NAME,
        templates="aws_lambda",
        entrypoint="handlers.aws_lambda.handler",
        limits=facts.limits(NAME, facts_dir),
        runtimes=facts.runtimes(NAME, facts_dir),
        requires=(
            "aws-lambda-powertools>=3.20",
            "mangum>=0.19",
            "msgspec>=0.20",
            # no wheels for later Pythons: done without there
            "pysimdjson>=7; python_version < '3.14'",
        ),
        handlers=("aws_lambda.py", "http/router.py", "http/lambda_events.py"),
        deploy="sam deploy --guided",
        infra=None,
        scripts={},
        reserved=(),
        keep=(),
        way_out="aws-lambda-image",
        sources=sources.SOURCES,
        source_modules=PurePosixPath("events/sources"),
        answering=frozenset(s.NAME for s in sources.load(sources.SOURCES) if s.RETURNS),
        needs={},
        outputs=destinations.KINDS,
        failures="sqs",
        remembers=True,
        told_memory=True,
        doors=("direct", "http"),
        root=PurePosixPath("/var/task"),
        shadows=facts.shadows(NAME, facts_dir),
        home=PurePosixPath(),
        library_path=(PurePosixPath(), PurePosixPath("lib")),
    )
