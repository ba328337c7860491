"""Targets that an artifact can go to: one file a target, and a line here.

A target says what its platform is; hosts/ has what boots it on this machine, and templates/ what is
deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from packager.errors import UnknownTargetError
from packager.targets import (
    _managed_instances,
    aws_lambda,
    aws_lambda_image,
    azure_functions,
    gpu_container,
)
from packager.types import Compute, Target, TargetOptions

TARGETS: Final[Mapping[str, Callable[[Path | None], Target]]] = MappingProxyType(
    {
        aws_lambda.NAME: aws_lambda.target,
        aws_lambda_image.NAME: aws_lambda_image.target,
        azure_functions.NAME: azure_functions.target,
        gpu_container.NAME: gpu_container.target,
    }
)
AUTO: Final = "auto"
"""In the place of a target's name: the first that the measured artifact fits."""


def check_target(name: str, known: Collection[str]) -> None:
    """Raises UnknownTargetError for a name that is not one of `known`."""
    if name not in known:
        raise UnknownTargetError(name, known)


def load(name: str, facts_dir: Path | None = None) -> Target:
    """The target of that name, made from facts. Raises UnknownTargetError or FactsError."""
    check_target(name, TARGETS)
    return TARGETS[name](facts_dir)


def load_for(options: TargetOptions) -> Target:
    """The target of a build, on the machines that it is for. Raises as `load` does."""
    target = load(options.name, options.facts_dir)
    if options.compute is Compute.ON_DEMAND or options.compute not in target.machine.computes:
        return target
    device = options.device or target.machine.device
    return _managed_instances.adapt_target(target, device, options.facts_dir)
