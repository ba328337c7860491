"""One image for every host of containers: with CUDA for a GPU's, and as well without."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from packager import facts
from packager.types import Device, Target

NAME: Final = "gpu-container"


def target(facts_dir: Path | None = None) -> Target:
    return Target(
        name=NAME,
        templates="gpu_container",
        entrypoint="handlers.container.main",
        limits=facts.limits(NAME, facts_dir),
        runtimes=facts.runtimes(NAME, facts_dir),
        requires=(
            # `batch` reads and writes S3
            "botocore>=1.40",
            "fastapi>=0.120",
            # what uvicorn parses and waits with where it is there
            "httptools>=0.7",
            "msgspec>=0.20",
            "opentelemetry-exporter-otlp-proto-http>=1.30",
            "opentelemetry-sdk>=1.30",
            "prometheus-client>=0.22",
            "uvicorn>=0.38",
            "uvloop>=0.22",
        ),
        handlers=(
            "container.py",
            *("http/router.py", "http/asgi.py", "http/fastapi_app.py"),
            "service/*.py",
        ),
        deploy="docker build -t model .",
        infra=None,
        scripts={},
        reserved=(),
        keep=("uvicorn", "httptools", "uvloop", "opentelemetry", "opentelemetry_*", "botocore"),
        way_out="a machine with more room",
        sources=(),
        source_modules=PurePosixPath("events/sources"),
        answering=frozenset(),
        needs={},
        outputs=(),
        failures=None,
        remembers=False,
        told_memory=False,
        doors=("http",),
        root=PurePosixPath("/opt/model"),
        shadows=(),
        home=PurePosixPath(),
        library_path=(PurePosixPath(), PurePosixPath("lib")),
        many_cores=True,
        base_image=facts.base_image(NAME, facts_dir),
        device=Device.CUDA,
        devices=(Device.CUDA, Device.CPU),
    )
