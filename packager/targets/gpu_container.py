"""One image for every host of containers: with CUDA for a GPU's, and as well without."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from packager import facts
from packager.types import (
    Deployment,
    Device,
    HostKind,
    HttpAuth,
    Machine,
    Program,
    Target,
    TokenCheck,
    Tree,
)

NAME: Final = "gpu-container"


def target(facts_dir: Path | None = None) -> Target:
    return Target(
        name=NAME,
        way_out="a machine with more room",
        doors=("http",),
        limits=facts.limits(NAME, facts_dir),
        runtimes=facts.runtimes(NAME, facts_dir),
        program=Program(
            host=HostKind.SERVER,
            entrypoint="handlers.container.main",
            requires=(
                "async-timeout>=4; python_version < '3.11'",
                # `batch` reads and writes S3
                "botocore>=1.37",
                "fastapi>=0.120",
                # what uvicorn parses and waits with where it is there
                "httptools>=0.6.4",
                "msgspec>=0.18.6",
                "opentelemetry-exporter-otlp-proto-http>=1.30",
                "opentelemetry-sdk>=1.30",
                "prometheus-client>=0.21",
                "uvicorn>=0.33",
                "uvloop>=0.21",
            ),
            handlers=(
                "container.py",
                *("http/router.py", "http/asgi.py", "http/fastapi_app.py", "http/timeouts.py"),
                "http/bearer_tokens.py",
                "container_server/*.py",
            ),
            keep=("uvicorn", "httptools", "uvloop", "opentelemetry", "opentelemetry_*", "botocore"),
            token_check=TokenCheck(
                requires=("pyjwt[crypto]>=2.8,!=2.10.0,<3",),
                keep=(
                    *("jwt*", "pyjwt*", "cryptography*", "_cffi_backend*", "cffi*"),
                    *("pycparser*", "typing_extensions*"),
                ),
            ),
        ),
        deployment=Deployment(
            templates="gpu_container",
            deploy="docker build -t model .",
            replays=True,
            callers=(HttpAuth.JWT, HttpAuth.NONE),
            base_image=facts.base_image(NAME, facts_dir),
            compared_by_hand=(
                "Name the image that your cluster runs with --image REGISTRY/NAME@sha256:DIGEST, "
                "and leave --deployed out."
            ),
        ),
        tree=Tree(root=PurePosixPath("/opt/model")),
        machine=Machine(many_cores=True, device=Device.CUDA, devices=(Device.CUDA, Device.CPU)),
    )
