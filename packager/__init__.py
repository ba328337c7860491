"""Turn a model registered in MLflow into a small, proven, deployable serverless artifact.

    from packager import build, make_request

    built = build(make_request("models:/churn@champion", target="aws-lambda"))

Importing this imports nothing of a build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packager.types import BuildRequest, Provided, make_request

__version__: Final = "0.1.0"
__all__ = ["BuildRequest", "Provided", "__version__", "build", "make_request"]


def build(request: BuildRequest) -> Provided:
    """Build, prove and emit an artifact into `request.output.folder`, or take one that was kept.

    Raises the errors of packager.errors, as `packager build` ends with their exit codes. The folder
    holds a whole artifact afterwards, or what it held before.
    """
    from packager.models.registry import MlflowRegistry
    from packager.pipeline.build import build_or_reuse

    registry = MlflowRegistry(request.model.tracking_uri, request.model.registry_uri)
    return build_or_reuse(request, registry)


def __getattr__(name: str) -> object:
    if name in {"BuildRequest", "Provided", "make_request"}:
        from packager import types

        return getattr(types, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
