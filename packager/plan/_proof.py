"""What a build would find at its end, and can know before anything is installed."""

from __future__ import annotations

from packager.emulator import why_not_bootable
from packager.errors import UnprovenError
from packager.probes import NOTHING_TO_REPLAY, probes
from packager.types import BuildRequest, ResolvedModel


def check_provable(request: BuildRequest, model: ResolvedModel) -> None:
    """Raises UnprovenError where nothing could be compared, unless that was asked for."""
    if request.allow_unproven:
        return
    if why := why_not_bootable(request.architecture):
        raise UnprovenError(why)
    if not probes(model, request.rows, request.seed):
        raise UnprovenError(NOTHING_TO_REPLAY)
