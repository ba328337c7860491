"""Several builds in one run, and what a build tells of its progress: for callers in Python."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from typing import Final, TypeAlias

from packager.errors import ConfigurationError
from packager.models.registry import MlflowRegistry
from packager.pipeline.build import build_or_reuse
from packager.pipeline.output.place import check_outputs
from packager.system.redaction import escape_controls, redact
from packager.types import BuildRequest, Provided, Stage, list_settings

_LOGGER: Final = logging.getLogger("packager")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of a build's progress."""

    request: BuildRequest
    message: str
    """The line, without secrets and without what would steer a terminal."""
    stage: Stage | None
    """The stage that runs; None before the first one begins."""
    stages: tuple[Stage, ...]
    """All stages, in their order."""
    elapsed_seconds: float
    """Since this build began."""
    is_warning: bool = False
    """The line says what may go wrong, and the build goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """One build of several: the artifact, or the error that ended it."""

    request: BuildRequest
    artifact: Provided | None = None
    """None where the build failed."""
    error: Exception | None = None
    """What ended the build; None where it did not fail."""


OnProgress: TypeAlias = Callable[[Progress], object]


def _check_requests(requests: Iterable[object]) -> None:
    """Raises ConfigurationError for what is no request, or has a setting in a group's place."""
    for each in requests:
        wrong = "" if isinstance(each, BuildRequest) else f"{each!r} is no request"
        if isinstance(each, BuildRequest):
            groups = {name: getattr(each, name) for _, name, _ in list_settings()}
            plain = [name for name, value in groups.items() if not is_dataclass(value)]
            wrong = f"{plain[0]}={groups[plain[0]]!r} is none of them" if plain else ""
        if wrong:
            raise ConfigurationError(
                f"A BuildRequest holds its settings in groups, and {wrong}. Make it of plain "
                'settings: make_request("models:/churn@champion", target="aws-lambda").'
            )


def build_one(request: BuildRequest, on_progress: OnProgress | None = None) -> Provided:
    """Build an artifact, and hand each line of progress to `on_progress`.

    Raises what `build_or_reuse` raises, and what `on_progress` raises, which ends the build.
    """
    _check_requests((request,))
    with contextlib.ExitStack() as stack:
        if on_progress is not None:
            stack.enter_context(_telling(_Teller(request, on_progress)))
        return _build(request)


def build_each(
    requests: Iterable[BuildRequest], on_progress: OnProgress | None = None
) -> tuple[BuildResult, ...]:
    """Build one after the other; a build that fails loses no other.

    Raises ConfigurationError, before anything is built, where one artifact would replace another,
    and what `on_progress` raises, which ends the run.
    """
    wanted = tuple(requests)
    _check_requests(wanted)
    check_outputs(
        {
            f"build {number} ({each.model.uri} for {each.target.name})": each.output.folder
            for number, each in enumerate(wanted, start=1)
        }
    )
    return tuple(_build_result(each, on_progress) for each in wanted)


def _build(request: BuildRequest) -> Provided:
    registry = MlflowRegistry(request.model.tracking_uri, request.model.registry_uri)
    return build_or_reuse(request, registry)


def _build_result(request: BuildRequest, on_progress: OnProgress | None) -> BuildResult:
    teller = _Teller(request, on_progress or (lambda _: None))
    try:
        with _telling(teller):
            return BuildResult(request=request, artifact=_build(request))
    except Exception as error:
        if teller.failure is error:
            raise
        return BuildResult(request=request, error=error)


class _Teller(logging.Handler):
    """Hands what the build logs to a function, and what others would have seen to them."""

    def __init__(self, request: BuildRequest, on_progress: OnProgress) -> None:
        super().__init__(logging.INFO)
        self._request, self._on_progress = request, on_progress
        self._stage: Stage | None = None
        self._stages = tuple(Stage)
        self._since = time.monotonic()
        self.level_before = logging.WARNING
        self.failure: Exception | None = None
        """Raised by the function."""

    def emit(self, record: logging.LogRecord) -> None:
        self._stage = getattr(record, "stage", self._stage)
        self._stages = getattr(record, "stages", self._stages)
        if record.levelno >= self.level_before and _LOGGER.parent is not None:
            _LOGGER.parent.handle(record)
        if self.failure is not None:
            return
        progress = Progress(
            request=self._request,
            message=escape_controls(redact(record.getMessage())),
            stage=self._stage,
            stages=self._stages,
            elapsed_seconds=time.monotonic() - self._since,
            is_warning=record.levelno >= logging.WARNING,
        )
        try:
            self._on_progress(progress)
        except Exception as error:
            self.failure = error
            raise


@contextlib.contextmanager
def _telling(teller: _Teller) -> Iterator[None]:
    """Log to the teller, and to nobody more than before, while the block runs."""
    level, propagates = _LOGGER.level, _LOGGER.propagate
    teller.level_before = _LOGGER.getEffectiveLevel() if propagates else logging.CRITICAL + 1
    _LOGGER.addHandler(teller)
    _LOGGER.propagate = False
    if not _LOGGER.isEnabledFor(logging.INFO):
        _LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        _LOGGER.removeHandler(teller)
        _LOGGER.propagate = propagates
        _LOGGER.setLevel(level)
