"""Turn a model registered in MLflow into a small, proven, deployable serverless artifact.

    from packager import build, make_request

    built = build(make_request("models:/churn@champion", target="aws-lambda"))

Importing this imports nothing of a build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packager.pipeline.output.several import BuildResult, Progress
    from packager.types import BuildRequest, Provided, make_request

__version__: Final = "0.1.0"
__all__ = [
    "BuildRequest",
    "BuildResult",
    "Progress",
    "Provided",
    "__version__",
    "build",
    "build_all",
    "make_request",
]


def build(
    request: BuildRequest, *, on_progress: Callable[[Progress], object] | None = None
) -> Provided:
    """Build, prove and emit an artifact into `request.output.folder`, or take one that was kept.

    `on_progress` is called with each line of progress, from whichever thread does the work; what it
    raises ends the build. Raises the errors of packager.errors, as `packager build` ends with their
    exit codes. The folder holds a whole artifact afterwards, or what it held before.
    """
    from packager.pipeline.output.several import build_one

    return build_one(request, on_progress)


def build_all(
    requests: Iterable[BuildRequest], *, on_progress: Callable[[Progress], object] | None = None
) -> tuple[BuildResult, ...]:
    """Build one artifact after the other, as `packager build --all` does; one result for each.

    A build that fails has its error in its result, and loses no other. Raises ConfigurationError,
    before anything is built, where one artifact would replace another, and what `on_progress`
    raises.
    """
    from packager.pipeline.output.several import build_each

    return build_each(requests, on_progress)


def __getattr__(name: str) -> object:
    if name in {"BuildRequest", "Provided", "make_request"}:
        from packager import types

        return getattr(types, name)
    if name in {"BuildResult", "Progress"}:
        from packager.pipeline.output import several

        return getattr(several, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
