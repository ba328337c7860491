"""Where an artifact can go: one file a target, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packager.errors import UnknownTargetError
from packager.targets import aws_lambda, aws_lambda_image, azure_functions, gpu_container
from packager.types import Target

TARGETS: Final[Mapping[str, Callable[[Path | None], Target]]] = MappingProxyType(
    {
        aws_lambda.NAME: aws_lambda.target,
        aws_lambda_image.NAME: aws_lambda_image.target,
        azure_functions.NAME: azure_functions.target,
        gpu_container.NAME: gpu_container.target,
    }
)


def load(name: str, facts_dir: Path | None = None) -> Target:
    """The target of that name, made from facts. Raises UnknownTargetError or FactsError."""
    if name not in TARGETS:
        raise UnknownTargetError(name, tuple(TARGETS))
    return TARGETS[name](facts_dir)
