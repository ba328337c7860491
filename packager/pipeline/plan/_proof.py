"""Failures that a build would meet at its end, and can know before anything is installed."""

from __future__ import annotations

from collections.abc import Sequence

from packager.environments import virtual_environments
from packager.errors import ToolError, UnprovenError
from packager.probes import NOTHING_TO_REPLAY, probes
from packager.targets.emulator import why_not_bootable
from packager.types import BuildPlan, BuildRequest, ResolvedModel


def check_provable(
    request: BuildRequest, model: ResolvedModel, attempts: Sequence[BuildPlan]
) -> None:
    """Raises UnprovenError where nothing could be compared, unless that was asked for.

    That is: no machine to boot on, nothing to ask, or no environment for the registered model.
    """
    if request.proof.allow_unproven:
        return
    if why := why_not_bootable(request.target.architecture):
        raise UnprovenError(why)
    if not probes(model, request.proof.rows, request.proof.seed):
        raise UnprovenError(NOTHING_TO_REPLAY)
    for attempt in attempts[:1]:
        interpreter, _ = virtual_environments.interpreter_of(model, attempt.interpreter)
        try:
            virtual_environments.check_model(model, interpreter, attempt.platform)
        except ToolError as error:
            why = virtual_environments.explain_failure(model, interpreter, error)
            raise UnprovenError(why) from error
